//! A client that asks one thing at a time and understands structured replies and block status.
//!
//! Strict on purpose: a chunk outside of the request, data that come twice or not at all, and kinds
//! that do not belong there are errors of the protocol.

use super::wire::{Input, Output, wire};
use super::{ClientError, ClientRequest, ExportInfo, go};
use crate::protocol::{
    ChunkHeader, OptionHeader, OptionReplyHeader, SIMPLE_REPLY_MAGIC, SimpleReply, allocation,
    be32, be64, chunk, option, option_reply,
};
use crate::uri::NbdUri;
use disktime_engine::RequestKind;
use std::io::{BufReader, Read, Write};

/// The answer to a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExtendedReply {
    /// 0, or the protocol's error number.
    pub error: u32,
    /// What the server said to the error.
    pub text: String,
    /// Where it failed, if the server told.
    pub failed_at: Option<u64>,
    /// The data of a read.
    pub data: Vec<u8>,
    /// Which parts of a read came as holes: offset and length.
    pub holes: Vec<(u64, u64)>,
    /// How many parts of a read came as data.
    pub data_chunks: usize,
    /// The descriptors of a block status: length and flags.
    pub extents: Vec<(u32, u32)>,
}

/// A connection that uses one export with structured replies and `base:allocation`.
pub struct ExtendedClient {
    socket: Output,
    stream: BufReader<Input>,
    info: ExportInfo,
    context: u32,
    cookie: u64,
}

/// What a reply has to fit to.
struct Asked {
    cookie: u64,
    offset_bytes: u64,
    len_bytes: u64,
    /// Bytes of a read that have not come.
    missing_bytes: u64,
}

impl ExtendedClient {
    /// Connects and agrees on structured replies, `base:allocation` and the export.
    ///
    /// # Errors
    /// If nothing answers, or the server lacks one of them.
    pub fn connect(uri: &NbdUri) -> Result<ExtendedClient, ClientError> {
        let (mut socket, mut stream) = wire(uri)?;
        ask(&mut socket, option::STRUCTURED_REPLY, &[])?;
        option_answers(&mut stream, option::STRUCTURED_REPLY)?;
        let mut query = Vec::new();
        for text in [uri.export.as_str(), allocation::NAME] {
            query.extend_from_slice(&(text.len() as u32).to_be_bytes());
            query.extend_from_slice(text.as_bytes());
            if text == uri.export {
                query.extend_from_slice(&1_u32.to_be_bytes());
            }
        }
        ask(&mut socket, option::SET_META_CONTEXT, &query)?;
        let contexts = option_answers(&mut stream, option::SET_META_CONTEXT)?;
        let context = contexts
            .first()
            .filter(|context| context.get(4..) == Some(allocation::NAME.as_bytes()))
            .map(|context| be32(context, 0))
            .ok_or_else(|| broken("base:allocation is not served"))?;
        let info = go(&mut socket, &mut stream, &uri.export)?;
        Ok(ExtendedClient {
            socket,
            stream,
            info,
            context,
            cookie: 0,
        })
    }

    /// What the server said about the export.
    pub fn info(&self) -> &ExportInfo {
        &self.info
    }

    /// Sends one request, with more flags if wanted, and waits for the whole reply.
    ///
    /// # Errors
    /// If the connection failed or the server broke the protocol. What it answered is in the reply.
    pub fn call(
        &mut self,
        request: &ClientRequest<'_>,
        flags: u16,
    ) -> Result<ExtendedReply, ClientError> {
        let mut header = request.header();
        self.cookie += 1;
        header.cookie = self.cookie;
        header.flags |= flags;
        self.socket.write_all(&header.encode())?;
        self.socket.write_all(request.data)?;
        let reads = request.kind == RequestKind::Read;
        let mut asked = Asked {
            cookie: header.cookie,
            offset_bytes: header.offset_bytes,
            len_bytes: u64::from(header.len_bytes),
            missing_bytes: if reads {
                u64::from(header.len_bytes)
            } else {
                0
            },
        };
        let mut reply = ExtendedReply::default();
        if reads {
            // Neither data nor a hole: what is not told shows.
            reply.data = vec![0xEE; header.len_bytes as usize];
        }
        while !self.receive_chunk(&mut asked, &mut reply)? {}
        if reply.error == 0 && asked.missing_bytes > 0 {
            return Err(broken("a reply ends before all data came"));
        }
        Ok(reply)
    }

