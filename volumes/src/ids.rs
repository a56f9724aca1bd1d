//! Numbers of the data path's tables, each a type of its own so that none is taken for another.
//!
//! They never leave this crate: outside, a vdisk is its uuid or a handle of the catalog.

/// A vdisk's number in the tables of the data path; taken again once a removed vdisk is drained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct VdiskSlot(u32);

impl VdiskSlot {
    pub(crate) const fn new(number: u32) -> VdiskSlot {
        VdiskSlot(number)
    }

    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// A request's number in the request table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RequestId(u32);

impl RequestId {
    /// The number of no request.
    pub(crate) const NONE: RequestId = RequestId(u32::MAX);

    pub(crate) fn new(number: u32) -> RequestId {
        RequestId(number)
    }

    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}
