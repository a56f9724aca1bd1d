//! Unit tests of `untouched`.

use super::*;

#[test]
fn what_opening_made_is_taken_back_or_kept() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("d.disk");
    let make = || {
        let file = std::fs::File::create(&path).expect("a file");
        file.set_len(1 << 20).expect("it grows");
    };
    make();
    drop(Untouched::after_opening(None));
    assert!(path.exists(), "a file that was there before was removed");
    Untouched::after_opening(Some(&path)).keep();
    assert!(path.exists(), "a file that was to be kept was removed");
    drop(Untouched::after_opening(Some(&path)));
    assert!(
        !path.exists(),
        "a file that was made for nothing is still there"
    );
}
