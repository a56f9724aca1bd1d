//! The words of the NBD protocol: constants, and the fixed-size headers with their encoding.
//!
//! Pure: no I/O, no allocation. All integers on the wire are big-endian. The names are those of
//! the protocol document of the NBD project, without their `NBD_` prefix.

mod structured;

pub use structured::{ChunkHeader, chunk};

/// First eight bytes that a server sends: "NBDMAGIC".
pub const INIT_MAGIC: u64 = 0x4e42_444d_4147_4943;
/// Before the server's flags and before each option: "IHAVEOPT".
pub const OPTION_MAGIC: u64 = 0x4948_4156_454f_5054;
/// Before each reply to an option.
pub const OPTION_REPLY_MAGIC: u64 = 0x0003_e889_0455_65a9;
/// Before each request.
pub const REQUEST_MAGIC: u32 = 0x2560_9513;
/// Before each simple reply.
pub const SIMPLE_REPLY_MAGIC: u32 = 0x6744_6698;

/// Before each chunk of a structured reply.
pub const STRUCTURED_REPLY_MAGIC: u32 = 0x668e_33ef;

/// Longest read or write that is served, in bytes.
pub const MAXIMUM_BLOCK_BYTES: u32 = 32 << 20;
/// Longest string (export name, description) that the protocol allows, in bytes.
pub const MAXIMUM_STRING_BYTES: usize = 4096;
/// The port that IANA registered for NBD.
pub const DEFAULT_PORT: u16 = 10809;

/// Flags of server and client at the start of the handshake (the same numbers both ways).
pub mod handshake_flag {
    /// Options are understood beyond EXPORT_NAME.
    pub const FIXED_NEWSTYLE: u16 = 1;
    /// The 124 zero bytes after EXPORT_NAME are left out.
    pub const NO_ZEROES: u16 = 2;
}

/// What an export can do.
pub mod transmission_flag {
    /// Always set.
    pub const HAS_FLAGS: u16 = 1 << 0;
    /// Not writable.
    pub const READ_ONLY: u16 = 1 << 1;
    /// FLUSH is served.
    pub const SEND_FLUSH: u16 = 1 << 2;
    /// FUA is served.
    pub const SEND_FUA: u16 = 1 << 3;
    /// Seeks cost time.
    pub const ROTATIONAL: u16 = 1 << 4;
    /// TRIM is served.
    pub const SEND_TRIM: u16 = 1 << 5;
    /// WRITE_ZEROES is served.
    pub const SEND_WRITE_ZEROES: u16 = 1 << 6;
    /// The DF flag of READ is served, as structured replies were agreed on.
    pub const SEND_DF: u16 = 1 << 7;
    /// A flush on one connection covers all.
    pub const CAN_MULTI_CONN: u16 = 1 << 8;
    /// CACHE is served.
    pub const SEND_CACHE: u16 = 1 << 10;
    /// The FAST_ZERO flag of WRITE_ZEROES is served.
    pub const SEND_FAST_ZERO: u16 = 1 << 11;
}

/// Options of the handshake.
pub mod option {
    /// Choose an export, without any reply but its size; an error closes the connection.
    pub const EXPORT_NAME: u32 = 1;
    /// Good-bye.
    pub const ABORT: u32 = 2;
    /// Name all exports.
    pub const LIST: u32 = 3;
    /// Change to TLS.
    pub const STARTTLS: u32 = 5;
    /// Tell about an export.
    pub const INFO: u32 = 6;
    /// Tell about an export and use it.
    pub const GO: u32 = 7;
    /// Use structured replies.
    pub const STRUCTURED_REPLY: u32 = 8;
    /// Name metadata contexts.
    pub const LIST_META_CONTEXT: u32 = 9;
    /// Choose metadata contexts.
    pub const SET_META_CONTEXT: u32 = 10;
}

/// Kinds of replies to options.
pub mod option_reply {
    /// Done.
    pub const ACK: u32 = 1;
    /// One export of a list.
    pub const SERVER: u32 = 2;
    /// One piece of information.
    pub const INFO: u32 = 3;
    /// One metadata context.
    pub const META_CONTEXT: u32 = 4;
    /// Set in every error.
    pub const ERROR_BIT: u32 = 1 << 31;
    /// The option is not known or not served.
    pub const ERR_UNSUP: u32 = ERROR_BIT | 1;
    /// The server does not want to.
    pub const ERR_POLICY: u32 = ERROR_BIT | 2;
    /// The option's data make no sense.
    pub const ERR_INVALID: u32 = ERROR_BIT | 3;
    /// Not without TLS.
    pub const ERR_TLS_REQD: u32 = ERROR_BIT | 5;
    /// There is no such export.
    pub const ERR_UNKNOWN: u32 = ERROR_BIT | 6;
    /// The option's data are too long.
    pub const ERR_TOO_BIG: u32 = ERROR_BIT | 9;
}

/// Kinds of information about an export.
pub mod info {
    /// Size and flags; always sent.
    pub const EXPORT: u16 = 0;
    /// Its name.
    pub const NAME: u16 = 1;
    /// Its description.
    pub const DESCRIPTION: u16 = 2;
    /// Minimum, preferred and maximum block size.
    pub const BLOCK_SIZE: u16 = 3;
}

