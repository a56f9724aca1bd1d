//! The vdisk grows, and the log gets more slots.
//!
//! ```text
//!   grow ─ a checkpoint is named ─ both superblocks say the sizes, durably
//!        ─ new slots are free ─ RESIZE ─ durable ─ grown
//! ```
//!
//! Invariants: nothing lies behind the end that the superblocks say, of the vdisk or of the area; a
//! crash before the RESIZE is durable leaves the old size, with superblocks that allow more, and
//! growing again ends it. A checkpoint is named first, as it says the size that the superblocks
//! said until then.
//!
//! What is not known here: where the vdisk and the area get their space; the driver has it before.

use super::Log;
use super::pipeline::{Answer, StagedRecord};
use super::requests::TABLE_MARGIN_BYTES;
use crate::format::Seq;
use crate::format::record::Record;
use crate::format::superblock::{Geometry, Superblock};
use crate::sizes::SIZES_MAX;
use crate::steps::{Failure, Notice};

/// A vdisk that grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Growing {
    /// What the superblocks will say. An earlier attempt may have had them say a greater size.
    geometry: Geometry,
    /// The size of the vdisk.
    blocks: u64,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// No checkpoint is named yet.
    Waiting,
    /// The superblocks are written.
    Announced,
    /// The RESIZE is written.
    Recorded,
}

impl Log {
    /// The vdisk gets so many blocks, and the log so many slots; both are there, and what lies
    /// behind the old end of the vdisk reads as zeroes. [`Notice::Grown`] or [`Notice::NotGrown`]
    /// follows; what is asked for twice is done once.
    ///
    /// # Errors
    /// [`Failure::BadSize`] if one is less than before or more than a log has; [`Failure::TooMany`]
    /// sizes within the window; [`Failure::Busy`] while it grows.
    pub fn grow(&mut self, vdisk_blocks: u64, slots: u32) -> Result<(), Failure> {
        self.check_writable()?;
        if self.growing.is_some() {
            return Err(Failure::Busy);
        }
        let geometry = Geometry {
            vdisk_blocks: vdisk_blocks.max(self.geometry.vdisk_blocks),
            slots,
            ..self.geometry
        };
        let shrinks = vdisk_blocks < self.sizes.present() || slots < self.geometry.slots;
        if shrinks || !geometry.is_possible() {
            return Err(Failure::BadSize);
        }
        let grows = vdisk_blocks > self.sizes.present();
        let is_full = self.sizes.len(self.oldest_restorable) >= SIZES_MAX
            || !self.tables_have_room(TABLE_MARGIN_BYTES);
        if grows && is_full {
            return Err(Failure::TooMany);
        }
        self.growing = Some(Growing {
            geometry,
            blocks: vdisk_blocks,
            stage: Stage::Waiting,
        });
        Ok(())
    }

    /// Blocks of the vdisk at present.
    pub fn vdisk_blocks(&self) -> u64 {
        self.sizes.present()
    }

    /// Slots of the log.
    pub fn slots(&self) -> u32 {
        self.geometry.slots
    }

    /// Blocks that the vdisk had at a moment.
    pub fn vdisk_blocks_at(&self, moment: Seq) -> u64 {
        self.sizes.at(moment)
    }

    pub(super) fn advance_growing(&mut self) {
        let is_named = self.superblock.checkpoint.is_some();
        let waiting = self.growing.as_mut().filter(|_| is_named);
        let Some(growing) = waiting.filter(|growing| growing.stage == Stage::Waiting) else {
            return;
        };
        growing.stage = Stage::Announced;
        let resizes = growing.blocks > self.sizes.present();
        if self.geometry == growing.geometry && (self.superblock.has_sizes || !resizes) {
            self.sizes_are_said();
            return;
        }
        self.superblock.geometry = growing.geometry;
        self.superblock.has_sizes |= resizes;
        self.want_superblocks();
    }

    /// Both superblocks say this, durably.
    pub(super) fn superblocks_say_sizes(&mut self, written: &Superblock) {
        let is_announced = self.growing.is_some_and(|growing| {
            growing.stage == Stage::Announced && growing.geometry == written.geometry
        });
        if is_announced && written.has_sizes == self.superblock.has_sizes {
            self.sizes_are_said();
        }
    }

    fn sizes_are_said(&mut self) {
        let Some(growing) = &mut self.growing else {
            return;
        };
        self.geometry = growing.geometry;
        self.segments.add_slots(growing.geometry.slots);
        if growing.blocks == self.sizes.present() {
            self.has_grown();
            return;
        }
        growing.stage = Stage::Recorded;
        self.records.push_back(StagedRecord {
            record: Record::Resize(growing.blocks),
            payload: Vec::new(),
            answer: Answer::Grown,
        });
    }

    /// The RESIZE is part of the state.
    pub(super) fn resize(&mut self, seq: Seq, blocks: u64) {
        self.sizes.forget_before(self.oldest_restorable);
        self.sizes.set(seq, blocks);
    }

    /// All of it is durable.
    pub(super) fn has_grown(&mut self) {
        self.growing = None;
        let blocks = self.sizes.present();
        self.notices.push_back(Notice::Grown { blocks });
    }

    /// The RESIZE could not be written.
    pub(super) fn has_not_grown(&mut self, why: Failure) {
        self.growing = None;
        self.notices.push_back(Notice::NotGrown { why });
    }

    pub(super) fn is_growing(&self) -> bool {
        self.growing.is_some()
    }
}
