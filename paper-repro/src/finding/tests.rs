//! Unit tests of `finding`.

use super::*;

fn finding(values: &[(f64, bool)]) -> Finding {
    let mut finding = Finding::new("a test");
    for (value, decisive) in values {
        let bound = Bound::Relative {
            expected: 10.0,
            tolerance: 0.1,
        };
        let check = Check::new("key", "what", *value, bound, "ms");
        finding.check(if *decisive { check.decisive() } else { check });
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
    for bound in [
        Bound::AtLeast(0.0),
        Bound::AtMost(1.0),
        Bound::Between(0.0, 1.0),
        Bound::Absolute {
            expected: 0.0,
            tolerance: 1.0,
        },
    ] {
        let check = Check::new("key", "what", f64::NAN, bound, "");
        assert!(!check.holds(), "{bound:?}");
    }
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
