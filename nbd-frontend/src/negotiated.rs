//! What a handshake agreed on beyond the export.

/// Extensions that the client asked for. The default is a client that asked for none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Negotiated {
    /// Reads are answered by structured replies, and so are errors.
    pub structured: bool,
    /// The number of the metadata context `base:allocation`, if it was chosen for the export.
    pub allocation: Option<u32>,
}
