//! Waits for a disk while it is being opened, in real or in virtual time.
//!
//! Opening reads and writes the label through the disk's loop, as every request does. There is no
//! reactor yet at that time, so a driver takes its place: it tells the time and waits.
//!
//! Invariant: one I/O is in flight at a time, and each is waited for. What is not known here: what
//! the bytes mean.

use crate::VolumeError;
use crate::label::{Step, Update};
use disktime_disks::{Buffer, Disk, DiskError, Operation};
use disktime_engine::{DiskLoop, Io, IoDone, StreamId};
use disktime_units::Nanos;
use std::os::fd::RawFd;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A clock and a way to wait.
pub trait Driver {
    /// The time.
    fn now(&mut self) -> Nanos;

    /// Returns at `until`, or earlier when one of `readable` is.
    ///
    /// # Errors
    /// When waiting fails.
    fn wait(&mut self, until: Option<Nanos>, readable: &[RawFd]) -> Result<(), VolumeError>;

    /// What tells the time of day: in virtual time, that clock, which starts in 1970.
    fn wall_clock(&self) -> WallClock {
        WallClock::Virtual
    }
}

/// What tells the time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WallClock {
    /// The clock of the loop, which starts in 1970.
    Virtual,
    /// The machine's.
    System,
}

impl WallClock {
    /// The time in nanoseconds since 1970; `now` is that of the loop.
    pub(crate) fn since_1970_ns(self, now: Nanos) -> u64 {
        match self {
            WallClock::Virtual => now.0,
            WallClock::System => {
                let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
                u64::try_from(since_1970.unwrap_or_default().as_nanos()).unwrap_or(u64::MAX)
            }
        }
    }
}

/// Virtual time: waiting is a jump.
#[derive(Debug, Default)]
pub struct VirtualDriver {
    /// The time.
    pub now: Nanos,
}

impl Driver for VirtualDriver {
    fn now(&mut self) -> Nanos {
        self.now
    }

    fn wait(&mut self, until: Option<Nanos>, _readable: &[RawFd]) -> Result<(), VolumeError> {
        let doing = "a request of the label";
        self.now = self.now.max(until.ok_or(VolumeError::Stuck { doing })?);
        Ok(())
    }
}

/// Real time, by the caller's clock, with `poll`.
pub struct RealDriver<F: FnMut() -> Nanos> {
    clock: F,
}

impl<F: FnMut() -> Nanos> RealDriver<F> {
    /// `clock` is the one that the loop will be turned with later.
    pub fn new(clock: F) -> RealDriver<F> {
        RealDriver { clock }
    }
}

impl<F: FnMut() -> Nanos> Driver for RealDriver<F> {
    fn now(&mut self) -> Nanos {
        (self.clock)()
    }

    fn wall_clock(&self) -> WallClock {
        WallClock::System
    }

    fn wait(&mut self, until: Option<Nanos>, readable: &[RawFd]) -> Result<(), VolumeError> {
        let left = until.map(|until| Duration::from(until.saturating_sub(self.now())));
        if readable.is_empty() {
            let doing = "a request of the label";
            std::thread::sleep(left.ok_or(VolumeError::Stuck { doing })?);
            return Ok(());
        }
        let timeout = left.map(|left| libc::timespec {
            tv_sec: left.as_secs() as libc::time_t,
            tv_nsec: libc::c_long::from(left.subsec_nanos() as i32),
        });
        let timeout = timeout
            .as_ref()
            .map_or(std::ptr::null(), std::ptr::from_ref);
        let entry = |fd: &RawFd| libc::pollfd {
            fd: *fd,
            events: libc::POLLIN,
            revents: 0,
        };
        let mut entries: Vec<libc::pollfd> = readable.iter().map(entry).collect();
        let count = entries.len() as libc::nfds_t;
        // SAFETY: the entries and the timeout live across the call; a null timeout waits for ever,
        // and a null mask leaves the signals as they are.
        let outcome =
            unsafe { libc::ppoll(entries.as_mut_ptr(), count, timeout, std::ptr::null()) };
        let error = std::io::Error::last_os_error();
        if outcome < 0 && error.kind() != std::io::ErrorKind::Interrupted {
            return Err(VolumeError::Wait(error));
        }
        if outcome > 0 {
            let ready = entries.iter().filter(|entry| entry.revents != 0);
            ready.for_each(|entry| disktime_disks::reset_wake(entry.fd));
        }
        Ok(())
    }
}

