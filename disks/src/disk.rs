//! The trait of every disk, with its requests, completions and properties.
//!
//! One trait for two clocks. A disk never reads a clock: every call passes the time. A modelled
//! disk knows when its next request ends ([`Disk::next_completion`]); a real one has a file
//! descriptor that becomes readable ([`Disk::wake_fd`]); a paced one has both.
//!
//! Invariants: every request submitted is completed exactly once, with its buffers; at most
//! `max_in_flight` are in flight; completions are reported in order of their `completed_at`.

use crate::{Buffer, Capabilities, CutMark, DiscardEffect, FreeSpace, PacingReport};
use disktime_drive_models::{CostModel, DriveProperties, Operation, PositioningMap, SeekPoint};
use disktime_units::Nanos;
use std::os::fd::RawFd;
use thiserror::Error;

/// One request to a disk.
#[derive(Debug)]
pub struct DiskRequest {
    /// Chosen by the caller, returned with the completion, unique among those in flight.
    pub tag: u64,
    /// What to do.
    pub operation: Operation,
    /// Start of the range; a multiple of the disk's `block_bytes`. 0 for a flush.
    pub offset_bytes: u64,
    /// Length of the range; a multiple of the disk's `block_bytes`. 0 for a flush.
    pub len_bytes: u64,
    /// The write (or zeroing) is durable when it completes.
    pub fua: bool,
    /// For reads and writes: consecutive pieces of the range, `len_bytes` in all, each a multiple
    /// of `block_bytes`. Empty otherwise; and empty for reads and writes that only a model serves
    /// (a disk with `holds_data == false` ignores buffers).
    pub buffers: Vec<Buffer>,
}

/// A request that has ended.
#[derive(Debug)]
pub struct Completion {
    /// The request's tag.
    pub tag: u64,
    /// Whether it succeeded. A short read or write is continued by the disk, never reported.
    pub result: Result<(), DiskError>,
    /// When it ended, on the clock of the calls; a modelled or paced disk reports the model's time,
    /// which may be before the `now` of the call that collected it.
    pub completed_at: Nanos,
    /// The request's buffers, in order.
    pub buffers: Vec<Buffer>,
}

/// The kind of a failure; each maps to one error of the frontends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskErrorKind {
    /// The device failed the request (EIO and everything without a better name).
    Io,
    /// No space for the write on the file system that holds the disk's file.
    NoSpace,
    /// The device or file cannot be written to (EROFS, EPERM); nothing of the request was.
    ReadOnly,
    /// The device does not do this operation.
    NotSupported,
    /// An earlier flush failed, so no data can be called durable until a restart.
    FlushFailedBefore,
}

/// A failed request.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{context}")]
pub struct DiskError {
    /// The small, stable kind.
    pub kind: DiskErrorKind,
    /// A sentence with operation, range and cause.
    pub context: String,
}

/// What a scheduler and a user need to know of a disk. Fixed while it is open.
#[derive(Debug, Clone)]
pub struct DiskProperties {
    /// One line for people, e.g. `io_uring on /dev/nvme0n1` or
    /// `desktop-7200-2008 paced over hdd0.disk (io_uring)`.
    pub description: String,
    /// Size of the address space, a multiple of `block_bytes`.
    pub size_bytes: u64,
    /// Offsets and lengths of requests are multiples of this (512 or 4096).
    pub block_bytes: u32,
    /// Whether a change of place costs a seek, so that streams should be kept apart in time.
    pub has_seeks: bool,
    /// W: bound on the service time of one request of at most `quantum_bytes`.
    pub worst_case: Nanos,
    /// s: mean cost of a switch between streams: mean seek + half a turn. 0 without seeks.
    pub switch_cost: Nanos,
    /// R: the longest seek plus a turn. 0 without seeks.
    pub worst_seek: Nanos,
    /// Seek time by distance, ascending, from 0 to the whole disk. Empty without seeks.
    pub seek_curve: Vec<SeekPoint>,
    /// Seeks and angles of every place, where the disk is modelled. A paced disk's platter turns
    /// with the clock of the calls, like a modelled one's.
    pub positioning: Option<PositioningMap>,
    /// Prices before dispatch.
    pub cost: CostModel,
    /// Bound on requests in flight; 1 on a disk with seeks.
    pub max_in_flight: usize,
    /// Requests larger than this are split, so that W stays small.
    pub quantum_bytes: u32,
    /// What it can do beyond reading and writing.
    pub capabilities: Capabilities,
    /// Sentences for the user at start (io_uring refused and why, kernel scheduler not `none`,
    /// defaults assumed).
    pub notices: Vec<String>,
}

