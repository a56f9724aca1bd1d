//! What other threads send to a reactor: connections, requests of frontends on other threads, ports
//! and replies for them, and functions to run on the service.
//!
//! Invariants: bounded: a sender waits while the mailbox is full, or gets its request back
//! ([`PortHost::try_submit`]). No mail is missed: a sender wakes a reactor that sleeps or is about
//! to.

use super::poller::WakeUp;
use crate::port::Port;
use crate::session::Session;
use crate::{Reply, Request, VdiskId};
use disktime_units::Nanos;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

/// Bound on messages that wait.
const CAPACITY: usize = 1024;

/// Called with the reply to a request, on the reactor's thread; must not block.
pub type ReplyCallback = Box<dyn FnOnce(Reply) + Send>;
/// Reads or changes the service between two turns; must not block.
pub type Visit<S> = Box<dyn FnOnce(&mut S, Nanos) + Send>;

/// One message.
pub(super) enum Mail<S> {
    Connect {
        socket: OwnedFd,
        session: Box<dyn Session>,
    },
    Submit {
        request: Request,
        callback: ReplyCallback,
    },
    Open(Box<dyn Port>),
    Reply(Reply),
    Visit(Visit<S>),
    Disconnect(VdiskId),
    Stop,
}

/// How senders wake the reactor.
pub(super) struct MailboxSignal {
    wake_up: WakeUp,
    /// The reactor sleeps or is about to: a sender has to wake it.
    sleeping: AtomicBool,
}

impl MailboxSignal {
    pub(super) fn new(wake_up: WakeUp) -> MailboxSignal {
        MailboxSignal {
            wake_up,
            sleeping: AtomicBool::new(false),
        }
    }

    /// The reactor will sleep unless it finds mail after this call.
    pub(super) fn announce_sleep(&self) {
        self.sleeping.store(true, Ordering::SeqCst);
    }

    /// The reactor is awake and will take its mail.
    pub(super) fn announce_awake(&self) {
        self.sleeping.store(false, Ordering::SeqCst);
    }

    /// The event of a sender was taken.
    pub(super) fn clear(&self) {
        self.wake_up.clear();
    }

    fn wake_sleeper(&self) {
        if self.sleeping.swap(false, Ordering::SeqCst) {
            self.wake_up.signal();
        }
    }
}

/// Sends to a reactor. Cheap to clone.
pub struct ReactorHandle<S> {
    sender: SyncSender<Mail<S>>,
    signal: Arc<MailboxSignal>,
}

impl<S> Clone for ReactorHandle<S> {
    fn clone(&self) -> ReactorHandle<S> {
        ReactorHandle {
            sender: self.sender.clone(),
            signal: Arc::clone(&self.signal),
        }
    }
}

/// The reactor has stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the disk's thread has stopped")]
pub struct ReactorGone;

impl<S> ReactorHandle<S> {
    pub(super) fn new(signal: Arc<MailboxSignal>) -> (ReactorHandle<S>, Receiver<Mail<S>>) {
        let (sender, receiver) = sync_channel(CAPACITY);
        (ReactorHandle { sender, signal }, receiver)
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

    /// The same without waiting for space in the mailbox; whether there was space.
    ///
    /// # Errors
    /// When the reactor has stopped.
    pub fn try_visit(&self, visit: Visit<S>) -> Result<bool, ReactorGone> {
        match self.sender.try_send(Mail::Visit(visit)) {
            Ok(()) => {
                self.signal.wake_sleeper();
                Ok(true)
            }
            Err(TrySendError::Full(_)) => Ok(false),
            Err(TrySendError::Disconnected(_)) => Err(ReactorGone),
        }
    }

    /// Ends the connections that use a vdisk, as a stop would: what was taken is answered, then the
    /// stream ends. A client that does not take its replies in the drain time is cut off.
    ///
    /// # Errors
    /// When the reactor has stopped.
    pub fn disconnect(&self, vdisk: VdiskId) -> Result<(), ReactorGone> {
        self.send(Mail::Disconnect(vdisk))
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
        self.signal.wake_sleeper();
        Ok(())
    }
}

/// A reactor as ports and the code that opens them see it, independent of its service.
pub trait PortHost: Send + Sync {
    /// Opens a port on the reactor's thread.
    ///
    /// # Errors
    /// When the reactor has stopped.
    fn open_port(&self, port: Box<dyn Port>) -> Result<(), ReactorGone>;

    /// Submits a request; `callback` is called with its reply. The caller bounds how many it has in
    /// flight. Never waits, so that reactors may submit to each other.
    ///
    /// # Errors
    /// The request itself, when the mailbox is full or the reactor has stopped.
    fn try_submit(&self, request: Request, callback: ReplyCallback) -> Result<(), NotTaken>;

    /// Delivers a reply to the port of its origin.
    ///
    /// # Errors
    /// When the reactor has stopped.
    fn reply_to_port(&self, reply: Reply) -> Result<(), ReactorGone>;

    /// Makes the reactor serve its ports again.
    fn wake(&self);

    /// Calls `done` on the reactor's thread between two turns: what its ports have read before is
    /// submitted then, or held by them.
    ///
    /// # Errors
    /// When the reactor has stopped.
    fn between_turns(&self, done: Box<dyn FnOnce() + Send>) -> Result<(), ReactorGone>;
}

/// Why a request was not taken by [`PortHost::try_submit`].
#[derive(Debug)]
pub enum NotTaken {
    /// The mailbox is full.
    Full(Request),
    /// The reactor has stopped.
    Gone(Request),
}

impl<S> PortHost for ReactorHandle<S> {
    fn open_port(&self, port: Box<dyn Port>) -> Result<(), ReactorGone> {
        self.send(Mail::Open(port))
    }

    fn try_submit(&self, request: Request, callback: ReplyCallback) -> Result<(), NotTaken> {
        let not_taken = match self.sender.try_send(Mail::Submit { request, callback }) {
            Ok(()) => {
                self.signal.wake_sleeper();
                return Ok(());
            }
            Err(not_taken) => not_taken,
        };
        match not_taken {
            TrySendError::Full(Mail::Submit { request, .. }) => Err(NotTaken::Full(request)),
            TrySendError::Disconnected(Mail::Submit { request, .. }) => {
                Err(NotTaken::Gone(request))
            }
            _ => unreachable!("the message that was sent comes back"),
        }
    }

    fn reply_to_port(&self, reply: Reply) -> Result<(), ReactorGone> {
        self.send(Mail::Reply(reply))
    }

    fn wake(&self) {
        // Even if it does not sleep: it may have served its ports in this turn already.
        self.signal.wake_up.signal();
    }

    fn between_turns(&self, done: Box<dyn FnOnce() + Send>) -> Result<(), ReactorGone> {
        self.visit(Box::new(move |_, _| done()))
    }
}

/// Takes the next message, if there is one.
pub(super) fn next_mail<S>(receiver: &Receiver<Mail<S>>) -> Option<Mail<S>> {
    receiver.try_recv().ok()
}
