//! The operations that every disk and every model of a drive serves.

/// What is asked of a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Fill the buffers from the disk.
    Read,
    /// Write the buffers to the disk.
    Write,
    /// Make every write that has completed durable.
    Flush,
    /// The range is not needed any more; what it reads as afterwards is not defined, unless the
    /// disk says that it is zeroes.
    Discard,
    /// The range reads as zeroes afterwards.
    WriteZeroes,
}

impl Operation {
    /// Whether a request of this operation carries the bytes of its range.
    pub fn moves_data(self) -> bool {
        matches!(self, Operation::Read | Operation::Write)
    }
}
