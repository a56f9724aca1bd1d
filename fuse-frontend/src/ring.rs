//! FUSE over io_uring: each entry of the ring is with the kernel until a request comes in it, and then the
//! server's until its reply is committed, which gives the entry back. Data lies in the entry's own
//! memory, and the vdisk reads and writes it there.
//!
//! Each processor has a queue, and a request comes by the queue of the processor that the program runs
//! on: the entries of a queue are how many requests of that processor are under way at once. The kernel
//! keeps the others.
//!
//! The kernel fills entries when this thread enters or leaves it, so a thread that sleeps in any system
//! call is interrupted for them, and most often finds them there without asking.
//!
//! Invariants: an entry's memory is touched here only while the entry is the server's; it goes back when
//! nobody has a buffer in it. Memory that the kernel may still write to is never given back to the
//! system. Both queues of the ring have room for every entry.

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

/// Entries of a queue. All asynchronous requests may come by one queue, and must leave room there for the
/// others, or a program with many of them would hold up everybody on its processor. So there are many,
/// of which most are never used and cost no memory.
const QUEUE_ENTRIES_MAX: usize = 640;
/// Entries of all queues: what a ring has room for, without the one for the device.
const ENTRIES_MAX: usize = (32 << 10) - 1;

/// The completion that says that the device may be read.
const DEVICE: u64 = u64::MAX;

/// Keeps the memory for a buffer in an entry; a second reference is a buffer that somebody has.
type Lender = Arc<Arc<Arena>>;

struct Entry {
    queue: u16,
    /// Of the request that it holds.
    commit_id: u64,
    unique: u64,
    lender: Lender,
}

/// What a look into the ring brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Came {
    /// A request in this entry.
    Request(u32),
    /// The device may be read.
    Device,
    /// The kernel refused a command, for this reason.
    Refusal(i32),
    Nothing,
}

/// The ring of a mount with its entries.
pub(crate) struct Ring {
    ring: IoUring<squeue::Entry128>,
    arena: Arc<Arena>,
    entries: Vec<Entry>,
    device: RawFd,
    /// How many of the entries the kernel has.
    with_kernel: usize,
    /// Submissions wait.
    unsent: bool,
    /// The kernel refused the last submissions; said once.
    refused: bool,
    /// Entries whose memory somebody has although their requests are answered.
    withheld: Vec<u32>,
}

