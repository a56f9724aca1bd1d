//! Unit tests of `backing_watch`.

use super::*;

#[test]
fn a_file_that_was_cut_stays_so_when_a_write_makes_it_long_again() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    file.as_file().set_len(1 << 20).expect("a length");
    let mark = CutMark::default();
    let watched = WatchedFile::open("d", file.path(), mark.clone(), None).expect("it is there");
    assert_eq!(watched.problem(), None);
    file.as_file().set_len(1 << 19).expect("a length");
    let cut = watched.problem().expect("it is shorter");
    assert!(cut.contains("was cut from"), "{cut}");
    file.as_file().set_len(1 << 20).expect("a length");
    assert_eq!(watched.problem(), Some(cut));
    assert_eq!(mark.cut_at(), Some(1 << 19), "the disk learns it");
    // The disk may find it shorter still.
    mark.note(1 << 18);
    let cut = watched.problem().expect("it is shorter");
    assert!(cut.contains("to 256KiB"), "{cut}");
}
