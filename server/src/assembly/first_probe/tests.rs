//! Unit tests of `first_probe`: which record counts, and for what.

use super::*;
use disktime_calibration::FirstProbe;
use disktime_disks::{DiskIdentity, identify_disk};
use std::fs;

const FAST: FirstProbe = FirstProbe {
    reads_per_second_alone: 9_000,
    reads_per_second_deep: 90_000,
};
const SLOW: FirstProbe = FirstProbe {
    reads_per_second_alone: 90,
    reads_per_second_deep: 200,
};

struct Place {
    directory: tempfile::TempDir,
    configuration: Configuration,
}

impl Place {
    /// A file with a disk that has these keys beside its path and its size.
    fn new(keys: &str) -> Place {
        let directory = tempfile::tempdir().expect("a directory");
        fs::write(directory.path().join("d.disk"), [1; 4096]).expect("a file");
        let text = format!(
            r#"{{ "state_dir": ".", "disks": {{ "d": {{ "path": "d.disk", "size": "2GiB"{keys} }} }},
                "vdisks": {{ "v": {{ "disk": "d", "size": "1MiB" }} }}, "nbd": {{}} }}"#
        );
        let file = directory.path().join("disktime.json");
        fs::write(&file, text).expect("a file");
        let configuration = super::super::emulation::load(&file).expect("it is right");
        Place {
            directory,
            configuration,
        }
    }

    fn disk(&self) -> &DiskConfig {
        &self.configuration.disks[0]
    }

    fn identity(&self) -> DiskIdentity {
        identify_disk(&self.directory.path().join("d.disk")).expect("it is there")
    }

    fn keep(&self, first: FirstProbe, identity: &DiskIdentity) -> Record {
        let path = self.disk().path().expect("it has one");
        let record = Record::new(path, identity, first, None);
        record.save(&self.configuration, self.disk()).expect("kept");
        record
    }

    /// Whether the disk is taken for one that seeks; `None` if it is up to the kernel.
    fn has_seeks(&self) -> Option<bool> {
        let options = disk_options(self.disk());
        with_findings(&self.configuration, self.disk(), options).has_seeks
    }
}

#[test]
fn a_disk_that_does_not_rotate_is_taken_for_one_that_does_not() {
    let place = Place::new("");
    assert_eq!(place.has_seeks(), None, "nothing is known");
    let record = place.keep(FAST, &place.identity());
    assert_eq!(place.has_seeks(), Some(false));
    let path = place.disk().path().expect("it has one");
    let kept = Record::load(&place.configuration, place.disk(), path);
    assert_eq!(kept, Some(record));
    assert!(findings(&place.configuration)[0].contains("9000 reads a second"));
}

#[test]
fn the_probe_only_loosens() {
    let place = Place::new("");
    place.keep(SLOW, &place.identity());
    assert_eq!(place.has_seeks(), None, "the kernel's word counts");
    let record = place.keep(FAST, &place.identity()).declined();
    record
        .save(&place.configuration, place.disk())
        .expect("kept");
    assert_eq!(place.has_seeks(), None, "the reservations need it");
    assert!(findings(&place.configuration)[0].contains("fit a rotating disk only"));
}

#[test]
fn the_record_of_another_device_does_not_count() {
    let place = Place::new("");
    let other = DiskIdentity {
        queue_name: "another".to_owned(),
        ..place.identity()
    };
    place.keep(FAST, &other);
    assert_eq!(place.has_seeks(), None);
    let file = place.directory.path().join("d.probe.json");
    fs::write(&file, "{ no JSON").expect("a file");
    assert_eq!(place.has_seeks(), None);
}

#[test]
fn what_the_file_says_counts_first() {
    for keys in [r#", "seeks": true"#, r#", "max_in_flight": 1"#] {
        let place = Place::new(keys);
        place.keep(FAST, &place.identity());
        assert_ne!(place.has_seeks(), Some(false), "{keys}");
        assert!(findings(&place.configuration).is_empty(), "{keys}");
    }
}
