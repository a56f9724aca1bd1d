//! The I/Os of a set that are in the loops of its disks: what each is for, its buffer, its answer.
//!
//! Invariants: the disks are reached through their loops only, and every I/O names the stream of
//! its target; each I/O in flight has one entry, taken out when it is answered; a vdisk has at most
//! [`MAX_QUEUED_IOS`] of them (follow-ups of a piece take the place of the I/O before); a failed
//! flush is remembered for ever. Buffers come from a pool, so nothing is allocated per I/O once
//! pool and tables have grown.
//!
//! Not known here: which requests there are, in which order they go, and when they are answered.

use crate::abilities::Abilities;
use crate::geometry::{CHUNK_BYTES, UNIT_BYTES};
use crate::ids::{RequestId, VdiskSlot};
use crate::piece_io::{FollowUp, follow_up, operation};
use crate::request::PendingRequest;
use crate::splitter::{Action, Piece};
use crate::target::{DiskIndex, Target};
use disktime_disks::{Buffer, BufferPool, Disk, DiskError, DiskErrorKind, Operation};
use disktime_engine::{DiskLoop, Io, IoDone, RequestKind};
use disktime_units::Nanos;
use slab::Slab;

/// Most I/Os of a vdisk that are queued in the disk's loop at a time.
pub const MAX_QUEUED_IOS: usize = 256;

/// Unused memory that a set keeps for its I/Os.
const POOL_BYTES: usize = 32 << 20;

/// What an I/O is for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Purpose {
    /// A piece of a request of the vdisk.
    Piece(VdiskSlot, PieceIo),
    /// A flush of the vdisk's commit.
    CommitFlush(VdiskSlot),
    /// A flush that the commits of several vdisks share.
    SharedFlush,
    /// A block of the vdisk's commit.
    CommitBlock(VdiskSlot),
    /// The read of metadata of this number, while a vdisk is being added.
    Metadata(u64),
    /// A trim that was held.
    Held(HeldPiece),
}

/// A range of a vdisk of which the disk is told that it is not needed, after the trim was answered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HeldPiece {
    pub(crate) slot: VdiskSlot,
    pub(crate) start: u64,
    pub(crate) end: u64,
}

impl Purpose {
    /// The vdisk whose bound it counts against.
    fn slot(&self) -> Option<VdiskSlot> {
        match self {
            Purpose::Piece(slot, _) | Purpose::CommitFlush(slot) | Purpose::CommitBlock(slot) => {
                Some(*slot)
            }
            Purpose::SharedFlush | Purpose::Metadata(_) | Purpose::Held(_) => None,
        }
    }
}

/// The I/O of a piece.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PieceIo {
    request: RequestId,
    piece: Piece,
    /// It has the request's own buffer.
    own_buffer: bool,
}

impl PieceIo {
    pub(crate) fn request(&self) -> RequestId {
        self.request
    }

    pub(crate) fn piece(&self) -> Piece {
        self.piece
    }
}

/// What became of a piece whose I/O is back.
#[derive(Debug)]
pub(crate) enum PieceOutcome {
    /// A further I/O was sent for it.
    Continues,
    /// It is done.
    Done,
    /// It is done; the disk still holds what was there.
    NotDiscarded,
    /// It failed.
    Failed(DiskError),
}

/// The loop of a set's disk, and the I/Os in it.
pub(crate) struct IoQueue<D: Disk> {
    disk_loop: DiskLoop<D>,
    in_flight: Slab<Purpose>,
    /// How many of them are a vdisk's, by slot.
    queued: Vec<usize>,
    pool: BufferPool,
    abilities: Abilities,
    /// A flush failed: what is durable is not known any more.
    flush_failed: bool,
    /// Something was sent since this was last asked.
    sent: bool,
}

impl<D: Disk> IoQueue<D> {
    pub(crate) fn new(disk_loop: DiskLoop<D>) -> IoQueue<D> {
        IoQueue {
            abilities: Abilities::of(disk_loop.disk()),
            disk_loop,
            in_flight: Slab::new(),
            queued: Vec::new(),
            pool: BufferPool::new(POOL_BYTES),
            flush_failed: false,
            sent: false,
        }
    }

    /// Makes space for a vdisk.
    pub(crate) fn make_room(&mut self, slot: VdiskSlot) {
        if self.queued.len() <= slot.index() {
            self.queued.resize(slot.index() + 1, 0);
        }
    }

    pub(crate) fn disk_loop(&self) -> &DiskLoop<D> {
        &self.disk_loop
    }

