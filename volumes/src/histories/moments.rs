//! Moments of a set's vdisks that are open: their handles, and who uses them.
//!
//! Invariant: a moment is open as long as it has users; one handle is one moment, however often it
//! is opened.

use super::controls::MapKind;
use super::{DataPath, Histories, HistoryError, LoggedVdisk, MomentDone};
use crate::ids::VdiskSlot;
use disktime_disks::Disk;
use disktime_engine::{Request, VdiskId};
use disktime_history::{Moment, Seq, View, ViewId};
use disktime_units::Nanos;

/// Handles of moments have this bit, which no handle of the catalog has. Below are the position of
/// the vdisk, and the seq.
const MOMENT: u64 = 1 << 63;
/// Bits of the seq.
const SEQ_BITS: u32 = 48;

/// A moment that is open.
#[derive(Debug, Clone, Copy)]
pub(super) struct OpenMoment {
    /// Where in the set's list the vdisk is.
    at: usize,
    view: ViewId,
    /// How often it was opened and not closed.
    users: usize,
}

/// The handle of a moment of the vdisk at a position; `None` if the seq has no place in it.
fn moment_handle(at: usize, seq: Seq) -> Option<VdiskId> {
    let fits = seq < 1 << SEQ_BITS && (at as u64) < 1 << (63 - SEQ_BITS);
    fits.then_some(VdiskId(MOMENT | (at as u64) << SEQ_BITS | seq))
}

/// The position of the vdisk that a handle of a moment is of; `None` if it is no such handle.
pub(crate) fn moment_position(vdisk: VdiskId) -> Option<usize> {
    Histories::is_moment(vdisk).then_some(((vdisk.0 & !MOMENT) >> SEQ_BITS) as usize)
}

impl Histories {
    /// Whether a handle is that of a moment, open or not.
    pub(crate) fn is_moment(vdisk: VdiskId) -> bool {
        vdisk.0 & MOMENT != 0
    }

    /// Takes a request for a moment that is open; gives it back as an error if it is not.
    pub(crate) fn submit_to_moment<D: Disk>(
        &mut self,
        now: Nanos,
        request: Request,
        path: &mut DataPath<D>,
    ) -> Result<Result<(), Request>, Request> {
        let open = self.moments.get(&request.vdisk.0).copied();
        let open = open.filter(|open| self.get(open.at).is_some());
        let Some(OpenMoment { at, view, .. }) = open else {
            return Err(request);
        };
        Ok(self.submit_to(now, (at, View::At(view)), request, path))
    }

    /// Finds the handle that a moment of the vdisk in a slot has when it is open.
    pub(crate) fn find_moment(&mut self, slot: VdiskSlot, moment: &Moment, done: MomentDone) {
        let at = self.by_slot[&slot.index()];
        let position = self.numbering.position(at);
        let done = Box::new(move |found: Result<Seq, HistoryError>| {
            let handle = |seq| moment_handle(position, seq).ok_or_else(too_great);
            done(found.and_then(|seq| Ok((handle(seq)?, seq))));
        });
        if let Some(vdisk) = self.get_mut(at) {
            vdisk.find_moment(moment, done);
        }
    }

    /// Opens a moment of the vdisk in a slot, or counts one more user of it. All blocks can be
    /// looked up then: a clone begins with it.
    pub(crate) fn open_moment(&mut self, slot: VdiskSlot, moment: &Moment, done: MomentDone) {
        self.open_moment_as(slot, moment, MapKind::Whole, done);
    }

    /// The same, at once, for a reader.
    pub(crate) fn open_moment_lazily(
        &mut self,
        slot: VdiskSlot,
        moment: &Moment,
        done: MomentDone,
    ) {
        self.open_moment_as(slot, moment, MapKind::Lazy, done);
    }

