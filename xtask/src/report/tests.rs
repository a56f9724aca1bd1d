//! Unit tests of `report`.

use super::*;

const OUTPUT: &str = "\
running 3 tests
test alone ... ok
test needs_data ... ok
test wrong ... FAILED

successes:

---- needs_data stdout ----
SKIPPED needs_data: ../shared/data is not there
noise

successes:
    alone
    needs_data

failures:

---- wrong stdout ----
assertion failed: left is
    right

failures:
    wrong

test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s

running 1 test
test other ... ignored

test result: ok. 0 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s
";

#[test]
fn sums_are_over_all_binaries_and_skipped_tests_are_no_passed_ones() {
    let mut report = Report::default();
    let shown: Vec<&str> = OUTPUT.lines().filter(|line| report.line(line)).collect();
    assert_eq!(report.skipped, ["needs_data: ../shared/data is not there"]);
    assert!(
        !shown.contains(&"noise"),
        "what passing tests print stays away"
    );
    assert!(shown.contains(&"assertion failed: left is"));
    assert!(shown.contains(&"test other ... ignored"));
    assert_eq!(
        shown
            .iter()
            .filter(|line| line.starts_with("test result: "))
            .count(),
        2
    );
    assert_eq!(sums(&[report]), "1 passed, 1 failed, 2 skipped");
}

/// A failing test's output is indented too; only the list of names counts.
#[test]
fn failed_tests_are_named() {
    let mut report = Report::default();
    for line in OUTPUT.lines() {
        report.line(line);
    }
    assert_eq!(report.failures, ["wrong"]);
}

#[test]
fn missing_data_has_a_remedy_and_a_missing_kernel_feature_has_none() {
    let mut report = Report::default();
    report.line("SKIPPED a: this kernel has no FUSE over io_uring (Linux 6.14)");
    assert_eq!(report.remedy(), None);
    report.line("SKIPPED b: ../shared/data is not there");
    assert!(report.remedy().expect("a remedy").contains("docs/"));
}

/// A test that is skipped in each of two runs did not pass in either.
#[test]
fn sums_are_over_all_runs() {
    let run = || {
        let mut report = Report::default();
        for line in OUTPUT.lines() {
            report.line(line);
        }
        report
    };
    assert_eq!(sums(&[run(), run()]), "2 passed, 2 failed, 4 skipped");
}

#[test]
fn no_output_gives_zeroes() {
    assert_eq!(sums(&[]), "0 passed, 0 failed, 0 skipped");
}
