//! The device's time, and the rate at which it passes.
//!
//! Invariant: time never goes back; the rate stays within its bounds, but for what makes up for
//! time that streams gave up, which is at most as much again for a period.
//!
//! What is not known here: who may send what.

use super::super::IocostQos;
use super::account::absolute;
use crate::config::RequestKind;
use crate::policy::FinishedDispatch;
use disktime_units::Nanos;

/// A rate at which the device's time passes as the wall's does.
pub(super) const WHOLE_RATE: i128 = 1_000_000;

const PERIOD_MIN: Nanos = Nanos::from_millis(1);
const PERIOD_MAX: Nanos = Nanos::from_secs(1);
/// A stream is short with less saved than this part of a period,
const LOW_PERCENT: i128 = 20;
/// and lends nothing with less than that;
const MIN_PERCENT: i128 = 10;
/// it is to have so much, and begins with it.
const TARGET_PERCENT: i128 = 50;
/// The device is full if requests wait for places for a larger part of a period.
const FULL_PERCENT: u64 = 5;
/// The rate rises only with so much less than what makes it fall.
const CALM_PERCENT: u64 = 75;
const BUSY_MOST: i32 = 1_000;

/// What is wrong with the streams at the end of a period.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shortage {
    /// Some are short of time.
    pub(super) short: bool,
    /// Some have requests in flight from before the period.
    pub(super) lagging: bool,
}

/// A period, as those see it who divide it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Period {
    pub(super) number: u64,
    pub(super) now: Nanos,
    pub(super) began: Nanos,
    /// How much of the device's time it took.
    pub(super) length: i128,
    pub(super) rate: i128,
    pub(super) min: i128,
    pub(super) low: i128,
    pub(super) target: i128,
}

/// Requests of one kind in a period.
#[derive(Debug, Clone, Copy, Default)]
struct Answers {
    in_time: u64,
    late: u64,
}

impl Answers {
    fn all(self) -> u64 {
        self.in_time + self.late
    }

    fn late_ppm(self) -> u64 {
        (self.late * 1_000_000).div_ceil(self.all().max(1))
    }
}

/// The clock.
#[derive(Debug)]
pub(super) struct DeviceClock {
    qos: IocostQos,
    period: Nanos,
    began: Nanos,
    began_at: i128,
    /// vrate.
    base_rate: i128,
    /// vrate, and what makes up for time that was given up.
    rate: i128,
    /// Time that was given up and is not made up for: negative.
    error: i128,
    number: u64,
    runs: bool,
    busy: i32,
    reads: Answers,
    writes: Answers,
    full_since: Option<Nanos>,
    full_for: Nanos,
}

impl DeviceClock {
    pub(super) fn new(qos: IocostQos) -> DeviceClock {
        let target = qos.read_latency.max(qos.write_latency);
        let late_ppm = i64::from(1_000_000 - qos.percentile_ppm.min(1_000_000));
        let times = if qos.percentile_ppm == 0 {
            2
        } else {
            (late_ppm / 50_000).max(2) as u64
        };
        DeviceClock {
            qos,
            period: Nanos(target.0.saturating_mul(times)).clamp(PERIOD_MIN, PERIOD_MAX),
            began: Nanos::ZERO,
            began_at: 0,
            base_rate: WHOLE_RATE,
            rate: WHOLE_RATE,
            error: 0,
            number: 0,
            runs: false,
            busy: 0,
            reads: Answers::default(),
            writes: Answers::default(),
            full_since: None,
            full_for: Nanos::ZERO,
        }
    }

    /// The device's time.
    pub(super) fn vnow(&self, now: Nanos) -> i128 {
        self.began_at + i128::from(now.saturating_sub(self.began).0) * self.rate
    }

