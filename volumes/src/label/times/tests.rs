//! Unit tests of `times`.

use super::super::samples::{self, Kept};
use super::super::{COPY_CAPACITY_BYTES, Draft, VdiskEntry};
use super::*;

const MIB: u64 = 1 << 20;

fn vdisk(number: u8) -> VdiskEntry {
    let name = format!("v{number}");
    VdiskEntry::new(name, Uuid::from_bytes([number; 16]), 0, Vec::new())
}

fn label(kept: Vec<Kept>) -> Label {
    let vdisks = vec![vdisk(1), vdisk(2)];
    samples::label(16 * MIB, MIB, vdisks, Place::Inside, kept)
}

fn times() -> ChangeTimes {
    let uuid = |number: u8| Uuid::from_bytes([number; 16]);
    ChangeTimes::closed([(uuid(1), 11), (uuid(2), 12), (uuid(3), 13)].into())
}

/// Whether there are times after writing and reading.
fn read_back(label: &Label) -> Option<ChangeTimes> {
    let draft = Draft::decode(&label.encode().into_copy()).expect("a copy");
    let read = draft.finish().expect("a label");
    assert_eq!(&read, label);
    read.times()
}

#[test]
fn the_times_of_the_labels_own_vdisks_are_written_and_read() {
    let of_others = vec![(1 << 31, b"later".to_vec(), Place::Inside)];
    let label = label(of_others).with_times(&times());
    let read = read_back(&label).expect("times");
    let got = [1, 2, 3].map(|number| read.get(Uuid::from_bytes([number; 16])));
    assert_eq!(got, [Some(11), Some(12), None]);
    assert!(!read.is_open());
    let opened = read_back(&label.with_times(&read.opened())).expect("times");
    assert!(opened.is_open() && opened.get(Uuid::from_bytes([1; 16])) == Some(11));
}

#[test]
fn times_without_room_are_left_out_and_the_table_is_not() {
    let kept = |bytes: usize| vec![(7, vec![0xC3; bytes], Place::Inside)];
    let table = label(Vec::new()).table_bytes() as usize;
    let room = COPY_CAPACITY_BYTES - 128 - 3 * 64 - table - HEAD_BYTES - 2 * RECORD_BYTES;
    let mut fits = label(kept(room)).with_times(&times());
    assert!(read_back(&fits).is_some());
    assert!(read_back(&label(kept(room + 1)).with_times(&times())).is_none());
    // The table grows.
    fits.add(vdisk(9));
    assert!(fits.check_bounds().is_ok() && fits.fits_inside());
    let before = fits.clone();
    assert!(read_back(&fits.following(&before)).is_none());
    let thirty_one = (4..35).map(|kind| (kind, Vec::new(), Place::Inside));
    assert!(read_back(&label(thirty_one.collect()).with_times(&times())).is_none());
}

#[test]
fn what_another_program_made_of_the_section_is_kept_and_says_nothing() {
    for bytes in [vec![0; 7], vec![2, 0, 0, 0, 0, 0, 0, 0], vec![0; 31]] {
        let label = label(vec![(KIND_TIMES, bytes, Place::Inside)]);
        assert_eq!(read_back(&label), None);
        assert!(read_back(&label.with_times(&times())).is_some());
    }
}
