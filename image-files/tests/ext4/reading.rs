//! What is read is what was written.

use crate::made::{HOLE_END, KINDS, content, entries, find, image, open, populate, run};
use disktime_image_files::{FileKind, FileSystem, Image, ImageFiles, Node, ROOT};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

/// Compares a tree with the directory that it was made of; returns how many files it has.
fn compare(of: &FileSystem, node: &Node, with: &Path) -> usize {
    let meta = fs::symlink_metadata(with).expect("there");
    let place = with.display();
    assert_eq!(u32::from(node.mode()), meta.mode() & 0o7777, "{place}");
    assert_eq!(
        (node.uid(), node.gid()),
        (meta.uid(), meta.gid()),
        "{place}"
    );
    // mke2fs adds `lost+found` to the root.
    if node.number() != ROOT {
        assert_eq!(node.modified().seconds, meta.mtime(), "{place}");
    }
    match node.kind() {
        FileKind::File => {
            assert!(
                content(of, node) == fs::read(with).expect("read"),
                "{place}"
            );
            assert_eq!(u64::from(node.links()), meta.nlink(), "{place}");
            1
        }
        FileKind::Link => {
            let target = fs::read_link(with).expect("a link");
            assert_eq!(
                of.target(node).expect("read"),
                target.as_os_str().as_bytes()
            );
            1
        }
        FileKind::Directory => {
            let mut names: Vec<_> = fs::read_dir(with)
                .expect("listed")
                .map(|entry| entry.expect("one").file_name())
                .collect();
            let mut found = entries(of, node);
            found.retain(|entry| entry.name != b"lost+found");
            names.sort();
            found.sort_by(|one, other| one.name.cmp(&other.name));
            let found_names: Vec<_> = found.iter().map(|entry| entry.name.clone()).collect();
            let names_bytes: Vec<_> = names.iter().map(|name| name.as_bytes().to_vec()).collect();
            assert_eq!(found_names, names_bytes, "{place}");
            let below = found.iter().zip(&names).map(|(entry, name)| {
                let child = of.node(entry.inode).expect("an inode");
                assert!(entry.kind.is_none_or(|kind| kind == child.kind()));
                compare(of, &child, &with.join(name))
            });
            below.sum()
        }
        other => panic!("{place} is a {other:?}"),
    }
}

#[test]
fn every_kind_reads_as_the_directory_that_it_was_made_of() {
    let made_of = tempfile::tempdir().expect("made");
    populate(made_of.path());
    for kind in KINDS {
        let of = open(image(kind, made_of.path()));
        let root = of.node(ROOT).expect("a root");
        assert_eq!(compare(&of, &root, made_of.path()), 709, "{kind:?}");
    }
}

#[test]
fn another_reader_finds_the_same() {
    let made_of = tempfile::tempdir().expect("made");
    populate(made_of.path());
    let bytes = image(KINDS[0], made_of.path());
    let theirs = ext4_view::Ext4::load(Box::new(bytes.clone())).expect("it can be read");
    let ours = open(bytes);
    for path in [
        "etc/passwd",
        "etc/deep/large",
        "sparse",
        "many/a-file-with-a-long-name-0699",
    ] {
        let absolute = format!("/{path}");
        let node = find(&ours, path);
        let meta = theirs.metadata(absolute.as_str()).expect("there");
        assert_eq!(meta.mode(), node.mode());
        assert_eq!(meta.modified().nanoseconds(), node.modified().nanoseconds);
        assert!(
            theirs.read(absolute.as_str()).expect("read") == content(&ours, &node),
            "{path}"
        );
    }
}

#[test]
fn holes_are_told_from_data() {
    let made_of = tempfile::tempdir().expect("made");
    populate(made_of.path());
    for kind in KINDS {
        let of = open(image(kind, made_of.path()));
        let node = find(&of, "sparse");
        let (mut at, mut stretches) = (0, Vec::new());
        while let Some(stretch) = of.stretch(&node, at).expect("found") {
            stretches.push((stretch.is_hole, stretch.end));
            at = stretch.end;
        }
        stretches.dedup_by(|next, before| {
            let joins = next.0 == before.0;
            if joins {
                before.1 = next.1;
            }
            joins
        });
        let expected = [(false, 8192), (true, HOLE_END), (false, HOLE_END + 3)];
        assert_eq!(stretches, expected, "{kind:?}");
        assert!(node.sectors() * 512 < 1 << 20, "{kind:?}");
    }
}

#[test]
fn space_that_was_set_aside_reads_as_zeroes() {
    let made_of = tempfile::tempdir().expect("made");
    fs::write(made_of.path().join("file"), b"").expect("written");
    let file = tempfile::NamedTempFile::new().expect("made");
    let mut bytes = image(KINDS[0], made_of.path());
    // What lies in free space is not zero.
    let half = bytes.len() / 2;
    bytes[half..]
        .iter_mut()
        .filter(|byte| **byte == 0)
        .for_each(|byte| *byte = 0xEE);
    fs::write(file.path(), bytes).expect("written");
    for request in ["fallocate file 0 2000", "sif file size 8000000"] {
        run(Command::new("debugfs")
            .args(["-w", "-R", request])
            .arg(file.path()));
    }
    let of = open(fs::read(file.path()).expect("read"));
    let node = find(&of, "file");
    assert!(content(&of, &node).iter().all(|byte| *byte == 0));
    assert!(
        of.stretch(&node, 0)
            .expect("found")
            .expect("inside")
            .is_hole
    );
}

