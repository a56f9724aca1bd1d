//! Serving a clone: it is entered into the catalog, the data paths of its disks and the histories.
//!
//! Invariant: where its log lies on another disk than what it was cloned from, it has a slot and a
//! stream there from the beginning on, by which it reads what lies there.

use super::super::VolumeSet;
use super::super::logs::{HistoryStreams, area_layout};
use super::super::others::OtherSets;
use crate::histories::{FoldLimits, Ground, LoggedVdisk, Parent, Parts};
use crate::ids::VdiskSlot;
use crate::label::{HistoryEntry, UNIT_BYTES, Uuid};
use crate::layout::Layout;
use crate::vdisk::OpenVdisk;
use disktime_disks::Disk;
use disktime_engine::{LastChange, NoSpaceCount, StreamId, VdiskId};
use disktime_history::Log;
use disktime_units::{Nanos, TrimHandling};

/// A clone that is about to be served.
pub(in crate::volume_set) struct ServedClone {
    pub uuid: Uuid,
    pub name: String,
    pub log: Log,
    pub parent: Parent,
    /// The handle of the moment that it begins with, of which it is a user.
    pub moment: VdiskId,
    /// Where its log lies, if that is on the disk.
    pub area: Option<HistoryEntry>,
    pub max_bytes: u64,
    pub stream: StreamId,
    /// Where its log lies on another disk.
    pub elsewhere: Option<LogElsewhere>,
}

/// The set of a clone's log, and the clone's stream there, which pays for all that it does on that
/// disk.
#[derive(Debug, Clone, Copy)]
pub(in crate::volume_set) struct LogElsewhere {
    pub set: usize,
    pub stream: StreamId,
}

impl<D: Disk> VolumeSet<D> {
    /// Enters a clone into catalog, data path and histories: its requests are taken from now on.
    pub(in crate::volume_set) fn serve_clone(
        &mut self,
        now: Nanos,
        clone: ServedClone,
        others: &mut OtherSets<'_, D>,
    ) -> VdiskId {
        let since_1970_ns = self.data_path.since_1970_ns(now);
        let ServedClone { name, stream, .. } = clone;
        let last_change = LastChange::at(since_1970_ns);
        let size_bytes = clone.log.vdisk_blocks() * UNIT_BYTES as u64;
        let area_bytes = clone.area.as_ref().map_or(0, HistoryEntry::area_bytes);
        let log_slot = match clone.elsewhere {
            Some(of) => Some(
                others
                    .get_mut(of.set)
                    .add_log_of_other(&name, of.stream, clone.area),
            ),
            None => clone
                .area
                .map(|area| self.add_log_slot(&name, area_layout(&area, stream), stream)),
        };
        // Nothing lies in it, so what is asked of it alone fails.
        let layout = Layout::new(Vec::new(), size_bytes);
        let image = OpenVdisk::new(name.clone(), stream, layout, true, last_change.clone());
        let no_space: NoSpaceCount = image.no_space().clone();
        let slot = self.catalog.insert(clone.uuid, &name);
        self.data_path.add_later(slot, image);
        let parts = Parts {
            name,
            log: clone.log,
            image_step: None,
            image: Ground {
                slot,
                other_stream: stream,
            },
            // What it reads in logs of others waits in its own queue before it has one.
            area: Ground {
                slot: log_slot.unwrap_or(slot),
                other_stream: clone.elsewhere.map_or(stream, |of| of.stream),
            },
            log_set: clone.elsewhere.map(|of| of.set),
            size_bytes,
            fold_limits: FoldLimits::of_disks(false, false, clone.max_bytes),
            trims: TrimHandling::Pass,
            last_change,
            no_space,
            window_ns: None,
            area_bytes,
            max_bytes: clone.max_bytes.max(area_bytes),
            image_bytes: 0,
            parent: Some(clone.parent),
        };
        let mut logged = LoggedVdisk::new(parts, since_1970_ns);
        logged.begins_with(clone.moment);
        let at = self.histories.add(logged);
        self.histories.bind(at);
        let below = self.histories.stored_below(at, &self.data_path);
        if let Some(logged) = self.histories.get_mut(at) {
            logged.count_stored(below);
        }
        self.catalog.handle(slot)
    }

    /// The log of a clone gets a slot of the data path.
    pub(super) fn add_log_slot(
        &mut self,
        name: &str,
        layout: Layout,
        stream: StreamId,
    ) -> VdiskSlot {
        let slot = self.catalog.reserve_slot();
        let title = format!("{name} (history)");
        let area = OpenVdisk::new(title, stream, layout, false, LastChange::default());
        self.data_path.add_later(slot, area);
        slot
    }

    /// The same, of a clone of another set, which reads here from the beginning on what it was
    /// cloned from. `area`: where its log lies, if it has one.
    fn add_log_of_other(
        &mut self,
        name: &str,
        stream: StreamId,
        area: Option<HistoryEntry>,
    ) -> VdiskSlot {
        self.history_streams.push(HistoryStreams {
            vdisk: name.to_owned(),
            log: Some(stream),
            fold: None,
        });
        let layout = area.map(|area| area_layout(&area, stream));
        let layout = layout.unwrap_or_else(|| Layout::new(Vec::new(), 0));
        self.add_log_slot(name, layout, stream)
    }
}
