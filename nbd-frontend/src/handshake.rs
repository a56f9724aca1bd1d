//! The server's side of the fixed newstyle handshake, without I/O: bytes in, bytes out.
//!
//! How it is driven: send [`Handshake::outgoing`], then call [`Handshake::advance`] until it asks
//! for bytes, sending what waits after each step; give it bytes with [`Handshake::receive`].
//!
//! Invariants: one message is handled per step, so that what waits to be sent stays small however
//! many messages a client sends ahead; an option's data, the number of options and so the memory
//! are bounded; an option that is not known is answered and the next one is read; what comes after
//! the last option belongs to the session and is kept for it.
//!
//! What is not known here: sockets and time. The caller limits how long a handshake may take.

use crate::export::{Export, ExportDirectory, find_export};
use crate::negotiated::Negotiated;
use crate::protocol::{
    INIT_MAGIC, MAXIMUM_STRING_BYTES, OPTION_MAGIC, OptionHeader, OptionReplyHeader, be16, be32,
    handshake_flag, info, option, option_reply, transmission_flag,
};
use contexts::Selection;
use std::sync::Arc;

mod contexts;

/// What a handshake may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HandshakeLimits {
    /// Longest data of an option; a longer one is skipped and refused.
    pub option_bytes: u32,
    /// Most options in one handshake; a client that sends more is dropped.
    pub options: u32,
}

impl Default for HandshakeLimits {
    fn default() -> HandshakeLimits {
        HandshakeLimits {
            option_bytes: 16 << 10,
            options: 256,
        }
    }
}

/// How far a handshake is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// A message was handled; call again.
    Continue,
    /// The client has to send more.
    NeedBytes,
    /// The client uses this export from now on; what it sent ahead is in [`Handshake::into_rest`].
    Agreed(Box<Export>),
    /// TLS begins with the next byte; call [`Handshake::encrypted`] when it has.
    StartTls,
    /// The client said good-bye.
    Aborted,
    /// The client broke the protocol; drop it. The sentence is for the log.
    Broken(String),
}

/// Whether the client's bytes are encrypted, or may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// There is no TLS here (NOTLS).
    Unavailable,
    /// The client may begin TLS (SELECTIVETLS).
    Offered,
    /// Nothing else is answered before TLS (FORCEDTLS).
    Required,
    /// TLS has begun.
    Active,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    ClientFlags,
    Option,
    /// The data of an option that is too long: thrown away, then refused.
    Skip {
        option: u32,
        left_bytes: u32,
    },
}

/// One handshake.
pub struct Handshake {
    directory: Arc<dyn ExportDirectory>,
    limits: HandshakeLimits,
    stage: Stage,
    encryption: Encryption,
    zeroes: bool,
    /// The client asked for structured replies.
    structured: bool,
    /// The metadata contexts that it chose last, and for which export.
    selection: Option<Selection>,
    negotiated: Negotiated,
    options: u32,
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
}

impl Handshake {
    /// A handshake about the exports of `directory`. The greeting waits in `outgoing`.
    pub fn new(directory: Arc<dyn ExportDirectory>, limits: HandshakeLimits) -> Handshake {
        let mut outgoing = Vec::with_capacity(256);
        outgoing.extend_from_slice(&INIT_MAGIC.to_be_bytes());
        outgoing.extend_from_slice(&OPTION_MAGIC.to_be_bytes());
        let flags = handshake_flag::FIXED_NEWSTYLE | handshake_flag::NO_ZEROES;
        outgoing.extend_from_slice(&flags.to_be_bytes());
        Handshake {
            directory,
            limits,
            stage: Stage::ClientFlags,
            encryption: Encryption::Unavailable,
            zeroes: true,
            structured: false,
            selection: None,
            negotiated: Negotiated::default(),
            options: 0,
            incoming: Vec::new(),
            outgoing,
        }
    }

    /// With TLS, offered or required.
    pub fn with_encryption(mut self, encryption: Encryption) -> Handshake {
        self.encryption = encryption;
        self
    }

