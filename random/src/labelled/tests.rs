//! The labelled generator: golden values, and distributions against their critical points.

use super::*;

#[test]
fn the_sequence_is_the_published_one() {
    // xoshiro256++ from the state 1, 2, 3, 4; the values are those of the reference code.
    let mut random = Random {
        state: [1, 2, 3, 4],
    };
    let first: Vec<u64> = (0..4).map(|_| random.bits()).collect();
    assert_eq!(
        first,
        [
            41_943_041,
            58_720_359,
            3_588_806_011_781_223,
            3_591_011_842_654_386
        ]
    );
}

#[test]
fn a_seed_and_a_label_keep_their_sequence() {
    let first = |mut random: Random| [random.bits(), random.bits(), random.bits()];
    assert_eq!(
        first(Random::new(9)),
        [
            11_050_184_076_939_766_995,
            7_927_237_411_517_153_328,
            3_664_442_462_039_124_215
        ]
    );
    assert_eq!(
        first(Random::labelled(7, "reader")),
        [
            2_992_007_647_971_275_484,
            2_400_237_863_069_466_888,
            14_367_795_998_483_259_911
        ]
    );
}

#[test]
fn numbers_below_a_bound_are_uniform() {
    let mut random = Random::labelled(7, "uniform");
    let mut counts = [0u32; 10];
    for _ in 0..100_000 {
        counts[random.below(10) as usize] += 1;
    }
    // Chi-square with 9 degrees of freedom: 27.9 is the 0.1 % point.
    let chi: f64 = counts
        .iter()
        .map(|n| (f64::from(*n) - 1e4).powi(2) / 1e4)
        .sum();
    assert!(chi < 27.9, "chi-square {chi}, counts {counts:?}");
}

#[test]
fn numbers_between_bounds_reach_both() {
    let mut random = Random::labelled(7, "between");
    let drawn: Vec<u64> = (0..1000).map(|_| random.between(3, 5)).collect();
    assert!((3..=5).all(|number| drawn.contains(&number)));
    assert!(drawn.iter().all(|number| (3..=5).contains(number)));
    assert_eq!(random.between(9, 9), 9);
    random.between(0, u64::MAX);
}

#[test]
fn exponential_numbers_are_exponential() {
    let mut random = Random::labelled(7, "exponential");
    let mut drawn: Vec<f64> = (0..100_000).map(|_| random.exponential()).collect();
    let count = drawn.len() as f64;
    let mean = drawn.iter().sum::<f64>() / count;
    let variance = drawn.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (count - 1.0);
    // Standard errors: of the mean 0.0032, of the variance √8/√n = 0.0089; four of each.
    assert!((mean - 1.0).abs() < 0.013, "mean {mean}");
    assert!((variance - 1.0).abs() < 0.036, "variance {variance}");
    // Kolmogorov and Smirnov, times √n: 1.95 is the 0.1 % point.
    drawn.sort_by(f64::total_cmp);
    let distance = |(index, x): (usize, &f64)| {
        let expected = 1.0 - (-x).exp();
        let below = index as f64 / count;
        (expected - below)
            .abs()
            .max((below + 1.0 / count - expected).abs())
    };
    let largest = drawn.iter().enumerate().map(distance).fold(0.0, f64::max);
    assert!(largest * count.sqrt() < 1.95, "distance {largest}");
}

#[test]
fn labels_give_unrelated_sequences() {
    let mut one = Random::labelled(1, "reader");
    let mut two = Random::labelled(1, "writer");
    assert!((0..100).all(|_| one.bits() != two.bits()));
    assert_eq!(Random::labelled(1, "reader"), Random::labelled(1, "reader"));
}