    fn open_moment_as(
        &mut self,
        slot: VdiskSlot,
        moment: &Moment,
        kind: MapKind,
        done: MomentDone,
    ) {
        let at = self.by_slot[&slot.index()];
        if self.get(at).is_some_and(LoggedVdisk::is_leaving) {
            return done(Err(is_dropped()));
        }
        if let Moment::Seq(seq) = moment
            && let Some(handle) = moment_handle(self.numbering.position(at), *seq)
            && let Some(open) = self.moments.get(&handle.0)
            && (kind == MapKind::Lazy || self.get(at).is_some_and(|one| one.is_whole(open.view)))
            && let Some(open) = self.moments.get_mut(&handle.0)
        {
            open.users += 1;
            return done(Ok((handle, *seq)));
        }
        if let Some(vdisk) = self.get_mut(at) {
            vdisk.open_moment(moment, kind, done);
        }
    }

    /// Moments that logs have opened get their handles.
    pub(super) fn open_moments(&mut self, at: usize) {
        let opened = self.get_mut(at).map(LoggedVdisk::take_opened);
        let is_leaving = self.get(at).is_some_and(LoggedVdisk::is_leaving);
        for (view, seq, done) in opened.into_iter().flatten() {
            if is_leaving {
                self.close_view(at, view);
                done(Err(is_dropped()));
                continue;
            }
            match self.use_moment(at, view, seq) {
                Some((handle, _)) => done(Ok((handle, seq))),
                None => done(Err(too_great())),
            }
        }
    }

    /// Counts one more user of a moment that a view was opened for; its handle, and the view that
    /// it has, which may be an earlier one: then they become one. `None`, and closed, if there
    /// is no handle for it.
    pub(crate) fn use_moment(
        &mut self,
        at: usize,
        view: ViewId,
        seq: Seq,
    ) -> Option<(VdiskId, ViewId)> {
        let Some(handle) = moment_handle(self.numbering.position(at), seq) else {
            self.close_view(at, view);
            return None;
        };
        let users = 0;
        let open = self.moments.entry(handle.0);
        let open = open.or_insert(OpenMoment { at, view, users });
        open.users += 1;
        let used = open.view;
        if let Some(vdisk) = self.get_mut(at).filter(|_| used != view) {
            vdisk.join_views(used, view);
        }
        Some((handle, used))
    }

    /// Counts one more user of a moment that is open.
    pub(crate) fn share_moment(&mut self, moment: VdiskId) {
        if let Some(open) = self.moments.get_mut(&moment.0) {
            open.users += 1;
        }
    }

    /// The view of a moment that is open.
    pub(crate) fn view_of(&self, moment: VdiskId) -> Option<ViewId> {
        Some(self.moments.get(&moment.0)?.view)
    }

    /// The handles of the moments that are open of a vdisk, by its place in the list.
    pub(crate) fn moments_of(&self, at: usize) -> Vec<VdiskId> {
        let open = self.moments.iter().filter(|(_, open)| open.at == at);
        open.map(|(handle, _)| VdiskId(*handle)).collect()
    }

    fn close_view(&mut self, at: usize, view: ViewId) {
        if let Some(vdisk) = self.get_mut(at) {
            vdisk.close_view(view);
        }
    }

    /// A user of a moment is gone; with the last one it is closed, when the requests for it that
    /// were taken are answered.
    pub(crate) fn close_moment(&mut self, moment: VdiskId) {
        let Some(open) = self.moments.get_mut(&moment.0) else {
            return;
        };
        open.users -= 1;
        if open.users == 0 {
            let OpenMoment { at, view, .. } = *open;
            self.moments.remove(&moment.0);
            self.close_view(at, view);
        }
    }
}

impl LoggedVdisk {
    /// It is a clone that is being dropped, or is not after all: meanwhile no moment of it opens.
    pub(crate) fn set_leaving(&mut self, is_leaving: bool) {
        self.is_leaving = is_leaving;
    }

    pub(crate) fn is_leaving(&self) -> bool {
        self.is_leaving
    }
}

fn is_dropped() -> HistoryError {
    "it is a clone that is being dropped".to_owned()
}

fn too_great() -> HistoryError {
    "the seq of that moment is too great for a handle".to_owned()
}
