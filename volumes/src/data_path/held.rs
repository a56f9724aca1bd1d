//! Trims that are held: when the disk is told of them.
//!
//! ```text
//!   trim ─► holes of the zero map, answered ─► … durable … ─► one discard after the other
//! ```
//!
//! One at a time is in the loop, paid by a background stream. While no client has asked for
//! anything for [`IDLE_AFTER`] one follows the other; else one goes after [`PAUSE_FACTOR`] times as
//! long as the last one took, [`PAUSE_MOST`] at most, so that a disk that is never idle is told in
//! the end. One that has waited in the loop for [`WAIT_MOST`] is sent again as the vdisk's own
//! request: the background stream gets no time.
//!
//! A write does not wait for one that is only queued: that is taken back, and its range is held
//! again. So it is when the server stops, or the vdisk is removed.
//!
//! Invariants: no discard is sent before the zero map that calls its range holes is on the disk, or
//! a crash could leave a chunk that counts as written and holds nothing of its own; the range has
//! no other request meanwhile: a write to it waits while the disk has the discard.

use super::{DataPath, served_mut};
use crate::held_trims::HeldTrims;
use crate::ids::VdiskSlot;
use crate::io_queue::HeldPiece;
use crate::range_locks::Claim;
use disktime_disks::Disk;
use disktime_engine::IoDone;
use disktime_units::Nanos;

/// So long after the last request was answered the disk is idle.
const IDLE_AFTER: Nanos = Nanos::from_millis(20);
/// Beside requests one discard goes after so many times what the last one took,
const PAUSE_FACTOR: u64 = 100;
/// and after this at the latest.
const PAUSE_MOST: Nanos = Nanos::from_secs(10);
/// So long the background stream may let one wait.
const WAIT_MOST: Nanos = Nanos::from_secs(30);
/// At least so long lies between two commits that are asked for.
const COMMIT_EVERY: Nanos = Nanos::from_secs(1);
/// Ranges of a vdisk of which one is looked for at a time that is a hole after a crash, too.
const RANGES_AT_ONCE: usize = 64;

/// A discard in the loop.
#[derive(Debug, Clone, Copy)]
struct Sent {
    piece: HeldPiece,
    tag: u64,
    at: Nanos,
    /// It is not sent again as the vdisk's own.
    is_final: bool,
}

/// The discard in the loop, and when the next may go.
#[derive(Debug, Default)]
pub(super) struct HeldDiscards {
    /// Vdisks that hold trims, in turn.
    holding: Vec<VdiskSlot>,
    turn: usize,
    sent: Option<Sent>,
    /// Since then one that was taken back waits for the turn of the background stream.
    empty_since: Option<Nanos>,
    /// When a client's request was last in progress.
    active_at: Nanos,
    /// Beside requests none goes before.
    next_at: Nanos,
    /// After a time at which none could go, none is tried before.
    retry_at: Nanos,
    commit_at: Nanos,
    /// The server stops.
    is_over: bool,
}

impl HeldDiscards {
    /// A vdisk that holds trims is served.
    pub(super) fn add(&mut self, slot: VdiskSlot) {
        self.holding.push(slot);
    }

    /// Whether a discard of the vdisk is in the loop.
    pub(super) fn is_busy_with(&self, slot: VdiskSlot) -> bool {
        self.sent.is_some_and(|sent| sent.piece.slot == slot)
    }
}