    /// TLS has begun: what comes in from now on was encrypted. Nothing that was said before counts,
    /// except the flags of the greeting and the number of options.
    pub fn encrypted(&mut self) {
        debug_assert!(self.incoming.is_empty(), "plain bytes crossed into TLS");
        self.incoming.clear();
        self.structured = false;
        self.selection = None;
        self.negotiated = Negotiated::default();
        self.encryption = Encryption::Active;
    }

    /// Takes bytes of the client. Call after `advance` returned [`Progress::NeedBytes`].
    pub fn receive(&mut self, bytes: &[u8]) {
        self.incoming.extend_from_slice(bytes);
    }

    /// What is to be sent.
    pub fn outgoing(&self) -> &[u8] {
        &self.outgoing
    }

    /// All of `outgoing` was sent.
    pub fn sent(&mut self) {
        self.outgoing.clear();
    }

    /// What was agreed on besides the export; final once it is [`Progress::Agreed`].
    pub fn negotiated(&self) -> Negotiated {
        self.negotiated
    }

    /// The bytes after the last option, which the client sent to the session.
    pub fn into_rest(self) -> Vec<u8> {
        self.incoming
    }

    /// Handles the next message, if it is complete.
    pub fn advance(&mut self) -> Progress {
        match self.stage {
            Stage::ClientFlags => self.client_flags(),
            Stage::Option => self.option(),
            Stage::Skip { option, left_bytes } => self.skip(option, left_bytes),
        }
    }

    fn client_flags(&mut self) -> Progress {
        let Some(bytes) = self.incoming.first_chunk::<4>() else {
            return Progress::NeedBytes;
        };
        let flags = u32::from_be_bytes(*bytes);
        self.incoming.drain(..4);
        let known = u32::from(handshake_flag::FIXED_NEWSTYLE | handshake_flag::NO_ZEROES);
        if flags & !known != 0 {
            return Progress::Broken(format!(
                "the client sent unknown handshake flags {flags:#x}"
            ));
        }
        self.zeroes = flags & u32::from(handshake_flag::NO_ZEROES) == 0;
        self.stage = Stage::Option;
        Progress::Continue
    }

    fn option(&mut self) -> Progress {
        let Some(bytes) = self.incoming.first_chunk::<{ OptionHeader::BYTES }>() else {
            return Progress::NeedBytes;
        };
        let Some(header) = OptionHeader::decode(bytes) else {
            return Progress::Broken("the client sent an option without its magic number".into());
        };
        if self.options >= self.limits.options {
            return Progress::Broken(format!(
                "the client sent more than {} options without choosing an export",
                self.limits.options
            ));
        }
        if header.len_bytes > self.limits.option_bytes {
            if header.option == option::EXPORT_NAME {
                return Progress::Broken(
                    "the client asked for an export by too long a name".into(),
                );
            }
            self.options += 1;
            self.incoming.drain(..OptionHeader::BYTES);
            self.stage = Stage::Skip {
                option: header.option,
                left_bytes: header.len_bytes,
            };
            return Progress::Continue;
        }
        let end = OptionHeader::BYTES + header.len_bytes as usize;
        if self.incoming.len() < end {
            return Progress::NeedBytes;
        }
        self.options += 1;
        let data: Vec<u8> = self
            .incoming
            .drain(..end)
            .skip(OptionHeader::BYTES)
            .collect();
        self.answer(header.option, &data)
    }

    fn skip(&mut self, option: u32, left_bytes: u32) -> Progress {
        let here = self.incoming.len().min(left_bytes as usize);
        self.incoming.drain(..here);
        let left_bytes = left_bytes - here as u32;
        if left_bytes > 0 {
            self.stage = Stage::Skip { option, left_bytes };
            return Progress::NeedBytes;
        }
        self.stage = Stage::Option;
        let limit = self.limits.option_bytes;
        let text = format!("an option may carry at most {limit} bytes");
        self.push_reply(option, option_reply::ERR_TOO_BIG, text.as_bytes());
        Progress::Continue
    }

