//! Whether the disk is slower than its prices say, and by how much: two factors that multiply all
//! prices, one for latency and one for occupancy.
//!
//! A disk that is throttled, worn or shared behind the scheduler's back is slower for everybody. If
//! prices stayed, the scheduler would go on to deliver nominal throughput to reserved streams, and
//! best effort would starve. With the factors each stream's part of the slower disk is what it was
//! of the nominal one. Two factors, since a capped volume can keep its latency and lose its
//! throughput.
//!
//! Every window of 100 ms is judged by itself:
//!
//! - Overlap only lengthens a read, so the fast tenth of all reads compared with their lone
//!   latencies is an upper bound of the latency factor, always there.
//! - Requests that were alone, of clients of depth 1, show latency; those of deep clients that had
//!   the disk alone show occupancy, which is no more than the busy time allows either.
//! - Where no client of depth 1 shows latency, it is taken to be as slow as occupancy, within that
//!   bound.
//! - A window below 1.3 counts as 1, so that noise changes nothing. A factor moves half way to what
//!   a window shows; up by more than a half, and down to the upper bound, at once.
//!
//! What is not known here: streams. While a factor is learnt (some windows) W is not promised.

use crate::ppm_time::proportion;
use disktime_units::Nanos;

/// A factor of 1 in parts per million.
pub(super) const ONE: u64 = 1_000_000;
/// What one window spans.
const WINDOW: Nanos = Nanos::from_millis(100);
/// Slower by less is noise.
const NOISE: u64 = 1_300_000;
/// Reads in a window from which their fast tenth is taken.
const READS_MIN: u32 = 32;
/// Lone latencies of price that make a window's ratio of latency.
const LONE_MIN: u64 = 20;
/// The same for occupancy.
const DEEP_MIN: u64 = 5;
/// A window's busy time bounds the occupancy factor if there is so much of it.
const BUSY_MIN: Nanos = Nanos::from_millis(20);
/// Of a factor without new evidence so many per cent are kept.
const KEPT_PERCENT: u64 = 80;
/// A factor beyond this is no slowness but a fault.
const FACTOR_MAX: u64 = 64 * ONE;
/// Of a disk that is slower in occupancy alone H is kept until it drains so many times as long: the
/// reads of 64 KiB of a preset take 1.3 to 1.6 times their occupancy with H in the disk.
const DRAIN_GROWS: u64 = 2;
/// A change of more than one part in so many voids what was learnt of prices.
const CHANGE_PARTS: u64 = 10;
/// Steps of the histogram of ratios in each doubling.
const STEPS: u32 = 8;
/// Ratios from 1/4 to 64.
const BUCKETS: usize = 8 * STEPS as usize;

/// Latencies of reads compared with their lone latencies, by size.
#[derive(Debug)]
struct Ratios {
    counts: [u32; BUCKETS],
    total: u32,
}

impl Ratios {
    fn add(&mut self, ratio_ppm: u64) {
        // In eighths of a doubling from a quarter on.
        let scaled = (ratio_ppm * 4 / ONE).max(1);
        let octave = scaled.ilog2();
        let base = (ONE / 4) << octave;
        // By `base`, of which all but a power of two is constant.
        let above = ratio_ppm.saturating_sub(base) * u64::from(STEPS);
        let step = ((above / (ONE / 4)) >> octave).min(7);
        let bucket = u64::from(octave * STEPS) + step;
        self.counts[(bucket as usize).min(BUCKETS - 1)] += 1;
        self.total += 1;
    }

    /// The ratio that a tenth of the reads stays below, in ppm, at most an eighth too high.
    fn fast_tenth(&self) -> Option<u64> {
        if self.total < READS_MIN {
            return None;
        }
        let mut left = self.total / 10;
        for (bucket, count) in self.counts.iter().enumerate() {
            if left < *count {
                let (octave, step) = (bucket as u32 / STEPS, bucket as u64 % u64::from(STEPS));
                let base = (ONE / 4) << octave;
                return Some(base + base * (step + 1) / u64::from(STEPS));
            }
            left -= count;
        }
        None
    }

    fn clear(&mut self) {
        self.counts = [0; BUCKETS];
        self.total = 0;
    }
}

