//! Unit tests of `finding`.

use super::*;
use disktime_lab::{Lab, Length};

fn finding(values: &[(f64, bool)]) -> Finding {
    let mut finding = Finding::new("a test");
    for (value, decisive) in values {
        let check = finding.check("key", "what", *value);
        check.near(10.0, 0.1, "ms").decisive_if(*decisive);
    }
    finding
}

#[test]
fn a_verdict_follows_the_data() {
    assert_eq!(
        finding(&[(10.5, true), (9.5, false)]).verdict(),
        Verdict::Reproduced
    );
    assert_eq!(
        finding(&[(10.5, true), (12.0, false)]).verdict(),
        Verdict::Partly
    );
    assert_eq!(
        finding(&[(12.0, true), (10.0, false)]).verdict(),
        Verdict::NotReproduced
    );
    assert_eq!(
        finding(&[(12.0, false), (0.0, false)]).verdict(),
        Verdict::NotReproduced
    );
    assert_eq!(finding(&[]).verdict(), Verdict::NotReproduced);
}

#[test]
fn what_was_not_measured_does_not_hold() {
    let bounds: [fn(&mut Check) -> &mut Check; 5] = [
        |check| check.at_least(0.0, ""),
        |check| check.at_most(1.0, ""),
        |check| check.between(0.0, 1.0, ""),
        |check| check.within(0.0, 1.0, ""),
        |check| check.near(0.5, 1.0, ""),
    ];
    for bound in bounds {
        let mut finding = Finding::new("a test");
        assert!(bound(finding.check("measured", "what", 0.5)).holds());
        let check = bound(finding.check("not measured", "what", f64::NAN));
        assert!(!check.holds(), "{check:?}");
    }
}

#[test]
fn a_check_that_is_held_to_nothing_does_not_hold() {
    let mut finding = Finding::new("a test");
    finding.check("key", "what", 0.0);
    assert_eq!(finding.verdict(), Verdict::NotReproduced);
}

#[test]
fn the_reason_names_what_failed() {
    let reason = finding(&[(12.0, true), (10.0, false)]).reason();
    assert!(reason.contains("1 of 2 checks fail"), "{reason}");
    assert!(
        reason.contains("12 ms, expected 10 ms ± 10 % (decisive)"),
        "{reason}"
    );
}

#[test]
fn a_verdict_turns_when_the_data_is_wrong() {
    let experiment = &crate::experiments::ALL[0];
    let lab = Lab::simulated(Length::Quick);
    let mut finding = (experiment.run)(&lab).expect("it runs");
    let reason = finding.reason();
    assert_eq!(finding.verdict(), Verdict::Reproduced, "{reason}");
    for check in &mut finding.checks {
        check.measured *= 2.0;
    }
    // The ratio of two measured values would not turn; everything else does.
    assert_ne!(finding.verdict(), Verdict::Reproduced);
}
