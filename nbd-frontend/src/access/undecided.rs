//! The connections that are admitted and have not chosen an export, oldest first.

use super::permit::HeldPermits;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};
use tokio::sync::OwnedSemaphorePermit;

/// A connection without an export can be evicted after this time. A working client chooses within
/// some milliseconds.
pub(super) const EVICTABLE_AFTER: Duration = Duration::from_millis(100);

/// The connections, by the order in which they were accepted.
#[derive(Debug, Default)]
pub(super) struct UndecidedConnections(Mutex<UndecidedState>);

#[derive(Debug, Default)]
struct UndecidedState {
    last_number: u64,
    connections: BTreeMap<u64, (Instant, Weak<HeldPermits>)>,
}

/// Since when a connection is admitted, and where that places it among the others.
#[derive(Debug, Clone, Copy)]
pub(super) struct UndecidedAge {
    number: u64,
    since: Instant,
}

impl UndecidedConnections {
    /// Adds a connection that was admitted now.
    pub(super) fn add(&self, permits: &Arc<HeldPermits>) -> UndecidedAge {
        let mut state = self.lock();
        state.last_number += 1;
        let age = UndecidedAge {
            number: state.last_number,
            since: Instant::now(),
        };
        drop(state);
        self.add_again(age, permits);
        age
    }

    /// Adds a connection whose choice was refused; it is as old as before.
    pub(super) fn add_again(&self, age: UndecidedAge, permits: &Arc<HeldPermits>) {
        let entry = (age.since, Arc::downgrade(permits));
        self.lock().connections.insert(age.number, entry);
    }

    /// Removes a connection that has chosen or ended.
    pub(super) fn remove(&self, age: UndecidedAge) {
        self.lock().connections.remove(&age.number);
    }

    /// Evicts the oldest connection and returns its permit, if one is old enough.
    pub(super) fn evict_oldest(&self) -> Option<OwnedSemaphorePermit> {
        loop {
            let oldest = {
                let mut state = self.lock();
                let oldest = state.connections.first_entry()?;
                if oldest.get().0.elapsed() < EVICTABLE_AFTER {
                    return None;
                }
                oldest.remove().1
            };
            // The lock is released here, as the end of a connection takes it.
            let permit = oldest.upgrade().and_then(|permits| permits.evict());
            if permit.is_some() {
                return permit;
            }
        }
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.lock().connections.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, UndecidedState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