impl DiskProperties {
    /// The properties of a disk that is a modelled drive, in virtual time or paced in real time.
    pub fn of_drive(drive: DriveProperties, description: String) -> DiskProperties {
        DiskProperties {
            description,
            size_bytes: drive.size_bytes,
            block_bytes: drive.block_bytes,
            has_seeks: drive.has_seeks,
            worst_case: drive.worst_case,
            switch_cost: drive.switch_cost,
            worst_seek: drive.worst_seek,
            seek_curve: drive.seek_curve,
            positioning: drive.positioning,
            cost: drive.cost,
            max_in_flight: drive.max_in_flight,
            quantum_bytes: drive.quantum_bytes,
            capabilities: Capabilities {
                discard: if drive.discards {
                    DiscardEffect::Undefined
                } else {
                    DiscardEffect::Ignored
                },
                caches_reads: false,
                holds_data: false,
                volatile_cache: drive.write_cache,
            },
            notices: drive.notices,
        }
    }
}

/// A device that serves requests.
pub trait Disk {
    /// Its properties.
    fn properties(&self) -> &DiskProperties;

    /// Starts a request at time `now`. The caller keeps at most `max_in_flight` in flight; failures
    /// are reported by the completion.
    fn submit(&mut self, now: Nanos, request: DiskRequest);

    /// Hands the submitted requests to the device at once. `collect` does so too; a caller that
    /// sleeps or does other work after its submits calls this, once for all of them.
    fn flush_submissions(&mut self) {}

    /// Appends the requests that ended by `now`, in order of `completed_at`. A modelled disk that
    /// overlaps requests appends those of one time only, as what is submitted in their place
    /// changes the later ones; the caller asks again until nothing is appended.
    fn collect(&mut self, now: Nanos, completions: &mut Vec<Completion>);

    /// When the next completion can be collected, if that is known. A paced disk returns its
    /// model's time, and a model that cannot know yet a time that may be too early; if the request
    /// ends later than that, `collect` finds nothing and a later time is returned.
    fn next_completion(&self) -> Option<Nanos>;

    /// An eventfd that is set when `collect` may return something, for a real disk. The caller
    /// resets it ([`crate::reset_wake`]) before the next `collect`, or waits for its edges.
    fn wake_fd(&self) -> Option<RawFd> {
        None
    }

    /// Where its content lies, for a disk that knows.
    fn content_map(&self) -> Option<&dyn ContentMap> {
        None
    }

    /// What the file system below has left, for a disk whose space is not its own.
    fn free_space(&self) -> Option<&FreeSpace> {
        None
    }

    /// Whether it could only be opened for reading.
    fn is_read_only(&self) -> bool {
        false
    }

    /// Where its file was cut while it is open, for a disk in a file.
    fn cut_mark(&self) -> Option<&CutMark> {
        None
    }

    /// How well it kept to its model's times, for a paced disk.
    fn pacing(&self) -> Option<PacingReport> {
        None
    }
}

/// Where the content of a disk lies. Asked while the disk is opened only, as the answer may take a
/// system call.
pub trait ContentMap {
    /// The next part of `from..to` that may hold anything but zeroes; `None` if there is none.
    fn data_after(&self, from: u64, to: u64) -> Option<(u64, u64)>;

    /// Which of its bytes have their space, for a disk whose space is a file system's.
    fn space_below(&self) -> Option<&dyn SpaceBelow> {
        None
    }
}

/// Which bytes of a disk have their space on the file system below: a write there does not fail
/// for want of space, and a discard gives some back. Data has space; so has what was set aside and
/// never written, which reads as zeroes. Asked while the disk is opened only.
pub trait SpaceBelow {
    /// Space is taken and given back in units of this many bytes, a power of two.
    fn unit_bytes(&self) -> u64;

    /// Names each part of a range that has its space, in order. Each call of the system takes one
    /// of `calls_left`; without any, the rest counts as having its space.
    fn each(&self, range: (u64, u64), calls_left: &mut u32, note: &mut dyn FnMut(u64, u64));

    /// Whether what is not named has none. If not, some may be set aside there.
    fn is_exact(&self) -> bool;
}

impl<D: Disk + ?Sized> Disk for Box<D> {
    fn properties(&self) -> &DiskProperties {
        (**self).properties()
    }
    fn submit(&mut self, now: Nanos, request: DiskRequest) {
        (**self).submit(now, request);
    }
    fn flush_submissions(&mut self) {
        (**self).flush_submissions();
    }
    fn collect(&mut self, now: Nanos, completions: &mut Vec<Completion>) {
        (**self).collect(now, completions);
    }
    fn next_completion(&self) -> Option<Nanos> {
        (**self).next_completion()
    }
    fn wake_fd(&self) -> Option<RawFd> {
        (**self).wake_fd()
    }
    fn content_map(&self) -> Option<&dyn ContentMap> {
        (**self).content_map()
    }
    fn free_space(&self) -> Option<&FreeSpace> {
        (**self).free_space()
    }
    fn is_read_only(&self) -> bool {
        (**self).is_read_only()
    }
    fn cut_mark(&self) -> Option<&CutMark> {
        (**self).cut_mark()
    }
    fn pacing(&self) -> Option<PacingReport> {
        (**self).pacing()
    }
}
