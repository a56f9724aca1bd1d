//! How the exports share the places under the limit of all connections: clients of one export that
//! stands still must not keep those of the others out.
//!
//! Up to half of the places are kept, an equal part for each export, but for none more than its own
//! limit; the others are for the clients that come first. Where there are so many exports that the
//! part is less than one place, no export gets more than half of all places.
//!
//! Exports come and go: then the parts are divided anew, and what others use beyond theirs is not
//! taken away.
//!
//! Invariant: the places in use and those that are kept and not in use are together at most as many
//! as there are, so an export that uses less than its part always gets a place; after an export was
//! added, as soon as enough of the others' connections have ended.

use super::rules::ExportAccess;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The places of all exports.
#[derive(Debug)]
pub(super) struct ExportPlaces {
    limit: usize,
    state: Mutex<PlacesState>,
}

#[derive(Debug)]
struct PlacesState {
    /// The own limits of the exports, by their names.
    limits: HashMap<String, Option<usize>>,
    /// How many are kept for each export without a smaller limit of its own.
    part: usize,
    /// The most that one export gets where no place is kept.
    most: usize,
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
        let limits = exports.iter();
        let limits = limits.map(|(name, access)| (name.clone(), access.connections));
        let mut state = PlacesState {
            limits: limits.collect(),
            part: 0,
            most: limit,
            used: HashMap::new(),
            used_in_all: 0,
            kept: 0,
        };
        state.divide(limit);
        let state = Mutex::new(state);
        Arc::new(ExportPlaces { limit, state })
    }

    /// The most connections that the export gets while no other has any.
    pub(super) fn most_of(&self, export: &str) -> usize {
        let state = self.lock();
        let kept: usize = state.limits.keys().map(|name| state.part_of(name)).sum();
        let kept_for_others = kept - state.part_of(export);
        state.most.min(self.limit - kept_for_others)
    }

    /// One more export, or other rules for one.
    pub(super) fn add(&self, export: &str, connections: Option<usize>) {
        let mut state = self.lock();
        state.limits.insert(export.to_owned(), connections);
        state.divide(self.limit);
    }

    /// An export is gone; places of its connections that have not ended stay in use.
    pub(super) fn remove(&self, export: &str) {
        let mut state = self.lock();
        state.limits.remove(export);
        state.divide(self.limit);
    }

    /// A place for one more connection to the export. Without one, how many connections it has.
    pub(super) fn take(self: &Arc<ExportPlaces>, export: &str) -> Result<ExportPlace, usize> {
        let mut state = self.lock();
        let used = state.used.get(export).copied().unwrap_or(0);
        if used < state.part_of(export) {
            state.kept -= 1;
        } else if used >= state.most || state.used_in_all + state.kept >= self.limit {
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

impl PlacesState {
    /// Divides the places among the exports that there are now.
    fn divide(&mut self, limit: usize) {
        let count = self.limits.len();
        self.part = limit / (2 * count.max(1));
        self.most = match (self.part, count) {
            (0, 2..) => limit.div_ceil(2),
            _ => limit,
        };
        let unused = |name: &String| {
            let used = self.used.get(name).copied().unwrap_or(0);
            self.part_of(name).saturating_sub(used)
        };
        self.kept = self.limits.keys().map(unused).sum();
    }

    /// How many are kept for an export.
    fn part_of(&self, export: &str) -> usize {
        // No client could use more than its own limit.
        let own = self.limits.get(export);
        own.map_or(0, |own| own.map_or(self.part, |own| own.min(self.part)))
    }
}

impl Drop for ExportPlace {
    fn drop(&mut self) {
        let mut state = self.places.lock();
        let part = state.part_of(&self.export);
        let Some(used) = state.used.get_mut(&self.export) else {
            return;
        };
        *used -= 1;
        let is_within_part = *used < part;
        state.used_in_all -= 1;
        state.kept += usize::from(is_within_part);
    }
}
