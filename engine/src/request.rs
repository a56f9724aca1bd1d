//! The types that frontends and volumes share: a request for a vdisk and its reply.
//!
//! Invariant: every request that a [`crate::Service`] takes is answered by exactly one reply with
//! the same `origin` and `handle`.

use crate::ZeroPieces;
use disktime_disks::Buffer;
use disktime_units::RequestKind;
use thiserror::Error;

/// Which vdisk of a service: a handle that the service issues and checks with every request.
/// Frontends resolve a name to it once, when a client opens the vdisk; after that they only carry
/// and compare it. A service whose vdisks come and go never issues the same number for another
/// vdisk, and answers a request whose handle is not valid any more with [`IoError::Shutdown`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VdiskId(pub u64);

/// A request for a vdisk.
#[derive(Debug)]
pub struct Request {
    /// The connection or client that sent it; set by the loop that takes the request.
    pub origin: u64,
    /// Which of the origin's requests; unique among those in flight.
    pub handle: u64,
    /// For which vdisk.
    pub vdisk: VdiskId,
    /// What to do.
    pub kind: RequestKind,
    /// Start of the range in the vdisk, any byte. 0 for a flush.
    pub offset_bytes: u64,
    /// Length of the range, any number of bytes. 0 for a flush. A read or write is at most
    /// 32 MiB (the frontends check it); trim and zeroes may be as long as the vdisk.
    pub len_bytes: u64,
    /// The reply waits until the data is durable (writes, zeroes, trims).
    pub fua: bool,
    /// Of `len_bytes`: the data of a write, the space for a read. For a status: the space for
    /// extents, a multiple of [`crate::Extent::BYTES`]. `None` for other kinds, and for the
    /// data-less clients of a simulation.
    pub buffer: Option<Buffer>,
}

impl Request {
    /// Its reply: with its buffer, and nothing else to tell.
    pub fn reply(self, result: Result<(), IoError>) -> Reply {
        Reply {
            origin: self.origin,
            handle: self.handle,
            kind: self.kind,
            result,
            buffer: self.buffer,
            detail: ReplyDetail::Nothing,
        }
    }
}

/// The answer to a request.
#[derive(Debug)]
pub struct Reply {
    /// As in the request.
    pub origin: u64,
    /// As in the request.
    pub handle: u64,
    /// As in the request.
    pub kind: RequestKind,
    /// Whether it was done.
    pub result: Result<(), IoError>,
    /// The request's buffer; the data of a read that succeeded.
    pub buffer: Option<Buffer>,
    /// What else is known.
    pub detail: ReplyDetail,
}

/// What a reply tells beyond success or failure. Frontends may ignore it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ReplyDetail {
    /// Nothing.
    #[default]
    Nothing,
    /// Parts of a read's data are zeroes because nothing is stored there. `first_bytes` and
    /// `last_bytes` together are at most the data; if all of it is zeroes, `first_bytes` is its
    /// length.
    Zeroes {
        /// How many at the beginning.
        first_bytes: u32,
        /// How many at the end.
        last_bytes: u32,
        /// Zeroes between the two.
        middle: ZeroPieces,
    },
    /// The request failed at about this byte of the vdisk, which lies in its range.
    FailedAt(u64),
}

/// Why a request failed, as a client sees it. Frontends map each to their protocol's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum IoError {
    /// The disk failed it (EIO).
    #[error("the disk failed the request")]
    Io,
    /// Beyond the end for a read, or not understood (EINVAL).
    #[error("the request is not valid")]
    Invalid,
    /// Beyond the end for a write, or no space on the file system below (ENOSPC).
    #[error("there is no space at that place")]
    NoSpace,
    /// The vdisk is read-only (EPERM).
    #[error("the virtual disk is read-only")]
    ReadOnly,
    /// The operation is not served (ENOTSUP).
    #[error("the operation is not supported")]
    NotSupported,
    /// The server is shutting down, or does not serve the vdisk any more (ESHUTDOWN).
    #[error("the server is shutting down")]
    Shutdown,
}
