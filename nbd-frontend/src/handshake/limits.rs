//! What one handshake may cost.

/// The limits of a handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HandshakeLimits {
    /// Most bytes of data in an option; a longer option is skipped and answered with an error.
    pub option_bytes: u32,
    /// Most options in one handshake; at one more the connection is closed.
    pub options: u32,
}

impl Default for HandshakeLimits {
    fn default() -> HandshakeLimits {
        HandshakeLimits {
            option_bytes: 16 << 10,
            options: 256,
        }
    }
}
