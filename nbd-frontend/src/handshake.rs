//! The server's side of the fixed newstyle handshake, without I/O: bytes in, bytes out.
//!
//! How it is driven: send [`Handshake::outgoing`], then call [`Handshake::advance`] until it needs
//! bytes, sending what waits after each step; pass received bytes to [`Handshake::receive`].
//!
//! Invariants: one message is handled per step, so the bytes that wait to be sent stay few however
//! many messages a client sends ahead; the data of an option, the number of options and so the
//! memory are bounded; an unknown option is answered with an error and the next one is read; bytes
//! after the last option belong to the session and are kept for it.
//!
//! What is not known here: sockets and time. The caller limits the duration of a handshake.

use crate::changed::{CHANGED_CONTEXTS_MAX, ChangedContext};
use crate::export::{Export, ExportDirectory, find_export};
use crate::negotiated::Negotiated;
use contexts::{ALLOCATION_NUMBER, ContextQueries, ContextSelection};
use disktime_nbd_protocol::{
    MAXIMUM_STRING_BYTES, OptionHeader, allocation, be16, be32, handshake_flag, option,
    option_reply, transmission_flag,
};
use replies::Replies;
use std::sync::Arc;

mod contexts;
mod limits;
mod progress;
mod replies;

pub use limits::HandshakeLimits;
pub use progress::{Encryption, HandshakeProgress};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HandshakeStage {
    ClientFlags,
    Option,
    /// The data of an option that is too long: skipped, then answered with an error.
    SkipData {
        option: u32,
        left_bytes: u32,
    },
}

/// One handshake.
pub struct Handshake {
    directory: Arc<dyn ExportDirectory>,
    limits: HandshakeLimits,
    stage: HandshakeStage,
    encryption: Encryption,
    /// The reply to EXPORT_NAME ends with 124 zero bytes.
    padding: bool,
    /// The client set FIXED_NEWSTYLE; without it there is no TLS on the connection.
    is_fixed: bool,
    /// Structured replies are negotiated.
    structured: bool,
    /// The latest choice of metadata contexts.
    selection: Option<ContextSelection>,
    negotiated: Negotiated,
    /// Options received so far.
    options: u32,
    /// The most exports that one option has listed.
    listed: u32,
    incoming: Vec<u8>,
    replies: Replies,
}

/// A client that lists the exports sends several options for each of them (`nbdinfo --list`).
const OPTIONS_OF_AN_EXPORT: u32 = 4;

/// To a client that cannot use TLS: the protocol has it after fixed newstyle negotiation only.
const NOT_FIXED: &str =
    "this server uses TLS, which needs a client that sets FIXED_NEWSTYLE in its handshake flags";

impl Handshake {
    /// A handshake that offers the exports of `directory`. The greeting waits in `outgoing`.
    pub fn new(directory: Arc<dyn ExportDirectory>, limits: HandshakeLimits) -> Handshake {
        Handshake {
            directory,
            limits,
            stage: HandshakeStage::ClientFlags,
            encryption: Encryption::Unavailable,
            padding: true,
            is_fixed: false,
            structured: false,
            selection: None,
            negotiated: Negotiated::default(),
            options: 0,
            listed: 0,
            incoming: Vec::new(),
            replies: Replies::greeting(),
        }
    }

    /// Sets whether TLS is offered or required.
    pub fn with_encryption(mut self, encryption: Encryption) -> Handshake {
        self.encryption = encryption;
        self
    }

    /// TLS is active from now on. Everything negotiated before it is void, except the client's
    /// flags and the number of options.
    pub fn encrypted(&mut self) {
        debug_assert!(
            self.incoming.is_empty(),
            "plain bytes were received after STARTTLS"
        );
        self.incoming.clear();
        self.structured = false;
        self.selection = None;
        self.negotiated = Negotiated::default();
        self.encryption = Encryption::Active;
    }

    /// Adds received bytes. Call after `advance` returned [`HandshakeProgress::NeedBytes`].
    pub fn receive(&mut self, bytes: &[u8]) {
        self.incoming.extend_from_slice(bytes);
    }

    /// The bytes that wait to be sent.
    pub fn outgoing(&self) -> &[u8] {
        self.replies.as_bytes()
    }

