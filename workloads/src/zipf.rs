//! Ranks by Zipf's law: the rank k of n is drawn with a probability proportional to 1/k^θ.
//!
//! Drawn by rejection-inversion (W. Hörmann, G. Derflinger, "Rejection-inversion to generate
//! variates from monotone discrete distributions", ACM TOMACS 6(3), 1996): constant time and
//! memory for any n, no table. The hat is the integral of x^-θ, inverted at a uniform number; a
//! drawn rank is accepted if it is under the steps of the distribution, in more than nine of ten
//! cases.
//!
//! Invariants: the same numbers on every machine, because logarithms and exponentials are those of
//! the `libm` crate, whose results do not depend on the machine. θ = 0 is uniform.

use disktime_random::Random;

/// The most that θ may be, in parts per million: beyond it almost only rank 0 is drawn.
pub(crate) const MAX_THETA_PPM: u32 = 5_000_000;

/// A sampler of ranks.
#[derive(Debug, Clone)]
pub(crate) struct Zipf {
    ranks: u64,
    theta: f64,
    /// The integral at the left end of the hat's range …
    area_first: f64,
    /// … and at its right end.
    area_last: f64,
    /// A drawn position that is nearer to its rank than this is accepted without the exact test.
    near: f64,
}

impl Zipf {
    /// A sampler of the ranks 0 to `ranks - 1`.
    pub(crate) fn new(ranks: u64, theta_ppm: u32) -> Zipf {
        assert!(ranks > 0, "expected at least one rank");
        let theta = f64::from(theta_ppm) / 1e6;
        let mut zipf = Zipf {
            ranks,
            theta,
            area_first: 0.0,
            area_last: 0.0,
            near: 0.0,
        };
        zipf.area_first = zipf.area(1.5) - 1.0;
        zipf.area_last = zipf.area(ranks as f64 + 0.5);
        zipf.near = 2.0 - zipf.position(zipf.area(2.5) - zipf.height(2.0));
        zipf
    }

    /// The next rank, 0 being the most frequent one.
    #[inline]
    pub(crate) fn draw(&self, random: &mut Random) -> u64 {
        if self.theta == 0.0 {
            return random.below(self.ranks);
        }
        loop {
            let area = self.area_last + random.unit() * (self.area_first - self.area_last);
            let position = self.position(area);
            let rank = (position + 0.5).clamp(1.0, self.ranks as f64) as u64;
            let middle = rank as f64;
            if middle - position <= self.near
                || area >= self.area(middle + 0.5) - self.height(middle)
            {
                return rank - 1;
            }
        }
    }

    /// x^-θ.
    fn height(&self, x: f64) -> f64 {
        libm::exp(-self.theta * libm::log(x))
    }

    /// The integral of x^-θ from 1 to x, also where θ is 1.
    fn area(&self, x: f64) -> f64 {
        let log = libm::log(x);
        exp_minus_one_over((1.0 - self.theta) * log) * log
    }

    /// The inverse of `area`.
    fn position(&self, area: f64) -> f64 {
        // Rounding may lead beyond the pole, where the function is not defined.
        let scaled = (area * (1.0 - self.theta)).max(-1.0);
        libm::exp(log_of_one_plus_over(scaled) * area)
    }
}

/// (e^x − 1) / x, and its limit at 0.
fn exp_minus_one_over(x: f64) -> f64 {
    if x.abs() > 1e-8 {
        libm::expm1(x) / x
    } else {
        1.0 + x / 2.0
    }
}

/// ln(1 + x) / x, and its limit at 0.
fn log_of_one_plus_over(x: f64) -> f64 {
    if x.abs() > 1e-8 {
        libm::log1p(x) / x
    } else {
        1.0 - x / 2.0
    }
}

#[cfg(test)]
mod tests;
