//! What a log asks of its driver, and what it tells it: values, in and out.
//!
//! Every [`Step`] with an [`IoId`] is completed exactly once, by `Log::complete` or
//! `Log::complete_read`.

use crate::clones::CLONES_MAX;
use crate::format::{Seq, Unit};

/// A request of the driver; the number is the driver's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// Something that the driver does for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IoId(pub(crate) u64);

/// A moment that is open for reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ViewId(pub(crate) u64);

/// Bytes of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// These.
    Bytes(Vec<u8>),
    /// Blocks of the data of a request.
    Request {
        /// The request.
        request: RequestId,
        /// First block of its data.
        from_block: u32,
        /// Blocks.
        blocks: u32,
    },
}

/// What the driver does next, in any order and as many at once as it likes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Write the parts, one behind the other, in one write of the log's disk.
    Write {
        /// To be completed when all of it is written.
        io: IoId,
        /// Where.
        unit: Unit,
        /// What.
        parts: Vec<Part>,
    },
    /// Flush the log's disk.
    Flush {
        /// To be completed when it is done.
        io: IoId,
    },
    /// Read from the log's disk.
    Read {
        /// To be completed by `Log::complete_read`.
        io: IoId,
        /// Where.
        unit: Unit,
        /// How many units.
        units: u32,
    },
    /// Write to the image all that `Log::fold_next` lists, then flush the image's disk. A block
    /// that the log does not have any more is named by `Log::fold_lost` instead.
    WriteImage {
        /// To be completed when the flush is done.
        io: IoId,
    },
    /// Wait for reads: complete it when every read of the log that a look-up before this step led
    /// to has ended, or asks `Log::still_holds` at its end.
    AwaitReads {
        /// To be completed then.
        io: IoId,
    },
}

/// What the driver did has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IoFailed;

/// What the log tells the driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The log is open: requests are taken (reads only, if the report says so).
    Opened,
    /// A request is complete; if it asked for durability, it is durable.
    Done {
        /// The request.
        request: RequestId,
        /// Its last seq: the moment that it made.
        seq: Seq,
    },
    /// A moment is open for reading.
    ViewOpened {
        /// The request.
        request: RequestId,
        /// What look-ups name.
        view: ViewId,
    },
    /// What was written between two moments.
    Changed {
        /// The request.
        request: RequestId,
        /// Runs of blocks, apart from each other, by block: the first one, and how many.
        runs: Vec<(u64, u64)>,
    },
    /// A request has failed.
    Failed {
        /// The request.
        request: RequestId,
        /// Why.
        why: Failure,
    },
    /// A fold is complete: the image holds this moment.
    Folded {
        /// The floor.
        floor: Seq,
    },
    /// A fold has failed: the image's disk did, or what is to be folded is damaged. The floor stays
    /// where it was, and a log that is full takes nothing, until `Log::retry_fold` repeats it.
    FoldFailed,
    /// What `Log::grow` asked for is there, durably.
    Grown {
        /// Blocks of the vdisk.
        blocks: u64,
    },
    /// The vdisk has not grown. The log may have.
    NotGrown {
        /// Why.
        why: Failure,
    },
    /// The disk below has no space for what is written: changes fail until `Log::retry_writes`
    /// finds some. Said once until then.
    OutOfSpace,
    /// The log is closed in good order.
    Closed,
    /// A write or a flush failed: nothing can be written until the log is opened again.
    Broken,
}

/// Why a request is refused or has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The log is full, and no moment may be given up.
    #[error("the history is full; drop a mark or a branch, or give it more space (`max`)")]
    Full,
    /// The disk that the log lies on has no space left for what the log writes.
    #[error("the disk of the history has no space left; free some below it")]
    NoSpace,
    /// A write or flush of the log failed.
    #[error("the disk of the history failed; mend it and open the vdisk again")]
    Broken,
    /// The log was opened read-only.
    #[error(
        "the history has lost durable data and is read-only; `disktime accept-loss` gives up what \
         is lost"
    )]
    ReadOnly,
    /// The log is not open yet, or is being closed.
    #[error("the history is not open")]
    NotOpen,
    /// Nothing was written to the log yet, and it waits for its space.
    #[error("the history has no space of its own yet; try again")]
    Unwritten,
    /// A revert is in flight.
    #[error("the vdisk is being reverted; try again when that is done")]
    Reverting,
    /// More requests wait than the log takes.
    #[error("too many requests wait for the history; try again later")]
    Busy,
    /// Blocks behind the end of the vdisk, or none.
    #[error("the blocks lie outside the vdisk")]
    OutOfRange,
    /// A moment that cannot be restored.
    #[error("the moment cannot be restored: it lies outside the window, or its branch was dropped")]
    NoSuchMoment,
    /// Blocks are lost that the image would need.
    #[error(
        "the history has lost blocks before they moved into the vdisk's own space; write them again \
         (`disktime verify` lists them)"
    )]
    ImageLacks,
    /// The vdisk or its log cannot have that size.
    #[error("the vdisk or its history cannot have that size: both only grow, up to their limits")]
    BadSize,
    /// A mark of that name exists.
    #[error("a mark of that name exists; drop it or take another name")]
    MarkExists,
    /// No mark has that name.
    #[error("there is no mark of that name")]
    NoSuchMark,
    /// The name cannot be a mark's.
    #[error("a mark's name has 1 to 128 letters, digits, `.`, `_`, `-` and begins with a letter")]
    BadName,
    /// The tables of marks, branches and sizes are full.
    #[error("there are too many marks, branches or sizes; drop some marks or branches")]
    TooMany,
    /// The tables have no room for the record of one more clone.
    #[error(
        "the history has no room for the records of so many clones; make fewer, or drop some \
         (`disktime drop CLONE`). A history that is made with a larger `max` has room for more, up \
         to {max}",
        max = CLONES_MAX
    )]
    TooManyClones,
    /// The branch is the current one, is unknown, or was dropped.
    #[error("there is no such branch, or it is the one that is written")]
    NoSuchBranch,
    /// A mark lies on the branch.
    #[error("a mark needs that branch; drop the mark first")]
    BranchIsMarked,
    /// A clone begins on the branch.
    #[error("a clone needs that branch; drop the clone first (`disktime drop CLONE`)")]
    BranchIsCloned,
    /// A clone begins with the mark.
    #[error("a clone begins with that mark; drop the clone first (`disktime drop CLONE`)")]
    MarkIsCloned,
    /// A clone of that name exists.
    #[error("a clone of that name exists; drop it or take another name")]
    CloneExists,
    /// No clone is that vdisk.
    #[error("there is no clone of that name")]
    NoSuchClone,
    /// There is no revert, or what it left was dropped.
    #[error("there is no revert to undo, or the branch that it left was dropped")]
    NothingToUndo,
    /// A fold is in flight, or the floor cannot move there.
    #[error("the floor cannot move there: a fold, an open moment, a mark or a branch needs it")]
    FloorIsHeld,
    /// What is left of the log ends before the moment that the image holds, or may hold a part of.
    #[error("the history has lost data that its image needs; nothing was changed")]
    Image,
    /// A newer program wrote the log, with something that this one must not change.
    #[error("the history was written by a newer disktime, and is read-only for this one")]
    NewerLog,
    /// Nothing is lost that could be accepted.
    #[error("the history has lost nothing; there is no loss to accept")]
    NothingLost,
    /// What is stored of that moment is damaged.
    #[error(
        "the history of that moment is damaged; choose another moment (`disktime history` lists the marks)"
    )]
    Damaged,
}
