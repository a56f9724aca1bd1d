//! What a handshake negotiated besides the export.

use crate::changed::ChangedContext;

/// The protocol extensions of a session. The default has none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Negotiated {
    /// Reads and errors are answered with structured replies.
    pub structured: bool,
    /// The number of the metadata context `base:allocation`, if it was chosen for the export.
    pub allocation: Option<u32>,
    /// The contexts `qemu:dirty-bitmap:…` that were chosen for it.
    pub changed: Vec<ChangedContext>,
}

impl Negotiated {
    /// Whether block status is served.
    pub(crate) fn has_contexts(&self) -> bool {
        self.allocation.is_some() || !self.changed.is_empty()
    }
}