    /// All of `outgoing` was sent.
    pub fn sent(&mut self) {
        self.replies.clear();
    }

    /// What was negotiated besides the export; final after [`HandshakeProgress::Agreed`].
    pub fn negotiated(&self) -> &Negotiated {
        &self.negotiated
    }

    /// The bytes after the last option, which belong to the session.
    pub fn into_rest(self) -> Vec<u8> {
        self.incoming
    }

    /// Handles the next message, if it is complete.
    pub fn advance(&mut self) -> HandshakeProgress {
        match self.stage {
            HandshakeStage::ClientFlags => self.client_flags(),
            HandshakeStage::Option => self.option(),
            HandshakeStage::SkipData { option, left_bytes } => self.skip_data(option, left_bytes),
        }
    }

    fn client_flags(&mut self) -> HandshakeProgress {
        let Some(bytes) = self.incoming.first_chunk::<4>() else {
            return HandshakeProgress::NeedBytes;
        };
        let flags = u32::from_be_bytes(*bytes);
        self.incoming.drain(..4);
        let known = u32::from(handshake_flag::FIXED_NEWSTYLE | handshake_flag::NO_ZEROES);
        if flags & !known != 0 {
            return HandshakeProgress::Broken(format!(
                "the client sent unknown handshake flags {flags:#x}"
            ));
        }
        self.padding = flags & u32::from(handshake_flag::NO_ZEROES) == 0;
        self.is_fixed = flags & u32::from(handshake_flag::FIXED_NEWSTYLE) != 0;
        self.stage = HandshakeStage::Option;
        HandshakeProgress::Continue
    }

    fn option(&mut self) -> HandshakeProgress {
        let Some(bytes) = self.incoming.first_chunk::<{ OptionHeader::BYTES }>() else {
            return HandshakeProgress::NeedBytes;
        };
        let Some(header) = OptionHeader::decode(bytes) else {
            return HandshakeProgress::Broken(
                "the client sent an option without its magic number".into(),
            );
        };
        let for_listing = OPTIONS_OF_AN_EXPORT.saturating_mul(self.listed);
        let most = self.limits.options.saturating_add(for_listing);
        if self.options >= most {
            return HandshakeProgress::Broken(format!(
                "the client sent more than {most} options without choosing an export"
            ));
        }
        if header.len_bytes > self.limits.option_bytes {
            if header.option == option::EXPORT_NAME {
                return HandshakeProgress::Broken(
                    "the client sent an export name that is too long".into(),
                );
            }
            self.options += 1;
            self.incoming.drain(..OptionHeader::BYTES);
            self.stage = HandshakeStage::SkipData {
                option: header.option,
                left_bytes: header.len_bytes,
            };
            return HandshakeProgress::Continue;
        }
        let end = OptionHeader::BYTES + header.len_bytes as usize;
        if self.incoming.len() < end {
            return HandshakeProgress::NeedBytes;
        }
        self.options += 1;
        let data: Vec<u8> = self
            .incoming
            .drain(..end)
            .skip(OptionHeader::BYTES)
            .collect();
        self.answer(header.option, &data)
    }

    fn skip_data(&mut self, option: u32, left_bytes: u32) -> HandshakeProgress {
        let here = self.incoming.len().min(left_bytes as usize);
        self.incoming.drain(..here);
        let left_bytes = left_bytes - here as u32;
        if left_bytes > 0 {
            self.stage = HandshakeStage::SkipData { option, left_bytes };
            return HandshakeProgress::NeedBytes;
        }
        self.stage = HandshakeStage::Option;
        let limit = self.limits.option_bytes;
        let text = format!("the data of an option may have at most {limit} bytes");
        self.replies.error(option, option_reply::ERR_TOO_BIG, &text);
        HandshakeProgress::Continue
    }

    fn answer(&mut self, option: u32, data: &[u8]) -> HandshakeProgress {
        let may_be_plain = matches!(option, option::STARTTLS | option::ABORT);
        if self.encryption == Encryption::Required && !may_be_plain {
            return self.require_tls(option);
        }
        match option {
            option::EXPORT_NAME => return self.export_name(data),
            option::GO | option::INFO => return self.go_or_info(option, data),
            option::ABORT => {
                self.replies.ack(option);
                return HandshakeProgress::Aborted;
            }
            option::LIST => self.list(data),
            option::STRUCTURED_REPLY => self.structured_reply(data),
            option::LIST_META_CONTEXT => self.list_contexts(data),
            option::SET_META_CONTEXT => self.set_contexts(data),
            option::STARTTLS => return self.start_tls(data),
            _ => {
                let text = "this server does not support that option";
                self.replies.error(option, option_reply::ERR_UNSUP, text);
            }
        }
        HandshakeProgress::Continue
    }

