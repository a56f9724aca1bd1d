//! Clones and what they were cloned from, in the list of a set.

use super::lineage::Elders;
use super::{DataPath, Histories, LoggedVdisk};
use disktime_disks::Disk;

impl Histories {
    /// Looks up what a clone has not itself.
    pub(super) fn ask_elders(&mut self, at: usize) {
        let (before, rest) = self.vdisks.split_at_mut(at);
        let clone = rest.first_mut().and_then(Option::as_mut);
        if let Some(clone) = clone.filter(|clone| clone.waits_for_elders()) {
            clone.ask_elders(Elders::new(before));
        }
    }

    /// Answers a client that asks for block status.
    pub(super) fn answer_status<D: Disk>(&mut self, at: usize, key: usize, path: &mut DataPath<D>) {
        let mut image = at;
        while let Some(parent) = self.get(image).and_then(LoggedVdisk::parent) {
            image = parent.at;
        }
        let image = self.get(image).map(LoggedVdisk::image_slot);
        self.awake.wake(at);
        let (before, rest) = self.vdisks.split_at_mut(at);
        let vdisk = rest.first_mut().and_then(Option::as_mut);
        if let Some((vdisk, image)) = vdisk.zip(image) {
            let layout = path.vdisk(image).layout();
            let look_ups = vdisk.answer_status(key, layout, Elders::new(before));
            path.note_history_status(vdisk.image_slot(), look_ups);
        }
    }

    /// What is stored of a vdisk beside its log: in its image, or in that of the first one that it
    /// comes from and in the logs of those between, and there not too little.
    pub(crate) fn stored_below<D: Disk>(&self, at: usize, path: &DataPath<D>) -> u64 {
        let Some(vdisk) = self.get(at) else {
            return 0;
        };
        match vdisk.parent() {
            None => path.vdisk(vdisk.image_slot()).layout().stored().get(),
            Some(parent) => {
                let log_bytes = self.get(parent.at).map_or(0, LoggedVdisk::index_bytes);
                self.stored_below(parent.at, path) + log_bytes
            }
        }
    }
}
