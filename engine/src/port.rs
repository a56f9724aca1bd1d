//! What a door that does its own I/O is to the reactor: a descriptor to wait for, requests out,
//! replies in. For doors whose peer is no byte stream that can be read in any portion (FUSE: one read
//! is one request). It lives on the reactor's thread, so that its requests cross no thread.
//!
//! How the reactor drives it, each turn:
//! 1. `receive()` when the descriptor was readable and `wants_input()`; it submits what has come, as
//!    much as it takes at a time.
//! 2. `submit_held()` when it holds requests whose vdisk's queue was full, in its turn among all
//!    who wait.
//! 3. `reply()` for each answer, then `send()`.
//! 4. `turn()`, whatever happened, and dropped when it says that it is over.
//!
//! Invariants: memory is bounded. A port with too much under way says that it wants no input. A
//! port may serve vdisks of other reactors too; it sends them mail, whose answers come back by
//! [`crate::ReactorHandle::answer`].

use crate::{BufferPool, Reply, Request};
use std::os::fd::RawFd;

/// Hands a request to the service; gives it back when its vdisk's queue is full.
pub type Submit<'a> = &'a mut dyn FnMut(Request) -> Result<(), Request>;

/// A door on the reactor's thread.
pub trait Port: Send {
    /// It is opened; `origin` is what its requests carry, and what mailed answers to it must.
    fn opened(&mut self, origin: u64);

    /// Readable when `receive` may find something.
    fn descriptor(&self) -> RawFd;

    /// Whether `receive` may find something although the descriptor was not seen to be readable.
    fn is_ready(&mut self) -> bool {
        false
    }

    /// Whether it would take requests now.
    fn wants_input(&self) -> bool;

    /// Takes what has come. Requests that were given back are kept, and those that come later for
    /// the same vdisk behind them. Whether any was submitted.
    fn receive(&mut self, pool: &mut BufferPool, submit: Submit<'_>) -> bool;

    /// Whether it keeps requests that were given back.
    fn holds_requests(&self) -> bool;

    /// Submits those again; whether any went.
    fn submit_held(&mut self, submit: Submit<'_>) -> bool;

    /// Takes the answer to a request, and sends it at once or with the next `send`.
    fn reply(&mut self, reply: Reply, pool: &mut BufferPool);

    /// Sends the answers that wait.
    fn send(&mut self) {}

    /// The reactor is stopping: what comes from now on is refused.
    fn drain(&mut self);

    /// Looks around; whether it goes on.
    fn turn(&mut self) -> PortStatus;
}

/// Whether a port goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortStatus {
    /// It does.
    Open,
    /// It does, and wants its next turn at once.
    Busy,
    /// Its peer is gone, and nothing is left to be answered.
    Over,
}
