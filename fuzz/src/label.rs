//! A disk whose label is anything.
//!
//! The input is a byte that says whether checksums are made right, a copy of a label, and behind it
//! what is read of its sections outside. What holds: whatever decodes is consistent, is no
//! larger than the input lets it be, and encodes to the same bytes.
//!
//! Without right checksums hardly any change would come past the first check; therefore the input
//! may ask for them.

use disktime_volumes::label::{
    COPY_CAPACITY_BYTES, Draft, EXTENT_ALIGNMENT_BYTES, Label, MAX_NAME_BYTES, MAX_VDISKS, VERSION,
};
use std::collections::HashSet;

/// Bytes of the input that are not the disk's.
pub const CONTROL_BYTES: usize = 1;

const SECTION_CHECKSUMS: u8 = 1;
const COPY_CHECKSUM: u8 = 2;
/// Where things are in a copy: docs/disk-format.md.
const HEADER_BYTES: usize = 128;
const ENTRY_BYTES: usize = 64;

/// The entry point.
pub fn run(data: &[u8]) {
    let Some((control, disk)) = data.split_at_checked(CONTROL_BYTES) else {
        return;
    };
    let mut disk = disk.to_vec();
    let copy_bytes = copy_len(&disk);
    if control[0] & SECTION_CHECKSUMS != 0 {
        seal_sections(&mut disk, copy_bytes);
    }
    if control[0] & COPY_CHECKSUM != 0 {
        seal_copy(&mut disk[..copy_bytes]);
    }
    let (copy, outside) = disk.split_at(copy_bytes);
    let Ok(mut draft) = Draft::decode(copy) else {
        return;
    };
    let mut rest = outside;
    for section in draft.outside() {
        let (offset, len) = section.replica(1);
        assert_eq!(len % 4096, 0);
        assert!(
            offset + len <= section.end(),
            "more is read than the rooms hold"
        );
        let there = rest.len().min(len as usize);
        let (bytes, behind) = rest.split_at(there);
        rest = behind;
        draft.supply(&section, bytes.to_vec());
    }
    let Ok(label) = draft.finish() else {
        return;
    };
    check(&label, disk.len());
    if label.version() == VERSION {
        assert!(
            label.encode().into_copy() == copy,
            "it encodes to other bytes"
        );
        check_outside(&label, outside);
    }
}

/// What every label is.
fn check(label: &Label, input_bytes: usize) {
    assert!(label.vdisks().len() <= MAX_VDISKS);
    let (mut names, mut uuids) = (HashSet::new(), HashSet::new());
    let mut stored_bytes = 0;
    for vdisk in label.vdisks() {
        assert!((1..=MAX_NAME_BYTES).contains(&vdisk.name().len()));
        assert!(names.insert(vdisk.name()) && uuids.insert(vdisk.uuid()));
        let extents = vdisk.extents();
        stored_bytes += 32 + vdisk.name().len() + 24 * extents.len();
        let laid_out: u64 = extents.iter().map(|extent| extent.len_bytes).sum();
        assert!(vdisk.size_bytes() <= laid_out);
    }
    assert!(stored_bytes <= input_bytes, "vdisks out of nowhere");
    let mut ranges: Vec<(u64, u64)> = label.used_ranges().collect();
    ranges.sort_unstable();
    let (zero_from, zero_to) = label.known_zero();
    let mut free_from = EXTENT_ALIGNMENT_BYTES;
    for (start, end) in ranges {
        assert!(free_from <= start && start < end, "ranges overlap");
        assert_eq!(start % EXTENT_ALIGNMENT_BYTES, 0);
        assert!(end <= zero_from || start >= zero_to || zero_from >= zero_to);
        free_from = end;
    }
    assert!(free_from <= label.size_bytes() || free_from == EXTENT_ALIGNMENT_BYTES);
}

/// What would be written outside is what was read there, padded with zeroes.
fn check_outside(label: &Label, mut outside: &[u8]) {
    let encoded = label.encode();
    for (_, bytes) in encoded.outside() {
        let (read, behind) = outside.split_at(outside.len().min(bytes.len()));
        outside = behind;
        let same = std::iter::zip(bytes, read)
            .take_while(|(a, b)| a == b)
            .count();
        assert!(
            bytes[same..].iter().all(|byte| *byte == 0),
            "other bytes outside"
        );
    }
}

/// The length that a copy says it has, as far as there are bytes.
fn copy_len(disk: &[u8]) -> usize {
    let said = number(disk, 16, 4) as usize;
    said.min(disk.len()).min(COPY_CAPACITY_BYTES)
}

/// A little-endian number; bytes that are not there are zero.
fn number(bytes: &[u8], at: usize, len: usize) -> u64 {
    let mut number = [0; 8];
    for (to, from) in number[..len].iter_mut().zip(bytes.iter().skip(at)) {
        *to = *from;
    }
    u64::from_le_bytes(number)
}

/// Makes the checksums of the sections right, as far as they are where the directory says.
fn seal_sections(disk: &mut [u8], copy_bytes: usize) {
    let sections = number(disk, 20, 4).min(32) as usize;
    let mut outside_at = copy_bytes;
    for section in 0..sections {
        let entry = HEADER_BYTES + section * ENTRY_BYTES;
        let len = number(disk, entry + 8, 8).min(disk.len() as u64) as usize;
        let is_outside = number(disk, entry + 4, 4) & 2 != 0;
        let start = if is_outside {
            let start = outside_at;
            outside_at += len.next_multiple_of(4096);
            start
        } else {
            number(disk, entry + 24, 8).min(disk.len() as u64) as usize
        };
        let end = (start + len).min(disk.len());
        let checksum = crc32c::crc32c(disk.get(start..end).unwrap_or_default());
        if let Some(field) = disk.get_mut(entry + 16..entry + 20) {
            field.copy_from_slice(&checksum.to_le_bytes());
        }
    }
}

fn seal_copy(copy: &mut [u8]) {
    if copy.len() < HEADER_BYTES {
        return;
    }
    copy[12..16].fill(0);
    let checksum = crc32c::crc32c(copy);
    copy[12..16].copy_from_slice(&checksum.to_le_bytes());
}