impl Ring {
    /// A ring for this device, which must outlive it. The kernel knows of it after [`Ring::register`].
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
            lender: Arc::new(Arc::clone(&arena)),
        };
        Ok(Ring {
            ring,
            entries: (0..count).map(entry).collect(),
            arena,
            device,
            with_kernel: 0,
            unsent: false,
            refused: false,
            withheld: Vec::new(),
        })
    }

    /// Asynchronous requests that the kernel should send at once: four fifths of a queue.
    pub(crate) fn background_max(&self) -> u16 {
        let of_each = self.entries.iter().take_while(|entry| entry.queue == 0);
        (of_each.count() * 4 / 5) as u16
    }

    /// Gives the kernel all entries. What comes in them comes to the thread that calls this.
    pub(crate) fn register(&mut self) {
        let place = |start: NonNull<u8>, len| libc::iovec {
            iov_base: start.as_ptr().cast(),
            iov_len: len,
        };
        let places: Vec<[libc::iovec; 2]> = (0..self.entries.len() as u32)
            .map(|entry| {
                [
                    place(self.arena.header(entry), size_of::<SharedHeader>()),
                    place(self.arena.payload(entry), PAYLOAD_BYTES),
                ]
            })
            .collect();
        self.watch_device();
        for (entry, places) in places.iter().enumerate() {
            let queue = self.entries[entry].queue;
            self.push(Command::Register(places).encode(self.device, queue, entry as u64));
            self.with_kernel += 1;
        }
        // The places must be there until they are read.
        while self.unsent && !self.refused {
            self.send();
        }
        if self.unsent {
            std::mem::forget(places);
        }
    }

    pub(crate) fn as_raw_fd(&self) -> RawFd {
        self.ring.as_raw_fd()
    }

    /// Whether something has come.
    pub(crate) fn is_ready(&mut self) -> bool {
        !self.ring.completion().is_empty()
    }

    /// Whether the kernel has any of the entries.
    pub(crate) fn is_with_kernel(&self) -> bool {
        self.with_kernel > 0
    }

    /// Has the ring tell when there is something to read from the device, once.
    pub(crate) fn watch_device(&mut self) {
        let poll = opcode::PollAdd::new(types::Fd(self.device), libc::POLLIN as u32);
        self.push(poll.build().user_data(DEVICE).into());
    }

    /// The next thing that has come.
    pub(crate) fn take(&mut self) -> Came {
        loop {
            let Some(completion) = self.ring.completion().next() else {
                return Came::Nothing;
            };
            if completion.user_data() == DEVICE {
                return Came::Device;
            }
            let entry = completion.user_data() as u32;
            self.with_kernel -= 1;
            match -completion.result() {
                0 => {
                    self.entries[entry as usize].commit_id = self.shared(entry).commit_id();
                    return Came::Request(entry);
                }
                // The connection has ended, which the device tells.
                libc::ENOTCONN | libc::ECONNABORTED | libc::ECANCELED => {}
                error => return Came::Refusal(error),
            }
        }
    }

    fn shared(&self, entry: u32) -> &SharedHeader {
        // SAFETY: there is an initialised header, and as the entry is the server's, only `self` changes it.
        unsafe { self.arena.header(entry).cast().as_ref() }
    }

    /// The header of the request in an entry.
    pub(crate) fn header(&mut self, entry: u32) -> Result<Header, Malformed> {
        let header = Header::decode(self.shared(entry).request())?;
        self.entries[entry as usize].unique = header.unique;
        Ok(header)
    }

    /// What the request in an entry, whose header this is, asks.
    pub(crate) fn operation(
        &self,
        entry: u32,
        header: &Header,
    ) -> Result<Operation<'_>, Malformed> {
        let shared = self.shared(entry);
        let len = shared.payload_bytes().min(PAYLOAD_BYTES);
        let start = self.arena.payload(entry).as_ptr();
        // SAFETY: as in `shared`; nobody has a buffer in the entry before its request is decoded.
        let payload = unsafe { std::slice::from_raw_parts(start, len) };
        match decode(header, shared.fixed(), Some(payload))? {
            Operation::Write { len_bytes, .. } if len_bytes as usize != len => Err(Malformed),
            Operation::Read { len_bytes, .. } if len_bytes as usize > PAYLOAD_BYTES => {
                Err(Malformed)
            }
            operation => Ok(operation),
        }
    }

    /// The first bytes of an entry's payload, to be read from or written to.
    pub(crate) fn payload(&mut self, entry: u32, len: usize) -> Buffer {
        assert!(len <= PAYLOAD_BYTES, "`operation` refuses more");
        let start = self.arena.payload(entry);
        let lender = Arc::clone(&self.entries[entry as usize].lender);
        // SAFETY: `len` initialised bytes, from the beginning of a page; the entry is the server's, and
        // goes to the kernel only after `is_alone` has seen that this buffer is gone.
        unsafe { Buffer::lent(start, len, lender) }
    }

    /// Answers the request of an entry: with an errno and no body, or with 0 and the body.
    pub(crate) fn answer(&mut self, entry: u32, error: i32, body: &[u8]) {
        if body.len() > PAYLOAD_BYTES {
            tracing::error!("a FUSE reply of {} bytes is too long", body.len());
            return self.commit(entry, libc::EIO, 0);
        }
        if !self.is_alone(entry) {
            return self.withhold(entry);
        }
        let start = self.arena.payload(entry).as_ptr();
        // SAFETY: there is room; the entry is the server's and nobody has a buffer in it.
        unsafe { std::ptr::copy_nonoverlapping(body.as_ptr(), start, body.len()) };
        self.commit(entry, error, body.len());
    }

    /// Answers a read with its data, which lies in the entry already if it is what it lent.
    pub(crate) fn answer_read(&mut self, entry: u32, data: Buffer) {
        if !std::ptr::eq(data.as_ptr(), self.arena.payload(entry).as_ptr()) {
            return self.answer(entry, 0, &data);
        }
        let len = data.len();
        drop(data);
        match self.is_alone(entry) {
            true => self.commit(entry, 0, len),
            false => self.withhold(entry),
        }
    }

    fn is_alone(&mut self, entry: u32) -> bool {
        Arc::get_mut(&mut self.entries[entry as usize].lender).is_some()
    }

    fn withhold(&mut self, entry: u32) {
        tracing::error!("a vdisk kept the memory of a request that it answered");
        self.withheld.push(entry);
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
        self.with_kernel += 1;
    }

    fn push(&mut self, submission: squeue::Entry128) {
        // SAFETY: what the kernel reads and writes lies in the arena, which is not unmapped while it
        // has entries; `register` keeps what it reads at once.
        let pushed = unsafe { self.ring.submission().push(&submission) };
        assert!(pushed.is_ok(), "the queue has room for every entry");
        self.unsent = true;
    }

    /// Whether something waits that `send` can do.
    pub(crate) fn is_unsent(&self) -> bool {
        self.unsent || !self.withheld.is_empty()
    }

    /// Gives the kernel what waits, with one call. What it does not take stays and is tried again.
    pub(crate) fn send(&mut self) {
        for entry in std::mem::take(&mut self.withheld) {
            match self.is_alone(entry) {
                true => self.commit(entry, libc::EIO, 0),
                false => self.withheld.push(entry),
            }
        }
        if !self.unsent {
            return;
        }
        let submitted = self.ring.submit();
        self.unsent = !self.ring.submission().is_empty();
        let passing = |error: &io::Error| {
            matches!(
                error.raw_os_error(),
                Some(libc::EINTR | libc::EAGAIN | libc::EBUSY)
            )
        };
        let refused = submitted.err().filter(|error| !passing(error));
        if let Some(error) = &refused
            && !self.refused
        {
            tracing::error!("the kernel takes no FUSE replies, which wait until it does: {error}");
        }
        self.refused = refused.is_some();
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        while self.take() != Came::Nothing {}
        if self.with_kernel > 0 {
            // It lets go of them some time after the ring is closed.
            std::mem::forget(Arc::clone(&self.arena));
        }
    }
}
