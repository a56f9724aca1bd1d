//! The state of one open vdisk and of its requests; what a request claims, and its syncing.
//!
//! A *sync* makes writes durable with the bits of the zero map that say they are there: data
//! flush, then map blocks, then a second flush. One runs at a time; FLUSH and FUA requests that
//! come meanwhile share the next one.

use crate::below::StreamId;
use crate::layout::{Grain, Layout, whole_chunks};
use crate::range_locks::{Claim, RangeLocks};
use crate::zero_map::CHUNK_BYTES;
use disktime_engine::{Buffer, IoError, RequestKind};
use std::collections::VecDeque;

/// Most requests that a vdisk holds at a time; further ones stay with the door.
pub const MAX_REQUESTS: usize = 256;
/// Most bytes of reads and writes that a vdisk holds at a time (one request may be larger).
pub const MAX_REQUEST_BYTES: u64 = 64 << 20;
/// Most pieces of a vdisk that are queued in the disk's loop at a time.
pub const MAX_QUEUED_PARTS: usize = 256;

/// A request that was taken in and is not answered yet.
#[derive(Debug)]
pub(crate) struct RequestState {
    pub origin: u64,
    pub handle: u64,
    pub vdisk: usize,
    pub kind: RequestKind,
    pub offset_bytes: u64,
    pub len_bytes: u64,
    /// Its end; that of the extents if it reaches the vdisk's end, as nothing is stored between.
    pub chunks_end: u64,
    pub fua: bool,
    pub buffer: Option<Buffer>,
    /// What is worked on: the padded range of a write, the blocks inside of a trim.
    pub range: (u64, u64),
    /// Up to where it was cut into pieces.
    pub cursor: u64,
    /// Pieces on the disk.
    pub outstanding: usize,
    /// In the vdisk's queue of requests with pieces to be made.
    pub in_ready: bool,
    /// Holds its claim alone: it may be the first to write a chunk.
    pub exclusive: bool,
    /// Its reply waits for a sync after its data.
    pub needs_sync: bool,
    /// What it trims or zeroes is zeroes on the disk, too.
    pub zeroes_disk: bool,
    /// Where a piece of it failed.
    pub failed_at: Option<u64>,
    pub error: Option<IoError>,
}

impl RequestState {
    pub fn end_bytes(&self) -> u64 {
        self.offset_bytes + self.len_bytes
    }

    /// Whether all its pieces were made. One that waits for its claim has no range yet.
    pub fn is_all_sent(&self) -> bool {
        self.range.1 > 0 && self.cursor >= self.range.1
    }

    /// Bytes that count against the vdisk's bound.
    pub fn held_bytes(&self) -> u64 {
        held_bytes(self.kind, self.len_bytes)
    }

    /// What it writes to, and whether alone.
    pub fn claim(&self, id: u32, layout: &Layout, grain: Grain) -> Claim {
        let (start, end) = (self.offset_bytes, self.end_bytes());
        let whole = grain.is_aligned(start) && grain.is_aligned(end);
        let first = self.kind == RequestKind::Write && layout.any_unwritten(start, end);
        let unit = if first {
            CHUNK_BYTES
        } else {
            grain.block_bytes
        };
        // Nobody may write into a chunk while it is made to read as zeroes as a whole.
        let alone = first || (!whole && self.kind != RequestKind::Trim) || self.zeroes_chunks();
        Claim {
            id,
            start_bytes: start - start % unit,
            end_bytes: end.next_multiple_of(unit),
            exclusive: alone,
        }
    }

    /// Whether chunks are known to be zeroes once it is done.
    pub fn zeroes_chunks(&self) -> bool {
        let (start, end) = (self.offset_bytes, self.chunks_end);
        self.kind.makes_holes() && whole_chunks(start, end).is_some()
    }

    /// Puts into `piece`, which is the vdisk's bytes from `start` on, what the request writes.
    pub fn overlay(&self, start: u64, piece: &mut [u8]) {
        let end = start + piece.len() as u64;
        let (from, to) = (start.max(self.offset_bytes), end.min(self.end_bytes()));
        if from >= to {
            return;
        }
        let target = &mut piece[(from - start) as usize..(to - start) as usize];
        match &self.buffer {
            Some(data) => {
                let (from, to) = (from - self.offset_bytes, to - self.offset_bytes);
                target.copy_from_slice(&data[from as usize..to as usize]);
            }
            None => target.fill(0),
        }
    }

