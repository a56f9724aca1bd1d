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
assertion failed

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
    assert_eq!(report.sums(), "1 passed, 1 failed, 2 skipped");
    assert_eq!(report.skipped, ["needs_data: ../shared/data is not there"]);
    assert!(
        !shown.contains(&"noise"),
        "what passing tests print stays away"
    );
    assert!(shown.contains(&"assertion failed"));
    assert!(shown.contains(&"test other ... ignored"));
    assert_eq!(
        shown
            .iter()
            .filter(|line| line.starts_with("test result: "))
            .count(),
        2
    );
}

#[test]
fn no_output_gives_zeroes() {
    assert_eq!(Report::default().sums(), "0 passed, 0 failed, 0 skipped");
}
