//! From a request that was taken in to one that is cut: its claim, its plan, and the steps of those
//! that are done step by step.
//!
//! Invariants: a request that changes a vdisk is cut once it has its claim; one that sets space
//! aside claims a step at a time, and releases it before it claims the next.

use super::{DataPath, served};
use crate::ids::RequestId;
use disktime_disks::Disk;
use disktime_engine::RequestKind;
use disktime_units::TrimHandling;

impl<D: Disk> DataPath<D> {
    pub(super) fn begin(&mut self, id: RequestId) {
        let request = self.requests.get(id);
        let (slot, header) = (request.slot(), request.header());
        let kind = header.kind();
        if kind == RequestKind::Flush {
            return self.commit(id);
        }
        if kind == RequestKind::Status {
            return self.begin_status(id);
        }
        self.status_pace.note_use(slot, self.now);
        // Where nothing between here and the disk keeps what is read, reading ahead is of no use.
        let useless = kind == RequestKind::Cache && !self.io.abilities().caches_reads();
        let ignored =
            kind == RequestKind::Trim && served(&self.vdisks, slot).trims() == TrimHandling::Ignore;
        if header.len_bytes() == 0 || useless || ignored {
            return self.answer(id, Ok(()));
        }
        if kind == RequestKind::Allocate {
            return self.step(id);
        }
        self.claim(id);
    }

    /// Starts a request once it has its claim, or if it needs none.
    fn claim(&mut self, id: RequestId) {
        let request = self.requests.get(id);
        let (slot, part) = (request.slot(), request.part());
        if part.kind().modifies() {
            let claim = self.splitter(slot).claim(id, part);
            self.take_back_for(slot, claim);
            if !self.requests.claim(slot, claim) {
                return;
            }
        }
        self.start(id);
    }

    /// The next step of setting space aside, or its end. A step has its claim alone, as writes
    /// into the rest go on; zeroing what was never written would destroy what is written there.
    pub(super) fn step(&mut self, id: RequestId) {
        let request = self.requests.get(id);
        let (slot, header) = (request.slot(), request.header());
        let start = request.steps_end().unwrap_or(header.start());
        match self.splitter(slot).next_step(start, header.end()) {
            Some(step) => {
                self.requests.get_mut(id).set_step(step);
                self.claim(id);
            }
            None if header.fua() => self.commit(id),
            None => self.answer(id, Ok(())),
        }
    }

    /// A request that has its claim, or needs none, is cut from now on.
    pub(super) fn start(&mut self, id: RequestId) {
        let request = self.requests.get(id);
        let (slot, header) = (request.slot(), request.part());
        let plan = self.splitter(request.content_slot()).plan(header);
        if matches!(
            header.kind(),
            RequestKind::Write | RequestKind::ZeroKeepingSpace
        ) {
            let layout = self.vdisk_mut(slot).layout_mut();
            layout.mark_allocated(header.start(), header.end());
        }
        if header.kind().modifies() && !header.kind().makes_holes() {
            // What is going to be used is not to be given back.
            let (start, end) = plan.range();
            self.vdisk_mut(slot).release_held(start, end);
        }
        self.requests.get_mut(id).begin(plan);
        self.requests.queue(id);
        self.schedule(slot);
    }
}
