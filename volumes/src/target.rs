//! Where a piece of a request goes: the place that a byte of a vdisk resolves to.
//!
//! A target names the disk, the offset there, and the stream that pays. Whatever can hold a vdisk's
//! bytes (its image today; a log, a parent or a remote source later) is described by targets alone,
//! so that splitter, commit pipeline and I/O queue do not distinguish between them. A data path has
//! one disk, and its targets name that one; a log on another disk is an area of that disk's data
//! path.
//!
//! Not known here: what lies at the place, and what is done there.

use disktime_engine::StreamId;

/// A disk of a data path, by its position there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DiskIndex(u16);

impl DiskIndex {
    /// Its first disk; it has no other.
    pub(crate) const FIRST: DiskIndex = DiskIndex(0);
}

/// A place on a disk, and the stream that pays for I/O there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Target {
    disk: DiskIndex,
    offset_bytes: u64,
    stream: StreamId,
}

impl Target {
    /// The place at `offset_bytes` of `disk`.
    pub(crate) fn new(disk: DiskIndex, offset_bytes: u64, stream: StreamId) -> Target {
        Target {
            disk,
            offset_bytes,
            stream,
        }
    }

    /// A disk as a whole, as a flush addresses it.
    pub(crate) fn whole_disk(disk: DiskIndex, stream: StreamId) -> Target {
        Target::new(disk, 0, stream)
    }

    /// The place `bytes` further on.
    pub(crate) fn advanced(self, bytes: u64) -> Target {
        Target {
            offset_bytes: self.offset_bytes + bytes,
            ..self
        }
    }

    /// The same place, paid by another stream.
    pub(crate) fn paid_by(self, stream: StreamId) -> Target {
        Target { stream, ..self }
    }

    pub(crate) fn disk(self) -> DiskIndex {
        self.disk
    }

    pub(crate) fn offset_bytes(self) -> u64 {
        self.offset_bytes
    }

    pub(crate) fn stream(self) -> StreamId {
        self.stream
    }
}