/// Measured and priced times of requests that had the disk alone.
#[derive(Debug, Default)]
struct Compared {
    elapsed: u64,
    priced: u64,
}

impl Compared {
    fn ratio(&self, min: u64) -> Option<u64> {
        (self.priced > min).then(|| ppm(self.elapsed, self.priced))
    }
}

/// A read that is done.
#[derive(Debug, Clone, Copy)]
pub(super) struct FinishedRead {
    /// From dispatch to completion.
    pub(super) service: Nanos,
    /// Its lone latency by the prices, without factors.
    pub(super) lone: Nanos,
    /// If the disk was its account's alone: measured time, and solo time with factors.
    pub(super) alone: Option<(Nanos, Nanos)>,
    /// The account had no other request.
    pub(super) is_lone: bool,
    /// The account had enough requests to fill the disk.
    pub(super) is_deep: bool,
}

/// How much slower the disk is than its prices say.
#[derive(Debug)]
pub(crate) struct DeviceSpeed {
    fast_read_percent: u32,
    /// φℓ and φo, in ppm.
    latency_ppm: u64,
    occupancy_ppm: u64,
    /// Since when a factor is above 1.
    slow_since: Option<Nanos>,
    window_since: Nanos,
    reads: Ratios,
    lone: Compared,
    deep: Compared,
    occupancy: Nanos,
    busy_before: Nanos,
    /// Moving average of the lone latency of reads.
    lone_latency: u64,
}

impl DeviceSpeed {
    /// A disk that is as fast as its prices, of which a tenth of lone reads is so fast.
    pub(super) fn new(fast_read_percent: u32) -> DeviceSpeed {
        DeviceSpeed {
            fast_read_percent: fast_read_percent.max(1),
            latency_ppm: ONE,
            occupancy_ppm: ONE,
            slow_since: None,
            window_since: Nanos::ZERO,
            reads: Ratios {
                counts: [0; BUCKETS],
                total: 0,
            },
            lone: Compared::default(),
            deep: Compared::default(),
            occupancy: Nanos::ZERO,
            busy_before: Nanos::ZERO,
            lone_latency: 0,
        }
    }

    /// A lone latency as it is now.
    #[inline]
    pub(super) fn latency(&self, nominal: Nanos) -> Nanos {
        times(nominal, self.latency_ppm)
    }

    /// An occupancy as it is now.
    #[inline]
    pub(super) fn occupancy(&self, nominal: Nanos) -> Nanos {
        times(nominal, self.occupancy_ppm)
    }

    /// What a tenth of reads of this lone latency take at most when they are alone and the disk is
    /// as fast as its prices.
    #[inline]
    fn fast(&self, lone: Nanos) -> Nanos {
        Nanos(lone.0 * u64::from(self.fast_read_percent) / 100)
    }

    /// The same as the disk is now.
    #[inline]
    pub(super) fn fast_latency(&self, lone: Nanos) -> Nanos {
        self.latency(self.fast(lone))
    }

    /// H in nominal occupancy: what drains in at most [`DRAIN_GROWS`] times as many lone latencies
    /// as before.
    ///
    /// H less in the disk at the same speed makes requests that need more of it slower, and the
    /// occupancy factor greater: H would shrink by what it makes slower itself.
    #[inline]
    pub(super) fn bound(&self, nominal: Nanos) -> Nanos {
        let latency_ppm = self.latency_ppm.saturating_mul(DRAIN_GROWS);
        if latency_ppm >= self.occupancy_ppm || nominal == Nanos::MAX {
            return nominal;
        }
        Nanos(proportion(nominal.0, latency_ppm, self.occupancy_ppm))
    }

    /// The factors of latency and occupancy in ppm, and since when one is above 1.
    pub(crate) fn factors(&self) -> (u64, u64, Option<Nanos>) {
        (self.latency_ppm, self.occupancy_ppm, self.slow_since)
    }

