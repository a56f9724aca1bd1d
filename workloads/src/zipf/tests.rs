//! Unit tests of `zipf`.

use super::*;
use crate::statistics::chi_square;

/// The 0.1 % point of chi-square with so many degrees of freedom (Wilson and Hilferty).
fn limit(degrees: f64) -> f64 {
    let ninth = 2.0 / (9.0 * degrees);
    degrees * (1.0 - ninth + 3.0902 * ninth.sqrt()).powi(3)
}

#[test]
fn ranks_follow_the_law_at_every_theta() {
    for theta_ppm in [
        0, 200_000, 500_000, 990_000, 1_000_000, 1_500_000, 2_500_000,
    ] {
        let zipf = Zipf::new(40, theta_ppm);
        let mut random = Random::labelled(1, "zipf");
        let mut counts = [0u64; 40];
        for _ in 0..200_000 {
            counts[zipf.draw(&mut random) as usize] += 1;
        }
        let theta = f64::from(theta_ppm) / 1e6;
        let weights: Vec<f64> = (1..=40).map(|k| f64::from(k).powf(-theta)).collect();
        let chi = chi_square(&counts, &weights);
        assert!(chi < limit(39.0), "theta {theta}: chi-square {chi}");
    }
}

#[test]
fn many_ranks_and_few_are_drawn_alike() {
    let mut random = Random::labelled(1, "zipf");
    let one = Zipf::new(1, 990_000);
    assert!((0..100).all(|_| one.draw(&mut random) == 0));
    // A trillion ranks at θ = 1: the first has 1/H(n) = 1/28.2 of the draws.
    let many = Zipf::new(1 << 40, 1_000_000);
    let drawn: Vec<u64> = (0..100_000).map(|_| many.draw(&mut random)).collect();
    assert!(drawn.iter().all(|rank| *rank < 1 << 40));
    let first = drawn.iter().filter(|rank| **rank == 0).count() as f64;
    let harmonic = (2f64.powi(40)).ln() + 0.577_215_664_9;
    let expected = 1e5 / harmonic;
    assert!(
        (first - expected).abs() < 4.0 * expected.sqrt(),
        "{first} of 100,000, not {expected:.0}"
    );
    // Half of the draws lie below the rank whose harmonic number is half of the whole.
    let median_rank = (harmonic / 2.0 - 0.577_215_664_9).exp();
    let below = drawn
        .iter()
        .filter(|rank| (**rank as f64) < median_rank)
        .count();
    assert!(below.abs_diff(50_000) < 4 * 158, "{below} below the median");
}
