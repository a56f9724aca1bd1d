//! Unit tests of `directory`.

use super::*;
use disktime_engine::{LastChange, VdiskId};

/// Files of one name are the same vdisk in these tests, unless one says otherwise.
fn identity(name: &str) -> FileIdentity {
    let bytes = name.bytes();
    FileIdentity(bytes.fold(0, |sum: u128, byte| {
        sum.wrapping_mul(257).wrapping_add(u128::from(byte))
    }))
}

fn file(name: &str, size_bytes: u64) -> FuseFile {
    FuseFile {
        identity: identity(name),
        name: name.into(),
        size_bytes,
        stored: None,
        last_change: LastChange::default(),
        clients: Default::default(),
        read_only: false,
        punches_holes: true,
        optimal_io_bytes: 65_000,
        disk: 0,
        vdisk: VdiskId(0),
    }
}

fn directory(files: Vec<FuseFile>) -> Result<Directory, FuseError> {
    Directory::new(files, Owner { uid: 7, gid: 8 }, 0)
}

#[test]
fn names_that_are_no_path_component_or_stand_twice_are_refused() {
    for name in ["", ".", "..", "a/b", "a\0b", &"x".repeat(256)] {
        let refused = directory(vec![file(name, 1)]);
        assert!(
            matches!(refused, Err(FuseError::BadName { .. })),
            "{name:?}"
        );
    }
    let twice = directory(vec![file("a", 1), file("a", 2)]);
    assert!(matches!(twice, Err(FuseError::DuplicateName { .. })));
}

#[test]
fn inodes_lead_to_their_files_and_nothing_else_does() {
    let directory = directory(vec![file("a", 1), file("b", 513)]).expect("good names");
    let inode = directory.inode_of(b"b").expect("there");
    assert_eq!(directory.position(inode), Some(1));
    let attributes = directory.attributes(inode).expect("there");
    assert_eq!(attributes.size_bytes, 513);
    assert_eq!(attributes.block_bytes, 65_536);
    for inode in [0, 1, 4, u64::MAX] {
        assert_eq!(directory.position(inode), None);
    }
    assert!(directory.attributes(4).is_none());
}

#[test]
fn a_listing_goes_on_where_it_stopped() {
    let directory = directory(vec![file("a", 1), file("b", 1)]).expect("good names");
    let mut from = 0;
    let mut names = Vec::new();
    while let Some(line) = directory.list(from).next() {
        names.push(line.name);
        from = line.next;
    }
    assert_eq!(names, [".", "..", "a", "b"]);
    assert_eq!(directory.list(u64::MAX).count(), 0);
}

#[test]
fn an_inode_is_never_another_file_s() {
    let files = vec![file("a", 1), file("b", 2), file("c", 3)];
    let mut directory = directory(files).expect("good names");
    let inodes = [b"a", b"b"].map(|name| directory.inode_of(name).expect("there"));
    assert!(directory.remove(identity("a")) && directory.remove(identity("b")));
    assert!(!directory.remove(identity("a")), "it was removed before");
    let new = directory.add(file("d", 4)).expect("a new name");
    assert!(
        !inodes.contains(&new),
        "a new file has a removed file's inode"
    );
    for inode in inodes {
        assert_eq!(directory.position(inode), None);
        assert!(directory.attributes(inode).is_none());
    }
    let renamed = FuseFile {
        identity: identity("b"),
        ..file("e", 2)
    };
    assert_eq!(directory.add(renamed).expect("it was removed"), inodes[1]);
    assert_eq!(directory.inode_of(b"e"), Some(inodes[1]));
    assert_eq!(directory.inode_of(b"b"), None);
    assert_eq!(directory.statistics().files, 3);
    let same = FuseFile {
        identity: identity("c"),
        ..file("f", 3)
    };
    assert!(directory.add(same).is_err(), "one vdisk as two files");
}

#[test]
fn a_listing_goes_on_when_files_before_it_are_removed() {
    let files = vec![file("a", 1), file("b", 1), file("c", 1)];
    let mut directory = directory(files).expect("good names");
    let from = directory.list(0).nth(3).expect("the line of b").next;
    directory.remove(identity("a"));
    let names: Vec<&str> = directory.list(from).map(|line| line.name).collect();
    assert_eq!(names, ["c"]);
}
