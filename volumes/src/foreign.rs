//! What a disk without a label holds, by its first MiB and its last 128 KiB. Pure.
//!
//! Signatures are those of the formats' own documents; a disk that is not all zeroes there and
//! matches none is "something else" and is refused as well.

use disktime_units::little_endian;

/// How many bytes of the head are read.
pub(crate) const HEAD_BYTES: u64 = 1 << 20;
/// How many bytes of the tail are read (a backup partition table, an old software RAID).
pub(crate) const TAIL_BYTES: u64 = 128 << 10;

/// A signature: bytes at a place, and what they mean.
struct Signature {
    at: usize,
    bytes: &'static [u8],
    meaning: &'static str,
}

const fn signature(at: usize, bytes: &'static [u8], meaning: &'static str) -> Signature {
    Signature { at, bytes, meaning }
}

/// More specific ones first: a boot sector's 55 AA is part of many formats.
const HEAD: &[Signature] = &[
    signature(512, b"EFI PART", "a GPT partition table"),
    signature(4096, b"EFI PART", "a GPT partition table"),
    signature(0, b"LUKS\xBA\xBE", "a LUKS encrypted volume"),
    signature(0, b"XFSB", "an XFS file system"),
    signature(0, b"QFI\xFB", "a qcow2 image"),
    signature(0, b"KDMV", "a VMDK image"),
    signature(0, b"vhdxfile", "a VHDX image"),
    signature(0, b"conectix", "a VHD image"),
    signature(0x40, b"\x7F\x10\xDA\xBE", "a VDI image"),
    signature(512, b"LABELONE", "an LVM physical volume"),
    signature(0, b"LABELONE", "an LVM physical volume"),
    signature(1024, b"LABELONE", "an LVM physical volume"),
    signature(1536, b"LABELONE", "an LVM physical volume"),
    signature(0x1_0040, b"_BHRfS_M", "a btrfs file system"),
    signature(4086, b"SWAPSPACE2", "a swap area"),
    signature(4086, b"SWAP-SPACE", "a swap area"),
    signature(4096, b"\xFC\x4E\x2B\xA9", "a Linux software RAID member"),
    signature(0, b"\xFC\x4E\x2B\xA9", "a Linux software RAID member"),
    signature(1024, b"\x10\x20\xF5\xF2", "an F2FS file system"),
    signature(
        4096 + 24,
        b"\xC6\x85\x73\xF6\x4E\x1A\x45\xCA\x82\x65\xF5\x7F\x48\xBA\x6D\x81",
        "a bcache device",
    ),
    signature(0x8001, b"CD001", "an ISO 9660 file system"),
    signature(3, b"NTFS    ", "an NTFS file system"),
    signature(3, b"EXFAT   ", "an exFAT file system"),
    signature(54, b"FAT1", "a FAT file system"),
    signature(82, b"FAT32", "a FAT file system"),
    signature(0, b"hsqs", "a squashfs file system"),
];

/// Names the format whose signature is in the first bytes of a disk.
pub(crate) fn known_format(head: &[u8]) -> Option<&'static str> {
    HEAD.iter()
        .find(|signature| has(head, signature.at, signature.bytes))
        .map(|signature| signature.meaning)
        .or_else(|| extended_file_system(head))
        .or_else(|| zfs(head))
        .or_else(|| boot_sector(head))
}

/// Names what is there, or `None` when head and tail are all zeroes.
pub(crate) fn identify(head: &[u8], tail: &[u8]) -> Option<String> {
    if let Some(found) = known_format(head).or_else(|| at_the_tail(tail)) {
        return Some(found.to_owned());
    }
    let place = first_nonzero(head)
        .map(|at| format!("byte {at}"))
        .or_else(|| {
            first_nonzero(tail).map(|at| format!("{} bytes before its end", tail.len() - at))
        })?;
    Some(format!(
        "something else (the first byte that is not zero is at {place})"
    ))
}

fn has(bytes: &[u8], at: usize, expected: &[u8]) -> bool {
    bytes
        .get(at..)
        .is_some_and(|rest| rest.starts_with(expected))
}

fn first_nonzero(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|byte| *byte != 0)
}

/// The superblock at 1024: journal says ext3 or later, extents and their like say ext4.
fn extended_file_system(head: &[u8]) -> Option<&'static str> {
    if !has(head, 1024 + 0x38, &[0x53, 0xEF]) || head.len() < 2048 {
        return None;
    }
    let features = |at: usize| little_endian::u32_at(head, 1024 + at);
    let (compatible, incompatible, read_only) = (features(0x5C), features(0x60), features(0x64));
    let ext4_incompatible = 0x40 | 0x80 | 0x200;
    let ext4_read_only = 0x08 | 0x20 | 0x40;
    if incompatible & ext4_incompatible != 0 || read_only & ext4_read_only != 0 {
        Some("an ext4 file system")
    } else if compatible & 0x4 != 0 {
        Some("an ext3 file system")
    } else {
        Some("an ext2 file system")
    }
}

/// ZFS keeps rings of uberblocks of 1 KiB from 128 KiB on, of either byte order.
fn zfs(head: &[u8]) -> Option<&'static str> {
    let magic = 0x00BA_B10C_u64;
    let ring = (128 << 10..256 << 10).step_by(1024);
    let mut labels = [0, 256 << 10]
        .iter()
        .flat_map(|label| ring.clone().map(move |at| label + at));
    labels
        .any(|at| has(head, at, &magic.to_le_bytes()) || has(head, at, &magic.to_be_bytes()))
        .then_some("a ZFS pool member")
}

fn boot_sector(head: &[u8]) -> Option<&'static str> {
    if !has(head, 510, &[0x55, 0xAA]) {
        return None;
    }
    let table = head.get(446..510)?;
    let plausible = table.chunks_exact(16).all(|entry| entry[0] & 0x7F == 0);
    let used = table.chunks_exact(16).any(|entry| entry[4] != 0);
    if plausible && used {
        Some("an MBR partition table")
    } else {
        Some("a boot sector")
    }
}

fn at_the_tail(tail: &[u8]) -> Option<&'static str> {
    let from_end = |back: usize, bytes: &[u8]| {
        tail.len()
            .checked_sub(back)
            .is_some_and(|at| has(tail, at, bytes))
    };
    let raid = b"\xFC\x4E\x2B\xA9";
    if from_end(512, b"EFI PART") || from_end(4096, b"EFI PART") {
        return Some("the backup of a GPT partition table");
    }
    let old_raid = tail.len().checked_sub(128 << 10).is_some()
        && (0..tail.len()).step_by(4096).any(|at| has(tail, at, raid));
    old_raid.then_some("a Linux software RAID member")
}

#[cfg(test)]
mod tests;
