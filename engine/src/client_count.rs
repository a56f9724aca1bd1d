//! How many clients use a vdisk, and who they are: frontends change it and any thread may read it.
//!
//! Invariant: what is counted by a guard is counted, and named, until the guard is dropped. The
//! names are behind a lock, which is taken when a client comes or goes and when they are asked for.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The clients of a vdisk: connections and open files. Clones share one counter.
#[derive(Debug, Clone, Default)]
pub struct ClientCount {
    count: Arc<AtomicU64>,
    names: Arc<Mutex<Names>>,
}

#[derive(Debug, Default)]
struct Names {
    next: u64,
    by_number: Vec<(u64, String)>,
}

/// A client that is counted.
#[derive(Debug)]
pub struct CountedClient {
    clients: ClientCount,
    /// Of its name.
    number: u64,
}

impl ClientCount {
    /// How many there are now.
    pub fn get(&self) -> u64 {
        // No other memory depends on this number, so it needs no ordering.
        self.count.load(Ordering::Relaxed)
    }

    /// Counts a client until the guard is dropped; `name` is for people.
    pub fn enter(&self, name: String) -> CountedClient {
        self.add_one();
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let number = names.next;
        names.next += 1;
        names.by_number.push((number, name));
        drop(names);
        CountedClient {
            clients: self.clone(),
            number,
        }
    }

    /// The names of the clients that have one.
    pub fn names(&self) -> Vec<String> {
        let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names
            .by_number
            .iter()
            .map(|(_, name)| name.clone())
            .collect()
    }

    /// One more, for a frontend that learns of the client's end.
    pub fn add_one(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    /// One fewer; never more than were added.
    pub fn subtract_one(&self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for CountedClient {
    fn drop(&mut self) {
        let names = &self.clients.names;
        let mut names = names.lock().unwrap_or_else(PoisonError::into_inner);
        names.by_number.retain(|(number, _)| *number != self.number);
        drop(names);
        self.clients.subtract_one();
    }
}
