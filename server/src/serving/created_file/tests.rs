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
    make();
    drop(CreatedFileGuard::after_opening(None));
    assert!(path.exists(), "a file that was there before was removed");
    CreatedFileGuard::after_opening(Some(&path)).keep();
    assert!(path.exists(), "a file that was to be kept was removed");
    drop(CreatedFileGuard::after_opening(Some(&path)));
    assert!(!path.exists(), "a created file is still there");
}
