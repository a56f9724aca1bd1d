//! Unit tests of `created_file`.

use super::*;

#[test]
fn a_created_file_is_removed_or_kept() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("d.disk");
    let make = || {
        let file = std::fs::File::create(&path).expect("a file");
        file.set_len(1 << 20).expect("it grows");
    };
    let before = || FileBefore::look(Some(&path));
    let missing = before();
    make();
    drop(FileBefore::look(None).after_opening());
    drop(before().after_opening());
    assert!(path.exists(), "a file that was there before was removed");
    missing.after_opening().keep();
    assert!(path.exists(), "a file that was to be kept was removed");
    std::fs::remove_file(&path).expect("it is there");
    let missing = before();
    make();
    drop(missing.after_opening());
    assert!(!path.exists(), "a created file is still there");
}

#[test]
fn a_grown_file_gets_its_length_back() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("d.disk");
    let file = std::fs::File::create(&path).expect("a file");
    let len = || std::fs::metadata(&path).expect("it is there").len();
    file.set_len(5000).expect("it grows");
    let before = FileBefore::look(Some(&path));
    file.set_len(1 << 20).expect("it grows");
    drop(before.after_opening());
    assert_eq!(len(), 5000);
    let before = FileBefore::look(Some(&path));
    file.set_len(1 << 20).expect("it grows");
    before.after_opening().keep();
    assert_eq!(len(), 1 << 20);
}
