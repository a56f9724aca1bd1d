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
