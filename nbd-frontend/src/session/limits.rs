//! What one session may hold.

/// The limits of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionLimits {
    /// Most requests held: taken, and not yet answered to the last byte.
    pub requests: usize,
    /// Most bytes of buffers that they hold. One request is always admitted, so a request that is
    /// longer than this is served alone.
    pub buffer_bytes: usize,
    /// Size of the buffer for headers and short data.
    pub input_bytes: usize,
}

impl Default for SessionLimits {
    fn default() -> SessionLimits {
        SessionLimits {
            requests: 256,
            buffer_bytes: 64 << 20,
            input_bytes: 64 << 10,
        }
    }
}
