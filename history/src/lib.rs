//! The history of a vdisk: a log in front of a plain image, so that every write in a window can be
//! undone. Pure: bytes and completions in, steps out; no I/O, no clock, no thread.
//!
//! ```text
//!   Recovery ── reads ──► Log ◄── write, zero, flush, mark, revert, open_view, fold …
//!                          │ ▲
//!            Step: write, │ │ complete, complete_read
//!            flush, read  ▼ │
//!                        the driver: places I/O on disks, holds data, answers clients
//! ```
//!
//! # How a driver uses it
//!
//! 1. **Make a log** once: draw a uuid, write [`new_log`]'s block to both superblocks, one after
//!    the other with a flush behind each, into an area that the driver owns.
//! 2. **Open it**: do what [`Recovery::need`] says until it says nothing, then take the [`Log`] and
//!    the [`Report`]. The log reads on by itself: drive it as below until [`Notice::Opened`].
//! 3. **Drive it**: after each call, take all steps ([`Log::take_step`], with the clock) and do
//!    them, take all notices ([`Log::take_notice`]) and answer requests. Each step is completed
//!    once. Steps may be done in any order and together: the log asks for nothing that must wait
//!    for something else which it has asked for already. A short write is continued at the same
//!    place and completed when it is whole.
//! 4. **Write**: whole blocks of 4 KiB. A write of less is merged by the driver: look up, read,
//!    verify, merge, write, with the range locked against other requests. The data stays with the
//!    driver, unchanged, until the request is answered: [`Part::Request`] names it.
//! 5. **Read**: [`Log::fetch`] finds blocks, at once unless the moment was opened lazily or a
//!    revert was done shortly before; then [`Log::look_up`] says where they lie, before the next
//!    step is taken. What was read from the log is served only if [`Log::verifies`] says so; else
//!    the read fails with EIO. A read is over when it was verified; [`Step::AwaitReads`] asks for
//!    the end of all reads before it, but for those that ask [`Log::still_holds`] when they are
//!    back and look up again what is not there any more.
//! 6. **When idle**, after a flush: [`Log::note_durable`]. From time to time:
//!    [`Log::expire_branches`], [`Log::fold_target`] and [`Log::fold`].
//! 7. **Close it**: [`Log::close`], drive it until [`Notice::Closed`].
//!
//! docs/history-format.md has every byte, docs/design/history.md the reasons. What is not known
//! here: disks, clocks, threads, protocols, other vdisks.
#![forbid(unsafe_code)]

mod branches;
mod clones;
mod fences;
mod format;
pub mod fuzzing;
mod log;
mod lost;
mod map;
mod marks;
mod moment;
mod recovery;
mod replay;
mod runs;
mod scan;
mod segments;
mod sizes;
mod steps;
mod verify;

pub use format::batch::EntryKind;
pub use format::record::CloneEntry;
pub use format::superblock::{Geometry, Origin, SuperblockDefect, origin_of};
pub use format::{Seq, UNIT_BYTES, Unit, Uuid, VDISK_BLOCKS_MAX};
pub use log::{
    CloneStatus, FETCH_BLOCKS_MAX, Fetched, HeldSpace, Holder, Judge, Log, MarkStatus, Resolved,
    Run, Settings, Source, Status, UsedSpace, View, WhenFull,
};
pub use moment::{Moment, MomentError, check_mark_name, time_text};
pub use recovery::{Expectation, Need, OpenError, Recovery, Report};
pub use steps::{Failure, IoFailed, IoId, Notice, Part, RequestId, Step, ViewId};
pub use verify::{Damage, DamagedPart, Verified, Verify, VerifyNext};

use format::superblock::Superblock;

/// Places of the two superblocks, in units.
pub const SUPERBLOCK_UNITS: [Unit; 2] = format::SUPERBLOCK_UNITS;

/// The superblock of a log that nothing was written to; `None` if the geometry is out of bounds.
pub fn new_log(geometry: Geometry, program_version: [u16; 3]) -> Option<Vec<u8>> {
    geometry
        .is_possible()
        .then(|| Superblock::of_new_log(geometry, program_version).encode())
}

/// The superblock of the log of a clone that nothing was written to; `None` if the geometry is out
/// of bounds.
pub fn new_clone_log(
    geometry: Geometry,
    origin: Origin,
    program_version: [u16; 3],
) -> Option<Vec<u8>> {
    let superblock = Superblock {
        origin: Some(origin),
        ..Superblock::of_new_log(geometry, program_version)
    };
    geometry.is_possible().then(|| superblock.encode())
}
