//! SplitMix64: golden values of a seed for every method. They were computed apart from this code,
//! from the published algorithm.

use super::*;

#[test]
fn the_sequence_is_the_published_one() {
    let mut random = SplitMix64::new(1_234_567);
    assert_eq!(random.next_u64(), 6_457_827_717_110_365_317);
    assert_eq!(random.next_u64(), 3_203_168_211_198_807_973);
    assert_eq!(random.next_u64(), 9_817_491_932_198_370_423);
}

#[test]
fn each_method_draws_one_number_and_keeps_its_value() {
    let mut random = SplitMix64::new(42);
    assert_eq!(random.range(10, 100), 76);
    // The next four are 15, 27, 34 and 3 of a hundred.
    let draws = [16, 27, 35, 3].map(|percent| random.percent(percent));
    assert_eq!(draws, [true, false, true, false]);
    assert_eq!(random.unit(), 0.868_228_076_546_532_3);
    // The last digit depends on the system's logarithm.
    let drawn = random.exponential(Nanos::from_millis(1));
    assert!(drawn.0.abs_diff(246_418) <= 1, "{drawn:?}");
    let drawn = random.log_uniform(Nanos::from_micros(1), Nanos::from_secs(1));
    assert!(drawn.0.abs_diff(63_648_952) <= 1, "{drawn:?}");
}

#[test]
fn bounds_hold() {
    let mut random = SplitMix64::new(1);
    assert!((0..1000).all(|_| random.below(7) < 7));
    assert!((0..1000).all(|_| (3..5).contains(&random.range(3, 5))));
    assert_eq!((random.below(0), random.range(9, 9)), (0, 9));
    assert!(!random.chance(0) && random.chance(1_000_000));
    assert!(!random.percent(0) && random.percent(100));
}

#[test]
fn percent_and_chance_count_the_same_parts() {
    let (mut one, mut other) = (SplitMix64::new(5), SplitMix64::new(5));
    assert!((0..1000).all(|_| one.percent(37) == other.chance(370_000)));
}
