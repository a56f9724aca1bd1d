//! Cuts a request into pieces and resolves each to its target. Pure: it reads the vdisk's layout
//! and what the disk can do, and changes neither.
//!
//! ```text
//!   header ── claim ──► range that it has alone or shares
//!          ── plan ───► what is cut, what waits for a commit, what becomes a hole
//!          ── cut ────► piece after piece: action, range, target
//! ```
//!
//! Invariants: a piece lies in one extent, starts and ends at the disk's blocks, and is at most a
//! quantum long, a discard or zeroing perhaps less, by what they were measured to take; no piece
//! reads from a chunk that was never written; the pieces of a plan cover its range in order,
//! without gaps and without an overlap of what they change.
//!
//! Zeroes and space that is set aside are in `zeroes.rs`.
//!
//! Not known here: requests' buffers, the clock, the loop, and other requests.

mod zeroes;

use crate::abilities::{Abilities, Grain};
use crate::geometry::{CHUNK_BYTES, whole_chunks};
use crate::ids::RequestId;
use crate::layout::Layout;
use crate::range_locks::Claim;
use crate::request_header::RequestHeader;
use crate::target::Target;
use disktime_engine::{RequestKind, StreamId};

/// A read-modify-write of at most this many bytes is done in one go: reading a little too much
/// costs less than coming back for the other end.
const MODIFY_AT_ONCE_BYTES: u64 = 64 << 10;

/// How far ahead a written run is searched for its end; a multiple of every disk's quantum.
const SCAN_BYTES: u64 = 16 << 20;

/// What happens on the disk for a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Read the range.
    Read,
    /// Write the request's bytes where it has them, zeroes elsewhere.
    Write,
    /// Read the range, put the request's bytes in, write it.
    Modify,
    /// Have the disk zero the range.
    Zero,
    /// Discard the range so that it reads as zeroes.
    ZeroByDiscard,
    /// Tell the disk that the range is not needed.
    Discard,
}

/// A piece of a request: a range of the vdisk that lies together on a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece {
    action: Action,
    start: u64,
    end: u64,
    target: Target,
}

impl Piece {
    pub(crate) fn action(&self) -> Action {
        self.action
    }

    /// The same range with another action.
    pub(crate) fn with_action(self, action: Action) -> Piece {
        Piece { action, ..self }
    }

    /// The same, paid by `payer` if there is one.
    pub(crate) fn paid_by(self, payer: Option<StreamId>) -> Piece {
        let target = payer.map_or(self.target, |payer| self.target.paid_by(payer));
        Piece { target, ..self }
    }

    /// First byte of the vdisk that it covers.
    pub(crate) fn start(&self) -> u64 {
        self.start
    }

    /// The byte behind its last one.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    pub(crate) fn len_bytes(&self) -> u64 {
        self.end - self.start
    }

    pub(crate) fn target(&self) -> Target {
        self.target
    }
}

/// The next part of a request's range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// It goes to the disk.
    Piece(Piece),
    /// A hole of the vdisk: it reads as zeroes, and nothing is done on the disk.
    Hole { start: u64, end: u64 },
    /// The disk does not discard; what it holds there stays.
    NotDiscarded,
}

/// What is to be done for a request, as decided when it has its claim.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Plan {
    range: (u64, u64),
    first_write: bool,
    needs_commit: bool,
    hole: Option<(u64, u64)>,
    zeroes_disk: bool,
}

impl Plan {
    /// What is cut: the padded range of a write, the whole blocks of a trim.
    pub(crate) fn range(&self) -> (u64, u64) {
        self.range
    }

    /// Whether it is the first to write some chunk of its range.
    pub(crate) fn is_first_write(&self) -> bool {
        self.first_write
    }

    /// Whether its reply waits for a commit after its data.
    pub(crate) fn needs_commit(&self) -> bool {
        self.needs_commit
    }

    /// The range whose whole chunks read as zeroes once it is done.
    pub(crate) fn hole(&self) -> Option<(u64, u64)> {
        self.hole
    }

    /// Whether that range is zeroes on the disk, too.
    pub(crate) fn zeroes_disk(&self) -> bool {
        self.zeroes_disk
    }

    /// Some of the range keeps what it holds on the disk.
    pub(crate) fn keep_disk_content(&mut self) {
        self.zeroes_disk = false;
    }
}

/// Cuts the requests of one vdisk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Splitter<'a> {
    layout: &'a Layout,
    abilities: Abilities,
    /// Trims become holes of zero maps, and nothing is sent for them.
    holds_trims: bool,
}

