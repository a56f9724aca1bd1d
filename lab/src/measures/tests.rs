//! Unit tests of `measures`.

use super::*;

#[test]
fn jain_is_one_when_equal_and_a_part_when_not() {
    assert!((jain([2.0, 2.0, 2.0]) - 1.0).abs() < 1e-12);
    assert!((jain([1.0, 0.0, 0.0, 0.0]) - 0.25).abs() < 1e-12);
}

#[test]
fn what_was_not_measured_is_not_a_number() {
    assert!(least([0.0; 0]).is_nan() && greatest([0.0; 0]).is_nan() && quantile(&[], 0.5).is_nan());
    assert_eq!((least([3.0, 1.0]), greatest([3.0, 1.0])), (1.0, 3.0));
    assert_eq!(quantile(&[4.0, 1.0, 3.0, 2.0, 5.0], 0.5), 3.0);
}

#[test]
fn perfect_slices_have_efficiency_one() {
    let sharing: Sharing = [(30.0, 60.0, 0.5), (500.0, 1000.0, 0.4)]
        .into_iter()
        .collect();
    assert!((sharing.efficiency() - 1.0).abs() < 1e-12);
    assert!((sharing.least_isolation() - 1.0).abs() < 1e-12);
    assert!((greatest(sharing.isolations()) - 1.25).abs() < 1e-12);
}
