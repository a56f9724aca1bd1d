//! What other threads send to a reactor: connections, requests of doors that live on other
//! threads (FUSE), and questions. Bounded: when it is full, the sender waits.

use super::poller::WakeUp;
use crate::session::Session;
use crate::{IoError, Reply, ReplyDetail, Request};
use disktime_units::Nanos;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Mail that waits at most.
const CAPACITY: usize = 1024;

/// Called with the answer to a request, on the reactor's thread; must not block.
pub type ReplyCallback = Box<dyn FnOnce(Reply) + Send>;
/// Looks at or changes the service between two turns; must not block.
pub type Visit<S> = Box<dyn FnOnce(&mut S, Nanos) + Send>;

/// A letter.
pub(super) enum Mail<S> {
    Connect {
        socket: OwnedFd,
        session: Box<dyn Session>,
    },
    Submit {
        request: Request,
        answer: ReplyCallback,
    },
    Visit(Visit<S>),
    Stop,
}

pub(super) struct Shared {
    pub(super) wake_up: WakeUp,
    /// The reactor is about to sleep: a sender has to wake it.
    pub(super) sleeping: AtomicBool,
}

/// Sends to a reactor. Cheap to clone.
pub struct ReactorHandle<S> {
    sender: SyncSender<Mail<S>>,
    shared: Arc<Shared>,
}

impl<S> Clone for ReactorHandle<S> {
    fn clone(&self) -> ReactorHandle<S> {
        ReactorHandle {
            sender: self.sender.clone(),
            shared: Arc::clone(&self.shared),
        }
    }
}

/// The reactor is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the disk's thread has stopped")]
pub struct ReactorGone;

impl<S> ReactorHandle<S> {
    pub(super) fn new(shared: Arc<Shared>) -> (ReactorHandle<S>, Receiver<Mail<S>>) {
        let (sender, receiver) = sync_channel(CAPACITY);
        (ReactorHandle { sender, shared }, receiver)
    }

    /// Hands a connection over after its handshake.
    ///
    /// # Errors
    /// When the reactor has stopped.
    pub fn connect(&self, socket: OwnedFd, session: Box<dyn Session>) -> Result<(), ReactorGone> {
        self.send(Mail::Connect { socket, session })
    }

    /// Submits a request; `answer` is called with its reply. The caller bounds how many it has
    /// under way.
    ///
    /// # Errors
    /// When the reactor has stopped.
    pub fn submit(&self, request: Request, answer: ReplyCallback) -> Result<(), ReactorGone> {
        self.send(Mail::Submit { request, answer })
    }

    /// Runs `visit` on the reactor's thread between two turns.
    ///
    /// # Errors
    /// When the reactor has stopped.
    pub fn visit(&self, visit: Visit<S>) -> Result<(), ReactorGone> {
        self.send(Mail::Visit(visit))
    }

    /// Asks the reactor to drain its connections and to end.
    ///
    /// # Errors
    /// When the reactor has stopped already.
    pub fn stop(&self) -> Result<(), ReactorGone> {
        self.send(Mail::Stop)
    }

    fn send(&self, mail: Mail<S>) -> Result<(), ReactorGone> {
        self.sender.send(mail).map_err(|_| ReactorGone)?;
        if self.shared.sleeping.swap(false, Ordering::SeqCst) {
            self.shared.wake_up.signal();
        }
        Ok(())
    }
}

/// What an answer looks like when there is nobody left to give one.
pub(super) fn shutdown_reply(request: Request) -> Reply {
    Reply {
        origin: request.origin,
        handle: request.handle,
        kind: request.kind,
        result: Err(IoError::Shutdown),
        buffer: request.buffer,
        detail: ReplyDetail::Nothing,
    }
}

/// Takes the next letter, if there is one.
pub(super) fn next_mail<S>(receiver: &Receiver<Mail<S>>) -> Option<Mail<S>> {
    receiver.try_recv().ok()
}
