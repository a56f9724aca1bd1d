//! Clones and what they were cloned from, in the list of a set.
//!
//! Invariant: a step of a log that frees something waits for the reads of all that come from its
//! vdisk.

use super::lineage::Elders;
use super::{DataPath, Histories, LoggedVdisk};
use disktime_disks::Disk;
use disktime_history::IoId;

/// A step of a log that waits until reads have ended that may use what it frees.
#[derive(Debug)]
pub(super) struct FamilyWait {
    /// Where in the set's list its vdisk is.
    at: usize,
    io: IoId,
    /// Vdisks of the set, and the numbers before which their readings must have ended.
    pub(super) readers: Vec<(usize, u64)>,
}

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
        let (before, rest) = self.vdisks.split_at_mut(at);
        let vdisk = rest.first_mut().and_then(Option::as_mut);
        if let Some((vdisk, image)) = vdisk.zip(image) {
            let layout = path.vdisk(image).layout();
            let look_ups = vdisk.answer_status(key, layout, Elders::new(before));
            path.note_history_status(vdisk.image_slot(), look_ups);
        }
    }

    /// Steps of the log of a vdisk that has clones wait for the readings of all that come from it.
    pub(super) fn await_family(&mut self, at: usize) {
        let ios = match self.get_mut(at) {
            Some(vdisk) => vdisk.take_awaiting(),
            None => return,
        };
        for io in ios {
            let readers = (at..self.vdisks.len()).filter(|reader| self.comes_from(*reader, at));
            let readers = readers.filter_map(|at| Some((at, self.get(at)?.next_reading())));
            let readers = readers.collect();
            self.family_waits.push(FamilyWait { at, io, readers });
        }
    }

    /// Whether a vdisk is another one or was cloned from it, or from what was.
    fn comes_from(&self, at: usize, elder: usize) -> bool {
        let mut next = Some(at);
        while let Some(at) = next.filter(|at| *at > elder) {
            next = self.get(at).and_then(LoggedVdisk::parent).map(|one| one.at);
        }
        next == Some(elder)
    }

    pub(super) fn end_family_waits(&mut self) {
        let vdisks = &mut self.vdisks;
        let has_read = |(at, before): &(usize, u64), vdisks: &[Option<LoggedVdisk>]| {
            let reader = vdisks[*at].as_ref();
            reader.is_none_or(|reader| reader.has_read_before(*before))
        };
        self.family_waits.retain(|wait| {
            let is_over = wait.readers.iter().all(|reader| has_read(reader, vdisks));
            if let Some(vdisk) = vdisks[wait.at].as_mut().filter(|_| is_over) {
                vdisk.reads_have_ended(wait.io);
            }
            !is_over
        });
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
