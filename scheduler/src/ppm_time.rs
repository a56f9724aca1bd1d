//! Disk time in *ppm-nanoseconds*: a nanosecond times a million.
//!
//! A share in parts per million of a whole number of nanoseconds is a whole number of these, so
//! nothing is ever rounded and the promise can be tested exactly. They are kept in 128 bits: in 64,
//! a budget, a debt or a request that hangs for two and a half hours would overflow. A division of
//! 128 bits is a call that costs as much as a tenth of a decision, so those here use 64 where the
//! numbers fit, which is so for all but absurd ones.

use disktime_units::Nanos;

/// Parts per million in one.
pub(crate) const MILLION: i128 = 1_000_000;

/// Time in ppm-nanoseconds.
pub(crate) fn scaled(time: Nanos) -> i128 {
    i128::from(time.0) * MILLION
}

/// Whole nanoseconds of a scaled time, rounded down.
pub(crate) fn unscaled(time: i128) -> i64 {
    if let Ok(time) = i64::try_from(time) {
        return time.div_euclid(MILLION as i64);
    }
    let nanos = time.div_euclid(MILLION);
    i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX })
}

/// Whole nanoseconds of a scaled time that is a length; zero if it is negative.
pub(crate) fn length(time: i128) -> Nanos {
    Nanos(u64::try_from(unscaled(time)).unwrap_or(0))
}

/// `dividend / divisor`. This is done for every stream in every scan.
pub(crate) fn divide(dividend: i128, divisor: i128) -> i128 {
    match (i64::try_from(dividend), i64::try_from(divisor)) {
        (Ok(dividend), Ok(divisor)) => i128::from(dividend.wrapping_div(divisor)),
        _ => dividend / divisor,
    }
}

/// `amount · factor / divisor`, rounded down; `u64::MAX` if it is more than that.
#[inline]
pub(crate) fn proportion(amount: u64, factor: u64, divisor: u64) -> u64 {
    if let Some(product) = amount.checked_mul(factor) {
        return product / divisor;
    }
    let product = u128::from(amount) * u128::from(factor);
    u64::try_from(product / u128::from(divisor)).unwrap_or(u64::MAX)
}
