//! What other threads send to a reactor: connections, requests of doors that live on other
//! threads, ports and their answers, and questions. Bounded: when it is full, the sender waits.

use super::poller::WakeUp;
use crate::port::Port;
use crate::session::Session;
use crate::{IoError, Reply, ReplyDetail, Request};
use disktime_units::Nanos;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

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
    Open(Box<dyn Port>),
    Answer(Reply),
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
        self.wake_sleeper();
        Ok(())
    }

    fn wake_sleeper(&self) {
        if self.shared.sleeping.swap(false, Ordering::SeqCst) {
            self.shared.wake_up.signal();
        }
    }
}

/// A reactor as ports and whoever opens them see it, whatever service it drives.
pub trait PortHost: Send + Sync {
    /// Opens a port on the reactor's thread.
    ///
    /// # Errors
    /// When the reactor has stopped.
    fn open_port(&self, port: Box<dyn Port>) -> Result<(), ReactorGone>;

    /// Submits a request; `answer` is called with its reply. The caller bounds how many it has
    /// under way. Never waits: for reactors among each other.
    ///
    /// # Errors
    /// The request itself, when the mailbox is full or the reactor has stopped.
    fn try_submit(&self, request: Request, answer: ReplyCallback) -> Result<(), NotTaken>;

    /// Brings an answer to the port of its origin.
    ///
    /// # Errors
    /// When the reactor has stopped.
    fn answer(&self, reply: Reply) -> Result<(), ReactorGone>;

    /// Lets the reactor look at its ports.
    fn wake(&self);
}

/// Why a request was not taken by [`PortHost::try_submit`].
#[derive(Debug)]
pub enum NotTaken {
    /// There is no room now.
    Full(Request),
    /// The reactor has stopped.
    Gone(Request),
}

impl<S> PortHost for ReactorHandle<S> {
    fn open_port(&self, port: Box<dyn Port>) -> Result<(), ReactorGone> {
        self.send(Mail::Open(port))
    }

    fn try_submit(&self, request: Request, answer: ReplyCallback) -> Result<(), NotTaken> {
        let not_taken = match self.sender.try_send(Mail::Submit { request, answer }) {
            Ok(()) => {
                self.wake_sleeper();
                return Ok(());
            }
            Err(not_taken) => not_taken,
        };
        match not_taken {
            TrySendError::Full(Mail::Submit { request, .. }) => Err(NotTaken::Full(request)),
            TrySendError::Disconnected(Mail::Submit { request, .. }) => {
                Err(NotTaken::Gone(request))
            }
            _ => unreachable!("the letter that was sent comes back"),
        }
    }

    fn answer(&self, reply: Reply) -> Result<(), ReactorGone> {
        self.send(Mail::Answer(reply))
    }

    fn wake(&self) {
        // Even if it is not asleep: it may have looked at its ports already.
        self.shared.wake_up.signal();
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
