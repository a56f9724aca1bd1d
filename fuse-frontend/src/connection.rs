//! The connection to the kernel, by which messages come and replies go: a device, or a ring beside
//! a device. With a ring the device still brings the messages that the kernel sends only there:
//! that it forgets a name, that a program was interrupted, that the directory is unmounted.

use crate::batch_size::ReadBatchSize;
use crate::device::{Device, DeviceRead};
use crate::protocol::{Header, Malformed, Operation};
use crate::read_buffer::ReadBuffer;
use crate::ring::{Ring, RingEvent};
use disktime_engine::{Buffer, BufferPool};
use std::io;
use std::os::fd::RawFd;

/// The most messages that are taken out of a ring in one turn, so that the reactor's other
/// connections are served in between.
const TURN_MESSAGES_MAX: usize = 64;

/// Where the reply to a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReplyTo {
    /// To the device, for the request of this number.
    Device(u64),
    /// Into this entry of the ring.
    RingEntry(u32),
}

/// The result of receiving a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Received {
    /// There is a message.
    Message,
    /// There is no message now.
    Empty,
    /// The directory is unmounted, or the connection was aborted.
    Disconnected,
}

/// The connection of a mounted directory.
pub(crate) struct KernelConnection {
    /// Declared before the device, so that it is closed first.
    ring: Option<Ring>,
    device: Device,
    read_buffer: ReadBuffer,
    batch_size: ReadBatchSize,
    /// The ring entry of the current message; `None` if it came by the device.
    entry: Option<u32>,
    /// With a ring: whether the device must be read, or is disconnected.
    device_state: DeviceState,
}

/// The state of a device beside a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DeviceState {
    /// The ring reports when it becomes readable.
    Watched,
    Readable,
    /// The kernel returns the ring's entries.
    Disconnected,
}

impl KernelConnection {
    pub(crate) fn new(device: Device, ring: Option<Ring>) -> KernelConnection {
        KernelConnection {
            ring,
            device,
            read_buffer: ReadBuffer::new(),
            batch_size: ReadBatchSize::default(),
            entry: None,
            device_state: DeviceState::Watched,
        }
    }

    /// Whether messages come over io_uring.
    pub(crate) fn has_ring(&self) -> bool {
        self.ring.is_some()
    }

    /// To be called on the thread that serves the connection, before any other method.
    pub(crate) fn opened(&mut self) {
        self.ring.iter_mut().for_each(Ring::register);
    }

    pub(crate) fn descriptor(&self) -> RawFd {
        match &self.ring {
            Some(ring) => ring.as_raw_fd(),
            None => self.device.as_raw_fd(),
        }
    }

    /// Whether there is a message that the descriptor may not have reported.
    pub(crate) fn is_ready(&mut self) -> bool {
        self.ring.as_mut().is_some_and(Ring::is_ready)
    }

    /// How many messages to receive in this turn. To check an empty ring costs nothing.
    pub(crate) fn batch_size(&self) -> usize {
        match self.ring {
            Some(_) => TURN_MESSAGES_MAX,
            None => self.batch_size.requests(),
        }
    }

    /// There were only `count` messages in this turn.
    pub(crate) fn ended_after(&mut self, count: usize) {
        self.batch_size.ended_after(count);
    }

    /// There were as many messages as the batch size.
    pub(crate) fn was_full(&mut self) {
        self.batch_size.was_full();
    }

    /// Receives the next message.
    pub(crate) fn receive(&mut self) -> io::Result<Received> {
        self.entry = None;
        let Some(ring) = &mut self.ring else {
            return Ok(match self.read_buffer.fill(&self.device)? {
                DeviceRead::Request(_) => Received::Message,
                DeviceRead::Empty => Received::Empty,
                DeviceRead::Disconnected => Received::Disconnected,
            });
        };
        loop {
            if self.device_state == DeviceState::Readable {
                match self.read_buffer.fill(&self.device)? {
                    DeviceRead::Request(_) => return Ok(Received::Message),
                    DeviceRead::Disconnected => self.device_state = DeviceState::Disconnected,
                    DeviceRead::Empty => {
                        self.device_state = DeviceState::Watched;
                        ring.watch_device();
                    }
                }
            }
            match ring.next_event() {
                RingEvent::Request(entry) => {
                    self.entry = Some(entry);
                    return Ok(Received::Message);
                }
                RingEvent::DeviceReadable => self.device_state = DeviceState::Readable,
                RingEvent::CommandRefused(error) => {
                    return Err(io::Error::from_raw_os_error(error));
                }
                RingEvent::Empty => {
                    let is_over = self.device_state == DeviceState::Disconnected
                        && !ring.has_entries_with_kernel();
                    return Ok(if is_over {
                        Received::Disconnected
                    } else {
                        Received::Empty
                    });
                }
            }
        }
    }

    /// The header of the message.
    pub(crate) fn header(&mut self) -> Result<Header, Malformed> {
        match self.in_ring() {
            Some((ring, entry)) => ring.header(entry),
            None => self.read_buffer.header(),
        }
    }

    /// The operation of the message with this header.
    pub(crate) fn operation(&mut self, header: &Header) -> Result<Operation<'_>, Malformed> {
        match (&mut self.ring, self.entry) {
            (Some(ring), Some(entry)) => ring.operation(entry, header),
            _ => self.read_buffer.operation(header),
        }
    }

    /// Where the reply to the message goes.
    pub(crate) fn reply_to(&self, header: &Header) -> ReplyTo {
        match self.entry {
            Some(entry) => ReplyTo::RingEntry(entry),
            None => ReplyTo::Device(header.unique),
        }
    }

    /// A buffer for the data that the message reads.
    pub(crate) fn buffer_for_read(&mut self, len: usize, pool: &mut BufferPool) -> Buffer {
        match self.in_ring() {
            Some((ring, entry)) => ring.payload(entry, len),
            None => pool.take(len),
        }
    }

    /// The data that the message writes, `len` bytes.
    pub(crate) fn written_data(&mut self, len: usize, pool: &mut BufferPool) -> Buffer {
        match self.in_ring() {
            Some((ring, entry)) => ring.payload(entry, len),
            None => self.read_buffer.take_data(len, pool),
        }
    }

    fn in_ring(&mut self) -> Option<(&mut Ring, u32)> {
        self.ring.as_mut().zip(self.entry)
    }

    /// Replies with an errno and no body, or with 0 and the body. The buffers of the message must
    /// have been dropped.
    pub(crate) fn reply(&mut self, reply_to: ReplyTo, error: i32, body: &[u8]) {
        match (reply_to, &mut self.ring) {
            (ReplyTo::RingEntry(entry), Some(ring)) => ring.reply(entry, error, body),
            (ReplyTo::Device(unique), _) => self.device.reply(unique, error, body),
            (ReplyTo::RingEntry(_), None) => {}
        }
    }

    /// Replies to a read with its data.
    pub(crate) fn reply_read(&mut self, reply_to: ReplyTo, data: Buffer, pool: &mut BufferPool) {
        if let (ReplyTo::RingEntry(entry), Some(ring)) = (reply_to, &mut self.ring) {
            return ring.reply_read(entry, data);
        }
        self.reply(reply_to, 0, &data);
        pool.put(data);
    }

    /// Sends the queued replies of a ring; those of a device are sent at once.
    pub(crate) fn send(&mut self) {
        self.ring.iter_mut().for_each(Ring::send);
    }

    /// Whether replies are still queued.
    pub(crate) fn has_unsent_replies(&self) -> bool {
        self.ring.as_ref().is_some_and(Ring::has_unsent_replies)
    }
}
