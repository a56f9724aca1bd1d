//! The numbers of the NBD protocol: magic numbers, options, commands, flags, and its limits.

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
    /// Choose an export. The reply is its size and flags; an error closes the connection.
    pub const EXPORT_NAME: u32 = 1;
    /// End the handshake.
    pub const ABORT: u32 = 2;
    /// List all exports.
    pub const LIST: u32 = 3;
    /// Start TLS.
    pub const STARTTLS: u32 = 5;
    /// Tell about an export.
    pub const INFO: u32 = 6;
    /// Tell about an export and use it.
    pub const GO: u32 = 7;
    /// Use structured replies.
    pub const STRUCTURED_REPLY: u32 = 8;
    /// List metadata contexts.
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
    /// The server's policy forbids it.
    pub const ERR_POLICY: u32 = ERROR_BIT | 2;
    /// The option's data are malformed.
    pub const ERR_INVALID: u32 = ERROR_BIT | 3;
    /// TLS is required.
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
    /// End the session; not answered.
    pub const DISC: u16 = 2;
    /// Make all answered writes durable.
    pub const FLUSH: u16 = 3;
    /// The range is not needed.
    pub const TRIM: u16 = 4;
    /// The range will be read soon.
    pub const CACHE: u16 = 5;
    /// The range is to read as zeroes.
    pub const WRITE_ZEROES: u16 = 6;
    /// Which parts of the range hold data.
    pub const BLOCK_STATUS: u16 = 7;
}

/// Flags of commands.
pub mod command_flag {
    /// Reply when the write is durable.
    pub const FUA: u16 = 1 << 0;
    /// Keep the space of the zeroes allocated.
    pub const NO_HOLE: u16 = 1 << 1;
    /// At most one chunk of data in the reply.
    pub const DF: u16 = 1 << 2;
    /// Exactly one descriptor in the reply.
    pub const REQ_ONE: u16 = 1 << 3;
    /// Fail at once if zeroing is not faster than writing.
    pub const FAST_ZERO: u16 = 1 << 4;
}

/// The descriptors of the metadata context `base:allocation`.
pub mod allocation {
    /// The name of the context.
    pub const NAME: &str = "base:allocation";
    /// Nothing is stored there.
    pub const HOLE: u32 = 1 << 0;
    /// It reads as zeroes.
    pub const ZERO: u32 = 1 << 1;
}

/// The metadata contexts that QEMU calls dirty bitmaps, one for each name behind the prefix.
pub mod dirty_bitmap {
    /// The namespace of QEMU's contexts.
    pub const NAMESPACE: &str = "qemu:";
    /// What their names begin with.
    pub const PREFIX: &str = "qemu:dirty-bitmap:";
    /// The range may have changed.
    pub const DIRTY: u32 = 1 << 0;
}

/// Kinds and flags of chunks.
pub mod chunk {
    /// No payload; ends the reply.
    pub const NONE: u16 = 0;
    /// An offset (8 bytes) and data.
    pub const OFFSET_DATA: u16 = 1;
    /// An offset (8 bytes) and a number of zeroes (4 bytes).
    pub const OFFSET_HOLE: u16 = 2;
    /// The number of a metadata context (4 bytes), then descriptors: length and status, 4 bytes
    /// each.
    pub const BLOCK_STATUS: u16 = 5;
    /// Set in the kind of every error.
    pub const ERROR_BIT: u16 = 1 << 15;
    /// An error number (4 bytes), the length of a text (2 bytes), the text.
    pub const ERROR: u16 = ERROR_BIT | 1;
    /// The same, then the offset of the failure (8 bytes).
    pub const ERROR_OFFSET: u16 = ERROR_BIT | 2;
    /// The flag of the last chunk of a reply.
    pub const DONE: u16 = 1;
}
