//! A connection with structured replies and block status, one request at a time or several.
//!
//! It is strict on purpose: a chunk outside of the request, data that arrive twice or not at all,
//! and chunk kinds that do not belong to the request are errors of the protocol.
//!
//! Invariant: a request is in flight from when it was sent until the last chunk of its reply.

use crate::connection::{Input, Output, connect};
use crate::error::ClientError;
use crate::export_info::{ExportInfo, choose_export};
use crate::request::ClientRequest;
use disktime_nbd_protocol::{
    ChunkHeader, NbdUri, OptionHeader, OptionReplyHeader, SIMPLE_REPLY_MAGIC, SimpleReply,
    allocation, be32, be64, chunk, option, option_reply,
};
use disktime_units::RequestKind;
use std::io::{BufReader, Read, Write};

/// The reply to a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StructuredReply {
    /// 0, or the protocol's error number.
    pub error: u32,
    /// The server's text about the error.
    pub text: String,
    /// The offset of the failure, if the server told.
    pub failed_at: Option<u64>,
    /// The data of a read.
    pub data: Vec<u8>,
    /// The parts of a read that came as holes: offset and length.
    pub holes: Vec<(u64, u64)>,
    /// The number of parts of a read that came as data.
    pub data_chunks: usize,
    /// The descriptors of a block status: length and flags.
    pub extents: Vec<(u32, u32)>,
}

/// A connection that uses one export with structured replies and `base:allocation`.
pub struct StructuredClient {
    socket: Output,
    stream: BufReader<Input>,
    info: ExportInfo,
    context: u32,
    cookie: u64,
    in_flight: Vec<InFlight>,
}

/// A request that was sent, and what has arrived of its reply.
struct InFlight {
    expected: Expected,
    reply: StructuredReply,
}

/// The request that a reply has to match.
struct Expected {
    cookie: u64,
    offset_bytes: u64,
    len_bytes: u64,
    /// Bytes of a read that have not arrived.
    missing_bytes: u64,
}

impl StructuredClient {
    /// Connects, negotiates structured replies and `base:allocation`, and chooses the URI's export.
    ///
    /// # Errors
    /// When the server cannot be reached, or does not support one of them.
    pub fn connect(uri: &NbdUri) -> Result<StructuredClient, ClientError> {
        let (mut socket, mut stream) = connect(uri)?;
        send_option(&mut socket, option::STRUCTURED_REPLY, &[])?;
        context_replies(&mut stream, option::STRUCTURED_REPLY)?;
        let mut query = Vec::new();
        for text in [uri.export.as_str(), allocation::NAME] {
            query.extend_from_slice(&(text.len() as u32).to_be_bytes());
            query.extend_from_slice(text.as_bytes());
            if text == uri.export {
                query.extend_from_slice(&1_u32.to_be_bytes());
            }
        }
        send_option(&mut socket, option::SET_META_CONTEXT, &query)?;
        let contexts = context_replies(&mut stream, option::SET_META_CONTEXT)?;
        let context = contexts
            .first()
            .filter(|context| context.get(4..) == Some(allocation::NAME.as_bytes()))
            .map(|context| be32(context, 0))
            .ok_or_else(|| broken("base:allocation is not served"))?;
        let info = choose_export(&mut socket, &mut stream, &uri.export)?;
        Ok(StructuredClient {
            socket,
            stream,
            info,
            context,
            cookie: 0,
            in_flight: Vec::new(),
        })
    }

    /// What the server told about the export.
    pub fn info(&self) -> &ExportInfo {
        &self.info
    }

    /// Sends one request with additional flags, and waits for the whole reply. No other may be in
    /// flight.
    ///
    /// # Errors
    /// When the connection fails or the server breaks the protocol. An error of the server is in
    /// the reply.
    pub fn call(
        &mut self,
        request: &ClientRequest<'_>,
        flags: u16,
    ) -> Result<StructuredReply, ClientError> {
        self.send(request, flags)?;
        Ok(self.receive()?.1)
    }

