//! FUSE over io_uring. The kernel has an entry of the ring until a request comes in it; then the
//! server has the entry until it commits the reply, which returns the entry to the kernel. Data are
//! in the entry's own memory (its payload), and the vdisk reads and writes them there.
//!
//! The kernel has a queue for each processor, and a request comes by the queue of the processor
//! that the program runs on: the entries of a queue bound the requests of that processor that are
//! in flight at once. The kernel queues the others.
//!
//! The kernel fills entries when this thread enters or leaves the kernel. So a new request
//! interrupts any system call in which the thread sleeps, and most requests are in the completion
//! queue without a further call.
//!
//! Invariants: an entry's memory is accessed here only while the server has the entry; the entry is
//! committed only when no buffer refers to its memory. Memory that the kernel may still write to is
//! never unmapped. Submission and completion queue have space for every entry.

mod arena;
mod command;
mod header;
mod processors;

use crate::protocol::{Header, Malformed, Operation, decode, reply_header};
use arena::{Arena, PAYLOAD_BYTES};
use command::Command;
use disktime_engine::Buffer;
use header::SharedHeader;
use io_uring::{IoUring, opcode, squeue, types};
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::ptr::NonNull;
use std::sync::Arc;

/// Entries of a queue. All asynchronous requests may come by one queue and must leave space there
/// for the others, or a program with many of them would block every other program on its processor.
/// So a queue has many entries; most of them are never used and cost no memory.
const QUEUE_ENTRIES_MAX: usize = 640;
/// Entries of all queues: the space of a ring, without the submission that watches the device.
const ENTRIES_MAX: usize = (32 << 10) - 1;

/// Marks the completion that says that the device is readable.
const DEVICE: u64 = u64::MAX;

/// Owns the memory of an entry's payload; a second reference belongs to a buffer in that memory.
type PayloadOwner = Arc<Arc<Arena>>;

struct Entry {
    queue: u16,
    /// Identifies the entry's request when its reply is committed.
    commit_id: u64,
    unique: u64,
    owner: PayloadOwner,
}

/// What a completion of the ring says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RingEvent {
    /// A request is in this entry.
    Request(u32),
    DeviceReadable,
    /// The kernel refused a command with this errno.
    CommandRefused(i32),
    /// There is no completion.
    Empty,
}

/// The ring of a mount with its entries.
pub(crate) struct Ring {
    ring: IoUring<squeue::Entry128>,
    arena: Arc<Arena>,
    entries: Vec<Entry>,
    device: RawFd,
    /// How many entries the kernel has.
    entries_with_kernel: usize,
    /// There are submissions that the kernel has not taken.
    unsent: bool,
    /// The kernel refused the last submissions; logged once.
    refused: bool,
    /// Entries whose requests are completed while a buffer still refers to their memory.
    awaiting_release: Vec<u32>,
}

impl Ring {
    /// A ring for this device, which must outlive it. The kernel uses it after [`Ring::register`].
    pub(crate) fn new(device: RawFd) -> io::Result<Ring> {
        let queues = processors::count()?;
        let of_each = (ENTRIES_MAX / queues).min(QUEUE_ENTRIES_MAX);
        let count = queues * of_each;
        let size = u32::try_from((count + 1).next_power_of_two()).map_err(io::Error::other)?;
        let ring = IoUring::<squeue::Entry128>::builder()
            .dontfork()
            .setup_coop_taskrun()
            .build(size)?;
        let arena = Arc::new(Arena::new(count)?);
        let entry = |number| Entry {
            queue: (number / of_each) as u16,
            commit_id: 0,
            unique: 0,
            owner: Arc::new(Arc::clone(&arena)),
        };
        Ok(Ring {
            ring,
            entries: (0..count).map(entry).collect(),
            arena,
            device,
            entries_with_kernel: 0,
            unsent: false,
            refused: false,
            awaiting_release: Vec::new(),
        })
    }

    /// The limit of asynchronous requests for the kernel: four fifths of a queue.
    pub(crate) fn background_max(&self) -> u16 {
        let of_each = self.entries.iter().take_while(|entry| entry.queue == 0);
        (of_each.count() * 4 / 5) as u16
    }

