//! Opening a log: asks for reads, gets bytes, and ends with a [`Log`] or with the reason why not.
//!
//! ```text
//!   flush ─ superblock 0 ─ superblock 1 ─ newest checkpoint ─ else the one before it ─┐
//!     ┌─── the segment that it lies in, read, then the header of the next one ◄────────┤
//!     └─ tail or damage? ─ sealed: the next segment ───────────────────────────────────┘
//!                        └ else: Log
//! ```
//!
//! Invariants: nothing is written here. Whatever the bytes are, it ends, and never panics: every
//! segment has a greater id than the one before it. Of durable data that is lost, the report says
//! from which seq on.
//!
//! What is not known here: what is in the earlier segments; the log reads that itself, when it
//! builds its map.

mod judging;

use crate::format::superblock::{CheckpointPlace, Geometry, Origin, Superblock, SuperblockDefect};
use crate::format::{PAYLOAD_UNITS_MAX, SUPERBLOCK_UNITS, Seq, UNIT_BYTES, Unit, Uuid};
use crate::log::{Log, Settings};
use crate::scan::Scan;
use crate::steps::IoFailed;
use judging::Checkpoint;

/// Units that are read at once.
const READ_UNITS: u32 = PAYLOAD_UNITS_MAX as u32;

/// What recovery asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// A flush of the log's disk; then [`Recovery::flushed`].
    Flush,
    /// These units; then [`Recovery::give`].
    Read {
        /// Where.
        unit: Unit,
        /// How many.
        units: u32,
    },
    /// Nothing; [`Recovery::finish`] says what was found.
    Nothing,
}

/// Why a log cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Neither superblock is whole.
    #[error("the history cannot be opened: of superblock 0, {0}, and of superblock 1, {1}")]
    NoSuperblock(SuperblockDefect, SuperblockDefect),
    /// A superblock is whole, but not for this program.
    #[error("{0}")]
    Unusable(SuperblockDefect),
    /// It belongs to another vdisk, or lies on another disk.
    #[error(
        "this is the history of another vdisk, or it was made on another disk; nothing was changed"
    )]
    Stranger,
    /// The area is smaller than the log.
    #[error("the history takes {needed} units of 4 KiB, and its area has {there}")]
    AreaTooSmall {
        /// Units of the log.
        needed: u32,
        /// Units of the area.
        there: u32,
    },
    /// Both checkpoints are damaged, or what they say is impossible.
    #[error("the checkpoints of the history are damaged; nothing was changed")]
    Checkpoint,
    /// Numbers that no program counted up to.
    #[error("the numbers of the history are near their end; nothing was changed")]
    Numbers,
    /// What is left ends before the moment that the image holds, or may hold a part of.
    #[error("the history has lost data that its image needs; nothing was changed")]
    Image,
    /// The flush before reading failed.
    #[error("the disk of the history cannot be flushed")]
    Flush,
}

/// What a log is expected to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expectation {
    /// Its vdisk.
    pub vdisk: Uuid,
    /// The disk that it lies on.
    pub disk: Uuid,
    /// Units of the area.
    pub area_units: u32,
}

/// What opening found, beside the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The newest moment.
    pub newest: Seq,
    /// Whether the log had been closed in good order.
    pub was_closed: bool,
    /// The first seq that is lost, if durable data is: the log is read-only.
    pub lost_from: Option<Seq>,
    /// A superblock was damaged or old; it will be written again.
    pub superblock_mended: bool,
    /// The newest checkpoint was damaged, and the one before it took its place.
    pub checkpoint_mended: bool,
    /// What a newer program wrote, if the log is read-only because of that.
    pub read_only_features: Option<String>,
}

#[derive(Debug)]
enum Stage {
    Flush,
    Superblock(usize),
    /// Its header is read first, then its payload.
    Checkpoint(CheckpointPlace, Vec<u8>),
    /// A slot is read, so far.
    Segment(Vec<u8>),
    /// It is read; the slot of the next one is known.
    NextHeader(Vec<u8>, u32),
    Ended,
}

/// A log that is being opened.
#[derive(Debug)]
pub struct Recovery {
    expectation: Expectation,
    /// What the log of a clone must begin with; `None`: it must be no clone's.
    origin: Option<Origin>,
    stage: Stage,
    copies: Vec<Result<Superblock, SuperblockDefect>>,
    superblock: Option<Superblock>,
    /// The copy that it was.
    superblock_copy: usize,
    checkpoint: Option<Checkpoint>,
    segments: Vec<Scan>,
    /// Slot and id of the segment that is read; `None`: its header was not there.
    at: (u32, Option<u64>),
    lost_durable: bool,
    checkpoint_mended: bool,
    error: Option<OpenError>,
    /// Up to here, single units of the slot are read, because a longer read failed.
    single_until: usize,
}

impl Recovery {
    /// Begins to open a log.
    pub fn new(expectation: Expectation) -> Recovery {
        Recovery {
            expectation,
            origin: None,
            stage: Stage::Flush,
            copies: Vec::new(),
            superblock: None,
            superblock_copy: 0,
            checkpoint: None,
            segments: Vec::new(),
            at: (0, None),
            lost_durable: false,
            checkpoint_mended: false,
            error: None,
            single_until: 0,
        }
    }

    /// Begins to open the log of a clone that begins with this.
    pub fn of_clone(expectation: Expectation, origin: Origin) -> Recovery {
        Recovery {
            origin: Some(origin),
            ..Recovery::new(expectation)
        }
    }

