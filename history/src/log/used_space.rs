//! What the space of a log is used for, by reason.
//!
//! ```text
//!   segments, oldest first  │ to be folded │ held: older than the window │ window │ written │
//!   holders, by moment                     └ mark a ─ clone b ─ mark c …
//! ```
//!
//! The floor moves up to the oldest moment that something holds. So of the held segments those up
//! to the second oldest are held by the oldest alone, and all others by several together: they are
//! free only when each that is older has been given up.
//!
//! Whole segments are counted, as they are free as a whole. Not known here: what a holder's owner
//! keeps elsewhere, such as the log of a clone.

use super::{Holder, Log};
use crate::format::Seq;

/// What the segments of a log are kept for, in units.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UsedSpace {
    /// They hold moments of the window, or are the one that is written.
    pub window_units: u64,
    /// They are older, and a mark, a branch, a clone or an open moment holds them.
    pub held_units: u64,
    /// Of these, the ones that no single holder would free.
    pub held_together_units: u64,
    /// They wait for a fold.
    pub foldable_units: u64,
    /// What holds, by moment.
    pub holders: Vec<HeldSpace>,
}

/// What one holder keeps of what is older than the window, in units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldSpace {
    /// From which moment on it holds.
    pub moment: Seq,
    /// What it is.
    pub holder: Holder,
    /// All that it holds, alone or with others.
    pub held_units: u64,
    /// What can be folded when it alone is given up.
    pub alone_units: u64,
    /// What can be folded when it is given up with all that hold from an earlier moment on, or from
    /// the same.
    pub with_older_units: u64,
}

impl Log {
    /// What the space that is in use is kept for.
    pub fn used_space(&self, now_ns: u64) -> UsedSpace {
        let oldest_ns = now_ns.saturating_sub(self.settings.window_ns);
        let limit = self.fold_limit();
        let slot_units = u64::from(self.geometry.slot_units);
        let mut space = UsedSpace::default();
        // The last seqs of the held segments.
        let mut held: Vec<Seq> = Vec::new();
        for row in self.segments.sealed() {
            match (row.times_ns[1] > oldest_ns, row.seqs[1] > limit) {
                (true, _) => space.window_units += slot_units,
                (false, true) => held.push(row.seqs[1]),
                (false, false) => space.foldable_units += slot_units,
            }
        }
        space.held_units = held.len() as u64 * slot_units;
        let others = space.window_units + space.held_units + space.foldable_units;
        space.window_units += self.segments.used_units().saturating_sub(others);
        space.holders = held_by_each(&held, self.listed_holders(), self.published_seq);
        for holder in &mut space.holders {
            holder.held_units *= slot_units;
            holder.alone_units *= slot_units;
            holder.with_older_units *= slot_units;
        }
        let alone: u64 = space.holders.iter().map(|holder| holder.alone_units).sum();
        space.held_together_units = space.held_units - alone;
        space
    }

    /// What holds the floor, without moments that are open because a clone begins with them: they
    /// are closed with the clone.
    fn listed_holders(&self) -> Vec<(Seq, Holder)> {
        let mut of_clones: Vec<Seq> = self.clone_entries().map(|clone| clone.moment).collect();
        of_clones.sort_unstable();
        let is_of_clone = |holder: &Holder| match holder {
            Holder::Moment(moment) => of_clones.binary_search(moment).is_ok(),
            _ => false,
        };
        let mut holders = self.holders();
        holders.retain(|(_, holder)| !is_of_clone(holder));
        holders.sort_by_key(|(moment, _)| *moment);
        holders
    }
}

/// How many segments each holder holds, of those that end with these seqs; the holders by moment.
fn held_by_each(held: &[Seq], holders: Vec<(Seq, Holder)>, newest: Seq) -> Vec<HeldSpace> {
    let up_to = |moment: Seq| held.partition_point(|last| *last <= moment) as u64;
    let moments: Vec<Seq> = holders.iter().map(|(moment, _)| *moment).collect();
    // Where the floor could go if all up to this moment were given up.
    let next = |moment: Seq| {
        let later = moments.partition_point(|other| *other <= moment);
        moments
            .get(later)
            .map_or(newest, |later| *later.min(&newest))
    };
    let is_alone = |moment: Seq| {
        let is_oldest = moments.first() == Some(&moment);
        is_oldest && moments.get(1) != Some(&moment)
    };
    let one = |(moment, holder): (Seq, Holder)| {
        let with_older_units = up_to(next(moment));
        HeldSpace {
            moment,
            holder,
            held_units: held.len() as u64 - up_to(moment),
            alone_units: if is_alone(moment) {
                with_older_units
            } else {
                0
            },
            with_older_units,
        }
    };
    holders.into_iter().map(one).collect()
}

#[cfg(test)]
mod tests;