    fn answer(&mut self, option: u32, data: &[u8]) -> Progress {
        let may_be_plain = matches!(option, option::STARTTLS | option::ABORT);
        if self.encryption == Encryption::Required && !may_be_plain {
            return self.demand_tls(option);
        }
        match option {
            option::EXPORT_NAME => return self.export_name(data),
            option::GO | option::INFO => return self.go_or_info(option, data),
            option::ABORT => {
                self.push_reply(option, option_reply::ACK, &[]);
                return Progress::Aborted;
            }
            option::LIST => self.list(data),
            option::STRUCTURED_REPLY => self.structured_reply(data),
            option::LIST_META_CONTEXT => self.list_contexts(data),
            option::SET_META_CONTEXT => self.set_contexts(data),
            option::STARTTLS => return self.start_tls(data),
            _ => self.refuse(option, "this server does not know that option"),
        }
        Progress::Continue
    }

    /// To every option before TLS, where TLS is required.
    fn demand_tls(&mut self, option: u32) -> Progress {
        if option == option::EXPORT_NAME {
            // It cannot be answered with an error.
            return Progress::Broken("the client did not encrypt, as it has to".into());
        }
        let text = b"this server wants TLS (nbds:// or nbds+unix://)";
        self.push_reply(option, option_reply::ERR_TLS_REQD, text);
        Progress::Continue
    }

    fn start_tls(&mut self, data: &[u8]) -> Progress {
        let mistake = match self.encryption {
            Encryption::Unavailable => {
                self.refuse(option::STARTTLS, "this server does not offer TLS");
                return Progress::Continue;
            }
            Encryption::Active => Some("TLS has begun already"),
            _ if !data.is_empty() => Some("STARTTLS carries no data"),
            _ => None,
        };
        if let Some(mistake) = mistake {
            let error = option_reply::ERR_INVALID;
            self.push_reply(option::STARTTLS, error, mistake.as_bytes());
            return Progress::Continue;
        }
        if !self.incoming.is_empty() {
            // Somebody on the way could have put them there, to be taken for the client's.
            return Progress::Broken(
                "the client sent something behind STARTTLS before it was answered".into(),
            );
        }
        self.push_reply(option::STARTTLS, option_reply::ACK, &[]);
        Progress::StartTls
    }

    fn refuse(&mut self, option: u32, text: &str) {
        self.push_reply(option, option_reply::ERR_UNSUP, text.as_bytes());
    }

    fn list(&mut self, data: &[u8]) {
        if !data.is_empty() {
            let text = b"LIST carries no data";
            return self.push_reply(option::LIST, option_reply::ERR_INVALID, text);
        }
        for export in self.directory.exports() {
            let name = export.name.as_bytes();
            let mut body = Vec::with_capacity(4 + name.len() + export.description.len());
            body.extend_from_slice(&(name.len() as u32).to_be_bytes());
            body.extend_from_slice(name);
            body.extend_from_slice(truncate(&export.description).as_bytes());
            self.push_reply(option::LIST, option_reply::SERVER, &body);
        }
        self.push_reply(option::LIST, option_reply::ACK, &[]);
    }

    fn structured_reply(&mut self, data: &[u8]) {
        let option = option::STRUCTURED_REPLY;
        if !data.is_empty() {
            let text = b"STRUCTURED_REPLY carries no data";
            return self.push_reply(option, option_reply::ERR_INVALID, text);
        }
        self.structured = true;
        self.push_reply(option, option_reply::ACK, &[]);
    }

    /// The flags of an export, as this client is to see them.
    fn transmission_flags(&self, export: &Export) -> u16 {
        let df = if self.structured {
            transmission_flag::SEND_DF
        } else {
            0
        };
        export.flags.encode() | df
    }

    /// The client uses `export` from now on.
    fn agree(&mut self, export: Export) -> Progress {
        let chosen = self.selection.take();
        self.negotiated = Negotiated {
            structured: self.structured,
            allocation: chosen.and_then(|selection| selection.number_for(&export)),
        };
        Progress::Agreed(Box::new(export))
    }

    /// The old way to choose: success is answered without a header, failure by closing.
    fn export_name(&mut self, data: &[u8]) -> Progress {
        let export = std::str::from_utf8(data)
            .ok()
            .and_then(|name| find_export(&*self.directory, name));
        let Some(export) = export else {
            let name = String::from_utf8_lossy(data);
            return Progress::Broken(format!(
                "the client asked for the export {name:?}, which does not exist"
            ));
        };
        if let Err(reason) = self.directory.admit(&export) {
            return Progress::Broken(reason);
        }
        self.outgoing
            .extend_from_slice(&export.size_bytes.to_be_bytes());
        let flags = self.transmission_flags(&export);
        self.outgoing.extend_from_slice(&flags.to_be_bytes());
        if self.zeroes {
            self.outgoing.extend_from_slice(&[0; 124]);
        }
        self.agree(export)
    }