/// Commands of the transmission phase.
pub mod command {
    /// Read.
    pub const READ: u16 = 0;
    /// Write; the data follow the header.
    pub const WRITE: u16 = 1;
    /// Good-bye; not answered.
    pub const DISC: u16 = 2;
    /// Make durable what was answered.
    pub const FLUSH: u16 = 3;
    /// The range is not needed.
    pub const TRIM: u16 = 4;
    /// The range will be read soon.
    pub const CACHE: u16 = 5;
    /// The range is to read as zeroes.
    pub const WRITE_ZEROES: u16 = 6;
    /// What lies in the range.
    pub const BLOCK_STATUS: u16 = 7;
}

/// Flags of commands.
pub mod command_flag {
    /// Answer when durable.
    pub const FUA: u16 = 1 << 0;
    /// Do not make a hole of the zeroes.
    pub const NO_HOLE: u16 = 1 << 1;
    /// At most one chunk of data in the reply.
    pub const DF: u16 = 1 << 2;
    /// Exactly one descriptor in the reply.
    pub const REQ_ONE: u16 = 1 << 3;
    /// Fail at once if zeroing is not faster than writing.
    pub const FAST_ZERO: u16 = 1 << 4;
}

/// What the descriptors of the metadata context `base:allocation` say.
pub mod allocation {
    /// The name of the context.
    pub const NAME: &str = "base:allocation";
    /// Nothing is stored there.
    pub const HOLE: u32 = 1 << 0;
    /// It reads as zeroes.
    pub const ZERO: u32 = 1 << 1;
}

/// Error numbers of replies: those of Linux, the few that the protocol allows.
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
    /// No space there.
    NoSpc = 28,
    /// Too long to be read in one piece.
    Overflow = 75,
    /// Not supported.
    NotSup = 95,
    /// The server is going away.
    Shutdown = 108,
}

impl ErrorNumber {
    /// For people, as sent along with structured replies.
    pub fn sentence(self) -> &'static str {
        match self {
            ErrorNumber::Perm => "the export is read-only",
            ErrorNumber::Io => "the disk failed the request",
            ErrorNumber::NoMem => "the server is out of memory",
            ErrorNumber::Inval => "the server does not serve such a request; see range and flags",
            ErrorNumber::NoSpc => "there is no space at that place",
            ErrorNumber::Overflow => "the range is too long to be read in one piece",
            ErrorNumber::NotSup => "zeroing there is not known to be faster than writing",
            ErrorNumber::Shutdown => "the server is shutting down",
        }
    }
}

/// The header of an option, in either direction's parser: 16 bytes, then the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OptionHeader {
    /// Which, of [`option`].
    pub option: u32,
    /// How many bytes of data follow.
    pub len_bytes: u32,
}

impl OptionHeader {
    /// Its size on the wire.
    pub const BYTES: usize = 16;

    /// As on the wire.
    pub fn encode(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..8].copy_from_slice(&OPTION_MAGIC.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.option.to_be_bytes());
        bytes[12..].copy_from_slice(&self.len_bytes.to_be_bytes());
        bytes
    }

    /// From the wire; `None` if the magic is wrong.
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
    /// To which option.
    pub option: u32,
    /// What, of [`option_reply`].
    pub reply: u32,
    /// How many bytes of data follow.
    pub len_bytes: u32,
}

impl OptionReplyHeader {
    /// Its size on the wire.
    pub const BYTES: usize = 20;

    /// As on the wire.
    pub fn encode(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..8].copy_from_slice(&OPTION_REPLY_MAGIC.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.option.to_be_bytes());
        bytes[12..16].copy_from_slice(&self.reply.to_be_bytes());
        bytes[16..].copy_from_slice(&self.len_bytes.to_be_bytes());
        bytes
    }

    /// From the wire; `None` if the magic is wrong.
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
    /// Of [`command_flag`].
    pub flags: u16,
    /// Of [`command`].
    pub command: u16,
    /// The client's number for the request; comes back in the reply.
    pub cookie: u64,
    /// Start of the range.
    pub offset_bytes: u64,
    /// Length of the range.
    pub len_bytes: u32,
}

impl RequestHeader {
    /// Its size on the wire.
    pub const BYTES: usize = 28;

    /// As on the wire.
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

    /// From the wire; `None` if the magic is wrong.
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
    pub fn encode(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..4].copy_from_slice(&SIMPLE_REPLY_MAGIC.to_be_bytes());
        bytes[4..8].copy_from_slice(&self.error.to_be_bytes());
        bytes[8..].copy_from_slice(&self.cookie.to_be_bytes());
        bytes
    }

    /// From the wire; `None` if the magic is wrong.
    pub fn decode(bytes: &[u8; Self::BYTES]) -> Option<SimpleReply> {
        (be32(bytes, 0) == SIMPLE_REPLY_MAGIC).then(|| SimpleReply {
            error: be32(bytes, 4),
            cookie: be64(bytes, 8),
        })
    }
}

/// The big-endian number at `at`; the caller knows that it is there.
pub(crate) fn be16(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

/// The big-endian number at `at`; the caller knows that it is there.
pub(crate) fn be32(bytes: &[u8], at: usize) -> u32 {
    (u32::from(be16(bytes, at)) << 16) | u32::from(be16(bytes, at + 2))
}

/// The big-endian number at `at`; the caller knows that it is there.
pub(crate) fn be64(bytes: &[u8], at: usize) -> u64 {
    (u64::from(be32(bytes, at)) << 32) | u64::from(be32(bytes, at + 4))
}

#[cfg(test)]
mod tests;
