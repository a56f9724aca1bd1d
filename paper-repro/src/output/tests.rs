//! Unit tests of `output`.

use super::*;

#[test]
fn what_others_made_is_left_alone() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for name in ["report.json", "report.html"] {
        let path = directory.path().join(name);
        std::fs::write(&path, "precious").expect("a file");
        let error = Output::prepare(directory.path()).expect_err("it is not ours");
        assert!(error.to_string().contains(name), "{error}");
        assert_eq!(std::fs::read(&path).expect("it is there"), b"precious");
        std::fs::remove_file(path).expect("it can go");
    }
    assert!(Output::prepare(directory.path()).is_ok());
}

#[test]
fn a_place_that_cannot_be_written_is_said_in_a_sentence() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("file");
    std::fs::write(&file, "").expect("a file");
    let error = Output::prepare(&file.join("below")).expect_err("a file is no directory");
    assert!(error.to_string().contains("--out DIR"), "{error}");
}

#[test]
fn our_own_files_are_replaced() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let output = Output::prepare(directory.path()).expect("a new directory");
    let conditions = Conditions {
        clock: "virtual".to_owned(),
        stamp: None,
    };
    for _ in 0..2 {
        output.write(&conditions, &[]).expect("ours to write");
    }
    assert!(Output::prepare(directory.path()).is_ok());
}

#[test]
fn a_stamp_is_said_in_both_files_and_nothing_without_one() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let output = Output::prepare(directory.path()).expect("a new directory");
    let mut conditions = Conditions {
        clock: "virtual".to_owned(),
        stamp: None,
    };
    let written = |conditions: &Conditions| {
        output.write(conditions, &[]).expect("ours to write");
        ["report.html", "report.json"].map(|name| {
            let path = directory.path().join(name);
            std::fs::read_to_string(path).expect("it was written")
        })
    };
    let without = written(&conditions);
    assert_eq!(written(&conditions), without, "two runs are the same bytes");
    conditions.stamp = Some("2026-01-01 abc<123".to_owned());
    let [page, report] = written(&conditions);
    assert!(page.contains("2026-01-01 abc&lt;123"), "{page}");
    assert!(report.contains("2026-01-01 abc<123"), "{report}");
}
