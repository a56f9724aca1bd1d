//! The NBD protocol: constants, fixed-size headers with their encoding, export flags and URIs.
//!
//! Pure: no I/O, no sockets, no disks, no async runtime. All integers on the wire are big-endian.
//! The names are those of the NBD project's protocol document, without their `NBD_` prefix.
//!
//! Invariant: decoding never panics on a whole header, whatever its bytes are; a header with a
//! wrong magic number decodes to `None`.
//!
//! What is not known here: the order of messages (handshake and transmission), server and client.
#![forbid(unsafe_code)]

mod bytes;
mod chunks;
mod constants;
mod error_number;
mod export_flags;
mod messages;
mod uri;

pub use bytes::{be16, be32, be64};
pub use chunks::ChunkHeader;
pub use constants::{
    DEFAULT_PORT, INIT_MAGIC, MAXIMUM_BLOCK_BYTES, MAXIMUM_STRING_BYTES, OPTION_MAGIC,
    OPTION_REPLY_MAGIC, REQUEST_MAGIC, SIMPLE_REPLY_MAGIC, STRUCTURED_REPLY_MAGIC, allocation,
    chunk, command, command_flag, dirty_bitmap, handshake_flag, info, option, option_reply,
    transmission_flag,
};
pub use error_number::ErrorNumber;
pub use export_flags::ExportFlags;
pub use messages::{OptionHeader, OptionReplyHeader, RequestHeader, SimpleReply};
pub use uri::{NbdUri, Transport, UriError};
