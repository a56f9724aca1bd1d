//! A modelled disk in real time: a request is done when the model says so, while its data is read
//! from or written to a real disk behind it.
//!
//! The model keeps its own timeline: a request starts when it is submitted or when the one before
//! it ended, whichever is later, and its completion carries the model's time, not the time at which
//! the process happened to wake. A caller that dispatches from a queue passes the time of the last
//! completion as the submission's `now`; then lateness never adds up.
//!
//! Invariants: no request is reported before the model's time, nor before its data has moved. If
//! the real disk is the slower one, that is an *overrun*: counted, reported at the time it was
//! found done, and the model's timeline goes on from there.
//!
//! [`PacedDisk`] has one request in flight, [`PacedOverlapDisk`] as many as its model takes.
//!
//! What is not known here: how a model finds its times, and the kind of the real disk.

mod overlapping;
mod pace;

pub use overlapping::PacedOverlapDisk;

use crate::{
    Completion, ContentMap, CutMark, Disk, DiskError, DiskErrorKind, DiskProperties, DiskRequest,
    FreeSpace, PacingReport,
};
use disktime_drive_models::{Operation, ServiceModel};
use disktime_units::Nanos;
use pace::{Pace, paced_properties};
use std::os::fd::RawFd;

/// The request in flight.
#[derive(Debug)]
struct Current {
    tag: u64,
    /// When it ends by the model.
    finish: Nanos,
    /// The model's time has passed and the real I/O was not done then.
    overdue: bool,
    /// Counts for the pacing report. Requests that make data durable do not: they take as long as
    /// the real disk needs, which no model knows.
    paced: bool,
    /// The real disk's completion, once there is one.
    real: Option<Completion>,
}

/// The disk of model `M` over a real disk. One request at a time, as a drive without a command
/// queue serves them.
pub struct PacedDisk<M> {
    model: M,
    /// Whether the modelled drive answers writes before they are durable, so that a durable write
    /// takes a flush of its own.
    model_caches_writes: bool,
    inner: Box<dyn Disk + Send>,
    properties: DiskProperties,
    /// When the model is free again.
    free_at: Nanos,
    current: Option<Current>,
    /// Invalid requests, which do not reach the model and are completed with an error.
    refused: Vec<Completion>,
    scratch: Vec<Completion>,
    pace: Pace,
}

impl<M: ServiceModel> PacedDisk<M> {
    /// Paces `inner` as `model`. `modelled` are the properties of the modelled disk; what concerns
    /// the data (size, blocks, discards, durability) follows from both.
    pub fn new(model: M, modelled: DiskProperties, inner: Box<dyn Disk + Send>) -> PacedDisk<M> {
        let model_caches_writes = modelled.capabilities.volatile_cache;
        let real = inner.properties();
        let properties = paced_properties(modelled, real, 1);
        PacedDisk {
            model,
            model_caches_writes,
            inner,
            properties,
            free_at: Nanos::ZERO,
            current: None,
            refused: Vec::new(),
            scratch: Vec::new(),
            pace: Pace::default(),
        }
    }

    /// Takes the real disk's completions, and notes whether the current one is late.
    fn collect_inner(&mut self, now: Nanos) {
        self.inner.collect(now, &mut self.scratch);
        for completion in self.scratch.drain(..) {
            match &mut self.current {
                Some(current) if current.tag == completion.tag => current.real = Some(completion),
                _ => debug_assert!(false, "the real disk completed what was never submitted"),
            }
        }
        if let Some(current) = &mut self.current {
            current.overdue |= current.real.is_none() && now >= current.finish;
        }
    }

    /// The current request's completion, if its time by the model has come and the real disk has
    /// completed it.
    fn finished(&mut self, now: Nanos) -> Option<Completion> {
        let current = self.current.as_mut()?;
        if now < current.finish {
            return None;
        }
        let mut completion = current.real.take()?;
        if current.overdue {
            self.pace.overran(current.paced);
            completion.completed_at = now;
            self.free_at = self.free_at.max(now);
        } else {
            completion.completed_at = current.finish;
            self.pace.kept(current.paced, now - current.finish);
        }
        self.current = None;
        Some(completion)
    }
}

impl<M: ServiceModel> Disk for PacedDisk<M> {
    fn properties(&self) -> &DiskProperties {
        &self.properties
    }

    fn submit(&mut self, now: Nanos, request: DiskRequest) {
        if self.current.is_some() {
            self.refused.push(Completion {
                tag: request.tag,
                result: Err(DiskError {
                    kind: DiskErrorKind::Io,
                    context: format!(
                        "{}: a second request was submitted while one is in flight",
                        self.properties.description
                    ),
                }),
                completed_at: now,
                buffers: request.buffers,
            });
            return;
        }
        let start = now.max(self.free_at);
        let (offset, len) = (request.offset_bytes, request.len_bytes);
        let mut finish = self.model.serve(start, request.operation, offset, len);
        if request.fua && self.model_caches_writes {
            finish = self.model.serve(finish, Operation::Flush, 0, 0);
        }
        debug_assert!(
            finish >= start,
            "a model cannot end a request before it starts"
        );
        self.free_at = finish;
        self.current = Some(Current {
            tag: request.tag,
            finish,
            overdue: false,
            paced: request.operation != Operation::Flush && !request.fua,
            real: None,
        });
        self.inner.submit(now, request);
        // Only one request is in flight at a time, so there is none to batch it with, and the real
        // I/O has the model's time from now on.
        self.inner.flush_submissions();
    }

    fn flush_submissions(&mut self) {
        self.inner.flush_submissions();
    }

    fn collect(&mut self, now: Nanos, completions: &mut Vec<Completion>) {
        completions.append(&mut self.refused);
        self.collect_inner(now);
        completions.extend(self.finished(now));
    }

    fn next_completion(&self) -> Option<Nanos> {
        if let Some(refused) = self.refused.first() {
            return Some(refused.completed_at);
        }
        let current = self.current.as_ref()?;
        if current.overdue && current.real.is_none() {
            return self.inner.next_completion();
        }
        Some(current.finish)
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
