//! A time in which a modelled drive is slower than its figures, as when it is hot or its volume is
//! throttled: for tests of what a scheduler makes of it.

use disktime_units::Nanos;

/// Times that begin between `from` and `until` take `percent` per cent of what they take otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slowdown {
    /// When it begins.
    pub from: Nanos,
    /// When it is over.
    pub until: Nanos,
    /// 300 is three times as slow. At least 100.
    pub percent: u32,
}

impl Slowdown {
    /// No slowdown.
    pub const NONE: Slowdown = Slowdown {
        from: Nanos::ZERO,
        until: Nanos::ZERO,
        percent: 100,
    };

    /// What something takes that takes `time` otherwise and begins at `now`.
    #[inline]
    pub(crate) fn scaled(&self, now: Nanos, time: Nanos) -> Nanos {
        if now < self.from || now >= self.until {
            return time;
        }
        Nanos(time.0.saturating_mul(u64::from(self.percent)) / 100)
    }
}