impl<'a> Splitter<'a> {
    pub(crate) fn new(layout: &'a Layout, abilities: Abilities) -> Splitter<'a> {
        Splitter {
            layout,
            abilities,
            holds_trims: false,
        }
    }

    /// The same for a vdisk whose trims are held, or not.
    pub(crate) fn holding_trims(self, holds_trims: bool) -> Splitter<'a> {
        Splitter {
            holds_trims,
            ..self
        }
    }

    fn grain(&self) -> Grain {
        self.abilities.grain()
    }

    /// What a request writes to, and whether it has that alone.
    pub(crate) fn claim(&self, id: RequestId, header: RequestHeader) -> Claim {
        let (start, end) = (header.start(), header.end());
        let whole = self.grain().is_aligned(start) && self.grain().is_aligned(end);
        let kind = header.kind();
        let first = kind == RequestKind::Write && self.layout.any_unwritten(start, end);
        let unit = if first || kind == RequestKind::Allocate {
            CHUNK_BYTES
        } else {
            self.grain().block_bytes()
        };
        // No other request may write into a chunk while all of it is made to read as zeroes, or
        // while a hole is zeroed on the disk.
        let makes_holes = header.makes_hole_chunks(self.zeroed_end(header));
        // What is noted of the space has to be what the last of two requests did to it.
        let changes_space = self.abilities.can_run_out() && kind.makes_holes();
        let allocates = kind == RequestKind::Allocate;
        let alone = first
            || (!whole && kind != RequestKind::Trim)
            || makes_holes
            || changes_space
            || allocates;
        let start = start - start % unit;
        Claim::new(id, (start, end.next_multiple_of(unit)), alone)
    }

    /// The end of a request's range; that of the extents if it reaches the vdisk's end, as nothing
    /// is stored between the two.
    fn zeroed_end(&self, header: RequestHeader) -> u64 {
        if header.end() == self.layout.size_bytes() {
            self.layout.end_bytes()
        } else {
            header.end()
        }
    }

    /// What is to be done for a request that has its claim. A write has to be made visible in the
    /// layout afterwards, before its first piece is sent ([`Layout::mark_allocated`]).
    pub(crate) fn plan(&self, header: RequestHeader) -> Plan {
        let (start, end) = (header.start(), header.end());
        let fua = header.fua();
        let mut plan = Plan {
            range: (start, end),
            ..Plan::default()
        };
        let mut zeroed_end = self.zeroed_end(header);
        match header.kind() {
            RequestKind::Write => {
                plan.first_write = self.layout.any_unwritten(start, end);
                plan.range = self.layout.padded(start, end);
                // A chunk that is a hole may be durable as what it was before.
                plan.needs_commit =
                    fua && (plan.first_write || !self.layout.all_durable(start, end));
            }
            RequestKind::Trim => {
                let first = self.grain().ceil(start);
                plan.range = (first, self.grain().floor(end).max(first));
                plan.needs_commit = fua;
                plan.zeroes_disk = self.abilities.discarding_zeroes();
                if plan.range.1 < end {
                    // What is left of the last block is not discarded.
                    zeroed_end = plan.range.1;
                }
            }
            RequestKind::WriteZeroes | RequestKind::ZeroFast => {
                plan.needs_commit = fua;
                plan.zeroes_disk = true;
            }
            // A hole that it leaves alone may not be durable yet.
            RequestKind::ZeroKeepingSpace => {
                plan.needs_commit = fua && self.layout.any_unwritten(start, end);
            }
            // Holes are whole chunks.
            RequestKind::Allocate => {
                let first = start - start % CHUNK_BYTES;
                plan.range = (first, end.next_multiple_of(CHUNK_BYTES));
                plan.needs_commit = fua;
            }
            RequestKind::Read | RequestKind::Cache | RequestKind::Flush | RequestKind::Status => {}
        }
        if header.makes_hole_chunks(zeroed_end) {
            plan.hole = Some((start, zeroed_end));
        }
        plan
    }

    /// Whether the range can be zeroed faster than it is written: holes, whole chunks with a zero
    /// map, and everything on a disk that zeroes by discarding.
    pub(crate) fn zeroes_fast(&self, start: u64, end: u64) -> bool {
        let mut at = start;
        while at < end {
            let (hole, stop) = self.layout.hole_run(at, end);
            let by_map = self.layout.has_map(at) && whole_chunks(at, stop).is_some();
            if !hole && !self.abilities.zeroes_by_discard() && !by_map {
                return false;
            }
            at = stop;
        }
        true
    }