    /// Takes from `piece`, which is the vdisk's bytes from `start` on, what the request reads.
    pub fn gather(&mut self, start: u64, piece: &[u8]) {
        let end = start + piece.len() as u64;
        let (from, to) = (start.max(self.offset_bytes), end.min(self.end_bytes()));
        let offset = self.offset_bytes;
        if let Some(room) = self.buffer.as_mut().filter(|_| from < to) {
            let source = &piece[(from - start) as usize..(to - start) as usize];
            room[(from - offset) as usize..(to - offset) as usize].copy_from_slice(source);
        }
    }

    /// Fills the part of the room that was never written.
    pub fn gather_zeroes(&mut self, start: u64, end: u64) {
        let offset = self.offset_bytes;
        if let Some(room) = &mut self.buffer {
            room[(start - offset) as usize..(end - offset) as usize].fill(0);
        }
    }
}

/// Bytes that a request holds in memory.
pub(crate) fn held_bytes(kind: RequestKind, len_bytes: u64) -> u64 {
    match kind {
        RequestKind::Read | RequestKind::Write | RequestKind::Cache => len_bytes,
        _ => 0,
    }
}

/// How far a sync has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SyncStep {
    /// None is running.
    Idle,
    /// The data flush is on the disk.
    DataFlush,
    /// Map blocks are written.
    Maps,
    /// The second flush has to be sent.
    MapFlushDue,
    /// The second flush is on the disk.
    MapFlush,
}

/// The sync of a vdisk.
#[derive(Debug)]
pub(crate) struct Sync {
    pub step: SyncStep,
    /// Requests that the running one answers.
    pub covered: Vec<u32>,
    /// Requests for the next one.
    pub waiting: Vec<u32>,
    /// Map blocks of the running one that are still to be sent: extent, and how many are left.
    pub to_send: Vec<(usize, usize)>,
    /// Map blocks on the disk.
    pub outstanding: usize,
    /// A map block failed.
    pub failed: bool,
}

/// An open vdisk.
#[derive(Debug)]
pub(crate) struct Vdisk {
    pub name: String,
    pub size_bytes: u64,
    pub stream: StreamId,
    pub layout: Layout,
    /// Its zero map cannot be read: every request fails.
    pub damaged: bool,
    pub locks: RangeLocks,
    /// Requests with pieces to be made, each in turn.
    pub ready: VecDeque<u32>,
    pub sync: Sync,
    pub taken_requests: usize,
    pub taken_bytes: u64,
    pub queued_parts: usize,
    /// In the set's queue of vdisks with something to send.
    pub in_ready: bool,
}

impl Vdisk {
    pub fn new(name: String, size_bytes: u64, stream: StreamId, layout: Layout) -> Vdisk {
        let maps = layout.extents.len();
        Vdisk {
            name,
            size_bytes,
            stream,
            layout,
            damaged: false,
            locks: RangeLocks::with_capacity(MAX_REQUESTS),
            ready: VecDeque::with_capacity(MAX_REQUESTS),
            sync: Sync {
                step: SyncStep::Idle,
                covered: Vec::with_capacity(MAX_REQUESTS),
                waiting: Vec::with_capacity(MAX_REQUESTS),
                to_send: Vec::with_capacity(maps),
                outstanding: 0,
                failed: false,
            },
            taken_requests: 0,
            taken_bytes: 0,
            queued_parts: 0,
            in_ready: false,
        }
    }

    /// Whether there is something to send to the disk and room in the vdisk's part of its queue.
    pub fn has_work(&self) -> bool {
        let sync = match self.sync.step {
            SyncStep::Idle => !self.sync.waiting.is_empty(),
            SyncStep::Maps => !self.sync.to_send.is_empty(),
            SyncStep::MapFlushDue => true,
            SyncStep::DataFlush | SyncStep::MapFlush => false,
        };
        self.queued_parts < MAX_QUEUED_PARTS && (sync || !self.ready.is_empty())
    }
}