    /// The answer to every option before TLS, where TLS is required.
    fn require_tls(&mut self, option: u32) -> HandshakeProgress {
        if option == option::EXPORT_NAME {
            // EXPORT_NAME cannot be answered with an error.
            return HandshakeProgress::Broken(
                "the client chose an export without TLS, which is required".into(),
            );
        }
        let (error, text) = match self.is_fixed {
            true => (
                option_reply::ERR_TLS_REQD,
                "this server requires TLS: use nbds:// or nbds+unix://",
            ),
            // In the protocol's NOTLS mode ERR_TLS_REQD is the answer to nothing.
            false => (option_reply::ERR_POLICY, NOT_FIXED),
        };
        self.replies.error(option, error, text);
        HandshakeProgress::Continue
    }

    fn start_tls(&mut self, data: &[u8]) -> HandshakeProgress {
        let invalid = option_reply::ERR_INVALID;
        let error = match self.encryption {
            Encryption::Unavailable => {
                Some((option_reply::ERR_UNSUP, "this server does not offer TLS"))
            }
            _ if !self.is_fixed => Some((option_reply::ERR_POLICY, NOT_FIXED)),
            Encryption::Active => Some((invalid, "TLS is active already")),
            _ if !data.is_empty() => Some((invalid, "STARTTLS carries no data")),
            _ => None,
        };
        if let Some((error, text)) = error {
            self.replies.error(option::STARTTLS, error, text);
            return HandshakeProgress::Continue;
        }
        if !self.incoming.is_empty() {
            // An attacker on the network could have inserted these bytes.
            return HandshakeProgress::Broken(
                "bytes followed STARTTLS before it was answered".into(),
            );
        }
        self.replies.ack(option::STARTTLS);
        HandshakeProgress::StartTls
    }

    fn list(&mut self, data: &[u8]) {
        if !data.is_empty() {
            let text = "LIST carries no data";
            let invalid = option_reply::ERR_INVALID;
            return self.replies.error(option::LIST, invalid, text);
        }
        let exports = self.directory.exports();
        for export in &exports {
            self.replies.listed_export(export);
        }
        self.listed = self.listed.max(exports.len() as u32);
        self.replies.ack(option::LIST);
    }

    fn structured_reply(&mut self, data: &[u8]) {
        let option = option::STRUCTURED_REPLY;
        if !data.is_empty() {
            let text = "STRUCTURED_REPLY carries no data";
            return self.replies.error(option, option_reply::ERR_INVALID, text);
        }
        self.structured = true;
        self.replies.ack(option);
    }

    fn list_contexts(&mut self, data: &[u8]) {
        let option = option::LIST_META_CONTEXT;
        let Some((queries, export)) = self.context_queries(option, data) else {
            return;
        };
        let Some(changed) = queries.match_changed(&export, &*self.directory) else {
            return self.too_many_contexts(option);
        };
        if queries.match_allocation() {
            self.replies.context(option, 0, allocation::NAME);
        }
        for name in changed {
            self.replies.context(option, 0, &name);
        }
        self.replies.ack(option);
    }

    fn set_contexts(&mut self, data: &[u8]) {
        let option = option::SET_META_CONTEXT;
        self.selection = None;
        let Some((queries, export)) = self.context_queries(option, data) else {
            return;
        };
        let Some(names) = queries.changed_names() else {
            return self.too_many_contexts(option);
        };
        let find = |name| Some((name, self.directory.find_context(&export, name)?));
        let found: Vec<_> = names.into_iter().filter_map(find).collect();
        let has_allocation = queries.name_allocation();
        if has_allocation {
            self.replies
                .context(option, ALLOCATION_NUMBER, allocation::NAME);
        }
        let handles = found.iter().map(|(_, handle)| *handle).collect();
        let selection = ContextSelection::new(&export, has_allocation, handles);
        for ((name, _), (number, _)) in found.iter().zip(selection.changed()) {
            self.replies.context(option, number, name);
        }
        self.selection = Some(selection);
        self.replies.ack(option);
    }

