//! The trait of a drive's model that serves several requests at once, without their data.
//!
//! A paced disk and a disk in virtual time are both driven by it, on one timeline of the model's
//! own: requests are submitted at times that never go back, and completions are taken in order.
//!
//! Invariants of every model: each request is completed exactly once and not before it was
//! submitted; the same calls give the same completions; memory is bounded by the requests in flight
//! and the parameters.

use crate::Operation;
use disktime_units::Nanos;

/// A request to a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelRequest {
    /// Chosen by the caller, returned with the completion.
    pub tag: u64,
    /// What to do.
    pub operation: Operation,
    /// Start of the range; 0 for a flush.
    pub offset_bytes: u64,
    /// Length of the range; 0 for a flush.
    pub len_bytes: u64,
    /// The write (or zeroing) is durable when it completes.
    pub durable: bool,
}

/// A request that a model has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelCompletion {
    /// The request's tag.
    pub tag: u64,
    /// When it was done, on the clock of the calls.
    pub at: Nanos,
}

/// A drive's time without its data, for a drive that overlaps requests.
pub trait OverlapModel {
    /// Starts a request at `now`, or at the time that the model has reached if that is later. The
    /// caller keeps at most the drive's `max_in_flight` in flight.
    fn submit(&mut self, now: Nanos, request: ModelRequest);

    /// No request completes before this time; `None` if none is in flight. A model that cannot
    /// know yet names a time that may turn out too early: then [`OverlapModel::pop_completion`]
    /// finds nothing, and a later time is named.
    fn next_completion(&self) -> Option<Nanos>;

    /// The first completion, if it is due by `until`. The model's time does not go beyond that
    /// completion, so that a request which takes its place can be submitted at its time.
    fn pop_completion(&mut self, until: Nanos) -> Option<ModelCompletion>;
}

impl<M: OverlapModel + ?Sized> OverlapModel for Box<M> {
    fn submit(&mut self, now: Nanos, request: ModelRequest) {
        (**self).submit(now, request);
    }
    fn next_completion(&self) -> Option<Nanos> {
        (**self).next_completion()
    }
    fn pop_completion(&mut self, until: Nanos) -> Option<ModelCompletion> {
        (**self).pop_completion(until)
    }
}
