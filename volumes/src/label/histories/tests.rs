//! Unit tests of `label/histories`.

use super::*;
use crate::label::{COPY_CAPACITY_BYTES, CopyDefect, Draft, Extent, Place, VdiskEntry, samples};

const MIB: u64 = 1 << 20;
const DISK: Uuid = Uuid::from_bytes([9; 16]);
const OTHER_DISK: Uuid = Uuid::from_bytes([10; 16]);
const VDISK: Uuid = Uuid::from_bytes([1; 16]);

fn label() -> Label {
    let extent = Extent {
        offset_bytes: MIB,
        len_bytes: MIB,
        map_offset_bytes: None,
    };
    let vdisk = VdiskEntry::new("a".to_owned(), VDISK, MIB, vec![extent]);
    samples::label(
        64 * MIB,
        32 * MIB,
        vec![vdisk],
        Place::Inside,
        vec![(7, vec![1, 2, 3], Place::Inside)],
    )
}

fn history(image_disk: Uuid, log_disk: Uuid, extents: Vec<(u64, u64)>) -> HistoryEntry {
    HistoryEntry::new(VDISK, image_disk, log_disk, 64, extents)
}

fn decoded(label: &Label) -> Result<Label, CopyDefect> {
    Draft::decode(&label.encode().into_copy())?.finish()
}

#[test]
fn a_label_with_histories_is_what_was_written() {
    let mut with = label();
    with.add_history(history(
        DISK,
        DISK,
        vec![(8 * MIB, 2 * MIB), (4 * MIB, MIB)],
    ));
    assert_eq!(with.features().incompatible(), 1);
    assert_eq!(decoded(&with), Ok(with.clone()));
    assert!(with.used_ranges().any(|range| range == (4 * MIB, 5 * MIB)));
    assert!(with.inside_bytes() <= COPY_CAPACITY_BYTES as u64);
    assert_eq!(with.inside_bytes(), with.encode().into_copy().len() as u64);

    // The last one takes the bit with it, and the space.
    assert!(with.take_out("a"));
    assert_eq!(with.features().incompatible(), 0);
    assert_eq!(with.used_ranges().count(), 0);
    assert_eq!(decoded(&with), Ok(with));
}

#[test]
fn a_record_names_an_image_or_a_log_of_this_disk() {
    let refused = |entry: HistoryEntry| {
        let mut with = label();
        with.add_history(entry);
        assert!(matches!(decoded(&with), Err(CopyDefect::Damaged(_))));
    };
    // The log lies elsewhere, and the area here.
    refused(history(DISK, OTHER_DISK, vec![(8 * MIB, MIB)]));
    refused(history(DISK, DISK, Vec::new()));
    refused(history(OTHER_DISK, OTHER_DISK, Vec::new()));
    // Known zero, over the vdisk, not in whole MiB, behind the end.
    refused(history(DISK, DISK, vec![(40 * MIB, MIB)]));
    refused(history(DISK, DISK, vec![(MIB, MIB)]));
    refused(history(DISK, DISK, vec![(8 * MIB, MIB / 2)]));
    refused(history(DISK, DISK, vec![(8 * MIB, 1 << 61)]));

    let mut image_only = label();
    image_only.add_history(history(DISK, OTHER_DISK, Vec::new()));
    assert_eq!(decoded(&image_only), Ok(image_only));
    let mut twice = label();
    twice.add_history(history(DISK, DISK, vec![(8 * MIB, MIB)]));
    twice.add_history(history(DISK, DISK, vec![(9 * MIB, MIB)]));
    assert!(matches!(decoded(&twice), Err(CopyDefect::Damaged(_))));
}

#[test]
fn records_without_the_bit_are_refused() {
    let mut with = label();
    with.add_history(history(DISK, DISK, vec![(8 * MIB, MIB)]));
    with.features = with.features.with_history(false);
    assert!(matches!(decoded(&with), Err(CopyDefect::Damaged(_))));
}
