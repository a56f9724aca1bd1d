//! Unit tests of `axis`.

use super::*;

#[test]
fn ticks_are_round_and_few() {
    assert_eq!(
        linear_ticks(0.0, 1.0, 5),
        [0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0]
    );
    assert_eq!(
        logarithmic_ticks(1.0, 1000.0, 5),
        [1.0, 10.0, 100.0, 1000.0]
    );
    assert_eq!(
        logarithmic_ticks(2.0, 256.0, 9),
        [2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0]
    );
}

#[test]
fn values_lie_where_the_scale_says() {
    let axis = Axis::logarithmic("n", 1.0, 100.0);
    assert_eq!(axis.map(&10.0, (0, 200)), 100);
    assert_eq!(
        axis.map(&0.0, (0, 200)),
        -400,
        "what cannot be drawn is far outside"
    );
    assert_eq!(Axis::linear("n", 0.0, 10.0).map(&5.0, (300, 100)), 200);
}