    /// Registers all entries with the kernel. Their requests come to the thread that calls this.
    pub(crate) fn register(&mut self) {
        let address = |start: NonNull<u8>, len| libc::iovec {
            iov_base: start.as_ptr().cast(),
            iov_len: len,
        };
        let addresses: Vec<[libc::iovec; 2]> = (0..self.entries.len() as u32)
            .map(|entry| {
                [
                    address(self.arena.header(entry), size_of::<SharedHeader>()),
                    address(self.arena.payload(entry), PAYLOAD_BYTES),
                ]
            })
            .collect();
        self.watch_device();
        for (entry, addresses) in addresses.iter().enumerate() {
            let queue = self.entries[entry].queue;
            self.push(Command::Register(addresses).encode(self.device, queue, entry as u64));
            self.entries_with_kernel += 1;
        }
        // The kernel reads the addresses during the submission; they must live until then.
        while self.unsent && !self.refused {
            self.send();
        }
        if self.unsent {
            std::mem::forget(addresses);
        }
    }

    pub(crate) fn as_raw_fd(&self) -> RawFd {
        self.ring.as_raw_fd()
    }

    /// Whether there is a completion.
    pub(crate) fn is_ready(&mut self) -> bool {
        !self.ring.completion().is_empty()
    }

    /// Whether the kernel has any entries.
    pub(crate) fn has_entries_with_kernel(&self) -> bool {
        self.entries_with_kernel > 0
    }

    /// Makes the ring report once when the device becomes readable.
    pub(crate) fn watch_device(&mut self) {
        let poll = opcode::PollAdd::new(types::Fd(self.device), libc::POLLIN as u32);
        self.push(poll.build().user_data(DEVICE).into());
    }

    /// The next completion.
    pub(crate) fn next_event(&mut self) -> RingEvent {
        loop {
            let Some(completion) = self.ring.completion().next() else {
                return RingEvent::Empty;
            };
            if completion.user_data() == DEVICE {
                return RingEvent::DeviceReadable;
            }
            let entry = completion.user_data() as u32;
            self.entries_with_kernel -= 1;
            match -completion.result() {
                0 => {
                    self.entries[entry as usize].commit_id = self.shared(entry).commit_id();
                    return RingEvent::Request(entry);
                }
                // The connection has ended, which the device reports.
                libc::ENOTCONN | libc::ECONNABORTED | libc::ECANCELED => {}
                error => return RingEvent::CommandRefused(error),
            }
        }
    }

    fn shared(&self, entry: u32) -> &SharedHeader {
        // SAFETY: the header is initialised, and while the server has the entry, only `self`
        // changes it.
        unsafe { self.arena.header(entry).cast().as_ref() }
    }

    /// The header of the request in an entry.
    pub(crate) fn header(&mut self, entry: u32) -> Result<Header, Malformed> {
        let header = Header::decode(self.shared(entry).request())?;
        self.entries[entry as usize].unique = header.unique;
        Ok(header)
    }

