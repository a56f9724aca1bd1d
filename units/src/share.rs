//! A share of something, in parts per million.

use crate::Nanos;
use std::fmt;
use std::ops::{Add, AddAssign};

/// A share of a disk's time in parts per million: `Share(400_000)` is 40 %.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Share(pub u32);

impl Share {
    /// 0 %.
    pub const ZERO: Share = Share(0);
    /// The whole disk.
    pub const WHOLE: Share = Share(1_000_000);

    /// A whole number of per cent.
    pub const fn from_percent(percent: u32) -> Share {
        Share(percent * 10_000)
    }

    /// This share of `time`, rounded down to the nanosecond.
    pub fn of(self, time: Nanos) -> Nanos {
        let part = u128::from(time.0) * u128::from(self.0) / 1_000_000;
        Nanos(u64::try_from(part).unwrap_or(u64::MAX))
    }

    /// The share as a number from 0 to 1, for reports.
    pub fn as_f64(self) -> f64 {
        f64::from(self.0) / 1e6
    }

    /// `self - other`, or zero.
    pub const fn saturating_sub(self, other: Share) -> Share {
        Share(self.0.saturating_sub(other.0))
    }
}

impl Add for Share {
    type Output = Share;
    fn add(self, other: Share) -> Share {
        Share(self.0 + other.0)
    }
}

impl AddAssign for Share {
    fn add_assign(&mut self, other: Share) {
        self.0 += other.0;
    }
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// In per cent, with as many decimals as needed: `40 %`, `12.5 %`.
impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 10_000, self.0 % 10_000);
        if rest == 0 {
            return write!(f, "{whole} %");
        }
        let decimals = format!("{rest:04}");
        write!(f, "{whole}.{} %", decimals.trim_end_matches('0'))
    }
}
