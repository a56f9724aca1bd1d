//! What a mount would replay is read in place of what lies in the blocks.

use crate::made::{KINDS, content, find, image, open, run};
use std::fs;
use std::path::Path;
use std::process::Command;

/// A file system whose journal holds, in a transaction, another first block of a file.
fn with_dirty_journal(kind: &[&str], open: &str, escaped: bool) -> (Vec<u8>, Vec<u8>) {
    with_transactions(kind, open, escaped, false)
}

/// The same; a second transaction may revoke that block.
fn with_transactions(
    kind: &[&str],
    open: &str,
    escaped: bool,
    is_revoked: bool,
) -> (Vec<u8>, Vec<u8>) {
    let made_of = tempfile::tempdir().expect("made");
    fs::write(made_of.path().join("file"), [b'o'; 9000]).expect("written");
    let file = tempfile::NamedTempFile::new().expect("made");
    let before = image(kind, made_of.path());
    let at = before
        .windows(64)
        .position(|bytes| bytes == [b'o'; 64])
        .expect("there");
    fs::write(file.path(), &before).expect("written");
    let block_bytes = 1024 << before[1024 + 0x18];
    let mut new = vec![b'n'; block_bytes];
    if escaped {
        new[..4].copy_from_slice(&[0xC0, 0x3B, 0x39, 0x98]);
    }
    let block = made_of.path().join("block");
    fs::write(&block, &new).expect("written");
    let (at, block) = (at / block_bytes, block.display());
    let revoke = match is_revoked {
        true => format!("jw -b 5000 -r {at} {block}\n"),
        false => String::new(),
    };
    let requests = format!("{open}\njw -b {at} {block}\n{revoke}jc\n");
    debugfs(file.path(), &requests);
    let bytes = fs::read(file.path()).expect("read");
    assert_ne!(bytes[1024 + 0x60] & 4, 0, "the journal is to be replayed");
    (bytes, new)
}

fn debugfs(image: &Path, requests: &str) {
    let script = tempfile::NamedTempFile::new().expect("made");
    fs::write(script.path(), requests).expect("written");
    run(Command::new("debugfs")
        .arg("-w")
        .arg("-f")
        .arg(script.path())
        .arg(image));
}

#[test]
fn a_whole_transaction_counts() {
    for (kind, open_journal) in [
        (KINDS[0], "jo"),
        (KINDS[0], "jo -c -v 3"),
        (KINDS[0], "jo -c -v 2"),
        (KINDS[1], "jo"),
        (KINDS[3], "jo"),
        (KINDS[3], "jo -c -v 2"),
        (KINDS[5], "jo"),
    ] {
        for escaped in [false, true] {
            let (bytes, new) = with_dirty_journal(kind, open_journal, escaped);
            let of = open(bytes.clone());
            let found = content(&of, &find(&of, "file"));
            assert!(found.starts_with(&new), "{kind:?}");
            assert_eq!(found.len(), 9000);
            // It does not read all of them.
            let theirs = ext4_view::Ext4::load(Box::new(bytes)).map(|of| of.read("/file"));
            if let Ok(Ok(theirs)) = theirs {
                assert!(theirs == found, "{kind:?}");
            }
        }
    }
}

#[test]
fn a_transaction_that_is_not_whole_does_not_count() {
    for open_journal in ["jo", "jo -c -v 3"] {
        let (mut bytes, _) = with_dirty_journal(KINDS[0], open_journal, false);
        let commit = [0xC0, 0x3B, 0x39, 0x98, 0, 0, 0, 2];
        let at = bytes.windows(8).position(|found| found == commit);
        bytes[at.expect("there is a commit") + 4..][..4].fill(0);
        let of = open(bytes);
        assert_eq!(content(&of, &find(&of, "file")), [b'o'; 9000]);
    }
}

#[test]
fn a_block_that_is_revoked_later_is_not_replayed() {
    for kind in [KINDS[0], KINDS[3]] {
        let (bytes, _) = with_transactions(kind, "jo", false, true);
        let of = open(bytes);
        assert_eq!(content(&of, &find(&of, "file")), [b'o'; 9000], "{kind:?}");
    }
}

#[test]
fn a_commit_that_has_rotted_ends_the_journal() {
    let (mut bytes, _) = with_dirty_journal(KINDS[0], "jo -c -v 3", false);
    let commit = [0xC0, 0x3B, 0x39, 0x98, 0, 0, 0, 2];
    let at = bytes.windows(8).position(|found| found == commit);
    bytes[at.expect("there is a commit") + 60] ^= 1;
    let of = open(bytes);
    assert_eq!(content(&of, &find(&of, "file")), [b'o'; 9000]);
}

#[test]
fn a_copy_that_has_rotted_is_an_error_of_its_file() {
    for open_journal in ["jo -c -v 3", "jo -c -v 2"] {
        let (mut bytes, new) = with_dirty_journal(KINDS[0], open_journal, false);
        let at = bytes.windows(new.len()).position(|bytes| bytes == new);
        bytes[at.expect("in the journal") + 100] ^= 1;
        let of = open(bytes);
        let node = find(&of, "file");
        assert!(of.read(&node, 0, &mut [0; 9000]).is_err());
        assert_eq!(
            of.read(&node, 4096, &mut [0; 9000]).expect("the rest"),
            9000 - 4096
        );
    }
}
