//! From changes that wait to batches of data.
//!
//! A batch takes all that waits, up to its limits. A long write goes into several: each takes as
//! many of its blocks as fit, and the rest waits.
//!
//! Invariants: changes are taken in the order in which they came; a request is answered with its
//! last block, and fails with it.

use super::Log;
use super::checkpoints::checkpoint_room;
use super::pipeline::{Answer, RECORD_ROOM};
use crate::format::PAYLOAD_UNITS_MAX;
use crate::format::batch::{Body, ENTRIES_MAX, Entry, EntryKind};
use crate::format::checkpoint::SEGMENT_BYTES;
use crate::segments::{Divided, EMERGENCY_SLOTS, Fit, Room, most_that_fit};
use crate::steps::{Failure, Part, RequestId};
use std::mem;

/// Long writes are divided at the end of a batch or segment where so many blocks fit before it.
const LEAST_PART_BLOCKS: u32 = 16;

/// A change that waits for its batch: a request, or what is left of one of which batches have taken
/// the first blocks.
#[derive(Debug, Clone)]
pub(super) struct Staged {
    pub(super) request: RequestId,
    pub(super) ticket: u64,
    pub(super) entry: Entry,
    /// Not seeded.
    pub(super) checksums: Vec<u32>,
    /// Block of the request's data that it begins with.
    pub(super) from_block: u32,
    pub(super) is_last: bool,
    pub(super) is_durable: bool,
}

impl Staged {
    /// Takes its first blocks, which are data and not all.
    fn split_off_front(&mut self, blocks: u32) -> Staged {
        let rest = self.checksums.split_off(blocks as usize);
        let front = Staged {
            entry: Entry {
                blocks,
                ..self.entry
            },
            checksums: mem::replace(&mut self.checksums, rest),
            is_last: false,
            ..*self
        };
        self.entry.lba += u64::from(blocks);
        self.entry.blocks -= blocks;
        self.from_block += blocks;
        front
    }
}

/// What of the waiting changes one batch takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fitting {
    /// Whole ones.
    items: usize,
    /// First blocks of the one behind them.
    blocks: u32,
    room: Room,
}

impl Log {
    /// Payload of one batch: with its header a whole MiB, as one unit more would be a request of
    /// its own to most disks, and a turn of those that turn. A small slot has space for less.
    pub(super) fn payload_units_max(&self) -> u32 {
        (PAYLOAD_UNITS_MAX as u32 - 1).min(self.geometry.slot_units / 2)
    }

    pub(super) fn begin_data(&mut self, now_ns: u64) -> bool {
        // What a branch waits for is written as long as there is space.
        let is_held = (self.held || self.is_paced()) && !self.branch_waits();
        if is_held || self.staged.is_empty() || self.gathers(now_ns) {
            return false;
        }
        let fitting = loop {
            let Some(first) = self.staged.front() else {
                return false;
            };
            let fitting = self.fitting();
            if (fitting.items, fitting.blocks) != (0, 0) {
                break fitting;
            }
            let least = self.least_room_of(first);
            if self.segments.fit(least, EMERGENCY_SLOTS) == Fit::Next {
                let has_room = self.make_room(least, EMERGENCY_SLOTS, now_ns);
                return has_room && self.begin_data(now_ns);
            }
            if self.makes_space() {
                return false;
            }
            // A shorter one behind it may fit.
            self.fail_first_staged();
        };
        if self.send_epoch(now_ns) {
            return true;
        }
        let mut items: Vec<Staged> = self.staged.drain(..fitting.items).collect();
        if let Some(next) = self.staged.front_mut().filter(|_| fitting.blocks > 0) {
            items.push(next.split_off_front(fitting.blocks));
        }
        let entries = items.iter().map(|item| item.entry).collect();
        let payload = items.iter().flat_map(|item| &item.checksums);
        let payload: Vec<u32> = payload.copied().collect();
        let data = items
            .iter()
            .filter(|item| item.entry.kind == EntryKind::Data);
        let parts = data
            .map(|item| Part::Request {
                request: item.request,
                from_block: item.from_block,
                blocks: item.entry.blocks,
            })
            .collect();
        self.send(
            Body::Data(entries),
            &payload,
            fitting.room.entries,
            parts,
            items,
            Answer::Nothing,
            now_ns,
        );
        true
    }

