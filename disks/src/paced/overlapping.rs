//! A modelled drive that overlaps requests, in real time: the model says when each is done, while
//! the data of all of them move on a real disk.
//!
//! One call of `collect` reports the completions of one time of the model only, so that what the
//! caller submits in their place starts at that time, even if the process woke later: lateness does
//! not add up.
//!
//! A request whose data have not moved when its time has come is reported when they have, at the
//! time of that call, and the model goes on meanwhile. If the real disk took longer for it than the
//! model did, that is an *overrun*; if not, the process handed it over too late, which counts as
//! lateness.
//!
//! Invariants: no request is reported before the model's time, nor before its data have moved;
//! completions are reported in order of their times.

use super::pace::{Pace, paced_properties};
use crate::{
    Completion, ContentMap, CutMark, Disk, DiskError, DiskErrorKind, DiskProperties, DiskRequest,
    FreeSpace, PacingReport,
};
use disktime_drive_models::{ModelCompletion, ModelRequest, Operation, OverlapModel};
use disktime_units::Nanos;
use std::collections::VecDeque;
use std::os::fd::RawFd;

/// A request in flight.
#[derive(Debug, Default)]
struct Held {
    tag: u64,
    /// When it starts by the model.
    start: Nanos,
    /// When the real disk got it, at the earliest.
    handed_over: Nanos,
    /// Its end by the model, once that has come.
    finish: Option<Nanos>,
    /// Counts for the pacing report; requests that make data durable do not, as no model knows how
    /// long the real disk needs for them.
    paced: bool,
    /// The real disk's completion, once there is one.
    real: Option<Completion>,
}

/// The disk of model `M`, which overlaps requests, over a real disk.
pub struct PacedOverlapDisk<M> {
    model: M,
    /// Whether the modelled drive answers writes before they are durable.
    model_caches_writes: bool,
    inner: Box<dyn Disk + Send>,
    properties: DiskProperties,
    /// Requests in flight, by the tag that model and real disk know them by.
    held: Vec<Held>,
    free: Vec<usize>,
    /// Requests that the model has done and whose data have moved later.
    late: VecDeque<usize>,
    /// Requests that the model has done and whose data have not moved.
    overdue: usize,
    /// Requests beyond `max_in_flight`, which are completed with an error.
    refused: VecDeque<Completion>,
    scratch: Vec<Completion>,
    /// The latest time of a call of `collect`.
    now: Nanos,
    pace: Pace,
}

impl<M: OverlapModel> PacedOverlapDisk<M> {
    /// Paces `inner` as `model`. `modelled` are the properties of the modelled disk; what concerns
    /// the data follows from both, and so does the number of requests in flight.
    pub fn new(
        model: M,
        modelled: DiskProperties,
        inner: Box<dyn Disk + Send>,
    ) -> PacedOverlapDisk<M> {
        let real = inner.properties();
        let depth = modelled.max_in_flight.min(real.max_in_flight);
        PacedOverlapDisk {
            model,
            model_caches_writes: modelled.capabilities.volatile_cache,
            properties: paced_properties(modelled, real, depth),
            inner,
            held: Vec::with_capacity(depth),
            free: Vec::with_capacity(depth),
            late: VecDeque::new(),
            overdue: 0,
            refused: VecDeque::new(),
            scratch: Vec::with_capacity(depth),
            now: Nanos::ZERO,
            pace: Pace::default(),
        }
    }

    fn hold(&mut self, held: Held) -> usize {
        match self.free.pop() {
            Some(index) => {
                self.held[index] = held;
                index
            }
            None => {
                self.held.push(held);
                self.held.len() - 1
            }
        }
    }

    fn refuse(&mut self, now: Nanos, request: DiskRequest) {
        let depth = self.properties.max_in_flight;
        let context = format!(
            "{}: a request was submitted while {depth} are in flight, which is the most",
            self.properties.description
        );
        self.refused.push_back(Completion {
            tag: request.tag,
            result: Err(DiskError {
                kind: DiskErrorKind::Io,
                context,
            }),
            completed_at: now,
            buffers: request.buffers,
        });
    }

    /// Takes the real disk's completions.
    fn collect_inner(&mut self) {
        self.inner.collect(self.now, &mut self.scratch);
        for completion in self.scratch.drain(..) {
            let index = completion.tag as usize;
            let held = &mut self.held[index];
            debug_assert!(held.real.is_none(), "the real disk completed it twice");
            held.real = Some(completion);
            if held.finish.is_some() {
                self.overdue -= 1;
                self.late.push_back(index);
            }
        }
    }

