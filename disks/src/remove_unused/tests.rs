//! Unit tests of `remove_unused`.

use super::*;
use crate::backing::{Backing, BackingOptions};

#[test]
fn only_an_unused_file_goes() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("d.disk");
    let options = BackingOptions {
        path: path.clone(),
        size_bytes: Some(1 << 20),
        create: true,
        read_only: false,
        direct: false,
    };
    let used = Backing::open(&options).expect("a new file");
    let made = std::fs::metadata(&path).expect("it is there");
    let remove = || remove_unused(&path, made.dev(), made.ino()).expect("it can be examined");
    assert!(!remove(), "a file in use was removed");
    drop(used);
    let other = remove_unused(&path, made.dev(), made.ino() + 1).expect("as above");
    assert!(!other, "another file was removed");
    assert!(remove() && !path.exists());
    std::fs::write(&path, "something").expect("a file");
    let written = std::fs::metadata(&path).expect("it is there");
    let removed = remove_unused(&path, written.dev(), written.ino()).expect("as above");
    assert!(!removed && path.exists(), "a file with content was removed");
}

#[test]
fn a_file_gets_its_length_back_unless_it_has_changed_since() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("d.disk");
    std::fs::write(&path, vec![7; 5000]).expect("a file");
    let file = OpenOptions::new().write(true).open(&path).expect("there");
    let lengths = GrownFile {
        before_bytes: 5000,
        now_bytes: 1 << 20,
    };
    let found = file.metadata().expect("there");
    let shorten = || shorten_unused(&path, found.dev(), found.ino(), lengths).expect("examined");
    file.set_len(2 << 20).expect("it grows");
    assert!(!shorten(), "another program has grown it further");
    file.set_len(1 << 20).expect("it shrinks");
    let other = shorten_unused(&path, found.dev(), found.ino() + 1, lengths);
    assert!(!other.expect("examined"), "another file was cut");
    assert!(shorten());
    assert_eq!(std::fs::read(&path).expect("there"), vec![7; 5000]);
}