    pub(crate) fn disk_loop_mut(&mut self) -> &mut DiskLoop<D> {
        &mut self.disk_loop
    }

    pub(crate) fn abilities(&self) -> Abilities {
        self.abilities
    }

    /// Whether the loop takes another I/O.
    pub(crate) fn has_room(&self) -> bool {
        self.disk_loop.has_room()
    }

    /// As many more fit into the loop as one vdisk may have there.
    pub(crate) fn make_room_in_loop(&mut self) {
        self.disk_loop.make_room(MAX_QUEUED_IOS);
    }

    /// Whether a vdisk is below its bound.
    pub(crate) fn has_room_for(&self, slot: VdiskSlot) -> bool {
        self.queued[slot.index()] < MAX_QUEUED_IOS
    }

    /// Whether a flush failed.
    pub(crate) fn flush_failed(&self) -> bool {
        self.flush_failed
    }

    /// A flush failed; returns whether it is the first.
    pub(crate) fn note_flush_failure(&mut self) -> bool {
        !std::mem::replace(&mut self.flush_failed, true)
    }

    /// Turns the loop; its answers are appended to `done`.
    pub(crate) fn turn(&mut self, now: Nanos, done: &mut Vec<IoDone>) {
        self.sent = false;
        self.disk_loop.turn(now, done);
    }

    /// Whether something was sent since the loop was turned.
    pub(crate) fn has_sent(&self) -> bool {
        self.sent
    }

    /// Takes the entry of an answered I/O.
    pub(crate) fn take(&mut self, io: &IoDone) -> Purpose {
        if matches!(io.operation, Operation::Discard | Operation::WriteZeroes) {
            let longest = |operation| self.disk_loop.piece_bytes(operation, CHUNK_BYTES);
            let discard_bytes = longest(Operation::Discard);
            let zeroing_bytes = longest(Operation::WriteZeroes);
            self.abilities.set_longest(discard_bytes, zeroing_bytes);
        }
        let purpose = self.in_flight.remove(io.tag as usize);
        if let Some(slot) = purpose.slot() {
            self.queued[slot.index()] -= 1;
        }
        purpose
    }

    /// Sends a piece of a request.
    pub(crate) fn send_piece(
        &mut self,
        now: Nanos,
        id: RequestId,
        request: &mut PendingRequest,
        piece: Piece,
    ) {
        request.piece_sent();
        let header = request.header();
        let own_buffer = matches!(piece.action(), Action::Read | Action::Write)
            && header.kind().moves_data()
            && header.is_range(piece.start(), piece.end());
        let buffer = match piece.action() {
            _ if own_buffer => request.lend_buffer(),
            Action::Read | Action::Modify => self.room(piece),
            Action::Write => self.filled(request, piece),
            Action::Zero | Action::ZeroByDiscard | Action::Discard => None,
        };
        let io = PieceIo {
            request: id,
            piece,
            own_buffer,
        };
        self.send_piece_io(now, request, io, buffer);
    }

    /// The I/O of a piece is back. Where it was only a part of what the piece needs, or was refused
    /// as not supported, the next one is sent; it takes the space in the loop that this one left.
    pub(crate) fn piece_done(
        &mut self,
        now: Nanos,
        request: &mut PendingRequest,
        io: PieceIo,
        answer: IoDone,
    ) -> PieceOutcome {
        // Where no data is held there is nothing to gather or to merge.
        let buffer = answer.buffer.filter(|_| self.abilities.holds_data());
        let piece = io.piece;
        let next = follow_up(piece.action(), &answer.result, &mut self.abilities);
        if let FollowUp::Send(action) = next {
            let buffer = match (buffer, action) {
                (Some(mut buffer), _) => {
                    // Setting space aside changes nothing that is read.
                    if request.header().kind() != RequestKind::Allocate {
                        request.overlay(piece.start(), &mut buffer);
                    }
                    Some(buffer)
                }
                (None, Action::Write) => self.filled(request, piece),
                (None, _) => None,
            };
            let piece = piece.with_action(action);
            self.send_piece_io(now, request, PieceIo { piece, ..io }, buffer);
            return PieceOutcome::Continues;
        }
        if io.own_buffer {
            request.return_buffer(buffer);
        } else if let Some(buffer) = buffer {
            if piece.action() == Action::Read && answer.result.is_ok() {
                request.gather(piece.start(), &buffer);
            }
            self.pool.put(buffer);
        }
        request.piece_done();
        match answer.result {
            _ if next == FollowUp::NotDiscarded => PieceOutcome::NotDiscarded,
            Ok(()) => PieceOutcome::Done,
            Err(error) => PieceOutcome::Failed(error),
        }
    }

