//! The program as people run it: what it says, and how it ends.

use std::path::Path;
use std::process::{Command, Output};

fn program(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_paper-repro"))
        .args(arguments)
        .output()
        .expect("the program starts")
}

fn said(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn an_unknown_experiment_is_refused_with_the_list() {
    let output = program(&["run", "R99"]);
    let (_, errors) = said(&output);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        errors.contains("`R99`") && errors.contains("there are R1"),
        "{errors}"
    );
}

#[test]
fn a_run_prints_a_line_per_verdict_and_no_progress_into_a_pipe() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let out = directory.path().join("report");
    let out = out.to_str().expect("a path in UTF-8");
    let output = program(&["run", "r1", "--quick", "--out", out]);
    let (lines, errors) = said(&output);
    assert_eq!(output.status.code(), Some(0), "{errors}");
    assert!(lines.starts_with("R1 "), "{lines}");
    assert_eq!(errors, "", "progress is for terminals");
    for file in ["report.json", "report.html", "r1-runs.svg"] {
        assert!(Path::new(out).join(file).is_file(), "{file}");
    }
    // Once more: what is ours is replaced.
    assert_eq!(
        program(&["run", "r1", "--quick", "--out", out])
            .status
            .code(),
        Some(0)
    );
    std::fs::write(Path::new(out).join("r1-runs.svg"), "<svg/>").expect("a file");
    let (_, errors) = said(&program(&["run", "r1", "--quick", "--out", out]));
    assert!(
        errors.contains("r1-runs.svg was not made by this program"),
        "{errors}"
    );
}

#[test]
fn a_place_that_cannot_be_written_is_refused_before_anything_runs() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("file");
    std::fs::write(&file, "").expect("a file");
    let out = file.join("below");
    let output = program(&["all", "--out", out.to_str().expect("a path in UTF-8")]);
    let (lines, errors) = said(&output);
    assert_eq!((output.status.code(), lines.as_str()), (Some(1), ""));
    assert!(errors.contains("--out DIR"), "{errors}");
}

#[test]
fn a_device_is_not_read_without_consent() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("device");
    std::fs::write(&file, vec![0; 1 << 20]).expect("a file");
    let path = file.to_str().expect("a path in UTF-8");
    let (_, errors) = said(&program(&["run", "R1", "--real", path]));
    assert!(errors.contains("--i-consent-to-reading"), "{errors}");
    let other = [
        "run",
        "R1",
        "--real",
        path,
        "--i-consent-to-reading",
        "/dev/null",
    ];
    let (_, errors) = said(&program(&other));
    assert!(errors.contains("name the same one in both"), "{errors}");
    let writing = ["run", "O7", "--real", path, "--i-consent-to-reading", path];
    let (_, errors) = said(&program(&writing));
    assert!(errors.contains("O7 has clients that write"), "{errors}");
    let long = ["run", "O4", "--real", "paced"];
    let (_, errors) = said(&program(&long));
    assert!(errors.contains("O4 is not run in real time"), "{errors}");
    assert_eq!(std::fs::read(&file).expect("it is there"), vec![0; 1 << 20]);
}
