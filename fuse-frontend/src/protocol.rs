//! The kernel's FUSE protocol, as much of it as a flat directory of vdisks needs: messages decoded
//! and replies encoded. Pure: no descriptor, no directory.
//!
//! ```text
//!   request:  header (40 bytes) │ fixed part, by opcode │ variable part: names, data
//!   reply:    header (16 bytes) │ fixed part, or data
//! ```
//!
//! Numbers are the kernel's own, in the machine's order of bytes. The layouts are those of
//! `linux/fuse.h`, protocol 7.31 and later; what later versions append is ignored.
//!
//! Invariants: nothing that the kernel sends makes the decoder panic; a message that is too short
//! for its opcode is an error of that message alone.

mod opcode;
mod reply;
mod request;
mod wire;

pub(crate) use reply::{
    Attributes, EntryKind, InitReply, Listing, REPLY_HEADER_BYTES, Statistics, reply_header,
};
pub(crate) use reply::{
    encode_attributes, encode_entry, encode_found, encode_init, encode_open, encode_statistics,
    encode_written,
};
pub(crate) use request::{HEADER_BYTES, Header, Malformed, Operation, SetAttributes, decode};

#[cfg(test)]
mod tests;
