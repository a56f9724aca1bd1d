//! The server's messages of a handshake: the greeting and the replies to options, as bytes that
//! wait to be sent.

use crate::export::Export;
use disktime_nbd_protocol::{
    INIT_MAGIC, MAXIMUM_STRING_BYTES, OPTION_MAGIC, OptionReplyHeader, be16, handshake_flag, info,
    option, option_reply,
};

/// The longest part of an export's name that an error quotes.
const QUOTED_NAME_BYTES: usize = 256;

/// The bytes that wait to be sent.
pub(super) struct Replies(Vec<u8>);

impl Replies {
    /// The greeting.
    pub(super) fn greeting() -> Replies {
        let mut bytes = Vec::with_capacity(256);
        bytes.extend_from_slice(&INIT_MAGIC.to_be_bytes());
        bytes.extend_from_slice(&OPTION_MAGIC.to_be_bytes());
        let flags = handshake_flag::FIXED_NEWSTYLE | handshake_flag::NO_ZEROES;
        bytes.extend_from_slice(&flags.to_be_bytes());
        Replies(bytes)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// All bytes were sent.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Success; nothing more follows for the option.
    pub(super) fn ack(&mut self, option: u32) {
        self.push(option, option_reply::ACK, &[]);
    }

    /// An error with a text.
    pub(super) fn error(&mut self, option: u32, error: u32, text: &str) {
        self.push(option, error, text.as_bytes());
    }

    /// The error that there is no export of that name.
    pub(super) fn unknown_export(&mut self, option: u32, name: &str) {
        let text = if name.is_empty() {
            "name an export; `nbdinfo --list` shows which there are".to_owned()
        } else {
            let name = truncate(name, QUOTED_NAME_BYTES);
            format!("there is no export {name:?}; `nbdinfo --list` shows which there are")
        };
        self.error(option, option_reply::ERR_UNKNOWN, &text);
    }

    /// One export of LIST.
    pub(super) fn listed_export(&mut self, export: &Export) {
        let name = export.name.as_bytes();
        let mut body = Vec::with_capacity(4 + name.len() + export.description.len());
        body.extend_from_slice(&(name.len() as u32).to_be_bytes());
        body.extend_from_slice(name);
        body.extend_from_slice(description(export).as_bytes());
        self.push(option::LIST, option_reply::SERVER, &body);
    }

    /// A metadata context with its number.
    pub(super) fn context(&mut self, option: u32, number: u32, name: &str) {
        let mut body = number.to_be_bytes().to_vec();
        body.extend_from_slice(name.as_bytes());
        self.push(option, option_reply::META_CONTEXT, &body);
    }

    /// The reply to EXPORT_NAME, which has no header.
    pub(super) fn export_name(&mut self, export: &Export, flags: u16, padding: bool) {
        self.0.extend_from_slice(&export.size_bytes.to_be_bytes());
        self.0.extend_from_slice(&flags.to_be_bytes());
        if padding {
            self.0.extend_from_slice(&[0; 124]);
        }
    }

    /// Information about an export: always EXPORT; the others once if they are in `wanted` (two
    /// bytes each), however often.
    pub(super) fn export_info(&mut self, option: u32, export: &Export, flags: u16, wanted: &[u8]) {
        let mut body = Vec::with_capacity(16);
        body.extend_from_slice(&info::EXPORT.to_be_bytes());
        body.extend_from_slice(&export.size_bytes.to_be_bytes());
        body.extend_from_slice(&flags.to_be_bytes());
        self.push(option, option_reply::INFO, &body);
        let is_wanted = |kind: u16| wanted.chunks_exact(2).any(|pair| be16(pair, 0) == kind);
        if is_wanted(info::NAME) {
            self.info_text(option, info::NAME, &export.name);
        }
        if is_wanted(info::DESCRIPTION) {
            self.info_text(option, info::DESCRIPTION, description(export));
        }
        if is_wanted(info::BLOCK_SIZE) {
            body.clear();
            body.extend_from_slice(&info::BLOCK_SIZE.to_be_bytes());
            for size in [
                export.minimum_block,
                export.preferred_block,
                export.maximum_block,
            ] {
                body.extend_from_slice(&size.to_be_bytes());
            }
            self.push(option, option_reply::INFO, &body);
        }
    }

    fn info_text(&mut self, option: u32, kind: u16, text: &str) {
        let mut body = kind.to_be_bytes().to_vec();
        body.extend_from_slice(text.as_bytes());
        self.push(option, option_reply::INFO, &body);
    }

    fn push(&mut self, option: u32, reply: u32, data: &[u8]) {
        let header = OptionReplyHeader {
            option,
            reply,
            len_bytes: data.len() as u32,
        };
        self.0.extend_from_slice(&header.encode());
        self.0.extend_from_slice(data);
    }
}

/// The export's description, as far as the protocol allows.
fn description(export: &Export) -> &str {
    truncate(&export.description, MAXIMUM_STRING_BYTES)
}

/// The beginning of `text` of at most `limit` bytes, cut at a character.
fn truncate(text: &str, limit: usize) -> &str {
    let mut end = text.len().min(limit);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