#[test]
fn extended_attributes_and_devices_are_read() {
    let made_of = tempfile::tempdir().expect("made");
    populate(made_of.path());
    let file = tempfile::NamedTempFile::new().expect("made");
    fs::write(file.path(), image(KINDS[0], made_of.path())).expect("written");
    let long = "v".repeat(900);
    for request in [
        "ea_set /etc/tiny user.origin here".to_owned(),
        format!("ea_set /etc/tiny user.long {long}"),
        "ea_set /etc/tiny security.capability 0123".to_owned(),
        "mknod device c 259 4097".to_owned(),
        "mknod pipe p".to_owned(),
    ] {
        run(Command::new("debugfs")
            .args(["-w", "-R", &request])
            .arg(file.path()));
    }
    let of = open(fs::read(file.path()).expect("read"));
    let found = of.xattrs(&find(&of, "etc/tiny")).expect("read");
    let value = |name: &str| {
        let one = found.iter().find(|one| one.name == name.as_bytes());
        String::from_utf8(one.expect("there").value.clone()).expect("text")
    };
    assert_eq!(found.len(), 3);
    assert_eq!(value("user.origin"), "here");
    assert_eq!(value("user.long"), long);
    assert_eq!(value("security.capability"), "0123");
    assert_eq!(of.xattrs(&find(&of, "etc/passwd")).expect("read"), []);
    let device = find(&of, "device");
    assert_eq!(
        (device.kind(), device.device()),
        (FileKind::Character, Some((259, 4097)))
    );
    assert_eq!(find(&of, "pipe").kind(), FileKind::Pipe);
}

#[test]
fn times_before_1970_and_after_2038_are_read() {
    let made_of = tempfile::tempdir().expect("made");
    let file = tempfile::NamedTempFile::new().expect("made");
    fs::write(made_of.path().join("old"), b"").expect("written");
    fs::write(made_of.path().join("new"), b"").expect("written");
    fs::write(file.path(), image(KINDS[0], made_of.path())).expect("written");
    // 1969-12-31T23:59:58Z, and 2040-01-01T00:00:00Z.
    for request in ["sif /old mtime @-2", "sif /new mtime @2208988800"] {
        run(Command::new("debugfs")
            .args(["-w", "-R", request])
            .arg(file.path()));
    }
    let of = open(fs::read(file.path()).expect("read"));
    assert_eq!(find(&of, "old").modified().seconds, -2);
    assert_eq!(find(&of, "new").modified().seconds, 2_208_988_800);
}

#[test]
fn file_systems_in_partitions_are_found() {
    let made_of = tempfile::tempdir().expect("made");
    populate(made_of.path());
    let inner = image(KINDS[0], made_of.path());
    let sectors = (inner.len() / 512) as u64;
    for with_gpt in [false, true] {
        let mut whole = vec![0; inner.len() + (4 << 20)];
        whole[510..512].copy_from_slice(&[0x55, 0xAA]);
        let row = &mut whole[446 + 16..];
        row[4] = if with_gpt { 0xEE } else { 0x83 };
        row[8..12].copy_from_slice(&2048u32.to_le_bytes());
        row[12..16].copy_from_slice(&(sectors as u32).to_le_bytes());
        if with_gpt {
            whole[512..520].copy_from_slice(b"EFI PART");
            whole[512 + 72..512 + 80].copy_from_slice(&2u64.to_le_bytes());
            whole[512 + 80..512 + 84].copy_from_slice(&128u32.to_le_bytes());
            whole[512 + 84..512 + 88].copy_from_slice(&128u32.to_le_bytes());
            let row = &mut whole[1024 + 128..];
            row[0] = 1;
            row[32..40].copy_from_slice(&2048u64.to_le_bytes());
            row[40..48].copy_from_slice(&(2048 + sectors - 1).to_le_bytes());
        }
        whole[1 << 20..(1 << 20) + inner.len()].copy_from_slice(&inner);
        let whole: Arc<dyn Image> = Arc::new(whole);
        let files = ImageFiles::open(&whole).expect("read");
        let [tree] = files.trees() else {
            panic!("{:?}", files.trees());
        };
        assert_eq!(tree.partition, Some(2));
        let of = tree.file_system.as_ref().expect("it can be read");
        assert_eq!(content(of, &find(of, "etc/tiny")), b"tiny");
    }
    let blank: Arc<dyn Image> = Arc::new(vec![0u8; 1 << 20]);
    assert!(ImageFiles::open(&blank).expect("read").trees().is_empty());
}