    /// What has to be done next.
    pub fn need(&self) -> Need {
        match &self.stage {
            Stage::Flush => Need::Flush,
            Stage::Superblock(copy) => Need::Read {
                unit: SUPERBLOCK_UNITS[*copy],
                units: 1,
            },
            Stage::Checkpoint(place, header) if header.is_empty() => Need::Read {
                unit: place.unit,
                units: 1,
            },
            Stage::Checkpoint(place, header) => Need::Read {
                unit: place.unit + 1,
                units: self.payload_units(place, header),
            },
            Stage::Segment(read) => {
                let geometry = self.geometry();
                let units = (read.len() / UNIT_BYTES) as u32;
                let is_single = read.len() < self.single_until;
                let at_once = if is_single { 1 } else { READ_UNITS };
                Need::Read {
                    unit: geometry.slot_start(self.at.0) + units,
                    units: at_once.min(geometry.slot_units - units),
                }
            }
            Stage::NextHeader(_, slot) => Need::Read {
                unit: self.geometry().slot_start(*slot),
                units: 1,
            },
            Stage::Ended => Need::Nothing,
        }
    }

    /// The flush has ended.
    pub fn flushed(&mut self, result: Result<(), IoFailed>) {
        match result {
            Ok(()) => self.stage = Stage::Superblock(0),
            Err(IoFailed) => self.fail(OpenError::Flush),
        }
    }

    /// What was asked for was read, or cannot be read: that counts as damaged.
    ///
    /// # Panics
    /// If the length is not the one that was asked for.
    pub fn give(&mut self, result: Result<&[u8], IoFailed>) {
        let Need::Read { units, .. } = self.need() else {
            return;
        };
        let wanted = units as usize * UNIT_BYTES;
        assert!(result.is_ok_and(|bytes| bytes.len() == wanted) || result.is_err());
        if let (Err(IoFailed), 2.., Stage::Segment(read)) = (result, units, &self.stage) {
            // Only what cannot be read is lost, not all that would have been read with it.
            self.single_until = read.len() + wanted;
            return;
        }
        let unreadable = vec![0; wanted];
        let bytes = result.unwrap_or(&unreadable);
        match std::mem::replace(&mut self.stage, Stage::Ended) {
            Stage::Superblock(0) => {
                self.copies.push(Superblock::decode(bytes));
                self.stage = Stage::Superblock(1);
            }
            Stage::Superblock(_) => {
                self.copies.push(Superblock::decode(bytes));
                self.choose_superblock();
            }
            Stage::Checkpoint(place, header) if header.is_empty() => {
                if self.payload_units(&place, bytes) == 0 {
                    self.checkpoint_is_damaged(&place);
                } else {
                    self.stage = Stage::Checkpoint(place, bytes.to_vec());
                }
            }
            Stage::Checkpoint(place, header) => {
                self.take_checkpoint(place, &[&header, bytes].concat());
            }
            Stage::Segment(mut read) => {
                read.extend_from_slice(bytes);
                self.segment_is_read(read);
            }
            Stage::NextHeader(read, slot) => {
                let next = self.next_header(slot, bytes);
                self.judge_segment(&read, next);
            }
            stage @ (Stage::Flush | Stage::Ended) => self.stage = stage,
        }
    }

    /// What was found, once nothing is needed.
    ///
    /// # Errors
    /// Why the log cannot be opened; nothing was changed.
    pub fn finish(mut self, settings: Settings) -> Result<(Log, Report), OpenError> {
        match self.error.take() {
            Some(error) => Err(error),
            None => self.make_log(settings),
        }
    }

    fn geometry(&self) -> Geometry {
        let superblock = self.superblock.as_ref().expect("it was chosen before");
        superblock.geometry
    }

    fn begin_segment(&mut self) {
        self.single_until = 0;
        self.stage = Stage::Segment(Vec::new());
    }

    fn fail(&mut self, error: OpenError) {
        self.error = Some(error);
        self.stage = Stage::Ended;
    }

    fn choose_superblock(&mut self) {
        let copies = self.copies.iter().enumerate();
        let whole = copies.filter_map(|(at, copy)| copy.as_ref().ok().map(|copy| (at, copy)));
        let newest = whole.max_by_key(|(_, copy)| copy.generation);
        let newest = newest.map(|(at, copy)| (at, copy.clone()));
        let foreign = self.copies.iter().filter_map(|copy| copy.as_ref().err());
        if let Some(defect) = foreign.into_iter().find(|defect| defect.is_whole()) {
            let defect = defect.clone();
            self.fail(OpenError::Unusable(defect));
            return;
        }
        let Some((copy, superblock)) = newest else {
            let mut defects = self.copies.iter().filter_map(|copy| copy.clone().err());
            let first = defects.next().unwrap_or(SuperblockDefect::NoMagic);
            let second = defects.next().unwrap_or(SuperblockDefect::NoMagic);
            self.fail(OpenError::NoSuperblock(first, second));
            return;
        };
        let geometry = superblock.geometry;
        let Expectation {
            vdisk,
            disk,
            area_units,
        } = self.expectation;
        let is_other = geometry.vdisk != vdisk || geometry.disk != disk;
        if is_other || superblock.origin != self.origin {
            self.fail(OpenError::Stranger);
        } else if geometry.area_units() > area_units {
            self.fail(OpenError::AreaTooSmall {
                needed: geometry.area_units(),
                there: area_units,
            });
        } else {
            self.stage = match superblock.checkpoint {
                Some(place) => Stage::Checkpoint(place, Vec::new()),
                None => Stage::Segment(Vec::new()),
            };
            self.superblock = Some(superblock);
            self.superblock_copy = copy;
        }
    }
}
