//! Unit tests of `backing_watch`.

use super::*;

fn problem_of(file: &WatchedFile) -> String {
    match file.look() {
        Look::Problem(problem) => problem,
        found => panic!("nothing wrong was found: {found:?}"),
    }
}

#[test]
fn a_file_that_was_cut_stays_so_when_a_write_makes_it_long_again() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    file.as_file().set_len(1 << 20).expect("a length");
    let mark = CutMark::default();
    let watched = WatchedFile::open("d", file.path(), mark.clone(), None).expect("it is there");
    assert_eq!(watched.look(), Look::Fine);
    file.as_file().set_len(1 << 19).expect("a length");
    let cut = problem_of(&watched);
    assert!(cut.contains("was cut from"), "{cut}");
    file.as_file().set_len(1 << 20).expect("a length");
    assert_eq!(watched.look(), Look::Problem(cut));
    assert_eq!(mark.cut_at(), Some(1 << 19), "the disk learns it");
    // The disk may find it shorter still.
    mark.note(1 << 18);
    let cut = problem_of(&watched);
    assert!(cut.contains("to 256KiB"), "{cut}");
}

/// A path below a link that leads to itself cannot be examined (ELOOP), by root neither.
#[test]
fn a_look_that_finds_nothing_out_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let (place, away) = (folder.path().join("place"), folder.path().join("away"));
    std::fs::create_dir(&place).expect("a folder");
    let path = place.join("d.disk");
    std::fs::write(&path, [0; 4096]).expect("a file");
    let mark = CutMark::default();
    let watched = WatchedFile::open("d", &path, mark.clone(), None).expect("it is there");
    let problems = FileProblems::default();
    let look = || problems.note(&watched, watched.look());
    let hide = || {
        std::fs::rename(&place, &away).expect("a move");
        std::os::unix::fs::symlink(&place, &place).expect("a link");
    };
    let show = || {
        std::fs::remove_file(&place).expect("the link");
        std::fs::rename(&away, &place).expect("a move");
    };
    hide();
    assert_eq!((look(), problems.of("d")), (None, None));
    show();
    std::fs::rename(&path, place.join("other")).expect("a move");
    let told = look().expect("it was moved");
    assert!(told.contains("is gone or was moved"), "{told}");
    hide();
    assert_eq!(look(), None, "it is not said to be back");
    assert!(problems.of("d").is_some());
    show();
    std::fs::rename(place.join("other"), &path).expect("a move");
    let told = look().expect("it is back");
    assert!(told.contains("served again"), "{told}");
    // A cut is known without the path.
    hide();
    mark.note(1024);
    let told = look().expect("it was cut");
    assert!(told.contains("was cut from"), "{told}");
}
