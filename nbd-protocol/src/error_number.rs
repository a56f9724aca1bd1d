//! The error numbers that a reply can carry, with their texts.

/// An error number: the Linux numbers that the protocol allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum ErrorNumber {
    /// Not permitted: a write to a read-only export.
    Perm = 1,
    /// The disk failed.
    Io = 5,
    /// Out of memory.
    NoMem = 12,
    /// The request is not valid.
    Inval = 22,
    /// No space left.
    NoSpc = 28,
    /// The read is too long for a reply in one piece.
    Overflow = 75,
    /// Not supported.
    NotSup = 95,
    /// The server is shutting down.
    Shutdown = 108,
}

impl ErrorNumber {
    /// The text for people that structured replies carry.
    pub fn sentence(self) -> &'static str {
        match self {
            ErrorNumber::Perm => "the export is read-only",
            ErrorNumber::Io => "the disk failed the request",
            ErrorNumber::NoMem => "the server is out of memory",
            ErrorNumber::Inval => "the request is not valid: see its range and flags",
            ErrorNumber::NoSpc => "there is no space at that offset",
            ErrorNumber::Overflow => "the range is too long to be read in one piece",
            ErrorNumber::NotSup => "zeroing is not known to be faster than writing there",
            ErrorNumber::Shutdown => "the server is shutting down",
        }
    }
}
