//! The interface of what a loop drives: requests for vdisks in, replies out, at times that the loop
//! gives.
//!
//! One trait under two clocks. In virtual time the loop jumps to `next_wake`; in real time it
//! sleeps until then or until one of `wake_fds` is readable.

use crate::{Reply, Request};
use disktime_units::Nanos;
use std::os::fd::RawFd;

/// Serves the vdisks of one disk, or of several that one loop drives.
pub trait Service {
    /// Takes a request. Invalid ones are taken too and answered with an error at the next turn.
    ///
    /// # Errors
    /// The request itself when the vdisk's queue is full: hold it and stop reading from that
    /// client until a reply for that vdisk has come. This is the back-pressure.
    fn submit(&mut self, now: Nanos, request: Request) -> Result<(), Request>;

    /// Collects completions, dispatches, and appends the replies that are due. Call after a batch
    /// of `submit`s, at `next_wake`, and when one of `wake_fds` is readable.
    fn turn(&mut self, now: Nanos, replies: &mut Vec<Reply>);

    /// When `turn` is to be called next if nothing else happens.
    fn next_wake(&self) -> Option<Nanos>;

    /// An eventfd for each real disk, which is set when `turn` may have something to do. The caller
    /// resets them, or waits for their edges. They stay the same.
    fn wake_fds(&self) -> Vec<RawFd>;

    /// Whether `next_wake` has to be kept to the microsecond (the disk is paced by a model, and its
    /// clients would see every delay), or may be late as the kernel's timers are, without polling.
    fn is_punctual(&self) -> bool {
        true
    }

    /// The caller did not run for so long although requests were in flight, so no stream could be
    /// served: a stopped process, a suspended machine. The next time that it names is behind that.
    fn paused(&mut self, gap: Nanos) {
        let _ = gap;
    }

    /// The server stops: work that no client waits for, and that can be done after the next start,
    /// is not begun any more. Requests go on.
    fn begin_stop(&mut self) {}

    /// The server stops and its drain time is over: queued requests, and those that come from now
    /// on, fail with [`crate::IoError::Shutdown`], except flushes. Requests that the disk has are
    /// finished. A service without a queue need not do anything.
    fn fail_queued(&mut self) {}

    /// The client of all requests of this origin is gone and did not end its session. What would
    /// only be done for its sake need not be done any more; each request is still answered once. A
    /// service whose requests are short need not do anything.
    fn client_gone(&mut self, origin: u64) {
        let _ = origin;
    }

    /// Whether no request is queued, in flight, or to be answered.
    fn is_idle(&self) -> bool;
}
