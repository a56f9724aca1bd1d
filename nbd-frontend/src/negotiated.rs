//! What a handshake negotiated besides the export.

/// The protocol extensions of a session. The default has none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Negotiated {
    /// Reads and errors are answered with structured replies.
    pub structured: bool,
    /// The number of the metadata context `base:allocation`, if it was chosen for the export.
    pub allocation: Option<u32>,
}
