//! What has changed since a mark, for NBD clients: the metadata contexts
//! `qemu:dirty-bitmap:since-MARK` of a vdisk with a history and of its moments.
//!
//! A context is listed for each mark; every other moment can be named, too. What it says is listed
//! once, when a client chooses the export: what was written between its moment and that of the
//! export, which of the vdisk itself is the newest one at that time. So the answers of a session
//! are about one moment, cost no look-up in the log, and hold nothing of it: a mark may be dropped
//! while a client uses its context.
//!
//! Invariants: the lists of a vdisk that are in use take at most [`LISTS_BYTES_MAX`], or there is
//! one of them. Clients of one moment share one list. A list that its client did not wait for is
//! kept for a while, so that one that takes long is there when the client tries again.
//!
//! Not known here: who lists what has changed, and which moments an export has.

use disktime_engine::VdiskId;
use disktime_nbd_protocol::dirty_bitmap;
use disktime_volumes::ChangedBlocks;
use std::collections::HashMap;
use std::sync::mpsc::{SendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::oneshot;

/// What the moment of a context follows in its name.
const SINCE: &str = "since-";
/// Memory of the lists of one vdisk.
const LISTS_BYTES_MAX: usize = 64 << 20;
/// How long a list is kept that came when its client did not wait any more.
const KEPT_TIME: Duration = Duration::from_secs(60);

pub(super) type Ranges = Vec<(u64, u64)>;

/// The lists that sessions use. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct ChangedLists {
    used: Arc<Mutex<ByMoments>>,
}

/// By vdisk, earlier and later moment.
type ByMoments = HashMap<(VdiskId, u64, u64), Weak<Ranges>>;

/// A list that a client wants.
#[derive(Debug)]
pub(super) enum WantedList {
    /// Another client uses it.
    Used(Arc<Ranges>),
    /// It is being made.
    Asked(oneshot::Receiver<Result<ChangedBlocks, String>>),
}

/// The context's name for a mark.
pub(super) fn context_of(mark: &str) -> String {
    format!("{}{SINCE}{mark}", dirty_bitmap::PREFIX)
}

/// The moment that a context's name names.
pub(super) fn moment_in(context: &str) -> Option<&str> {
    context
        .strip_prefix(dirty_bitmap::PREFIX)?
        .strip_prefix(SINCE)
}

impl ChangedLists {
    /// The list of two moments, if a session uses it.
    pub(super) fn find(&self, vdisk: VdiskId, since: u64, until: u64) -> Option<Arc<Ranges>> {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.get(&(vdisk, since, until))?.upgrade()
    }

    /// Waits for lists of one vdisk, all together at most so long.
    ///
    /// # Errors
    /// Why one could not be made, or that they take longer.
    pub(super) fn wait_for(
        &self,
        vdisk: VdiskId,
        wanted: Vec<WantedList>,
        patience: Duration,
    ) -> Result<Vec<Arc<Ranges>>, String> {
        let (sender, receiver) = sync_channel(1);
        let lists = self.clone();
        tokio::spawn(async move {
            let all = lists.add_all(vdisk, wanted).await;
            if let Err(SendError(unheard)) = sender.send(all) {
                tokio::time::sleep(KEPT_TIME).await;
                drop(unheard);
            }
        });
        let all = tokio::task::block_in_place(|| receiver.recv_timeout(patience));
        all.unwrap_or_else(|_| {
            Err(format!(
                "what has changed was not listed within {} s; try again: a list of `VDISK@MARK` is \
                 kept for {} s when it is there, and one of a vdisk until the next write",
                patience.as_secs(),
                KEPT_TIME.as_secs()
            ))
        })
    }

    async fn add_all(
        &self,
        vdisk: VdiskId,
        wanted: Vec<WantedList>,
    ) -> Result<Vec<Arc<Ranges>>, String> {
        let mut all = Vec::with_capacity(wanted.len());
        for list in wanted {
            all.push(match list {
                WantedList::Used(list) => list,
                WantedList::Asked(list) => {
                    let list = list.await.map_err(|_| "its disk is stopping")?;
                    self.add(vdisk, list?)?
                }
            });
        }
        Ok(all)
    }

    /// Takes a list in, or the one of the same moments that is in use.
    ///
    /// # Errors
    /// The lists in use take too much memory.
    fn add(&self, vdisk: VdiskId, list: ChangedBlocks) -> Result<Arc<Ranges>, String> {
        let key = (vdisk, list.since, list.until);
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(list) = used.get(&key).and_then(Weak::upgrade) {
            return Ok(list);
        }
        used.retain(|_, list| list.strong_count() > 0);
        let of_vdisk = used.iter().filter(|((of, ..), _)| *of == vdisk);
        let bytes = |ranges: &Ranges| ranges.capacity() * size_of::<(u64, u64)>();
        let in_use = of_vdisk.filter_map(|(_, list)| list.upgrade());
        let in_use: usize = in_use.map(|list| bytes(&list)).sum();
        let mut ranges = list.ranges;
        ranges.shrink_to_fit();
        let all = in_use + bytes(&ranges);
        if in_use > 0 && all > LISTS_BYTES_MAX {
            return Err(format!(
                "the lists of changed blocks that clients of this disk use would take {} MiB with \
                 this one, of {} MiB at most; close other connections that use them first",
                all >> 20,
                LISTS_BYTES_MAX >> 20
            ));
        }
        let ranges = Arc::new(ranges);
        used.insert(key, Arc::downgrade(&ranges));
        Ok(ranges)
    }
}

#[cfg(test)]
mod tests;