    /// Sends a request with additional flags; returns its cookie, by which its reply is known.
    ///
    /// # Errors
    /// When the connection fails.
    pub fn send(&mut self, request: &ClientRequest<'_>, flags: u16) -> Result<u64, ClientError> {
        let mut header = request.header();
        self.cookie += 1;
        header.cookie = self.cookie;
        header.flags |= flags;
        self.socket.write_all(&header.encode())?;
        self.socket.write_all(request.data)?;
        let len_bytes = u64::from(header.len_bytes);
        let reads = request.kind == RequestKind::Read;
        let mut reply = StructuredReply::default();
        if reads {
            // Neither the tests' data nor a hole: bytes that no chunk covers are visible.
            reply.data = vec![0xEE; header.len_bytes as usize];
        }
        let expected = Expected {
            cookie: header.cookie,
            offset_bytes: header.offset_bytes,
            len_bytes,
            missing_bytes: if reads { len_bytes } else { 0 },
        };
        self.in_flight.push(InFlight { expected, reply });
        Ok(self.cookie)
    }

    /// Waits for the whole reply to one of the requests in flight, whichever comes first; returns
    /// it with the cookie.
    ///
    /// # Errors
    /// When none is in flight, and as [`StructuredClient::call`].
    pub fn receive(&mut self) -> Result<(u64, StructuredReply), ClientError> {
        if self.in_flight.is_empty() {
            return Err(broken("no request is in flight whose reply could come"));
        }
        loop {
            let (index, is_last) = self.receive_chunk()?;
            if !is_last {
                continue;
            }
            let InFlight { expected, reply } = self.in_flight.swap_remove(index);
            if reply.error == 0 && expected.missing_bytes > 0 {
                return Err(broken("a reply ends before all data arrived"));
            }
            return Ok((expected.cookie, reply));
        }
    }

    /// Reads a chunk or a simple reply; returns which request in flight it belongs to, and whether
    /// it was the last one of its reply.
    fn receive_chunk(&mut self) -> Result<(usize, bool), ClientError> {
        let mut head = [0; SimpleReply::BYTES];
        self.stream.read_exact(&mut head)?;
        if be32(&head, 0) == SIMPLE_REPLY_MAGIC {
            let index = self.in_flight_index(be64(&head, 8));
            let fits = index.filter(|index| self.in_flight[*index].reply.data.is_empty());
            let index = fits.ok_or_else(|| broken("a simple reply does not match its request"))?;
            self.in_flight[index].reply.error = be32(&head, 4);
            return Ok((index, true));
        }
        let mut header = [0; ChunkHeader::BYTES];
        header[..head.len()].copy_from_slice(&head);
        self.stream.read_exact(&mut header[head.len()..])?;
        let header = ChunkHeader::decode(&header)
            .filter(|header| header.len_bytes <= 33 << 20)
            .ok_or_else(|| broken("a chunk's header is malformed"))?;
        let index = self
            .in_flight_index(header.cookie)
            .ok_or_else(|| broken("a chunk's header is malformed"))?;
        let mut body = vec![0; header.len_bytes as usize];
        self.stream.read_exact(&mut body)?;
        let InFlight { expected, reply } = &mut self.in_flight[index];
        let valid = match header.kind {
            chunk::NONE => body.is_empty().then_some(()),
            chunk::OFFSET_DATA => data_chunk(&body, expected, reply),
            chunk::OFFSET_HOLE => hole_chunk(&body, expected, reply),
            chunk::BLOCK_STATUS => status_chunk(&body, self.context, reply),
            chunk::ERROR | chunk::ERROR_OFFSET => error_chunk(header.kind, &body, reply),
            _ => None,
        };
        valid.ok_or_else(|| broken("a chunk does not match its request"))?;
        Ok((index, header.flags & chunk::DONE != 0))
    }

