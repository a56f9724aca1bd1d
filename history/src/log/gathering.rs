//! The wait for the clients of the batch that ended last; `pipeline.rs` says what it is for.

use super::Log;
use crate::format::batch::ENTRIES_MAX;

/// The wait for the clients of the batch that ended last.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Gathering {
    /// Changes of that batch, and those that waited when it ended.
    expected: usize,
    until_ns: Option<u64>,
    /// Only the wait keeps the next batch back, and nothing that ends by itself.
    is_all: bool,
}

impl Log {
    /// So many changes have ended with a batch.
    pub(super) fn begin_gathering(&mut self, changes: usize) {
        self.gathering = Gathering {
            expected: (self.staged.len() + changes).min(ENTRIES_MAX),
            ..Gathering::default()
        };
    }

    /// It is seen anew what keeps the next batch back.
    pub(super) fn judge_gathering(&mut self) {
        self.gathering.is_all = false;
    }

    /// Whether the next batch waits for changes that are likely to come.
    pub(super) fn gathers(&mut self, now_ns: u64) -> bool {
        let most_ns = self.settings.gather_ns;
        let is_wanted = self.staged.len() < self.gathering.expected
            && self.flight.is_empty()
            && self.flushing.len() == 0
            && self.is_writable()
            && !self.reverting;
        if most_ns == 0 || !is_wanted {
            self.gathering = Gathering::default();
            return false;
        }
        let until_ns = *self.gathering.until_ns.get_or_insert(now_ns + most_ns);
        // A clock that jumped back makes no wait longer.
        if (now_ns..=now_ns + most_ns).contains(&until_ns) && now_ns < until_ns {
            self.gathering.is_all = true;
            return true;
        }
        self.gathering = Gathering::default();
        false
    }

    /// When the next step is to be asked for though nothing ends before, in nanoseconds since
    /// 1970.
    pub fn wake_ns(&self) -> Option<u64> {
        self.gathering.until_ns.filter(|_| self.gathering.is_all)
    }
}
