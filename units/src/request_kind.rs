//! What can be asked of a vdisk: the kinds of requests, and what each does to the range.

/// What a client asks of a vdisk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RequestKind {
    /// Fill the buffer.
    Read,
    /// Write the buffer.
    Write,
    /// Make every write that was replied to before durable.
    Flush,
    /// The range is not needed any more.
    Trim,
    /// The range reads as zeroes afterwards; what it held may be given back.
    WriteZeroes,
    /// The same, but the space of the range stays set aside.
    ZeroKeepingSpace,
    /// The range's space is set aside as far as it is not yet, and what the range holds stays.
    Allocate,
    /// The same as [`RequestKind::WriteZeroes`] if that is faster than writing the zeroes; if not,
    /// or if it is not known, the request fails at once and nothing is changed.
    ZeroFast,
    /// The range will be read soon: reads it where that helps, into no buffer.
    Cache,
    /// Which parts of the range hold data: fills the buffer with extents, as many as fit and at
    /// least one, and sets its length to them. They may end before the range does.
    Status,
}

impl RequestKind {
    /// Whether the range reads as zeroes afterwards.
    pub fn zeroes(self) -> bool {
        matches!(
            self,
            RequestKind::WriteZeroes | RequestKind::ZeroKeepingSpace | RequestKind::ZeroFast
        )
    }

    /// Whether it changes what the vdisk holds, or where that is stored.
    pub fn modifies(self) -> bool {
        let kinds = [RequestKind::Write, RequestKind::Trim, RequestKind::Allocate];
        self.zeroes() || kinds.contains(&self)
    }

    /// Whether what the range held may be given back, so that nothing is stored there afterwards.
    pub fn makes_holes(self) -> bool {
        self == RequestKind::Trim || (self.zeroes() && self != RequestKind::ZeroKeepingSpace)
    }

    /// Whether its buffer holds the bytes of the range.
    pub fn moves_data(self) -> bool {
        matches!(self, RequestKind::Read | RequestKind::Write)
    }
}