    fn in_flight_index(&self, cookie: u64) -> Option<usize> {
        let mut requests = self.in_flight.iter();
        requests.position(|one| one.expected.cookie == cookie)
    }
}

impl Expected {
    /// Where in the data a part of the range begins.
    fn index_of(&mut self, offset_bytes: u64, len_bytes: u64) -> Option<usize> {
        let start = offset_bytes.checked_sub(self.offset_bytes)?;
        let inside = len_bytes > 0 && start.checked_add(len_bytes)? <= self.len_bytes;
        self.missing_bytes = self.missing_bytes.checked_sub(len_bytes)?;
        inside.then_some(start as usize)
    }
}

fn data_chunk(body: &[u8], expected: &mut Expected, reply: &mut StructuredReply) -> Option<()> {
    let (_, data) = body.split_at_checked(8)?;
    let at = expected.index_of(be64(body, 0), data.len() as u64)?;
    reply
        .data
        .get_mut(at..at + data.len())?
        .copy_from_slice(data);
    reply.data_chunks += 1;
    Some(())
}

fn hole_chunk(body: &[u8], expected: &mut Expected, reply: &mut StructuredReply) -> Option<()> {
    if body.len() != 12 {
        return None;
    }
    let (offset_bytes, len_bytes) = (be64(body, 0), u64::from(be32(body, 8)));
    let at = expected.index_of(offset_bytes, len_bytes)?;
    reply.data.get_mut(at..at + len_bytes as usize)?.fill(0);
    reply.holes.push((offset_bytes, len_bytes));
    Some(())
}

fn status_chunk(body: &[u8], context: u32, reply: &mut StructuredReply) -> Option<()> {
    let well_formed = body.len() >= 12 && body.len() % 8 == 4 && be32(body, 0) == context;
    if !well_formed || !reply.extents.is_empty() {
        return None;
    }
    for entry in body[4..].chunks_exact(8) {
        reply.extents.push((be32(entry, 0), be32(entry, 4)));
    }
    Some(())
}

fn error_chunk(kind: u16, body: &[u8], reply: &mut StructuredReply) -> Option<()> {
    let text_len = usize::from(u16::from_be_bytes([*body.get(4)?, *body.get(5)?]));
    let text = body.get(6..6 + text_len)?;
    reply.error = be32(body, 0);
    reply.text = String::from_utf8(text.to_vec()).ok()?;
    let rest = &body[6 + text_len..];
    if kind == chunk::ERROR_OFFSET {
        reply.failed_at = Some(u64::from_be_bytes(rest.try_into().ok()?));
    } else if !rest.is_empty() {
        return None;
    }
    (reply.error != 0).then_some(())
}

fn send_option(output: &mut impl Write, option: u32, data: &[u8]) -> Result<(), ClientError> {
    Ok(output.write_all(&OptionHeader::message(option, data))?)
}

/// The metadata contexts in the replies to an option, up to its ACK.
fn context_replies(input: &mut impl Read, option: u32) -> Result<Vec<Vec<u8>>, ClientError> {
    let mut contexts = Vec::new();
    loop {
        let mut header = [0; OptionReplyHeader::BYTES];
        input.read_exact(&mut header)?;
        let header = OptionReplyHeader::decode(&header)
            .filter(|header| header.option == option && header.len_bytes <= 64 << 10)
            .ok_or_else(|| broken("a reply to an option is malformed"))?;
        let mut data = vec![0; header.len_bytes as usize];
        input.read_exact(&mut data)?;
        match header.reply {
            option_reply::ACK => return Ok(contexts),
            option_reply::META_CONTEXT if data.len() >= 4 => contexts.push(data),
            _ => {
                return Err(broken(
                    "it does not support an extension that this client needs",
                ));
            }
        }
    }
}

fn broken(what: &str) -> ClientError {
    ClientError::protocol(what)
}
