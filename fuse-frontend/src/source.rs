//! Where the kernel's messages come from and their answers go: a device, or a ring beside it. Then the
//! device still brings what the kernel sends there alone: that it forgets a name, that a program was
//! interrupted, that it is all over.

use crate::appetite::Appetite;
use crate::device::{Device, Taken};
use crate::inbox::Inbox;
use crate::protocol::{Header, Malformed, Operation};
use crate::ring::{Came, Ring};
use disktime_engine::{Buffer, BufferPool};
use std::io;
use std::os::fd::RawFd;

/// Messages that are taken out of a ring in one turn at most, so that others have their turn too.
const TURN_MESSAGES_MAX: usize = 64;

/// By what a message is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ticket {
    /// By this number, to the device.
    Unique(u64),
    /// In this entry of the ring.
    Entry(u32),
}

/// What a look for a message brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// There is one.
    Message,
    /// There is none now.
    Nothing,
    /// The directory is unmounted, or the connection was cut.
    Gone,
}

/// A mounted connection.
pub(crate) struct Source {
    /// Before the device, so that it is closed first.
    ring: Option<Ring>,
    device: Device,
    inbox: Inbox,
    appetite: Appetite,
    /// The entry of the message at hand; none if it came by the device.
    entry: Option<u32>,
    /// With a ring: whether the device has to be read, or has ended.
    device_state: DeviceState,
}

/// What is known of a device beside a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DeviceState {
    /// The ring tells when there is something.
    Watched,
    Readable,
    /// What the kernel has of the ring is coming back.
    Gone,
}

impl Source {
    pub(crate) fn new(device: Device, ring: Option<Ring>) -> Source {
        Source {
            ring,
            device,
            inbox: Inbox::new(),
            appetite: Appetite::default(),
            entry: None,
            device_state: DeviceState::Watched,
        }
    }

    /// Whether messages come over io_uring.
    pub(crate) fn has_ring(&self) -> bool {
        self.ring.is_some()
    }

    /// It is on the thread that it will be used on.
    pub(crate) fn opened(&mut self) {
        self.ring.iter_mut().for_each(Ring::register);
    }

    pub(crate) fn descriptor(&self) -> RawFd {
        match &self.ring {
            Some(ring) => ring.as_raw_fd(),
            None => self.device.as_raw_fd(),
        }
    }

    /// Whether there is a message that the descriptor need not have told of.
    pub(crate) fn is_ready(&mut self) -> bool {
        self.ring.as_mut().is_some_and(Ring::is_ready)
    }

    /// How many messages to take in one turn. A look into an empty ring costs nothing.
    pub(crate) fn appetite(&self) -> usize {
        match self.ring {
            Some(_) => TURN_MESSAGES_MAX,
            None => self.appetite.requests(),
        }
    }

    /// So many messages came, and no more.
    pub(crate) fn came_to_the_end(&mut self, count: usize) {
        self.appetite.came_to_the_end(count);
    }

    /// As many messages came as were wanted.
    pub(crate) fn was_satisfied(&mut self) {
        self.appetite.was_satisfied();
    }

    /// Takes the next message.
    pub(crate) fn next(&mut self) -> io::Result<Next> {
        self.entry = None;
        let Some(ring) = &mut self.ring else {
            return Ok(match self.inbox.fill(&self.device)? {
                Taken::Request(_) => Next::Message,
                Taken::Nothing => Next::Nothing,
                Taken::Gone => Next::Gone,
            });
        };
        loop {
            if self.device_state == DeviceState::Readable {
                match self.inbox.fill(&self.device)? {
                    Taken::Request(_) => return Ok(Next::Message),
                    Taken::Gone => self.device_state = DeviceState::Gone,
                    Taken::Nothing => {
                        self.device_state = DeviceState::Watched;
                        ring.watch_device();
                    }
                }
            }
            match ring.take() {
                Came::Request(entry) => {
                    self.entry = Some(entry);
                    return Ok(Next::Message);
                }
                Came::Device => self.device_state = DeviceState::Readable,
                Came::Refusal(error) => return Err(io::Error::from_raw_os_error(error)),
                Came::Nothing => {
                    let is_gone = self.device_state == DeviceState::Gone && !ring.is_with_kernel();
                    return Ok(if is_gone { Next::Gone } else { Next::Nothing });
                }
            }
        }
    }

    /// The header of the message.
    pub(crate) fn header(&mut self) -> Result<Header, Malformed> {
        match self.in_ring() {
            Some((ring, entry)) => ring.header(entry),
            None => self.inbox.header(),
        }
    }

    /// What the message, whose header this is, asks.
    pub(crate) fn operation(&mut self, header: &Header) -> Result<Operation<'_>, Malformed> {
        match (&mut self.ring, self.entry) {
            (Some(ring), Some(entry)) => ring.operation(entry, header),
            _ => self.inbox.operation(header),
        }
    }

    /// By what the message is answered.
    pub(crate) fn ticket(&self, header: &Header) -> Ticket {
        match self.entry {
            Some(entry) => Ticket::Entry(entry),
            None => Ticket::Unique(header.unique),
        }
    }

    /// Room for what the message reads.
    pub(crate) fn room(&mut self, len: usize, pool: &mut BufferPool) -> Buffer {
        match self.in_ring() {
            Some((ring, entry)) => ring.payload(entry, len),
            None => pool.take(len),
        }
    }

    /// The first bytes of what the message writes.
    pub(crate) fn data(&mut self, len: usize, pool: &mut BufferPool) -> Buffer {
        match self.in_ring() {
            Some((ring, entry)) => ring.payload(entry, len),
            None => self.inbox.take_data(len, pool),
        }
    }

    fn in_ring(&mut self) -> Option<(&mut Ring, u32)> {
        self.ring.as_mut().zip(self.entry)
    }

    /// Answers: with an errno and no body, or with 0 and the body. Nobody has the message's data any more.
    pub(crate) fn answer(&mut self, ticket: Ticket, error: i32, body: &[u8]) {
        match (ticket, &mut self.ring) {
            (Ticket::Entry(entry), Some(ring)) => ring.answer(entry, error, body),
            (Ticket::Unique(unique), _) => self.device.answer(unique, error, body),
            (Ticket::Entry(_), None) => {}
        }
    }

    /// Answers a read with its data.
    pub(crate) fn answer_read(&mut self, ticket: Ticket, data: Buffer, pool: &mut BufferPool) {
        if let (Ticket::Entry(entry), Some(ring)) = (ticket, &mut self.ring) {
            return ring.answer_read(entry, data);
        }
        self.answer(ticket, 0, &data);
        pool.put(data);
    }

    /// Sends the answers that wait; those of a device do not.
    pub(crate) fn send(&mut self) {
        self.ring.iter_mut().for_each(Ring::send);
    }

    /// Whether some still wait.
    pub(crate) fn is_unsent(&self) -> bool {
        self.ring.as_ref().is_some_and(Ring::is_unsent)
    }
}