    /// What of the waiting changes fits one batch of the open segment. Of a long write that does
    /// not fit the first blocks do: a batch that is not full costs as much as one that is, and a
    /// segment that is sealed early is space that is lost.
    fn fitting(&self) -> Fitting {
        let mut fitting = Fitting {
            items: 0,
            blocks: 0,
            room: RECORD_ROOM,
        };
        for item in self.staged.iter().take(ENTRIES_MAX) {
            let all = room_of(item, item.entry.blocks, fitting.room);
            if self.fits_batch(all) {
                (fitting.items, fitting.room) = (fitting.items + 1, all);
                continue;
            }
            let blocks = self.blocks_that_fit(item, fitting.room);
            if blocks > 0 {
                (fitting.blocks, fitting.room) = (blocks, room_of(item, blocks, fitting.room));
            }
            break;
        }
        fitting
    }

    fn fits_batch(&self, room: Room) -> bool {
        room.units <= 1 + self.payload_units_max()
            && self.segments.fit(room, EMERGENCY_SLOTS) == Fit::Here
    }

    /// First blocks of a change that fit behind what a batch has already; none if that are too few
    /// to be worth it.
    fn blocks_that_fit(&self, item: &Staged, before: Room) -> u32 {
        if item.entry.kind != EntryKind::Data {
            return 0;
        }
        let fits = |blocks| self.fits_batch(room_of(item, blocks, before));
        let blocks = most_that_fit(item.entry.blocks, fits);
        let is_worth_it = blocks >= self.least_blocks();
        if is_worth_it && self.has_room_for_all_of(item, before) {
            blocks
        } else {
            0
        }
    }

    /// Whether a change that is begun behind what a batch has already can also be ended: a write
    /// that a full log refuses has changed nothing, unless records that were asked for meanwhile
    /// have taken the room of its end.
    fn has_room_for_all_of(&self, item: &Staged, before: Room) -> bool {
        let data = Divided {
            blocks: item.entry.blocks,
            least_blocks: self.least_blocks(),
            batch_units_max: 1 + self.payload_units_max(),
            before,
            checkpoint_waits: self.checkpoint_wanted,
        };
        // The rows are counted only for a write that a segment ends in.
        let checkpoint = |begun| checkpoint_room(self.tables_bytes() + begun * SEGMENT_BYTES);
        let segments = &self.segments;
        item.from_block > 0 || segments.has_room_for_all(&data, checkpoint, EMERGENCY_SLOTS)
    }

    /// A part of a change that is taken alone has so many blocks at least.
    fn least_blocks(&self) -> u32 {
        LEAST_PART_BLOCKS.min(self.payload_units_max())
    }

    /// The least room with which something of a change can be taken.
    fn least_room_of(&self, item: &Staged) -> Room {
        let least = match self.has_room_for_all_of(item, RECORD_ROOM) {
            true => self.least_blocks(),
            false => self.payload_units_max(),
        };
        let blocks = item.entry.blocks.min(least);
        room_of(item, blocks, RECORD_ROOM)
    }

    /// There is no room for the change that waits longest.
    fn fail_first_staged(&mut self) {
        if let Some(item) = self.staged.pop_front().filter(|item| item.is_last) {
            self.failing.push((item.request, Failure::Full));
        }
        self.answer_failing();
    }

    /// All changes that wait fail.
    pub(super) fn fail_staged(&mut self, why: Failure) {
        while let Some(item) = self.staged.pop_front() {
            if item.is_last {
                self.failing.push((item.request, why));
            }
        }
        self.answer_failing();
    }
}

/// With so many blocks of a change behind what is `before`.
fn room_of(item: &Staged, blocks: u32, before: Room) -> Room {
    before.and(match item.entry.kind {
        EntryKind::Data => Room::of_blocks(blocks),
        EntryKind::Zeroes | EntryKind::Trimmed => Room {
            units: 0,
            entries: [0, 1, 0],
        },
    })
}
