//! Trims that are held: when the disk is told of them.
//!
//! ```text
//!   trim ─► holes of the zero map, answered ─► … durable … ─► one discard after the other
//! ```
//!
//! One is in the disk at a time, paid by a background stream. While no client has asked for
//! anything for [`IDLE_AFTER`] one follows the other; else one goes after [`PAUSE_FACTOR`] times as
//! long as the last one took, so that a disk that is never idle is told in the end.
//!
//! Invariants: no discard is sent before the zero map that calls its range holes is on the disk, or
//! a crash could leave a chunk that counts as written and holds nothing of its own; the range has
//! no other request meanwhile: a write to it waits for the one discard.

use super::{DataPath, served, served_mut};
use crate::held_trims::HeldTrims;
use crate::ids::VdiskSlot;
use crate::io_queue::HeldPiece;
use disktime_disks::Disk;
use disktime_engine::IoDone;
use disktime_units::Nanos;

/// So long after the last request was answered the disk is idle.
const IDLE_AFTER: Nanos = Nanos::from_millis(20);
/// Beside requests one discard goes after so many times what the last one took.
const PAUSE_FACTOR: u64 = 100;
/// At least so long lies between two commits that are asked for.
const COMMIT_EVERY: Nanos = Nanos::from_secs(1);

/// The discard in the disk, and when the next may go.
#[derive(Debug, Default)]
pub(super) struct HeldDiscards {
    /// Vdisks that hold trims, in turn.
    holding: Vec<VdiskSlot>,
    turn: usize,
    in_flight: Option<(VdiskSlot, Nanos)>,
    /// When a client's request was last in progress.
    active_at: Nanos,
    /// Beside requests none goes before.
    next_at: Nanos,
    /// After a time at which none could go, none is tried before.
    retry_at: Nanos,
    commit_at: Nanos,
}

impl HeldDiscards {
    /// A vdisk that holds trims is served.
    pub(super) fn add(&mut self, slot: VdiskSlot) {
        self.holding.push(slot);
    }

    /// It is served no more.
    pub(super) fn remove(&mut self, slot: VdiskSlot) {
        self.holding.retain(|other| *other != slot);
    }

    /// Whether a discard of the vdisk is in the disk.
    pub(super) fn is_busy_with(&self, slot: VdiskSlot) -> bool {
        self.in_flight.is_some_and(|(busy, _)| busy == slot)
    }
}

impl<D: Disk> DataPath<D> {
    /// When the disk is to be told next.
    pub(super) fn next_held(&self) -> Option<Nanos> {
        let held = &self.held;
        if held.in_flight.is_some() || self.stopping || !self.io.abilities().discards() {
            return None;
        }
        let is_any = |slot: &VdiskSlot| self.held_of(*slot).is_some_and(|trims| !trims.is_empty());
        if !held.holding.iter().any(is_any) {
            return None;
        }
        let idle_at = held.active_at.saturating_add(IDLE_AFTER);
        let at = if self.requests.len() > 0 {
            held.next_at
        } else {
            idle_at.min(held.next_at)
        };
        Some(at.max(self.held.retry_at))
    }

    fn held_of(&self, slot: VdiskSlot) -> Option<&HeldTrims> {
        self.vdisks[slot.index()].as_ref()?.held_trims()
    }

    /// Tells the disk of a held trim, if it is time to.
    pub(super) fn send_held(&mut self, now: Nanos) {
        if self.requests.len() > 0 {
            self.held.active_at = now;
        }
        if self.next_held().is_none_or(|at| now < at) || !self.io.has_room() {
            return;
        }
        for _ in 0..self.held.holding.len() {
            self.held.turn = (self.held.turn + 1) % self.held.holding.len();
            let slot = self.held.holding[self.held.turn];
            if self.send_held_of(now, slot) {
                return;
            }
        }
        // None can go now: a map has to be written, or a range is in use.
        self.held.retry_at = now.saturating_add(IDLE_AFTER);
    }

    fn send_held_of(&mut self, now: Nanos, slot: VdiskSlot) -> bool {
        let longest = self.io.abilities().discard_bytes();
        let vdisk = served_mut(&mut self.vdisks, slot);
        if vdisk.is_damaged() || vdisk.held_trims().is_none_or(HeldTrims::is_empty) {
            return false;
        }
        if !vdisk.layout().maps_are_saved() {
            let is_due = now >= self.held.commit_at && !self.io.flush_failed();
            if is_due && vdisk.commits().is_idle() {
                vdisk.commits_mut().ask();
                self.held.commit_at = now.saturating_add(COMMIT_EVERY);
                self.schedule(slot);
                self.turn_due = true;
            }
            return false;
        }
        let Some((start, end)) = vdisk.next_held(longest) else {
            return false;
        };
        if !self.requests.hold_range(slot, (start, end)) {
            return false;
        }
        served_mut(&mut self.vdisks, slot).release_held(start, end);
        let place = served(&self.vdisks, slot).layout().target(start);
        let target = place.paid_by(self.trims);
        self.held.in_flight = Some((slot, now));
        self.io
            .send_held(now, target, HeldPiece { slot, start, end });
        true
    }

    /// The disk was told, or it failed: then it is told at the next start.
    pub(super) fn held_done(&mut self, now: Nanos, piece: HeldPiece, io: &IoDone) {
        match &io.result {
            Ok(()) => {
                let layout = served_mut(&mut self.vdisks, piece.slot).layout_mut();
                layout.give_space_back(piece.start, piece.end);
            }
            Err(error) => {
                self.io.held_failed(error);
                tracing::debug!("a held trim was not done: {error}");
            }
        }
        if let Some((_, sent_at)) = self.held.in_flight.take() {
            let took = now.saturating_sub(sent_at);
            let pause = Nanos(took.0.saturating_mul(PAUSE_FACTOR));
            self.held.next_at = now.saturating_add(pause);
        }
        self.release_range(piece.slot);
    }
}