    /// The first nanosecond at which the device's time is `vtime`, as the rate is.
    pub(super) fn wall(&self, now: Nanos, vtime: i128) -> Nanos {
        let missing = (vtime - self.vnow(now)).max(1);
        let wait = (missing + self.rate - 1) / self.rate;
        now.saturating_add(Nanos(u64::try_from(wait).unwrap_or(u64::MAX)))
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn period_end(&self) -> Nanos {
        self.began + self.period
    }

    pub(super) fn is_over(&self, now: Nanos) -> bool {
        self.runs && now >= self.period_end()
    }

    fn part(&self, percent: i128) -> i128 {
        i128::from(self.period.0) * self.base_rate * percent / 100
    }

    pub(super) fn low(&self) -> i128 {
        self.part(LOW_PERCENT)
    }

    pub(super) fn target(&self) -> i128 {
        self.part(TARGET_PERCENT)
    }

    /// Periods run from now on, if they do not.
    pub(super) fn begin(&mut self, now: Nanos) {
        if !self.runs {
            self.runs = true;
            self.starts_period(now);
        }
    }

    fn starts_period(&mut self, now: Nanos) {
        self.began_at = self.vnow(now);
        self.began = now;
    }

    /// The period that ends now.
    pub(super) fn period(&self, now: Nanos) -> Period {
        Period {
            number: self.number,
            now,
            began: self.began,
            length: (self.vnow(now) - self.began_at).max(1),
            rate: self.base_rate,
            min: self.part(MIN_PERCENT),
            low: self.low(),
            target: self.target(),
        }
    }

    /// The queue has no place left.
    pub(super) fn becomes_full(&mut self, now: Nanos) {
        self.full_since = Some(now);
    }

    /// A dispatch is done; others wait for its place or not.
    pub(super) fn note_completion(&mut self, now: Nanos, awaited: bool, done: &FinishedDispatch) {
        if let Some(since) = self.full_since.take().filter(|_| awaited) {
            self.full_for += now.saturating_sub(since);
        }
        let (answers, latency) = match done.kind {
            RequestKind::Read => (&mut self.reads, self.qos.read_latency),
            RequestKind::Write | RequestKind::Zero => (&mut self.writes, self.qos.write_latency),
            RequestKind::Flush | RequestKind::Discard => return,
        };
        if done.service.saturating_sub(done.price) <= latency {
            answers.in_time += 1;
        } else {
            answers.late += 1;
        }
    }

    /// Streams gave up so much of the device's time.
    pub(super) fn takes_back(&mut self, given_up: i128) {
        self.error -= given_up;
    }

    /// Ends a period, and begins one if any stream is active.
    pub(super) fn end_period(&mut self, now: Nanos, shortage: Shortage, any_active: bool) {
        self.judge(shortage);
        if self.busy > 0 || (self.busy < 0 && !shortage.lagging) {
            let percent = i128::from(step_percent(self.busy.unsigned_abs()));
            let percent = if self.busy > 0 {
                100 - percent
            } else {
                100 + percent
            };
            let bound = |percent: u32| i128::from(percent) * WHOLE_RATE / 100;
            let rate = (self.base_rate * percent + 99) / 100;
            let least = bound(self.qos.vrate_min_percent).max(1);
            self.base_rate = rate.clamp(least, bound(self.qos.vrate_max_percent).max(least));
        }
        self.reads = Answers::default();
        self.writes = Answers::default();
        self.full_for = Nanos::ZERO;
        self.number += 1;
        self.starts_period(now);
        self.runs = any_active;
        if !any_active {
            self.busy = 0;
            self.error = 0;
        }
        self.make_up();
    }

    /// Whether the device is too busy, or has more to give; consecutive periods add up.
    fn judge(&mut self, shortage: Shortage) {
        let allowed = if self.qos.percentile_ppm == 0 {
            1_000_000
        } else {
            u64::from(1_000_000 - self.qos.percentile_ppm.min(1_000_000))
        };
        let late = self.reads.late_ppm().max(self.writes.late_ppm());
        let full = self.full_for.0 * 100 / self.period.0;
        let nothing_done = self.reads.all() + self.writes.all() == 0;
        let busy = if nothing_done && shortage.lagging {
            // Unknown, not well.
            self.busy
        } else if full > FULL_PERCENT || late > allowed {
            self.busy.max(0) + 1
        } else if full > FULL_PERCENT * CALM_PERCENT / 100
            || late > allowed * CALM_PERCENT / 100
            || !shortage.short
        {
            0
        } else {
            self.busy.min(0) - i32::from(!shortage.lagging)
        };
        self.busy = busy.clamp(-BUSY_MOST, BUSY_MOST);
    }

    /// Lets the period that begins run faster by what streams gave up.
    fn make_up(&mut self) {
        let length = i128::from(self.period.0);
        let more = (-self.error / length).clamp(-self.base_rate / 2, self.base_rate);
        self.error += more * length;
        let most = length * self.base_rate;
        self.error = self.error.clamp(-most, most);
        self.rate = self.base_rate + more;
    }

    /// vrate, in ppm.
    #[cfg(test)]
    pub(super) fn base_rate(&self) -> i128 {
        self.base_rate
    }
}

/// How much the rate changes after so many periods in which it should.
const fn step_percent(level: u32) -> u32 {
    match level {
        0..=3 => 0,
        4..=19 => 1,
        20..=35 => 2,
        36..=43 => 4,
        44..=51 => 8,
        _ => 16,
    }
}

/// What a cost is of a stream's time if it has that part of the device.
pub(super) fn time_of(cost: Nanos, inuse: i128, all: i128) -> i128 {
    let inuse = inuse.max(1);
    (absolute(cost) * all.max(inuse) + inuse - 1) / inuse
}

#[cfg(test)]
mod tests;
