//! The clients of a vdisk: how many use it, who they are, and whether more may come. Frontends
//! enter them, and any thread may ask.
//!
//! Invariants: what a guard counts is counted, and named, until the guard is dropped; while a vdisk
//! is closed to clients none is added; a file that was ended stays ended, whatever is opened later.
//! All is behind a lock, which is taken when a client comes or goes and when it is asked for; only
//! whether a file is still open is read on the way of a request, without it.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The clients of a vdisk: connections and open files. Clones share one count.
#[derive(Debug, Clone, Default)]
pub struct ClientCount(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// It takes clients again, or one has gone.
    changed: Condvar,
    /// How often all open files were ended.
    ended: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    is_closed: bool,
    next: u64,
    by_number: Vec<(u64, String)>,
    /// Files that are open and were not ended.
    files: u64,
}

/// A client that is counted.
#[derive(Debug)]
pub struct CountedClient {
    clients: ClientCount,
    /// Of its name.
    number: u64,
}

/// What a frontend keeps of a file that it opened: which files were ended since.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OpenedFile(pub u64);

/// The vdisk takes no client now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the vdisk is being reverted or dropped; connect again when that is over")]
pub struct ClosedToClients;

/// Keeps a vdisk closed to new clients until it is dropped.
#[derive(Debug)]
pub struct ClosedVdisk(ClientCount);

/// Why a vdisk could not be closed to clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StillInUse {
    /// By these clients.
    By(Vec<String>),
    /// It is closed already.
    Closed,
}

impl ClientCount {
    /// How many there are now.
    pub fn get(&self) -> u64 {
        self.lock().count()
    }

    /// Counts a client until the guard is dropped; `name` is for people.
    ///
    /// # Errors
    /// While the vdisk is closed to clients.
    pub fn enter(&self, name: String) -> Result<CountedClient, ClosedToClients> {
        let mut state = self.lock();
        if state.is_closed {
            return Err(ClosedToClients);
        }
        let number = state.next;
        state.next += 1;
        state.by_number.push((number, name));
        drop(state);
        let clients = self.clone();
        Ok(CountedClient { clients, number })
    }

    /// Who they are, for people.
    pub fn names(&self) -> Vec<String> {
        self.lock().names()
    }

    /// Counts an open file, for a frontend that learns of its end.
    ///
    /// # Errors
    /// While the vdisk is closed to clients.
    pub fn open_file(&self) -> Result<OpenedFile, ClosedToClients> {
        let mut state = self.lock();
        if state.is_closed {
            return Err(ClosedToClients);
        }
        state.files += 1;
        Ok(OpenedFile(self.0.ended.load(Ordering::Acquire)))
    }

    /// Whether the file was not ended.
    pub fn is_open(&self, file: OpenedFile) -> bool {
        self.0.ended.load(Ordering::Acquire) == file.0
    }

    /// The program has closed the file.
    pub fn close_file(&self, file: OpenedFile) {
        let mut state = self.lock();
        if self.is_open(file) {
            state.files -= 1;
        }
    }

    /// Closes the vdisk to new clients, if it has none.
    ///
    /// # Errors
    /// Who uses it.
    pub fn close_if_unused(&self) -> Result<ClosedVdisk, StillInUse> {
        let mut state = self.lock();
        if !state.is_closed && state.count() > 0 {
            return Err(StillInUse::By(state.names()));
        }
        self.close_now(&mut state)
    }

    /// Closes the vdisk to new clients; those that it has stay.
    ///
    /// # Errors
    /// [`StillInUse::Closed`].
    pub fn close(&self) -> Result<ClosedVdisk, StillInUse> {
        self.close_now(&mut self.lock())
    }

    fn close_now(&self, state: &mut State) -> Result<ClosedVdisk, StillInUse> {
        if std::mem::replace(&mut state.is_closed, true) {
            return Err(StillInUse::Closed);
        }
        Ok(ClosedVdisk(self.clone()))
    }

    /// Waits until the vdisk takes clients, at most so long; whether it does.
    pub fn wait_until_open(&self, patience: Duration) -> bool {
        self.wait_until(patience, |state| !state.is_closed)
    }

    /// Waits until no client is left, at most so long; whether none is.
    pub fn wait_until_unused(&self, patience: Duration) -> bool {
        self.wait_until(patience, |state| state.count() == 0)
    }

    fn wait_until(&self, patience: Duration, is_so: impl Fn(&State) -> bool) -> bool {
        let until = Instant::now() + patience;
        let mut state = self.lock();
        while !is_so(&state) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let woken = self.0.changed.wait_timeout(state, left);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn count(&self) -> u64 {
        self.by_number.len() as u64 + self.files
    }

    fn names(&self) -> Vec<String> {
        let named = self.by_number.iter().map(|(_, name)| name.clone());
        let files = match self.files {
            0 => None,
            1 => Some("1 open file (FUSE)".to_owned()),
            count => Some(format!("{count} open files (FUSE)")),
        };
        named.chain(files).collect()
    }
}

impl ClosedVdisk {
    /// Ends all open files: what they ask from now on fails. How many there were.
    pub fn end_files(&self) -> u64 {
        let mut state = self.0.lock();
        self.0.0.ended.fetch_add(1, Ordering::AcqRel);
        std::mem::take(&mut state.files)
    }
}

impl Drop for ClosedVdisk {
    fn drop(&mut self) {
        self.0.lock().is_closed = false;
        self.0.0.changed.notify_all();
    }
}

impl fmt::Display for StillInUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StillInUse::By(clients) => f.write_str(&clients.join(", ")),
            StillInUse::Closed => f.write_str("another revert or drop of it is being done"),
        }
    }
}

impl Drop for CountedClient {
    fn drop(&mut self) {
        let mut state = self.clients.lock();
        state.by_number.retain(|(number, _)| *number != self.number);
        drop(state);
        self.clients.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests;