    fn send_piece_io(
        &mut self,
        now: Nanos,
        request: &PendingRequest,
        io: PieceIo,
        buffer: Option<Buffer>,
    ) {
        let piece = io.piece;
        let operation = operation(piece.action());
        let writes = matches!(operation, Operation::Write | Operation::WriteZeroes);
        let fua = writes && request.header().fua() && !request.plan().needs_commit();
        let len_bytes = piece.len_bytes();
        let purpose = Purpose::Piece(request.slot(), io);
        let what = (operation, len_bytes, fua, buffer);
        self.send(now, purpose, piece.target(), what);
    }

    /// Sends a flush of a vdisk's commit.
    pub(crate) fn send_flush(&mut self, now: Nanos, slot: VdiskSlot, target: Target) {
        let what = (Operation::Flush, 0, false, None);
        self.send(now, Purpose::CommitFlush(slot), target, what);
    }

    /// Sends a flush for the commits of several vdisks.
    pub(crate) fn send_shared_flush(&mut self, now: Nanos, target: Target) {
        let what = (Operation::Flush, 0, false, None);
        self.send(now, Purpose::SharedFlush, target, what);
    }

    /// Sends a block of a vdisk's commit; `encode` fills it and says where on the disk it goes.
    pub(crate) fn send_block(
        &mut self,
        now: Nanos,
        slot: VdiskSlot,
        target: Target,
        encode: impl FnOnce(&mut [u8]) -> u64,
    ) {
        let mut buffer = self.pool.take(UNIT_BYTES);
        let target = target.advanced(encode(&mut buffer));
        let what = (Operation::Write, UNIT_BYTES as u64, false, Some(buffer));
        self.send(now, Purpose::CommitBlock(slot), target, what);
    }

    /// Sends a read of metadata, of at most a quantum; the loop has space for it.
    pub(crate) fn send_metadata_read(
        &mut self,
        now: Nanos,
        number: u64,
        target: Target,
        len_bytes: u64,
    ) {
        let buffer = Some(self.pool.take(len_bytes as usize));
        let what = (Operation::Read, len_bytes, false, buffer);
        self.send(now, Purpose::Metadata(number), target, what);
    }

    /// Sends a held trim; returns the tag of its I/O.
    pub(crate) fn send_held(&mut self, now: Nanos, target: Target, piece: HeldPiece) -> u64 {
        let what = (Operation::Discard, piece.end - piece.start, false, None);
        self.send(now, Purpose::Held(piece), target, what)
    }

    /// Withdraws the I/O of a held trim. False if the disk has it.
    pub(crate) fn withdraw_held(&mut self, tag: u64) -> bool {
        self.disk_loop.withdraw_discard(tag)
    }

    /// A held trim failed.
    pub(crate) fn held_failed(&mut self, error: &DiskError) {
        if error.kind == DiskErrorKind::NotSupported {
            self.abilities.lose_discard();
        }
    }

    /// Gives the buffer of such an I/O back.
    pub(crate) fn put_back(&mut self, buffer: Option<Buffer>) {
        if let Some(buffer) = buffer {
            self.pool.put(buffer);
        }
    }

    fn send(
        &mut self,
        now: Nanos,
        purpose: Purpose,
        target: Target,
        (operation, len_bytes, fua, buffer): (Operation, u64, bool, Option<Buffer>),
    ) -> u64 {
        debug_assert!(target.disk() == DiskIndex::FIRST, "a set has one disk");
        if let Some(slot) = purpose.slot() {
            self.queued[slot.index()] += 1;
        }
        self.sent = true;
        let tag = self.in_flight.insert(purpose) as u64;
        let io = Io {
            tag,
            stream: target.stream(),
            operation,
            offset_bytes: target.offset_bytes(),
            len_bytes,
            fua,
            buffer,
        };
        self.disk_loop.submit(now, io);
        tag
    }

    /// Space for a piece, with any content; none on a disk that holds no data.
    fn room(&mut self, piece: Piece) -> Option<Buffer> {
        let holds_data = self.abilities.holds_data();
        holds_data.then(|| self.pool.take(piece.len_bytes() as usize))
    }

    /// The request's bytes for a piece, zeroes where it has none.
    fn filled(&mut self, request: &PendingRequest, piece: Piece) -> Option<Buffer> {
        let mut buffer = self.room(piece)?;
        if !request.header().covers(piece.start(), piece.end()) {
            buffer.fill(0);
        }
        request.overlay(piece.start(), &mut buffer);
        Some(buffer)
    }
}
