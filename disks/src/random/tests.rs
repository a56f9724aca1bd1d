//! Unit tests of `random`.

use super::*;

#[test]
fn the_sequence_is_the_published_one() {
    let mut random = SplitMix64::new(1_234_567);
    assert_eq!(random.next_u64(), 6_457_827_717_110_365_317);
    assert_eq!(random.next_u64(), 3_203_168_211_198_807_973);
}

#[test]
fn bounds_hold() {
    let mut random = SplitMix64::new(1);
    assert!((0..1000).all(|_| random.below(7) < 7));
    assert_eq!(random.below(0), 0);
    assert!(!random.chance(0) && random.chance(1_000_000));
}
