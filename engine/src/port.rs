//! The interface of a frontend that does its own I/O on the reactor's thread: a descriptor to wait
//! for, requests out, replies in. For frontends whose peer is no byte stream that can be read in
//! any portion (FUSE: one read is one request). As it runs on the reactor's thread, its requests
//! cross no thread.
//!
//! How the reactor drives it, each turn:
//! 1. `receive()` when the descriptor was readable and `wants_input()`; the port submits what has
//!    arrived, up to a bound of its own.
//! 2. `submit_held()` when it holds requests whose vdisk's queue was full, in order of arrival
//!    among all waiters.
//! 3. `reply()` for each reply, then `send()`.
//! 4. `turn()` in every turn; the port is dropped when it returns [`PortStatus::Closed`].
//!
//! Invariants: memory is bounded: a port with too many requests in flight wants no input. A port
//! may serve vdisks of other reactors too; it sends them mail, and their replies come back by
//! [`crate::PortHost::reply_to_port`].

use crate::{BufferPool, Reply, Request};
use std::os::fd::RawFd;

/// Hands a request to the service; gives it back when its vdisk's queue is full.
pub type Submit<'a> = &'a mut dyn FnMut(Request) -> Result<(), Request>;

/// A frontend on the reactor's thread.
pub trait Port: Send {
    /// The reactor opened it; its requests carry `origin`, and mailed replies to it must, too.
    fn opened(&mut self, origin: u64);

    /// Readable when `receive` may find something.
    fn descriptor(&self) -> RawFd;

    /// Whether `receive` may find something although the descriptor was not reported readable.
    fn is_ready(&mut self) -> bool {
        false
    }

    /// Whether it would take requests now.
    fn wants_input(&self) -> bool;

    /// Reads and submits requests. Requests that were given back are held, and later ones for the
    /// same vdisk behind them. Returns whether any was submitted.
    fn receive(&mut self, pool: &mut BufferPool, submit: Submit<'_>) -> bool;

    /// Whether it holds requests that were given back.
    fn holds_requests(&self) -> bool;

    /// Submits the held requests again; returns whether any was taken.
    fn submit_held(&mut self, submit: Submit<'_>) -> bool;

    /// Takes the reply to a request, and sends it at once or with the next `send`.
    fn reply(&mut self, reply: Reply, pool: &mut BufferPool);

    /// Sends the replies that are queued.
    fn send(&mut self) {}

    /// The reactor is stopping: requests that come from now on are refused.
    fn drain(&mut self);

    /// Does what is due once per turn; returns whether the port goes on.
    fn turn(&mut self) -> PortStatus;
}

/// The state of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortStatus {
    /// It is in use.
    Open,
    /// It is in use, and wants its next turn at once.
    Busy,
    /// Its peer has disconnected, and every request is answered.
    Closed,
}
