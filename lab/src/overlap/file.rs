//! A device behind a file system that takes its time for a discard: a hole that is punched into a
//! file needs a commit of the journal, and the file is locked meanwhile.
//!
//! Invariants: a discard begins when all that came before it is done, and what comes after it
//! begins when the discard is done; discards go one after the other. All else goes to the device
//! behind.
//!
//! What is not known here: what discards are believed to take.

use super::device::{DeviceRequest, OverlapDevice};
use disktime_drive_models::{Operation, ServiceModel};
use disktime_random::SplitMix64;
use disktime_units::Nanos;
use std::collections::VecDeque;

/// How long discards take: as long as one of these, and so much for each MiB.
#[derive(Debug, Clone, Copy)]
pub struct DiscardTimes {
    /// The shortest of no length,
    pub least: Nanos,
    /// and the longest.
    pub most: Nanos,
    /// For a MiB.
    pub per_mib: Nanos,
}

/// The file on its device.
pub struct LockedFile<D> {
    device: D,
    times: DiscardTimes,
    rng: SplitMix64,
    waiting: VecDeque<DeviceRequest>,
    /// Requests in the device behind.
    inside: usize,
    discard: Option<(Nanos, u32)>,
    /// The longest discard so far.
    longest: Nanos,
}

impl<D: OverlapDevice> LockedFile<D> {
    /// A file on `device`.
    pub fn new(device: D, times: DiscardTimes, seed: u64) -> LockedFile<D> {
        LockedFile {
            device,
            times,
            rng: SplitMix64::new(seed),
            waiting: VecDeque::new(),
            inside: 0,
            discard: None,
            longest: Nanos::ZERO,
        }
    }

    /// Lets those in that may.
    fn admit(&mut self, now: Nanos) {
        while let Some(request) = self.waiting.front().copied()
            && self.discard.is_none()
        {
            if request.operation != Operation::Discard {
                self.device.submit(now, request);
                self.inside += 1;
            } else if self.inside == 0 {
                let DiscardTimes {
                    least,
                    most,
                    per_mib,
                } = self.times;
                let by_length = (u128::from(per_mib.0) * u128::from(request.len_bytes)) >> 20;
                let takes = Nanos(self.rng.range(least.0, most.0 + 1) + by_length as u64);
                self.longest = self.longest.max(takes);
                self.discard = Some((now + takes, request.tag));
            } else {
                break;
            }
            self.waiting.pop_front();
        }
    }
}

impl<D: OverlapDevice> OverlapDevice for LockedFile<D> {
    fn submit(&mut self, now: Nanos, request: DeviceRequest) {
        self.waiting.push_back(request);
        self.admit(now);
    }

    fn next_event(&self) -> Option<Nanos> {
        let discard = self.discard.map(|(at, _)| at);
        [discard, self.device.next_event()]
            .into_iter()
            .flatten()
            .min()
    }

    fn take_completed(&mut self, now: Nanos) -> Option<u32> {
        let done = match self.discard {
            Some((at, tag)) if at <= now => {
                self.discard = None;
                tag
            }
            _ => {
                let tag = self.device.take_completed(now)?;
                self.inside -= 1;
                tag
            }
        };
        self.admit(now);
        Some(done)
    }
}

/// A model that serves one request after the other, as a device.
pub struct OneAtATime<M> {
    model: M,
    free_at: Nanos,
    queue: VecDeque<(Nanos, u32)>,
}

impl<M: ServiceModel> OneAtATime<M> {
    /// The model, idle.
    pub fn new(model: M) -> OneAtATime<M> {
        OneAtATime {
            model,
            free_at: Nanos::ZERO,
            queue: VecDeque::new(),
        }
    }
}

impl<M: ServiceModel> OverlapDevice for OneAtATime<M> {
    fn submit(&mut self, now: Nanos, request: DeviceRequest) {
        let start = self.free_at.max(now);
        let (operation, offset, len) = (request.operation, request.offset_bytes, request.len_bytes);
        self.free_at = self.model.serve(start, operation, offset, len);
        self.queue.push_back((self.free_at, request.tag));
    }

    fn next_event(&self) -> Option<Nanos> {
        self.queue.front().map(|(at, _)| *at)
    }

    fn take_completed(&mut self, now: Nanos) -> Option<u32> {
        let (at, tag) = *self.queue.front()?;
        (at <= now).then(|| {
            self.queue.pop_front();
            tag
        })
    }
}
