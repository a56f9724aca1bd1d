//! Unit tests of `seek_curve`.

use super::*;

#[test]
fn a_curve_interpolates_between_its_points_and_is_flat_beyond() {
    let curve = SeekCurve::new(vec![(0, Nanos(0)), (10, Nanos(100)), (30, Nanos(200))]);
    assert_eq!(curve.seek(0), Nanos(0));
    assert_eq!(curve.seek(5), Nanos(50));
    assert_eq!(curve.seek(20), Nanos(150));
    assert_eq!(curve.seek(1000), Nanos(200));
    assert_eq!(SeekCurve::default().seek(7), Nanos::ZERO);
}

#[test]
fn the_mean_of_a_linear_curve_is_a_third_of_its_end() {
    let curve = SeekCurve::new(vec![(0, Nanos(0)), (1 << 40, Nanos(30_000_000))]);
    let mean = curve.mean(1 << 40).0;
    assert!((9_990_000..10_010_000).contains(&mean), "{mean}");
}