/// I/Os one after the other, each waited for.
pub(crate) struct Blocking<'a, D: Disk, R: Driver> {
    disk_loop: &'a mut DiskLoop<D>,
    driver: &'a mut R,
    stream: StreamId,
}

impl<'a, D: Disk, R: Driver> Blocking<'a, D, R> {
    /// `stream` pays.
    pub(crate) fn new(
        disk_loop: &'a mut DiskLoop<D>,
        driver: &'a mut R,
        stream: StreamId,
    ) -> Blocking<'a, D, R> {
        Blocking {
            disk_loop,
            driver,
            stream,
        }
    }

    /// Whether nothing can be written.
    pub(crate) fn is_read_only(&self) -> bool {
        self.disk_loop.disk().is_read_only()
    }

    /// The time of day, in nanoseconds since 1970.
    pub(crate) fn since_1970_ns(&mut self) -> u64 {
        let now = self.driver.now();
        self.driver.wall_clock().since_1970_ns(now)
    }

    pub(crate) fn read(
        &mut self,
        doing: &'static str,
        offset_bytes: u64,
        len_bytes: u64,
    ) -> Result<Vec<u8>, VolumeError> {
        let mut bytes = Vec::with_capacity(len_bytes as usize);
        for (offset, len) in self.pieces(offset_bytes, len_bytes) {
            let buffer = Some(Buffer::zeroed(len as usize));
            match self.run(doing, Operation::Read, offset, len, buffer)? {
                Some(buffer) => bytes.extend_from_slice(&buffer),
                None => bytes.resize(bytes.len() + len as usize, 0),
            }
        }
        Ok(bytes)
    }

    pub(crate) fn write(
        &mut self,
        doing: &'static str,
        offset_bytes: u64,
        bytes: &[u8],
    ) -> Result<(), VolumeError> {
        for (offset, len) in self.pieces(offset_bytes, bytes.len() as u64) {
            let start = (offset - offset_bytes) as usize;
            let buffer = Some(Buffer::copy_of(&bytes[start..start + len as usize]));
            self.run(doing, Operation::Write, offset, len, buffer)?;
        }
        Ok(())
    }

    /// Does the steps of an update of the label, up to the first that fails.
    pub(crate) fn update(
        &mut self,
        doing: &'static str,
        update: Update,
    ) -> Result<(), VolumeError> {
        for step in update {
            match step {
                Step::Flush => self.flush(doing)?,
                Step::Write {
                    offset_bytes,
                    bytes,
                } => self.write(doing, offset_bytes, &bytes)?,
            }
        }
        Ok(())
    }

    pub(crate) fn flush(&mut self, doing: &'static str) -> Result<(), VolumeError> {
        self.run(doing, Operation::Flush, 0, 0, None).map(drop)
    }

    fn pieces(&self, start: u64, len: u64) -> impl Iterator<Item = (u64, u64)> + use<D, R> {
        let quantum = u64::from(self.disk_loop.properties().quantum_bytes);
        let step = quantum as usize;
        (start..start + len)
            .step_by(step)
            .map(move |at| (at, quantum.min(start + len - at)))
    }

    fn run(
        &mut self,
        doing: &'static str,
        operation: Operation,
        offset_bytes: u64,
        len_bytes: u64,
        buffer: Option<Buffer>,
    ) -> Result<Option<Buffer>, VolumeError> {
        let failed = |source: DiskError| VolumeError::Disk { doing, source };
        let now = self.driver.now();
        let (tag, stream) = (0, self.stream);
        let io = Io {
            tag,
            stream,
            operation,
            offset_bytes,
            len_bytes,
            fua: false,
            buffer,
        };
        self.disk_loop.submit(now, io);
        let mut done: Vec<IoDone> = Vec::with_capacity(1);
        loop {
            let now = self.driver.now();
            self.disk_loop.turn(now, &mut done);
            if let Some(io) = done.pop() {
                return io.result.map(|()| io.buffer).map_err(failed);
            }
            let (wake, fd) = (self.disk_loop.next_wake(), self.disk_loop.wake_fd());
            if wake.is_none() && fd.is_none() {
                return Err(VolumeError::Stuck { doing });
            }
            self.driver.wait(wake, fd.as_slice())?;
        }
    }
}
