//! What is known of a vdisk with a history: where its blocks are, for clients that ask for that,
//! and how its log stands, for people.

use super::clients::BLOCK;
use super::lineage::Elders;
use super::logged_vdisk::LoggedVdisk;
use crate::layout::Layout;
use disktime_engine::Extent;
use disktime_history::{Source, Status, UsedSpace};

/// Look-ups of a status request. A block of the log is one, so a long range that lies there is
/// answered in parts.
const LOOK_UPS_MAX: usize = 4096;

/// How a history stands.
#[derive(Debug, Clone)]
pub struct HistoryReport {
    /// What the log says of itself.
    pub status: Status,
    /// What the space that is in use is kept for, and what keeps the floor from moving.
    pub space: UsedSpace,
    /// How long moments are kept, in nanoseconds; none: all are, as those of a clone.
    pub window_ns: Option<u64>,
    /// Bytes of the log's area; 0: nothing was written to a clone, so it has none yet.
    pub area_bytes: u64,
    /// Bytes that the area may have.
    pub max_bytes: u64,
    /// A write or a flush of the log failed: changes fail.
    pub is_broken: bool,
    /// Why folds fail, if they do, and when the next one is tried.
    pub fold_problem: Option<String>,
}

impl LoggedVdisk {
    /// How the history stands.
    pub(crate) fn report(&self) -> HistoryReport {
        HistoryReport {
            status: self.parts.log.status(),
            space: self.parts.log.used_space(self.since_1970_ns()),
            window_ns: self.parts.window_ns,
            area_bytes: self.parts.area_bytes,
            max_bytes: self.parts.max_bytes,
            is_broken: self.is_broken(),
            fold_problem: self.fold_retry.map(|retry| retry.problem()),
        }
    }

    /// What people should know of its log, if that has failed.
    pub(crate) fn notice(&self) -> Option<String> {
        let where_it_lies = match self.parts.log_set {
            Some(_) => ", which lies on another disk,",
            None => "",
        };
        self.is_broken().then(|| {
            format!(
                "a write or a flush of the history of vdisk `{}`{where_it_lies} failed: its changes \
                 and flushes fail until the server is started again",
                self.parts.name
            )
        })
    }

    /// Answers a status request; how many look-ups that took.
    pub(super) fn answer_status(
        &mut self,
        key: usize,
        image: &Layout,
        elders: Elders<'_>,
    ) -> usize {
        let look_ups = self.fill_status(key, image, elders);
        self.answer(key);
        look_ups
    }

    /// Puts the extents of a status request into its buffer, as far as [`LOOK_UPS_MAX`] look-ups
    /// lead; how many it took.
    fn fill_status(&mut self, key: usize, image: &Layout, elders: Elders<'_>) -> usize {
        let client = self.clients.get(key);
        let (view, start, end) = (client.view(), client.start(), client.end());
        let mut found: Vec<Extent> = Vec::new();
        let buffer = self.clients.get_mut(key).buffer_mut();
        let most = buffer.map_or(0, |buffer| buffer.len() / Extent::BYTES);
        let (mut at, mut look_ups) = (start, 0);
        while at < end && look_ups < LOOK_UPS_MAX {
            let limit = end.div_ceil(BLOCK) - at / BLOCK;
            let Some(run) = self.find(elders, view, at / BLOCK, limit) else {
                break;
            };
            look_ups += run.look_ups;
            let run = run.run;
            let stop = ((at / BLOCK + run.blocks) * BLOCK).min(end);
            let ((hole, zero), stop) = match run.source {
                Source::Zeroes => ((true, true), stop),
                Source::Log { .. } | Source::Lost => ((false, false), stop),
                Source::Image => image.status_run(at, stop),
            };
            let len_bytes = stop - at;
            at = stop;
            let is_full = found.len() == most;
            match found.last_mut() {
                Some(last) if (last.hole, last.zero) == (hole, zero) => {
                    last.len_bytes += len_bytes;
                }
                _ if is_full => break,
                _ => found.push(Extent {
                    len_bytes,
                    hole,
                    zero,
                }),
            }
        }
        let buffer = self.clients.get_mut(key).buffer_mut();
        let Some(buffer) = buffer else {
            return look_ups;
        };
        for (extent, entry) in found.iter().zip(buffer.chunks_mut(Extent::BYTES)) {
            entry.copy_from_slice(&extent.encode());
        }
        buffer.set_len(found.len() * Extent::BYTES);
        look_ups
    }
}