    /// The operation of the request in an entry, with this header.
    pub(crate) fn operation(
        &self,
        entry: u32,
        header: &Header,
    ) -> Result<Operation<'_>, Malformed> {
        let shared = self.shared(entry);
        let len = shared.payload_bytes().min(PAYLOAD_BYTES);
        let start = self.arena.payload(entry).as_ptr();
        // SAFETY: as in `shared`; no buffer refers to the entry before its request is decoded.
        let payload = unsafe { std::slice::from_raw_parts(start, len) };
        match decode(header, shared.fixed(), Some(payload))? {
            Operation::Write { len_bytes, .. } if len_bytes as usize != len => Err(Malformed),
            Operation::Read { len_bytes, .. } if len_bytes as usize > PAYLOAD_BYTES => {
                Err(Malformed)
            }
            operation => Ok(operation),
        }
    }

    /// The first `len` bytes of an entry's payload as a buffer.
    pub(crate) fn payload(&mut self, entry: u32, len: usize) -> Buffer {
        assert!(len <= PAYLOAD_BYTES, "`operation` refuses more");
        let start = self.arena.payload(entry);
        let owner = Arc::clone(&self.entries[entry as usize].owner);
        // SAFETY: `len` initialised bytes, from the beginning of a page; the server has the entry,
        // and commits it only after `is_payload_free` has found that this buffer is dropped.
        unsafe { Buffer::lent(start, len, owner) }
    }

    /// Replies to the request of an entry with an errno and no body, or with 0 and the body.
    pub(crate) fn reply(&mut self, entry: u32, error: i32, body: &[u8]) {
        if body.len() > PAYLOAD_BYTES {
            let len = body.len();
            tracing::error!("a FUSE reply of {len} bytes is longer than {PAYLOAD_BYTES}");
            return self.commit(entry, libc::EIO, 0);
        }
        if !self.is_payload_free(entry) {
            return self.await_release(entry);
        }
        let start = self.arena.payload(entry).as_ptr();
        // SAFETY: there is space; the server has the entry and no buffer refers to its memory.
        unsafe { std::ptr::copy_nonoverlapping(body.as_ptr(), start, body.len()) };
        self.commit(entry, error, body.len());
    }

    /// Replies to a read with its data, which are in the entry already if they are in its buffer.
    pub(crate) fn reply_read(&mut self, entry: u32, data: Buffer) {
        if !std::ptr::eq(data.as_ptr(), self.arena.payload(entry).as_ptr()) {
            return self.reply(entry, 0, &data);
        }
        let len = data.len();
        drop(data);
        match self.is_payload_free(entry) {
            true => self.commit(entry, 0, len),
            false => self.await_release(entry),
        }
    }

    fn is_payload_free(&mut self, entry: u32) -> bool {
        Arc::get_mut(&mut self.entries[entry as usize].owner).is_some()
    }

    fn await_release(&mut self, entry: u32) {
        tracing::error!("a vdisk kept the buffer of a request that it completed");
        self.awaiting_release.push(entry);
    }

    fn commit(&mut self, entry: u32, error: i32, payload_bytes: usize) {
        let Entry {
            queue,
            commit_id,
            unique,
            ..
        } = self.entries[entry as usize];
        // SAFETY: as in `shared`, and `&mut self` makes the access exclusive.
        let shared: &mut SharedHeader = unsafe { self.arena.header(entry).cast().as_mut() };
        let body_bytes = if error == 0 { payload_bytes } else { 0 };
        shared.reply(reply_header(unique, error, body_bytes), body_bytes);
        let command = Command::CommitAndFetch { commit_id };
        self.push(command.encode(self.device, queue, u64::from(entry)));
        self.entries_with_kernel += 1;
    }

    fn push(&mut self, submission: squeue::Entry128) {
        // SAFETY: the kernel reads and writes in the arena, which is not unmapped while the kernel
        // has entries; `register` keeps what the kernel reads during the submission.
        let pushed = unsafe { self.ring.submission().push(&submission) };
        assert!(pushed.is_ok(), "the queue has room for every entry");
        self.unsent = true;
    }

    /// Whether there is something for `send` to do.
    pub(crate) fn has_unsent_replies(&self) -> bool {
        self.unsent || !self.awaiting_release.is_empty()
    }

    /// Submits all queued commands with one call. What the kernel does not take stays queued for
    /// the next call.
    pub(crate) fn send(&mut self) {
        for entry in std::mem::take(&mut self.awaiting_release) {
            match self.is_payload_free(entry) {
                true => self.commit(entry, libc::EIO, 0),
                false => self.awaiting_release.push(entry),
            }
        }
        if !self.unsent {
            return;
        }
        let submitted = self.ring.submit();
        self.unsent = !self.ring.submission().is_empty();
        let is_transient = |error: &io::Error| {
            matches!(
                error.raw_os_error(),
                Some(libc::EINTR | libc::EAGAIN | libc::EBUSY)
            )
        };
        let refused = submitted.err().filter(|error| !is_transient(error));
        if let Some(error) = &refused
            && !self.refused
        {
            tracing::error!("the kernel refuses FUSE replies; they are retried: {error}");
        }
        self.refused = refused.is_some();
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        while self.next_event() != RingEvent::Empty {}
        if self.entries_with_kernel > 0 {
            // The kernel stops using them some time after the ring is closed.
            std::mem::forget(Arc::clone(&self.arena));
        }
    }
}