    fn go_or_info(&mut self, option: u32, data: &[u8]) -> Progress {
        let Some((name, wanted)) = parse_go(data) else {
            let text = b"the option's data are not a name and a list of information requests";
            self.push_reply(option, option_reply::ERR_INVALID, text);
            return Progress::Continue;
        };
        let Some(export) = find_export(&*self.directory, name) else {
            self.refuse_name(option, name);
            return Progress::Continue;
        };
        if option == option::GO
            && let Err(reason) = self.directory.admit(&export)
        {
            self.push_reply(option, option_reply::ERR_POLICY, reason.as_bytes());
            return Progress::Continue;
        }
        self.push_infos(option, &export, wanted);
        self.push_reply(option, option_reply::ACK, &[]);
        if option == option::GO {
            self.agree(export)
        } else {
            Progress::Continue
        }
    }

    fn refuse_name(&mut self, option: u32, name: &str) {
        let text = if name.is_empty() {
            "name an export; `nbdinfo --list` shows which there are".to_owned()
        } else {
            let name = truncate_to(name, 256);
            format!("there is no export {name:?}; `nbdinfo --list` shows which there are")
        };
        self.push_reply(option, option_reply::ERR_UNKNOWN, text.as_bytes());
    }

    /// EXPORT always, the others as asked for, each once however often it was asked for.
    fn push_infos(&mut self, option: u32, export: &Export, wanted: &[u8]) {
        let mut body = Vec::with_capacity(16);
        body.extend_from_slice(&info::EXPORT.to_be_bytes());
        body.extend_from_slice(&export.size_bytes.to_be_bytes());
        body.extend_from_slice(&self.transmission_flags(export).to_be_bytes());
        self.push_reply(option, option_reply::INFO, &body);
        let asked = |kind: u16| wanted.chunks_exact(2).any(|pair| be16(pair, 0) == kind);
        if asked(info::NAME) {
            self.push_info_text(option, info::NAME, &export.name);
        }
        if asked(info::DESCRIPTION) {
            self.push_info_text(option, info::DESCRIPTION, truncate(&export.description));
        }
        if asked(info::BLOCK_SIZE) {
            body.clear();
            body.extend_from_slice(&info::BLOCK_SIZE.to_be_bytes());
            for size in [
                export.minimum_block,
                export.preferred_block,
                export.maximum_block,
            ] {
                body.extend_from_slice(&size.to_be_bytes());
            }
            self.push_reply(option, option_reply::INFO, &body);
        }
    }

    fn push_info_text(&mut self, option: u32, kind: u16, text: &str) {
        let mut body = kind.to_be_bytes().to_vec();
        body.extend_from_slice(text.as_bytes());
        self.push_reply(option, option_reply::INFO, &body);
    }

    fn push_reply(&mut self, option: u32, reply: u32, data: &[u8]) {
        let header = OptionReplyHeader {
            option,
            reply,
            len_bytes: data.len() as u32,
        };
        self.outgoing.extend_from_slice(&header.encode());
        self.outgoing.extend_from_slice(data);
    }
}

/// Splits the data of GO or INFO into the name and the list of information requests (two bytes
/// each).
fn parse_go(data: &[u8]) -> Option<(&str, &[u8])> {
    if data.len() < 6 {
        return None;
    }
    let name_len = be32(data, 0) as usize;
    let rest = data.len() - 6;
    if name_len > rest || name_len > MAXIMUM_STRING_BYTES {
        return None;
    }
    let name = std::str::from_utf8(&data[4..4 + name_len]).ok()?;
    let count = usize::from(be16(data, 4 + name_len));
    (rest - name_len == 2 * count).then(|| (name, &data[6 + name_len..]))
}

fn truncate(text: &str) -> &str {
    truncate_to(text, MAXIMUM_STRING_BYTES)
}

fn truncate_to(text: &str, limit: usize) -> &str {
    let mut end = text.len().min(limit);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests;
