//! A log that is nearly full takes changes at the rate at which a fold makes space, instead of
//! taking all that fit and then none until the fold ends.
//!
//! ```text
//!   │ sealed, being folded │ sealed …  │ open │ … the margin │ emergency slots │
//!                                                ◄─ data leaves free the part of the margin that
//!                                                   the fold still has to go
//! ```
//!
//! A fold begins when only the margin is left. What is free when a step begins, the margin or the
//! slots that the step before freed, is its *span*: of that as much is given to changes as is done
//! of the step in flight, in whole quanta. On a hard disk each quantum brings the head to the log
//! and back.
//!
//! Not known here: what a fold is made of; the driver tells how far it is.

use super::{Log, WhenFull};
use crate::segments::EMERGENCY_SLOTS;

/// Of the batch that a full log folds, this part is the margin.
const MARGIN_PART: usize = 16;

/// So many units of the margin are given to changes at once, at least: eight commits of what
/// sixteen clients write.
const QUANTUM_UNITS: u64 = 128;

/// So many commits of long writes.
const QUANTUM_BATCHES: u64 = 2;

impl Log {
    /// So many of so many parts of the step [`crate::Step::WriteImage`] that is in flight are done.
    pub fn note_fold_progress(&mut self, done: u64, of: u64) {
        let ppm = (done.min(of) * 1_000_000).checked_div(of).unwrap_or(0);
        if let Some(fold) = &mut self.fold {
            fold.note_progress(ppm as u32);
        }
    }

    /// Slots that are left when a fold begins early, so that changes go on beside it.
    pub(super) fn margin_slots(&self) -> usize {
        (self.batch_slots() / MARGIN_PART).max(1)
    }

    fn margin_units(&self) -> u64 {
        self.margin_slots() as u64 * u64::from(self.geometry.slot_units)
    }

    /// Whether only the margin is left for data.
    pub(super) fn is_nearly_full(&self) -> bool {
        self.units_for_data() <= self.margin_units()
    }

    /// Units that data may take before a slot has to become free.
    pub(super) fn units_for_data(&self) -> u64 {
        let slots = self.segments.free_slots().saturating_sub(EMERGENCY_SLOTS) as u64;
        let slot_units = self.geometry.slot_units;
        let open = self.segments.open();
        let rest = open.map_or(0, |open| slot_units.saturating_sub(open.used_units()));
        slots * u64::from(slot_units) + u64::from(rest)
    }

    /// Units that a step gives to changes while it is done: the margin, or what the step before it
    /// freed where that is more.
    pub(super) fn span_units(&self, freed_slots: usize) -> u64 {
        let freed = freed_slots as u64 * u64::from(self.geometry.slot_units);
        self.units_for_data().min(self.margin_units().max(freed))
    }

    /// Whether data waits for the fold in flight to get on.
    pub(super) fn is_paced(&self) -> bool {
        let Some(fold) = self.fold.as_ref().filter(|_| self.is_folding()) else {
            return false;
        };
        if self.settings.when_full == WhenFull::Refuse {
            return false;
        }
        let span = fold.span_units();
        let wanted = QUANTUM_UNITS.max(QUANTUM_BATCHES * self.data_batch_units);
        let quantum = wanted.min(span / 2).max(1);
        let given = span * u64::from(fold.progress_ppm()) / 1_000_000;
        self.units_for_data() <= span - given / quantum * quantum
    }
}
