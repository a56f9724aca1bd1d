//! What has changed since a mark, for NBD clients: the metadata contexts
//! `qemu:dirty-bitmap:since-MARK` of a vdisk with a history and of its moments.
//!
//! A context is listed for each mark; every other moment can be named, too. What it says is listed
//! once, when a client chooses the export: what was written between its moment and that of the
//! export, which of the vdisk itself is the newest one at that time. So the answers of a session
//! are about one moment, cost no look-up in the log, and hold nothing of it: a mark may be dropped
//! while a client uses its context.
//!
//! Invariant: the lists of a vdisk that are in use take at most [`LISTS_BYTES_MAX`], or there is
//! one of them. Clients of one moment share one list.

use crate::assembly::DiskService;
use disktime_engine::VdiskId;
use disktime_history::Moment;
use disktime_nbd_protocol::dirty_bitmap;
use disktime_volumes::ChangedBlocks;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// What the moment of a context follows in its name.
const SINCE: &str = "since-";
/// Memory of the lists of one vdisk.
const LISTS_BYTES_MAX: usize = 64 << 20;

type Ranges = Vec<(u64, u64)>;

/// The lists that sessions use.
#[derive(Debug, Default)]
pub(super) struct ChangedLists {
    /// By vdisk, earlier and later moment.
    used: Mutex<HashMap<(VdiskId, u64, u64), Weak<Ranges>>>,
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

/// Has the disk's service list what was written from one seq to another, or to the newest one.
pub(super) fn begin(
    service: &mut DiskService,
    vdisk: VdiskId,
    (since, until): (u64, Option<u64>),
    done: impl FnOnce(Result<ChangedBlocks, String>) + Send + 'static,
) {
    let until = until.map(Moment::Seq);
    service.changed(vdisk, &Moment::Seq(since), until, Box::new(done));
}

impl ChangedLists {
    /// The list of two moments, if a session uses it.
    pub(super) fn find(&self, vdisk: VdiskId, since: u64, until: u64) -> Option<Arc<Ranges>> {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.get(&(vdisk, since, until))?.upgrade()
    }

    /// Takes a list in, or the one of the same moments that is in use.
    ///
    /// # Errors
    /// The lists in use take too much memory.
    pub(super) fn add(&self, vdisk: VdiskId, list: ChangedBlocks) -> Result<Arc<Ranges>, String> {
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
