//! Unit tests of `arrivals`.

use super::*;
use crate::statistics::{chi_square, kolmogorov_smirnov, moments};

fn arrivals(pace: Pace, start: Nanos, count: usize) -> Vec<Nanos> {
    let mut arrivals =
        Arrivals::new(pace, start, Random::labelled(1, "arrivals")).expect("an open loop");
    let one = |_| {
        let at = arrivals.next();
        arrivals.advance();
        at
    };
    (0..count).map(one).collect()
}

fn drawn(times: Times, count: usize) -> Vec<f64> {
    let mut clockwork = DurationSampler::new(times, Random::labelled(1, "times"));
    (0..count).map(|_| clockwork.draw().as_secs_f64()).collect()
}

#[test]
fn a_constant_rate_is_exact() {
    let pace = Pace::Constant {
        rate: Rate::per_second(3),
    };
    let times = arrivals(pace, Nanos(7), 4);
    assert_eq!(
        times.map_to_ns(),
        [7, 333_333_340, 666_666_673, 1_000_000_007]
    );
}

trait Times64 {
    fn map_to_ns(&self) -> Vec<u64>;
}

impl Times64 for Vec<Nanos> {
    fn map_to_ns(&self) -> Vec<u64> {
        self.iter().map(|time| time.0).collect()
    }
}

#[test]
fn poisson_gaps_are_exponential_and_counts_have_their_variance() {
    let pace = Pace::Poisson {
        rate: Rate::per_second(1000),
    };
    let start = Nanos::from_secs(5);
    let times = arrivals(pace, start, 100_000);
    let mut gaps: Vec<f64> = std::iter::once(times[0].saturating_sub(start))
        .chain(times.windows(2).map(|pair| pair[1].saturating_sub(pair[0])))
        .map(Nanos::as_secs_f64)
        .collect();
    let (mean, variance) = moments(&gaps);
    // Four standard errors, as for the exponential distribution itself.
    assert!((mean / 1e-3 - 1.0).abs() < 0.013, "mean {mean}");
    assert!((variance / 1e-6 - 1.0).abs() < 0.036, "variance {variance}");
    let distance = kolmogorov_smirnov(&mut gaps, |gap| 1.0 - (-gap / 1e-3).exp());
    assert!(distance < 1.95, "Kolmogorov-Smirnov {distance}");
    // In windows of 10 ms the counts have mean and variance 10.
    let mut counts = vec![0.0; 9_000];
    for time in &times {
        let window = (time.saturating_sub(start).0 / 10_000_000) as usize;
        if let Some(count) = counts.get_mut(window) {
            *count += 1.0;
        }
    }
    let (mean, variance) = moments(&counts);
    assert!(
        (mean - 10.0).abs() < 4.0 * (10.0f64 / 9e3).sqrt(),
        "mean {mean}"
    );
    // The standard error of the variance is about 10 √(2.1/n) = 0.153.
    assert!((variance - 10.0).abs() < 0.62, "variance {variance}");
}

#[test]
fn bursts_have_uniform_periods_and_counts_within_them() {
    let pace = Pace::Bursts {
        period: Times::Uniform {
            least: Nanos::from_millis(100),
            most: Nanos::from_secs(1),
        },
        rate: Rate::per_second(30),
    };
    let times = arrivals(pace, Nanos::ZERO, 200_000);
    assert_eq!(times[0], Nanos::ZERO, "the first burst comes at the start");
    let mut bursts: Vec<(Nanos, u64)> = Vec::new();
    for time in times {
        match bursts.last_mut() {
            Some((at, count)) if *at == time => *count += 1,
            _ => bursts.push((time, 1)),
        }
    }
    let (mut periods, mut shares, mut least_counts) = (Vec::new(), Vec::new(), [0u64; 3]);
    for pair in bursts.windows(2) {
        let (period, count) = (pair[1].0.saturating_sub(pair[0].0), pair[0].1);
        let most = Rate::per_second(30).count_in(period);
        assert!((1..=most).contains(&count), "{count} of {most} in {period}");
        periods.push(period.as_secs_f64());
        shares.push((count as f64 - 0.5) / most as f64);
        if most == 3 {
            least_counts[count as usize - 1] += 1;
        }
    }
    let distance = kolmogorov_smirnov(&mut periods, |period| (period - 0.1) / 0.9);
    assert!(distance < 1.95, "Kolmogorov-Smirnov {distance}");
    // The counts' place in their range is uniform: mean 1/2, four standard errors.
    let (mean, _) = moments(&shares);
    let error = (1.0 / 12.0 / shares.len() as f64).sqrt();
    assert!((mean - 0.5).abs() < 4.0 * error, "mean {mean}");
    // Where 1 to 3 are possible: chi-square with two degrees of freedom, 0.1 % point 13.8.
    let chi = chi_square(&least_counts, &[1.0; 3]);
    assert!(chi < 13.8, "chi-square {chi}: {least_counts:?}");
}

#[test]
fn think_times_follow_their_distribution() {
    let ten = Nanos::from_millis(10);
    assert!(
        drawn(Times::Constant(ten), 100)
            .iter()
            .all(|time| *time == 0.01)
    );
    let mut exponential = drawn(Times::Exponential { mean: ten }, 100_000);
    let (mean, variance) = moments(&exponential);
    assert!((mean / 0.01 - 1.0).abs() < 0.013, "mean {mean}");
    assert!((variance / 1e-4 - 1.0).abs() < 0.036, "variance {variance}");
    let distance = kolmogorov_smirnov(&mut exponential, |time| 1.0 - (-time / 0.01).exp());
    assert!(distance < 1.95, "Kolmogorov-Smirnov {distance}");
    let uniform = Times::Uniform {
        least: Nanos::from_millis(5),
        most: Nanos::from_millis(15),
    };
    assert_eq!(uniform.mean(), ten);
    let mut uniform = drawn(uniform, 100_000);
    let distance = kolmogorov_smirnov(&mut uniform, |time| (time - 0.005) / 0.01);
    assert!(distance < 1.95, "Kolmogorov-Smirnov {distance}");
}

#[test]
fn the_end_of_time_is_not_passed() {
    for pace in [
        Pace::Constant {
            rate: Rate {
                events: 1,
                per: Nanos::MAX,
            },
        },
        Pace::Poisson {
            rate: Rate {
                events: 1,
                per: Nanos::MAX,
            },
        },
        Pace::Bursts {
            period: Times::Constant(Nanos::MAX),
            rate: Rate::per_second(1),
        },
    ] {
        let mut arrivals = Arrivals::new(pace, Nanos(1), Random::new(1)).expect("open");
        (0..10).for_each(|_| arrivals.advance());
        assert!(arrivals.next() <= Nanos::MAX);
    }
}
