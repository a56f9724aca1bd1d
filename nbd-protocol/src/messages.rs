//! The fixed-size headers of options, requests and replies, with their encoding.

use crate::bytes::{be16, be32, be64};
use crate::constants::{OPTION_MAGIC, OPTION_REPLY_MAGIC, REQUEST_MAGIC, SIMPLE_REPLY_MAGIC};

/// The header of an option: 16 bytes, then the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OptionHeader {
    /// The option, of [`crate::option`].
    pub option: u32,
    /// The number of data bytes that follow.
    pub len_bytes: u32,
}

impl OptionHeader {
    /// Its size on the wire.
    pub const BYTES: usize = 16;

    /// An option with its data, as on the wire.
    pub fn message(option: u32, data: &[u8]) -> Vec<u8> {
        let len_bytes = data.len() as u32;
        [&OptionHeader { option, len_bytes }.encode()[..], data].concat()
    }

    /// As on the wire.
    #[inline]
    pub fn encode(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..8].copy_from_slice(&OPTION_MAGIC.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.option.to_be_bytes());
        bytes[12..].copy_from_slice(&self.len_bytes.to_be_bytes());
        bytes
    }

    /// From the wire; `None` if the magic number is wrong.
    #[inline]
    pub fn decode(bytes: &[u8; Self::BYTES]) -> Option<OptionHeader> {
        (be64(bytes, 0) == OPTION_MAGIC).then(|| OptionHeader {
            option: be32(bytes, 8),
            len_bytes: be32(bytes, 12),
        })
    }
}

/// The header of a reply to an option: 20 bytes, then the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OptionReplyHeader {
    /// The option that it answers.
    pub option: u32,
    /// The kind of reply, of [`crate::option_reply`].
    pub reply: u32,
    /// The number of data bytes that follow.
    pub len_bytes: u32,
}

impl OptionReplyHeader {
    /// Its size on the wire.
    pub const BYTES: usize = 20;

    /// As on the wire.
    #[inline]
    pub fn encode(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..8].copy_from_slice(&OPTION_REPLY_MAGIC.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.option.to_be_bytes());
        bytes[12..16].copy_from_slice(&self.reply.to_be_bytes());
        bytes[16..].copy_from_slice(&self.len_bytes.to_be_bytes());
        bytes
    }

    /// From the wire; `None` if the magic number is wrong.
    #[inline]
    pub fn decode(bytes: &[u8; Self::BYTES]) -> Option<OptionReplyHeader> {
        (be64(bytes, 0) == OPTION_REPLY_MAGIC).then(|| OptionReplyHeader {
            option: be32(bytes, 8),
            reply: be32(bytes, 12),
            len_bytes: be32(bytes, 16),
        })
    }
}

/// The header of a request: 28 bytes, then the data of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestHeader {
    /// The flags, of [`crate::command_flag`].
    pub flags: u16,
    /// The command, of [`crate::command`].
    pub command: u16,
    /// The client's number for the request; the reply carries it too.
    pub cookie: u64,
    /// Start of the range.
    pub offset_bytes: u64,
    /// Length of the range.
    pub len_bytes: u32,
}

impl RequestHeader {
    /// Its size on the wire.
    pub const BYTES: usize = 28;

    /// A request without flags.
    pub fn new(command: u16, cookie: u64, offset_bytes: u64, len_bytes: u32) -> RequestHeader {
        RequestHeader {
            flags: 0,
            command,
            cookie,
            offset_bytes,
            len_bytes,
        }
    }

    /// As on the wire.
    #[inline]
    pub fn encode(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..4].copy_from_slice(&REQUEST_MAGIC.to_be_bytes());
        bytes[4..6].copy_from_slice(&self.flags.to_be_bytes());
        bytes[6..8].copy_from_slice(&self.command.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.cookie.to_be_bytes());
        bytes[16..24].copy_from_slice(&self.offset_bytes.to_be_bytes());
        bytes[24..].copy_from_slice(&self.len_bytes.to_be_bytes());
        bytes
    }

    /// From the wire; `None` if the magic number is wrong.
    #[inline]
    pub fn decode(bytes: &[u8; Self::BYTES]) -> Option<RequestHeader> {
        (be32(bytes, 0) == REQUEST_MAGIC).then(|| RequestHeader {
            flags: be16(bytes, 4),
            command: be16(bytes, 6),
            cookie: be64(bytes, 8),
            offset_bytes: be64(bytes, 16),
            len_bytes: be32(bytes, 24),
        })
    }
}

/// A simple reply: 16 bytes, then the data of a read that succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SimpleReply {
    /// 0, or an error number.
    pub error: u32,
    /// As in the request.
    pub cookie: u64,
}

impl SimpleReply {
    /// Its size on the wire.
    pub const BYTES: usize = 16;

    /// As on the wire.
    #[inline]
    pub fn encode(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..4].copy_from_slice(&SIMPLE_REPLY_MAGIC.to_be_bytes());
        bytes[4..8].copy_from_slice(&self.error.to_be_bytes());
        bytes[8..].copy_from_slice(&self.cookie.to_be_bytes());
        bytes
    }

    /// From the wire; `None` if the magic number is wrong.
    #[inline]
    pub fn decode(bytes: &[u8; Self::BYTES]) -> Option<SimpleReply> {
        (be32(bytes, 0) == SIMPLE_REPLY_MAGIC).then(|| SimpleReply {
            error: be32(bytes, 4),
            cookie: be64(bytes, 8),
        })
    }
}

#[cfg(test)]
mod tests;
