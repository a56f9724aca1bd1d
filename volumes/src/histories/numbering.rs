//! Positions of vdisks with a history: by them answers find their logs, over all sets that are
//! joined.

/// Positions count over all sets that are joined, those of one set in steps of the number of sets,
/// so that each can get more.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Numbering {
    /// The number of the set,
    pub number: usize,
    /// and of how many.
    pub sets: usize,
}

impl Numbering {
    /// Of a set that is alone.
    pub(crate) const ALONE: Numbering = Numbering { number: 0, sets: 1 };

    pub(super) fn position(self, at: usize) -> usize {
        at * self.sets + self.number
    }

    /// Where in the set's list the vdisk at a position is; `None` if it is another set's.
    pub(super) fn at(self, position: usize) -> Option<usize> {
        (position % self.sets == self.number).then_some(position / self.sets)
    }
}
