//! Unit tests of `steps`.

use super::*;

#[test]
fn options_of_test_are_read_and_mistakes_are_named() {
    let parse = TestOptions::parse;
    assert_eq!(parse(&[]), Ok(TestOptions::default()));
    let options = TestOptions {
        burners: 3,
        times: 5,
    };
    assert_eq!(parse(&["--burners", "3", "--times", "5"]), Ok(options));
    for wrong in [
        &["--times"][..],
        &["--times", "0"],
        &["--burners", "-1"],
        &["--burner", "3"],
        &["--burners", "3", "x"],
    ] {
        let error = parse(wrong).expect_err("a mistake");
        assert!(error.contains('`'), "{error}");
    }
}

#[test]
fn a_step_or_a_test_that_failed_fails_the_whole() {
    let step = |passed| Step {
        name: "tests",
        passed,
        took: Duration::ZERO,
    };
    let report = |failed| {
        let mut report = Report::default();
        report.failed = failed;
        report
    };
    assert!(summarise(&[step(true)], &[report(0)]));
    assert!(!summarise(&[step(true), step(false)], &[report(0)]));
    assert!(!summarise(&[step(true)], &[report(0), report(1)]));
}