    fn too_many_contexts(&mut self, option: u32) {
        let text = format!(
            "at most {CHANGED_CONTEXTS_MAX} contexts `{}...` can be named at once",
            disktime_nbd_protocol::dirty_bitmap::PREFIX
        );
        self.replies.error(option, option_reply::ERR_TOO_BIG, &text);
    }

    /// Parses the option's data and finds its export, or answers with an error.
    fn context_queries<'a>(
        &mut self,
        option: u32,
        data: &'a [u8],
    ) -> Option<(ContextQueries<'a>, Export)> {
        let queries = if self.structured {
            ContextQueries::parse(data)
        } else {
            Err("structured replies have to be negotiated first")
        };
        let queries = match queries {
            Ok(queries) => queries,
            Err(text) => {
                self.replies.error(option, option_reply::ERR_INVALID, text);
                return None;
            }
        };
        let Some(export) = find_export(&*self.directory, queries.export()) else {
            self.replies.unknown_export(option, queries.export());
            return None;
        };
        Some((queries, export))
    }

    /// The export's flags, with those that depend on what was negotiated.
    fn transmission_flags(&self, export: &Export) -> u16 {
        let df = if self.structured {
            transmission_flag::SEND_DF
        } else {
            0
        };
        export.flags.encode() | df
    }

    /// Admits the client to `export`, with the contexts that it has chosen for it.
    fn admit(&mut self, export: &Export) -> Result<(), String> {
        self.directory.admit(export)?;
        let chosen = self.selection.as_ref();
        let chosen = chosen.filter(|selection| selection.is_for(export));
        let changed = chosen.into_iter().flat_map(ContextSelection::changed);
        let (numbers, handles): (Vec<_>, Vec<_>) = changed.unzip();
        let ranges = self.directory.open_contexts(export, &handles)?;
        debug_assert_eq!(ranges.len(), handles.len());
        let changed = numbers.into_iter().zip(ranges);
        self.negotiated = Negotiated {
            structured: self.structured,
            allocation: chosen.and_then(ContextSelection::allocation),
            changed: changed
                .map(|(number, ranges)| ChangedContext { number, ranges })
                .collect(),
        };
        Ok(())
    }

    /// EXPORT_NAME: success is answered without a header, failure by closing the connection.
    fn export_name(&mut self, data: &[u8]) -> HandshakeProgress {
        let export = std::str::from_utf8(data)
            .ok()
            .and_then(|name| find_export(&*self.directory, name));
        let Some(export) = export else {
            let name = String::from_utf8_lossy(data);
            return HandshakeProgress::Broken(format!(
                "the client chose the export {name:?}, which does not exist"
            ));
        };
        if let Err(reason) = self.admit(&export) {
            return HandshakeProgress::Broken(reason);
        }
        let flags = self.transmission_flags(&export);
        self.replies.export_name(&export, flags, self.padding);
        HandshakeProgress::Agreed(Box::new(export))
    }

    fn go_or_info(&mut self, option: u32, data: &[u8]) -> HandshakeProgress {
        let Some((name, wanted)) = parse_go(data) else {
            let text = "the option's data are not a name and a list of information requests";
            self.replies.error(option, option_reply::ERR_INVALID, text);
            return HandshakeProgress::Continue;
        };
        let Some(export) = find_export(&*self.directory, name) else {
            match self.directory.why_unknown(name) {
                Some(why) => self.replies.error(option, option_reply::ERR_UNKNOWN, &why),
                None => self.replies.unknown_export(option, name),
            }
            return HandshakeProgress::Continue;
        };
        if option == option::GO
            && let Err(reason) = self.admit(&export)
        {
            let policy = option_reply::ERR_POLICY;
            self.replies.error(option, policy, &reason);
            return HandshakeProgress::Continue;
        }
        let flags = self.transmission_flags(&export);
        self.replies.export_info(option, &export, flags, wanted);
        self.replies.ack(option);
        if option == option::GO {
            HandshakeProgress::Agreed(Box::new(export))
        } else {
            HandshakeProgress::Continue
        }
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

#[cfg(test)]
mod tests;