    /// The next completion of the model by `until` whose data have moved.
    fn next_paced(&mut self, until: Nanos) -> Option<Completion> {
        while let Some(ModelCompletion { tag, at }) = self.model.pop_completion(until) {
            let index = tag as usize;
            if self.held[index].real.is_none() {
                self.collect_inner();
            }
            let held = &mut self.held[index];
            let Some(real) = held.real.take() else {
                held.finish = Some(at);
                self.overdue += 1;
                continue;
            };
            self.pace.kept(held.paced, self.now.saturating_sub(at));
            return Some(self.release(index, real, at));
        }
        None
    }

    /// A request that was overdue and whose data have moved.
    fn next_late(&mut self) -> Option<Completion> {
        let index = self.late.pop_front()?;
        let now = self.now;
        let held = &mut self.held[index];
        let (finish, real) = (held.finish?, held.real.take()?);
        let took = now.saturating_sub(held.handed_over);
        if took > finish.saturating_sub(held.start) {
            self.pace.overran(held.paced);
        } else {
            self.pace.kept(held.paced, now.saturating_sub(finish));
        }
        Some(self.release(index, real, now))
    }

    fn release(&mut self, index: usize, real: Completion, at: Nanos) -> Completion {
        self.free.push(index);
        Completion {
            tag: self.held[index].tag,
            completed_at: at,
            ..real
        }
    }
}

impl<M: OverlapModel> Disk for PacedOverlapDisk<M> {
    fn properties(&self) -> &DiskProperties {
        &self.properties
    }

    fn submit(&mut self, now: Nanos, request: DiskRequest) {
        if self.held.len() - self.free.len() >= self.properties.max_in_flight {
            self.refuse(now, request);
            return;
        }
        let index = self.hold(Held {
            tag: request.tag,
            start: now,
            handed_over: self.now.max(now),
            finish: None,
            paced: request.operation != Operation::Flush && !request.fua,
            real: None,
        });
        self.model.submit(
            now,
            ModelRequest {
                tag: index as u64,
                operation: request.operation,
                offset_bytes: request.offset_bytes,
                len_bytes: request.len_bytes,
                durable: request.fua && self.model_caches_writes,
            },
        );
        self.inner.submit(
            now,
            DiskRequest {
                tag: index as u64,
                ..request
            },
        );
    }

    fn flush_submissions(&mut self) {
        self.inner.flush_submissions();
    }

    fn collect(&mut self, now: Nanos, completions: &mut Vec<Completion>) {
        if now > self.now || self.overdue > 0 {
            self.now = self.now.max(now);
            self.collect_inner();
        }
        let refused = self.refused.front().map(|first| first.completed_at);
        let until = refused.map_or(now, |refused| now.min(refused));
        if let Some(first) = self.next_paced(until) {
            let at = first.completed_at;
            completions.push(first);
            while let Some(next) = self.next_paced(at) {
                completions.push(next);
            }
        } else if refused.is_some_and(|refused| refused <= now) {
            completions.extend(self.refused.pop_front());
        } else {
            while let Some(late) = self.next_late() {
                completions.push(late);
            }
        }
    }

    fn next_completion(&self) -> Option<Nanos> {
        let refused = self.refused.front().map(|first| first.completed_at);
        let late = (!self.late.is_empty()).then_some(self.now);
        let overdue = (self.overdue > 0).then(|| self.inner.next_completion());
        let known = [
            self.model.next_completion(),
            refused,
            late,
            overdue.flatten(),
        ];
        known.into_iter().flatten().min()
    }

    fn wake_fd(&self) -> Option<RawFd> {
        self.inner.wake_fd()
    }

    fn content_map(&self) -> Option<&dyn ContentMap> {
        self.inner.content_map()
    }

    fn free_space(&self) -> Option<&FreeSpace> {
        self.inner.free_space()
    }

    fn is_read_only(&self) -> bool {
        self.inner.is_read_only()
    }

    fn cut_mark(&self) -> Option<&CutMark> {
        self.inner.cut_mark()
    }

    fn pacing(&self) -> Option<PacingReport> {
        Some(self.pace.report())
    }
}

#[cfg(test)]
mod tests;