/// Telling the disk.
impl<D: Disk> DataPath<D> {
    /// When the disk is to be told next.
    pub(super) fn next_held(&self) -> Option<Nanos> {
        let held = &self.held;
        if held.is_over || self.stopping || !self.io.abilities().discards() {
            return None;
        }
        if let Some(sent) = held.sent {
            return (!sent.is_final).then(|| sent.at.saturating_add(WAIT_MOST));
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
        let is_free = held
            .empty_since
            .map(|since| since.saturating_add(WAIT_MOST));
        Some(at.max(held.retry_at).max(is_free.unwrap_or(Nanos::ZERO)))
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
        if let Some(sent) = self.held.sent {
            return self.send_as_own(now, sent);
        }
        for _ in 0..self.held.holding.len() {
            self.held.turn = (self.held.turn + 1) % self.held.holding.len();
            let slot = self.held.holding[self.held.turn];
            if self.send_held_of(now, slot) {
                return;
            }
        }
        // None can go now: a map has to be written, or a range is in use. Where no map can be
        // written any more, there is little to wait for.
        let pause = match self.io.flush_failed() {
            true => COMMIT_EVERY,
            false => IDLE_AFTER,
        };
        self.held.retry_at = now.saturating_add(pause);
    }

    fn send_held_of(&mut self, now: Nanos, slot: VdiskSlot) -> bool {
        let longest = self.io.abilities().discard_bytes();
        let vdisk = served_mut(&mut self.vdisks, slot);
        if vdisk.is_damaged() || vdisk.held_trims().is_none_or(HeldTrims::is_empty) {
            return false;
        }
        let mut needs_commit = false;
        for _ in 0..RANGES_AT_ONCE {
            let vdisk = served_mut(&mut self.vdisks, slot);
            let Some((start, end, is_durable)) = vdisk.next_held(longest) else {
                break;
            };
            needs_commit |= !is_durable;
            if is_durable && self.requests.hold_range(slot, (start, end)) {
                served_mut(&mut self.vdisks, slot).release_held(start, end);
                self.send_discard(now, HeldPiece { slot, start, end });
                return true;
            }
        }
        let is_due = now >= self.held.commit_at && !self.io.flush_failed();
        if needs_commit && is_due && self.vdisk(slot).commits().is_idle() {
            self.vdisk_mut(slot).commits_mut().ask();
            self.held.commit_at = now.saturating_add(COMMIT_EVERY);
            self.schedule(slot);
            self.turn_due = true;
        }
        false
    }

    /// The background stream pays, or the vdisk where that one gets no time.
    fn send_discard(&mut self, now: Nanos, piece: HeldPiece) {
        let place = self.vdisk(piece.slot).layout().target(piece.start);
        let is_final = self.held.empty_since.is_some();
        let target = match is_final {
            true => place,
            false => place.paid_by(self.trims),
        };
        let tag = self.io.send_held(now, target, piece);
        self.held.sent = Some(Sent {
            piece,
            tag,
            at: now,
            is_final,
        });
    }

    /// A discard that has waited too long is sent again as the vdisk's own, if the disk does not
    /// have it.
    fn send_as_own(&mut self, now: Nanos, sent: Sent) {
        if self.io.withdraw_held(sent.tag) {
            self.held.empty_since = Some(sent.at);
            self.send_discard(now, sent.piece);
        } else {
            self.held.sent = Some(Sent {
                is_final: true,
                ..sent
            });
        }
    }

    /// The disk was told, or it failed: then it is told at the next start.
    pub(super) fn held_done(&mut self, now: Nanos, piece: HeldPiece, io: &IoDone) {
        if io.stream == self.trims {
            self.held.empty_since = None;
        }
        let Some(sent) = self.held.sent.take_if(|sent| sent.tag == io.tag) else {
            // It was taken back; its vdisk may be gone.
            return;
        };
        match &io.result {
            Ok(()) => {
                let layout = served_mut(&mut self.vdisks, piece.slot).layout_mut();
                let bytes = layout.give_space_back(piece.start, piece.end);
                if let Some(free) = self.disk_loop().disk().free_space() {
                    free.give(bytes);
                }
            }
            Err(error) => {
                self.io.held_failed(error);
                tracing::debug!("a held trim was not done: {error}");
            }
        }
        let took = now.saturating_sub(sent.at);
        let pause = Nanos(took.0.saturating_mul(PAUSE_FACTOR)).min(PAUSE_MOST);
        self.held.next_at = now.saturating_add(pause);
        self.release_range(piece.slot);
        self.schedule(piece.slot);
    }
}

/// Taking back.
impl<D: Disk> DataPath<D> {
    /// A request is going to claim a range: it does not wait for a discard that is only queued.
    pub(super) fn take_back_for(&mut self, slot: VdiskSlot, claim: Claim) {
        let meets = |sent: &Sent| {
            let HeldPiece { start, end, .. } = sent.piece;
            sent.piece.slot == slot && claim.meets(start, end)
        };
        if self.held.sent.as_ref().is_some_and(meets) {
            self.take_back();
        }
    }

    /// The server stops.
    pub(super) fn end_held(&mut self) {
        self.held.is_over = true;
        self.take_back();
    }

    /// The vdisk is being removed.
    pub(super) fn end_held_of(&mut self, slot: VdiskSlot) {
        self.held.holding.retain(|other| *other != slot);
        if self.held.is_busy_with(slot) {
            self.take_back();
        }
    }

    /// Takes the discard back unless the disk has it; its range is held again.
    fn take_back(&mut self) {
        let Some(sent) = self.held.sent.filter(|it| self.io.withdraw_held(it.tag)) else {
            return;
        };
        self.held.sent = None;
        if !sent.is_final {
            self.held.empty_since = Some(sent.at);
        }
        let HeldPiece { slot, start, end } = sent.piece;
        self.vdisk_mut(slot).hold_again(start, end);
        self.release_range(slot);
    }
}
