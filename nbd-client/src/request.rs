//! Requests and replies as the caller sees them.
//!
//! The receiver knows the length of a reply without a table: the cookie consists of the caller's
//! tag (upper half) and the number of bytes that a successful reply carries (lower half). So sender
//! and receiver share nothing and may be used by two threads.

use disktime_nbd_protocol::{RequestHeader, command, command_flag};
use disktime_units::RequestKind;

/// A request to send.
#[derive(Debug, Clone, Copy)]
pub struct ClientRequest<'a> {
    /// The caller's number for the request; the reply carries it too.
    pub tag: u32,
    /// What to do.
    pub kind: RequestKind,
    /// Start of the range; 0 for a flush.
    pub offset_bytes: u64,
    /// Length of the range; 0 for a flush; for a write the length of `data`.
    pub len_bytes: u32,
    /// The reply waits until the write is durable.
    pub fua: bool,
    /// The data of a write, else empty.
    pub data: &'a [u8],
}

impl<'a> ClientRequest<'a> {
    /// A request without data and without FUA.
    pub fn new(
        tag: u32,
        kind: RequestKind,
        offset_bytes: u64,
        len_bytes: u32,
    ) -> ClientRequest<'a> {
        ClientRequest {
            tag,
            kind,
            offset_bytes,
            len_bytes,
            fua: false,
            data: &[],
        }
    }

    /// A write of `data`, at most 32 MiB, without FUA.
    pub fn write(tag: u32, offset_bytes: u64, data: &'a [u8]) -> ClientRequest<'a> {
        ClientRequest {
            data,
            ..ClientRequest::new(tag, RequestKind::Write, offset_bytes, data.len() as u32)
        }
    }

    pub(crate) fn header(&self) -> RequestHeader {
        let (command, flags) = match self.kind {
            RequestKind::Read => (command::READ, 0),
            RequestKind::Write => (command::WRITE, 0),
            RequestKind::Flush => (command::FLUSH, 0),
            RequestKind::Trim => (command::TRIM, 0),
            RequestKind::WriteZeroes => (command::WRITE_ZEROES, 0),
            RequestKind::ZeroKeepingSpace => (command::WRITE_ZEROES, command_flag::NO_HOLE),
            RequestKind::ZeroFast => (command::WRITE_ZEROES, command_flag::FAST_ZERO),
            RequestKind::Cache => (command::CACHE, 0),
            RequestKind::Allocate => unreachable!("NBD has no command that sets space aside"),
            RequestKind::Status => (command::BLOCK_STATUS, 0),
        };
        let reply_bytes = if self.kind == RequestKind::Read {
            self.len_bytes
        } else {
            0
        };
        RequestHeader {
            flags: flags | if self.fua { command_flag::FUA } else { 0 },
            command,
            cookie: (u64::from(self.tag) << 32) | u64::from(reply_bytes),
            offset_bytes: self.offset_bytes,
            len_bytes: self.len_bytes,
        }
    }
}

/// The reply to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientReply {
    /// As in the request.
    pub tag: u32,
    /// 0, or the protocol's error number (those of Linux).
    pub error: u32,
    /// Bytes of data in the reply: those of a read that succeeded, else 0.
    pub data_bytes: u32,
}