    /// A read is done.
    #[inline]
    pub(super) fn note_read(&mut self, read: FinishedRead) {
        self.lone_latency = match self.lone_latency {
            0 => read.lone.0,
            known => (known * 15 + read.lone.0) / 16,
        };
        self.reads.add(ppm(read.service.0, self.fast(read.lone).0));
        let Some((elapsed, solo)) = read.alone else {
            return;
        };
        if read.is_deep {
            self.deep.elapsed += elapsed.0;
            self.deep.priced += solo.0 * ONE / self.occupancy_ppm;
        } else if read.is_lone {
            self.lone.elapsed += elapsed.0;
            self.lone.priced += solo.0 * ONE / self.latency_ppm;
        }
    }

    /// A request of so much occupancy is done; the disk has been busy for so long in all. Whether a
    /// factor changed so much that what was learnt of prices is void.
    #[inline]
    pub(super) fn note_done(&mut self, now: Nanos, occupancy: Nanos, busy: Nanos) -> bool {
        self.occupancy += occupancy;
        if now.saturating_sub(self.window_since) < WINDOW {
            return false;
        }
        self.end_window(now, busy)
    }

    fn end_window(&mut self, now: Nanos, busy: Nanos) -> bool {
        let before = (self.latency_ppm, self.occupancy_ppm);
        let upper = self.reads.fast_tenth();
        let fading = |factor: u64| ONE + (factor - ONE) * KEPT_PERCENT / 100;
        let lone = self.lone.ratio(LONE_MIN * self.lone_latency);
        let deep = self.deep.ratio(DEEP_MIN * self.lone_latency);
        let mut occupancy = deep.unwrap_or(fading(self.occupancy_ppm));
        let busy_now = busy.saturating_sub(self.busy_before);
        if busy_now > BUSY_MIN {
            occupancy = occupancy.min(ppm(busy_now.0 / 10 * 11, self.occupancy.0));
        }
        // Without a client of depth 1 latency is not seen. A disk that takes so much longer for
        // deep clients is taken to be slower in both, or H would shrink by what it makes slower
        // itself.
        let unseen = fading(self.latency_ppm).max(upper.unwrap_or(occupancy).min(occupancy));
        let mut latency = lone.unwrap_or(unseen);
        if let Some(upper) = upper {
            if upper < self.latency_ppm {
                let upper = upper.max(ONE);
                let scaled = proportion(self.occupancy_ppm, upper, self.latency_ppm);
                self.occupancy_ppm = scaled.max(ONE);
                self.latency_ppm = upper;
                if deep.is_none() {
                    occupancy = occupancy.min(self.occupancy_ppm);
                }
            }
            latency = latency.min(upper);
        }
        self.latency_ppm = moved(self.latency_ppm, latency);
        self.occupancy_ppm = moved(self.occupancy_ppm, occupancy);
        let is_slow = self.latency_ppm > NOISE || self.occupancy_ppm > NOISE;
        self.slow_since = is_slow.then(|| self.slow_since.unwrap_or(now));
        self.begin_window(now, busy);
        changed(before.0, self.latency_ppm) || changed(before.1, self.occupancy_ppm)
    }

    fn begin_window(&mut self, now: Nanos, busy: Nanos) {
        self.window_since = now;
        self.reads.clear();
        (self.lone, self.deep) = (Compared::default(), Compared::default());
        self.occupancy = Nanos::ZERO;
        self.busy_before = busy;
    }
}

/// Half way from a factor to what a window shows, or all the way if that is half as much again: it
/// is no noise, and until it is known best effort gets next to nothing.
fn moved(factor: u64, shown: u64) -> u64 {
    let shown = if shown < NOISE { ONE } else { shown };
    let shown = shown.min(FACTOR_MAX);
    let next = if shown > factor + factor / 2 {
        shown
    } else {
        factor.midpoint(shown)
    };
    if next.abs_diff(ONE) < ONE / 20 {
        ONE
    } else {
        next
    }
}

fn changed(before: u64, after: u64) -> bool {
    before.abs_diff(after) > before / CHANGE_PARTS
}

fn ppm(dividend: u64, divisor: u64) -> u64 {
    proportion(dividend, ONE, divisor.max(1)).min(1_000 * ONE)
}

fn times(time: Nanos, factor_ppm: u64) -> Nanos {
    if factor_ppm == ONE {
        return time;
    }
    Nanos(proportion(time.0, factor_ppm, ONE))
}

#[cfg(test)]
mod tests;
