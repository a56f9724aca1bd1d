//! A device that takes any time within what its prices allow: an adversary for soaks.
//!
//! Invariants: a request alone ends within its lone latency; all that is in the device is done
//! within the larger of its occupancy and the lone latency of the last; a request ends when its
//! work is done, writes as well.
//!
//! What is not known here: who asked.

use super::device::{DeviceRequest, OverlapDevice};
use disktime_drive_models::CostModel;
use disktime_random::SplitMix64;
use disktime_units::Nanos;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// How the times vary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// As long as allowed.
    Slow,
    /// Anything from a tenth of that.
    Any,
    /// Mostly a tenth, and now and then all.
    Rarely,
    /// All for a while, a fifth for a while.
    Waves,
}

impl Mood {
    /// All.
    pub const ALL: [Mood; 4] = [Mood::Slow, Mood::Any, Mood::Rarely, Mood::Waves];
}

/// Length of a wave.
const WAVE: Nanos = Nanos::from_millis(15);

/// The device.
#[derive(Debug)]
pub(super) struct Within {
    cost: CostModel,
    mood: Mood,
    rng: SplitMix64,
    worked_off: Nanos,
    ends: BinaryHeap<Reverse<(Nanos, u32)>>,
}

impl Within {
    pub(super) fn new(cost: CostModel, mood: Mood, seed: u64) -> Within {
        Within {
            cost,
            mood,
            rng: SplitMix64::new(seed),
            worked_off: Nanos::ZERO,
            ends: BinaryHeap::new(),
        }
    }

    fn percent(&mut self, now: Nanos) -> u64 {
        match self.mood {
            Mood::Slow => 100,
            Mood::Any => self.rng.range(10, 101),
            Mood::Rarely if self.rng.percent(5) => 100,
            Mood::Rarely => 10,
            Mood::Waves if (now.0 / WAVE.0).is_multiple_of(2) => 100,
            Mood::Waves => 20,
        }
    }
}

impl OverlapDevice for Within {
    fn submit(&mut self, now: Nanos, request: DeviceRequest) {
        let quote = self.cost.quote(
            request.operation,
            request.len_bytes,
            false,
            request.sequential,
        );
        let percent = self.percent(now);
        let part = |time: Nanos| Nanos((time.0 * percent / 100).max(1));
        self.worked_off = self.worked_off.max(now) + part(quote.occupancy);
        let end = self.worked_off.max(now + part(quote.lone));
        self.ends.push(Reverse((end, request.tag)));
    }

    fn next_event(&self) -> Option<Nanos> {
        self.ends.peek().map(|Reverse((end, _))| *end)
    }

    fn take_completed(&mut self, now: Nanos) -> Option<u32> {
        let Reverse((end, tag)) = self.ends.peek().copied()?;
        (end <= now).then(|| {
            self.ends.pop();
            tag
        })
    }
}
