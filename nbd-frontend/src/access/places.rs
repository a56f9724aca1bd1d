//! How the exports share the places under the limit of all connections: clients of one export that
//! stands still must not keep those of the others out.
//!
//! Up to half of the places are kept, an equal part for each export, but for none more than its own
//! limit; the others are for the clients that come first. Where there are so many exports that the
//! part is less than one place, no export gets more than half of all places.
//!
//! Invariant: the places in use and those that are kept and not in use are together at most as many
//! as there are, so an export that uses less than its part always gets a place.

use super::rules::ExportAccess;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The places of all exports.
#[derive(Debug)]
pub(super) struct ExportPlaces {
    limit: usize,
    /// How many are kept for each export, by its name.
    parts: HashMap<String, usize>,
    /// The most that one export gets where no place is kept.
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
    /// `limit` places for these exports.
    pub(super) fn new(limit: usize, exports: &HashMap<String, ExportAccess>) -> Arc<ExportPlaces> {
        let part = limit / (2 * exports.len().max(1));
        let most = match (part, exports.len()) {
            (0, 2..) => limit.div_ceil(2),
            _ => limit,
        };
        let parts = exports.iter().map(|(name, access)| {
            // No client could use more than its own limit.
            let kept = access.connections.map_or(part, |own| own.min(part));
            (name.clone(), kept)
        });
        let parts: HashMap<String, usize> = parts.collect();
        let kept = parts.values().sum();
        Arc::new(ExportPlaces {
            limit,
            parts,
            most,
            state: Mutex::new(PlacesState {
                kept,
                ..PlacesState::default()
            }),
        })
    }

    /// The most connections that the export gets while no other has any.
    pub(super) fn most_of(&self, export: &str) -> usize {
        let kept: usize = self.parts.values().sum();
        let kept_for_others = kept - self.part_of(export);
        self.most.min(self.limit - kept_for_others)
    }

    fn part_of(&self, export: &str) -> usize {
        self.parts.get(export).copied().unwrap_or(0)
    }

    /// A place for one more connection to the export. Without one, how many connections it has.
    pub(super) fn take(self: &Arc<ExportPlaces>, export: &str) -> Result<ExportPlace, usize> {
        let mut state = self.lock();
        let used = state.used.get(export).copied().unwrap_or(0);
        if used < self.part_of(export) {
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
        let part = self.places.part_of(&self.export);
        let mut state = self.places.lock();
        let Some(used) = state.used.get_mut(&self.export) else {
            return;
        };
        *used -= 1;
        let is_within_part = *used < part;
        state.used_in_all -= 1;
        state.kept += usize::from(is_within_part);
    }
}
