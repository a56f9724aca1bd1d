//! How the exports share the places under the limit of all connections: clients of one export that
//! stands still must not keep those of the others out.
//!
//! Half of the places are kept, an equal part for each export; the others are for the clients that
//! come first. Where there are so many exports that the part is less than one place, no export gets
//! more than half of all places.
//!
//! Invariant: the places in use and those that are kept and not in use are together at most as many
//! as there are, so an export that uses less than its part always gets a place.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The places of all exports.
#[derive(Debug)]
pub(super) struct ExportPlaces {
    limit: usize,
    /// Kept for each export.
    part: usize,
    /// The most that one export gets.
    most: usize,
    state: Mutex<PlacesState>,
}

#[derive(Debug, Default)]
struct PlacesState {
    /// By the exports' names; those without clients may be missing.
    used: HashMap<String, usize>,
    used_in_all: usize,
    /// Places that are kept and not in use.
    kept: usize,
}

/// The place of one connection; dropping it frees it.
#[derive(Debug)]
pub(super) struct ExportPlace {
    places: Arc<ExportPlaces>,
    export: String,
}

impl ExportPlaces {
    /// `limit` places for so many exports.
    pub(super) fn new(limit: usize, exports: usize) -> Arc<ExportPlaces> {
        let part = limit / (2 * exports.max(1));
        let most = match (part, exports) {
            (0, 2..) => limit.div_ceil(2),
            _ => limit,
        };
        let kept = part * exports;
        Arc::new(ExportPlaces {
            limit,
            part,
            most,
            state: Mutex::new(PlacesState {
                kept,
                ..PlacesState::default()
            }),
        })
    }

    /// A place for one more connection to the export. Without one, how many connections it has.
    pub(super) fn take(self: &Arc<ExportPlaces>, export: &str) -> Result<ExportPlace, usize> {
        let mut state = self.lock();
        let used = state.used.get(export).copied().unwrap_or(0);
        if used < self.part {
            state.kept -= 1;
        } else if used >= self.most || state.used_in_all + state.kept >= self.limit {
            return Err(used);
        }
        state.used.insert(export.to_owned(), used + 1);
        state.used_in_all += 1;
        Ok(ExportPlace {
            places: Arc::clone(self),
            export: export.to_owned(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, PlacesState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ExportPlace {
    fn drop(&mut self) {
        let mut state = self.places.lock();
        let Some(used) = state.used.get_mut(&self.export) else {
            return;
        };
        *used -= 1;
        let is_within_part = *used < self.places.part;
        state.used_in_all -= 1;
        state.kept += usize::from(is_within_part);
    }
}
