//! The sets that are served together with one: logs of its vdisks lie on their disks.
//!
//! Invariant: a set changes another one only within its own turn, between two turns of that one.

use super::VolumeSet;
use disktime_disks::Disk;

/// The other sets of a thread, by their numbers.
pub(crate) struct OtherSets<'s, D: Disk> {
    before: &'s mut [VolumeSet<D>],
    after: &'s mut [VolumeSet<D>],
}

impl<'s, D: Disk> OtherSets<'s, D> {
    /// Of a set that is served alone.
    pub(crate) fn none() -> OtherSets<'s, D> {
        OtherSets {
            before: &mut [],
            after: &mut [],
        }
    }

    /// The set at `number`, and the others.
    pub(crate) fn split(
        sets: &'s mut [VolumeSet<D>],
        number: usize,
    ) -> (&'s mut VolumeSet<D>, OtherSets<'s, D>) {
        let (before, rest) = sets.split_at_mut(number);
        let (set, after) = rest
            .split_first_mut()
            .expect("there is a set of that number");
        (set, OtherSets { before, after })
    }

    /// The set of that number, which is not the one whose others these are.
    pub(super) fn get(&self, number: usize) -> &VolumeSet<D> {
        match number.checked_sub(self.before.len() + 1) {
            None => &self.before[number],
            Some(at) => &self.after[at],
        }
    }

    pub(super) fn get_mut(&mut self, number: usize) -> &mut VolumeSet<D> {
        match number.checked_sub(self.before.len() + 1) {
            None => &mut self.before[number],
            Some(at) => &mut self.after[at],
        }
    }

    fn iter(&self) -> impl Iterator<Item = &VolumeSet<D>> {
        self.before.iter().chain(&*self.after)
    }

    /// Whether a log of one of them records that vdisk as a clone.
    pub(super) fn record(&self, clone: [u8; 16]) -> bool {
        self.iter().any(|set| set.histories.records(clone))
    }
}

impl<D: Disk> VolumeSet<D> {
    /// The set of the disk of a log: the one with that number, or this one.
    pub(super) fn log_set<'s>(
        &'s self,
        others: &'s OtherSets<'_, D>,
        number: Option<usize>,
    ) -> &'s VolumeSet<D> {
        number.map_or(self, |number| others.get(number))
    }

    /// The same, to be changed.
    pub(super) fn log_set_mut<'s>(
        &'s mut self,
        others: &'s mut OtherSets<'_, D>,
        number: Option<usize>,
    ) -> &'s mut VolumeSet<D> {
        match number {
            None => self,
            Some(number) => others.get_mut(number),
        }
    }
}
