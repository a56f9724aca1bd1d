//! Unit tests of `places`.

use super::*;
use crate::statistics::chi_square;

fn drawn(pattern: Pattern, blocks: u64, count: usize) -> Vec<u64> {
    let mut places = PositionGenerator::new(pattern, blocks, Random::labelled(1, "places"));
    (0..count).map(|_| places.next_block()).collect()
}

#[test]
fn random_places_cover_the_range_evenly() {
    let places = drawn(Pattern::Random, 1000, 50_000);
    assert!(places.iter().all(|block| *block < 1000));
    let mean = places.iter().sum::<u64>() as f64 / places.len() as f64;
    // The mean of 50,000 uniform draws is within 4 standard errors (1.29) of the middle.
    assert!((mean - 499.5).abs() < 5.2, "mean {mean}");
    let distinct: std::collections::HashSet<_> = places.iter().collect();
    assert_eq!(distinct.len(), 1000);
}

#[test]
fn sequential_places_follow_each_other_and_start_again() {
    assert_eq!(drawn(Pattern::Sequential, 3, 7), [0, 1, 2, 0, 1, 2, 0]);
}

#[test]
fn runs_have_their_length_and_random_starts() {
    let places = drawn(Pattern::SemiRandom { run: 16 }, 100_000, 16 * 2_000);
    let mut starts = Vec::new();
    for run in places.chunks(16) {
        assert!(
            run.windows(2).all(|pair| pair[1] == pair[0] + 1),
            "a broken run: {run:?}"
        );
        starts.push(run[0]);
    }
    let mean = starts.iter().sum::<u64>() as f64 / starts.len() as f64;
    assert!(
        (mean - 49_992.0).abs() < 4.0 * 28_867.0 / 2_000f64.sqrt(),
        "mean start {mean}"
    );
    assert!(
        starts
            .windows(2)
            .filter(|pair| pair[1] == pair[0] + 16)
            .count()
            < 5
    );
}

#[test]
fn every_block_has_its_popularity_and_popular_ones_lie_scattered() {
    let zipf = |scattered| {
        Pattern::Zipf(Popularity {
            theta_ppm: 990_000,
            scattered,
        })
    };
    let count = |places: &[u64]| {
        let mut counts = vec![0u64; 100];
        places.iter().for_each(|block| counts[*block as usize] += 1);
        counts
    };
    let packed = count(&drawn(zipf(false), 100, 100_000));
    let weights: Vec<f64> = (1..=100).map(|k| f64::from(k).powf(-0.99)).collect();
    // Chi-square with 99 degrees of freedom: 148.2 is the 0.1 % point.
    let chi = chi_square(&packed, &weights);
    assert!(chi < 148.2, "chi-square {chi}");
    let scattered = count(&drawn(zipf(true), 100, 100_000));
    let sorted = |mut counts: Vec<u64>| {
        counts.sort_unstable();
        counts
    };
    assert_eq!(
        sorted(scattered.clone()),
        sorted(packed),
        "the same, elsewhere"
    );
    let half: u64 = scattered[..50].iter().sum();
    assert!((35_000..65_000).contains(&half), "{half} in the first half");
}

#[test]
fn scattering_leaves_no_block_out() {
    for count in [1, 2, 3, 10, 97, 618, 1024, 3_000] {
        let popular = PopularitySampler::new(count, Popularity::scattered(1));
        let hit: std::collections::HashSet<_> = (0..count)
            .map(|rank| rank * popular.stride % count)
            .collect();
        assert_eq!(hit.len() as u64, count);
    }
}

#[test]
fn a_run_longer_than_the_range_fills_it() {
    assert_eq!(
        drawn(Pattern::SemiRandom { run: 9 }, 3, 6),
        [0, 1, 2, 0, 1, 2]
    );
}
