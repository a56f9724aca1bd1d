//! For tests of generators: how far samples are from what they should be. Every limit that a test
//! uses is a fixed point of the statistic's distribution, and every seed is fixed: a test that
//! passes once passes always.

/// The chi-square statistic of counts against weights (which need not add up to one).
pub(crate) fn chi_square(counts: &[u64], weights: &[f64]) -> f64 {
    let total = counts.iter().sum::<u64>() as f64;
    let whole: f64 = weights.iter().sum();
    let term = |(count, weight): (&u64, &f64)| {
        let expected = total * weight / whole;
        (*count as f64 - expected).powi(2) / expected
    };
    counts.iter().zip(weights).map(term).sum()
}

/// The statistic of Kolmogorov and Smirnov times √n: 1.95 is its 0.1 % point for large n.
pub(crate) fn kolmogorov_smirnov(samples: &mut [f64], cumulative: impl Fn(f64) -> f64) -> f64 {
    samples.sort_by(f64::total_cmp);
    let count = samples.len() as f64;
    let distance = |(index, sample): (usize, &f64)| {
        let expected = cumulative(*sample);
        let below = index as f64 / count;
        (expected - below)
            .abs()
            .max((below + 1.0 / count - expected).abs())
    };
    let largest = samples.iter().enumerate().map(distance).fold(0.0, f64::max);
    largest * count.sqrt()
}

/// Mean and variance.
pub(crate) fn moments(samples: &[f64]) -> (f64, f64) {
    let count = samples.len() as f64;
    let mean = samples.iter().sum::<f64>() / count;
    let squares: f64 = samples.iter().map(|sample| (sample - mean).powi(2)).sum();
    (mean, squares / (count - 1.0))
}