    /// The part of the plan's range that begins at `at` (before its end), and where the part after
    /// it begins.
    pub(crate) fn cut(&self, kind: RequestKind, plan: Plan, at: u64) -> (Cut, u64) {
        let (_, end) = plan.range;
        match kind {
            RequestKind::Write => self.cut_write(end, at),
            RequestKind::Read | RequestKind::Cache => self.cut_written(end, at, |stop| {
                let start = self.grain().floor(at);
                let stop = stop.min(start + self.grain().quantum_bytes());
                (
                    self.piece(Action::Read, start, self.grain().ceil(stop)),
                    stop,
                )
            }),
            RequestKind::Trim if self.holds_trims && self.layout.has_map(at) => {
                let end = end.min(self.layout.extent_end(at));
                (Cut::Hole { start: at, end }, end)
            }
            RequestKind::Trim | RequestKind::Flush | RequestKind::Status => {
                match self.layout.returned_run(at, end) {
                    (true, end) => (Cut::Hole { start: at, end }, end),
                    (false, stop) if self.abilities.discards() => self.cut_discard(at, stop),
                    (false, stop) => (Cut::NotDiscarded, stop),
                }
            }
            RequestKind::ZeroKeepingSpace => self.cut_written(end, at, |stop| {
                self.cut_blocks(self.zero_in_place(), at, stop)
            }),
            RequestKind::Allocate => self.cut_unheld(end, at),
            RequestKind::WriteZeroes | RequestKind::ZeroFast => self.cut_zeroes(kind, end, at),
        }
    }

    fn piece(&self, action: Action, start: u64, end: u64) -> Cut {
        Cut::Piece(Piece {
            action,
            start,
            end,
            target: self.layout.target(start),
        })
    }

    /// How zeroes get to the disk where the space stays set aside.
    fn zero_in_place(&self) -> Action {
        match self.abilities.zeroes() {
            true => Action::Zero,
            false => Action::Write,
        }
    }

    /// The next piece of `at..stop`, of whole blocks, that is discarded.
    fn cut_discard(&self, at: u64, stop: u64) -> (Cut, u64) {
        let end = stop.min(at + self.abilities.discard_bytes());
        (self.piece(Action::Discard, at, end), end)
    }

    /// What was never written is taken as a whole; of the rest, `cut` takes the near part.
    fn cut_written(&self, limit: u64, at: u64, cut: impl FnOnce(u64) -> (Cut, u64)) -> (Cut, u64) {
        // A written run is cut piece by piece, so only the near part of it is searched.
        if let (true, stop) = self.layout.written_run(at, limit.min(at + SCAN_BYTES)) {
            return cut(stop);
        }
        match self.layout.written_run(at, limit) {
            (true, stop) => cut(stop),
            (false, end) => (Cut::Hole { start: at, end }, end),
        }
    }

    fn cut_write(&self, limit: u64, at: u64) -> (Cut, u64) {
        let grain = self.grain();
        let stop = limit.min(self.layout.extent_end(at));
        let (start, whole_end) = (grain.floor(at), grain.ceil(stop));
        let is_whole = grain.is_aligned(at) && grain.is_aligned(stop);
        let at_once = MODIFY_AT_ONCE_BYTES.min(grain.quantum_bytes());
        let short = whole_end - start <= at_once;
        if !is_whole && short && !self.layout.any_unwritten(start, whole_end) {
            return (self.piece(Action::Modify, start, whole_end), stop);
        }
        self.cut_blocks(Action::Write, at, stop)
    }

    /// The next piece of `at..stop`: `action` for whole blocks, a read-modify-write for a part of
    /// one.
    fn cut_blocks(&self, action: Action, at: u64, stop: u64) -> (Cut, u64) {
        let grain = self.grain();
        let longest = match action {
            Action::Zero => self.abilities.zeroing_bytes(),
            Action::ZeroByDiscard => self.abilities.discard_bytes(),
            _ => grain.quantum_bytes(),
        };
        let end = grain.floor(stop).min(at + longest);
        if grain.is_aligned(at) && end > at {
            return (self.piece(action, at, end), end);
        }
        let start = grain.floor(at);
        let end = start + grain.block_bytes();
        (self.piece(Action::Modify, start, end), end.min(stop))
    }
}

#[cfg(test)]
mod tests;
