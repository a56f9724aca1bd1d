//! Unit tests of `foreign`.

use super::*;

fn head_with(places: &[(usize, &[u8])]) -> Vec<u8> {
    let mut head = vec![0; HEAD_BYTES as usize];
    for (at, bytes) in places {
        head[*at..*at + bytes.len()].copy_from_slice(bytes);
    }
    head
}

fn found(places: &[(usize, &[u8])]) -> Option<String> {
    identify(&head_with(places), &[0; TAIL_BYTES as usize])
}

#[test]
fn zeroes_are_nothing() {
    assert_eq!(found(&[]), None);
}

#[test]
fn formats_are_named() {
    for signature in HEAD {
        let name = found(&[(signature.at, signature.bytes)]);
        assert_eq!(name.as_deref(), Some(signature.meaning));
    }
    let ext = |features: [u8; 12]| found(&[(1080, &[0x53, 0xEF]), (1024 + 0x5C, &features)]);
    let mut features = [0; 12];
    assert_eq!(ext(features).as_deref(), Some("an ext2 file system"));
    features[0] = 4;
    assert_eq!(ext(features).as_deref(), Some("an ext3 file system"));
    features[4] = 0x40;
    assert_eq!(ext(features).as_deref(), Some("an ext4 file system"));
    let zfs = found(&[(131 << 10, &0x00BA_B10Cu64.to_le_bytes())]);
    assert_eq!(zfs.as_deref(), Some("a ZFS pool member"));
    let mbr = found(&[(450, &[0x83]), (510, &[0x55, 0xAA])]);
    assert_eq!(mbr.as_deref(), Some("an MBR partition table"));
}

#[test]
fn something_unknown_is_said_to_be_there() {
    let name = found(&[(70_000, b"x")]).expect("a byte is there");
    assert!(
        name.contains("something else") && name.contains("70000"),
        "{name}"
    );
    let mut tail = vec![0; TAIL_BYTES as usize];
    tail[TAIL_BYTES as usize - 512..][..8].copy_from_slice(b"EFI PART");
    let name = identify(&head_with(&[]), &tail).expect("a table is there");
    assert!(name.contains("backup of a GPT"), "{name}");
}