    /// Takes a chunk or a simple reply; whether it was the last.
    fn receive_chunk(
        &mut self,
        asked: &mut Asked,
        reply: &mut ExtendedReply,
    ) -> Result<bool, ClientError> {
        let mut head = [0; SimpleReply::BYTES];
        self.stream.read_exact(&mut head)?;
        if be32(&head, 0) == SIMPLE_REPLY_MAGIC {
            reply.error = be32(&head, 4);
            let fits = be64(&head, 8) == asked.cookie && reply.data.is_empty();
            return fits
                .then_some(true)
                .ok_or_else(|| broken("a simple reply where none belongs"));
        }
        let mut header = [0; ChunkHeader::BYTES];
        header[..head.len()].copy_from_slice(&head);
        self.stream.read_exact(&mut header[head.len()..])?;
        let header = ChunkHeader::decode(&header)
            .filter(|header| header.cookie == asked.cookie && header.len_bytes <= 33 << 20)
            .ok_or_else(|| broken("a chunk's header makes no sense"))?;
        let mut body = vec![0; header.len_bytes as usize];
        self.stream.read_exact(&mut body)?;
        let understood = match header.kind {
            chunk::NONE => body.is_empty().then_some(()),
            chunk::OFFSET_DATA => data_chunk(&body, asked, reply),
            chunk::OFFSET_HOLE => hole_chunk(&body, asked, reply),
            chunk::BLOCK_STATUS => status_chunk(&body, self.context, reply),
            chunk::ERROR | chunk::ERROR_OFFSET => error_chunk(header.kind, &body, reply),
            _ => None,
        };
        understood.ok_or_else(|| broken("a chunk does not fit to its request"))?;
        Ok(header.flags & chunk::DONE != 0)
    }
}

impl Asked {
    /// Where in the data a part of the range lies.
    fn place(&mut self, offset_bytes: u64, len_bytes: u64) -> Option<usize> {
        let start = offset_bytes.checked_sub(self.offset_bytes)?;
        let inside = len_bytes > 0 && start.checked_add(len_bytes)? <= self.len_bytes;
        self.missing_bytes = self.missing_bytes.checked_sub(len_bytes)?;
        inside.then_some(start as usize)
    }
}

fn data_chunk(body: &[u8], asked: &mut Asked, reply: &mut ExtendedReply) -> Option<()> {
    let (_, data) = body.split_at_checked(8)?;
    let at = asked.place(be64(body, 0), data.len() as u64)?;
    reply
        .data
        .get_mut(at..at + data.len())?
        .copy_from_slice(data);
    reply.data_chunks += 1;
    Some(())
}

fn hole_chunk(body: &[u8], asked: &mut Asked, reply: &mut ExtendedReply) -> Option<()> {
    if body.len() != 12 {
        return None;
    }
    let (offset_bytes, len_bytes) = (be64(body, 0), u64::from(be32(body, 8)));
    let at = asked.place(offset_bytes, len_bytes)?;
    reply.data.get_mut(at..at + len_bytes as usize)?.fill(0);
    reply.holes.push((offset_bytes, len_bytes));
    Some(())
}

fn status_chunk(body: &[u8], context: u32, reply: &mut ExtendedReply) -> Option<()> {
    let well_formed = body.len() >= 12 && body.len() % 8 == 4 && be32(body, 0) == context;
    if !well_formed || !reply.extents.is_empty() {
        return None;
    }
    for entry in body[4..].chunks_exact(8) {
        reply.extents.push((be32(entry, 0), be32(entry, 4)));
    }
    Some(())
}

fn error_chunk(kind: u16, body: &[u8], reply: &mut ExtendedReply) -> Option<()> {
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

fn ask(output: &mut impl Write, option: u32, data: &[u8]) -> Result<(), ClientError> {
    let len_bytes = data.len() as u32;
    output.write_all(&OptionHeader { option, len_bytes }.encode())?;
    Ok(output.write_all(data)?)
}

/// What the server says to an option before it acknowledges it.
fn option_answers(input: &mut impl Read, option: u32) -> Result<Vec<Vec<u8>>, ClientError> {
    let mut answers = Vec::new();
    loop {
        let mut header = [0; OptionReplyHeader::BYTES];
        input.read_exact(&mut header)?;
        let header = OptionReplyHeader::decode(&header)
            .filter(|header| header.option == option && header.len_bytes <= 64 << 10)
            .ok_or_else(|| broken("an answer to an option is malformed"))?;
        let mut data = vec![0; header.len_bytes as usize];
        input.read_exact(&mut data)?;
        match header.reply {
            option_reply::ACK => return Ok(answers),
            option_reply::META_CONTEXT if data.len() >= 4 => answers.push(data),
            _ => return Err(broken("it lacks an extension that this client needs")),
        }
    }
}

fn broken(what: &str) -> ClientError {
    ClientError::Protocol(what.to_owned())
}
