//! A small blocking client that keeps many requests under way: for load generators and tests.
//!
//! How it knows the length of a reply without keeping a table: the cookie is made of the caller's
//! tag (upper half) and the number of bytes that a successful reply carries (lower half). So
//! sender and receiver share nothing and may live on two threads.
//!
//! What is not known here: time, retries and reconnection.

mod extended;
mod wire;

pub use extended::{ExtendedClient, ExtendedReply};

use crate::export::ExportFlags;
use crate::protocol::{
    MAXIMUM_BLOCK_BYTES, OptionHeader, OptionReplyHeader, RequestHeader, SimpleReply, be16, be32,
    be64, command, command_flag, info, option, option_reply,
};
use crate::tls::TlsError;
use crate::uri::NbdUri;
use disktime_engine::RequestKind;
use std::io::{self, BufReader, ErrorKind, IoSlice, Read, Write};
use thiserror::Error;
use wire::{Input, Output, wire};

/// Longest read or write that can be sent.
pub const CLIENT_MAX_PAYLOAD_BYTES: u32 = MAXIMUM_BLOCK_BYTES;

/// Why the client gave up.
#[derive(Debug, Error)]
pub enum ClientError {
    /// Nothing answers there.
    #[error("no server answers at {uri} ({source}): is it running, and is the address right?")]
    Connect {
        /// Where.
        uri: String,
        /// What the system said.
        source: io::Error,
    },
    /// Its certificates cannot be used.
    #[error(transparent)]
    Certificates(#[from] TlsError),
    /// An encrypted server, and nobody to trust.
    #[error(
        "{0} wants TLS: say where the certificates are, with `tls-certificates=DIR` in the URI"
    )]
    NobodyToTrust(String),
    /// The server does not give that export.
    #[error("the server refused the export `{export}`: {cause}")]
    Refused {
        /// Which.
        export: String,
        /// Its reason.
        cause: String,
    },
    /// The server does not speak NBD as it should.
    #[error("the server broke the NBD protocol: {0}")]
    Protocol(String),
    /// The connection failed.
    #[error("the connection to the NBD server failed: {0}")]
    Io(#[from] io::Error),
}

/// What the server said about the export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportInfo {
    /// How large it is.
    pub size_bytes: u64,
    /// What it can do.
    pub flags: ExportFlags,
    /// Its description, if it has one.
    pub description: Option<String>,
    /// Minimum, preferred and maximum block, if the server told.
    pub block_sizes: Option<[u32; 3]>,
}

/// A request to send.
#[derive(Debug, Clone, Copy)]
pub struct ClientRequest<'a> {
    /// The caller's number; comes back in the reply.
    pub tag: u32,
    /// What to do.
    pub kind: RequestKind,
    /// Start of the range; 0 for a flush.
    pub offset_bytes: u64,
    /// Length of the range; 0 for a flush; for a write the length of `data`.
    pub len_bytes: u32,
    /// Answer when durable.
    pub fua: bool,
    /// The data of a write, else empty.
    pub data: &'a [u8],
}

impl ClientRequest<'_> {
    fn header(&self) -> RequestHeader {
        let (command, flags) = match self.kind {
            RequestKind::Read => (command::READ, 0),
            RequestKind::Write => (command::WRITE, 0),
            RequestKind::Flush => (command::FLUSH, 0),
            RequestKind::Trim => (command::TRIM, 0),
            RequestKind::WriteZeroes => (command::WRITE_ZEROES, 0),
            RequestKind::ZeroKeepingSpace => (command::WRITE_ZEROES, command_flag::NO_HOLE),
            RequestKind::ZeroFast => (command::WRITE_ZEROES, command_flag::FAST_ZERO),
            RequestKind::Cache => (command::CACHE, 0),
            RequestKind::Status => (command::BLOCK_STATUS, 0),
        };
        let reply_bytes = if self.kind == RequestKind::Read {
            self.len_bytes
        } else {
            0
        };
        RequestHeader {
            flags: flags | if self.fua { command_flag::FUA } else { 0 },
            command,
            cookie: (u64::from(self.tag) << 32) | u64::from(reply_bytes),
            offset_bytes: self.offset_bytes,
            len_bytes: self.len_bytes,
        }
    }
}

/// The answer to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientReply {
    /// As in the request.
    pub tag: u32,
    /// 0, or the protocol's error number (those of Linux).
    pub error: u32,
    /// How many bytes of data came: those of a read that succeeded.
    pub data_bytes: u32,
}

/// The sending half.
pub struct NbdSender {
    output: Output,
}

/// The receiving half.
pub struct NbdReceiver {
    stream: BufReader<Input>,
}

/// A connection that uses one export.
pub struct NbdClient {
    sender: NbdSender,
    receiver: NbdReceiver,
    info: ExportInfo,
}

impl NbdClient {
    /// Connects and agrees on the export.
    ///
    /// # Errors
    /// If nothing answers, the server has no such export, or it does not speak NBD.
    pub fn connect(uri: &NbdUri) -> Result<NbdClient, ClientError> {
        let (mut output, mut stream) = wire(uri)?;
        let info = go(&mut output, &mut stream, &uri.export)?;
        let sender = NbdSender { output };
        Ok(NbdClient {
            sender,
            receiver: NbdReceiver { stream },
            info,
        })
    }

    /// What the server said about the export.
    pub fn info(&self) -> &ExportInfo {
        &self.info
    }

    /// Sends a request; does not wait for its reply.
    ///
    /// # Errors
    /// If the connection failed.
    pub fn send_request(&mut self, request: &ClientRequest<'_>) -> Result<(), ClientError> {
        self.sender.send_request(request)
    }

    /// Waits for the next reply, in the server's order; see [`NbdReceiver::receive_reply`].
    ///
    /// # Errors
    /// If the connection failed.
    pub fn receive_reply(
        &mut self,
        data: &mut Vec<u8>,
    ) -> Result<Option<ClientReply>, ClientError> {
        self.receiver.receive_reply(data)
    }

    /// Sends one request and waits for its reply; only while no other is under way.
    ///
    /// # Errors
    /// If the connection failed. What the server answered is in the reply.
    pub fn call(
        &mut self,
        request: &ClientRequest<'_>,
        data: &mut Vec<u8>,
    ) -> Result<ClientReply, ClientError> {
        self.send_request(request)?;
        let closed = || ClientError::Io(ErrorKind::UnexpectedEof.into());
        self.receive_reply(data)?.ok_or_else(closed)
    }

    /// Says good-bye; the server answers what is under way and closes.
    ///
    /// # Errors
    /// If the connection failed.
    pub fn disconnect(&mut self) -> Result<(), ClientError> {
        self.sender.disconnect()
    }

    /// The two halves, for two threads.
    pub fn split(self) -> (NbdSender, NbdReceiver, ExportInfo) {
        (self.sender, self.receiver, self.info)
    }
}

impl NbdSender {
    /// Sends a request; does not wait for its reply.
    ///
    /// # Errors
    /// If the connection failed.
    pub fn send_request(&mut self, request: &ClientRequest<'_>) -> Result<(), ClientError> {
        let header = request.header().encode();
        let mut slices = [IoSlice::new(&header), IoSlice::new(request.data)];
        let mut slices = &mut slices[..];
        let mut left = header.len() + request.data.len();
        while left > 0 {
            match self.output.write_vectored(slices) {
                Ok(0) => return Err(io::Error::from(ErrorKind::WriteZero).into()),
                Ok(count) => {
                    left -= count;
                    IoSlice::advance_slices(&mut slices, count);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Says good-bye; the server answers what is under way and closes.
    ///
    /// # Errors
    /// If the connection failed.
    pub fn disconnect(&mut self) -> Result<(), ClientError> {
        let header = RequestHeader {
            flags: 0,
            command: command::DISC,
            cookie: 0,
            offset_bytes: 0,
            len_bytes: 0,
        };
        let header = header.encode();
        match &mut self.output {
            Output::Plain(socket) => Ok(socket.write_all(&header)?),
            Output::Tls(sender) => Ok(sender.finish(&header)?),
        }
    }
}

impl NbdReceiver {
    /// Waits for the next reply, in the server's order. The data of a read that succeeded replace
    /// what is in `data`. `None` when the server closed between two replies.
    ///
    /// # Errors
    /// If the connection failed.
    pub fn receive_reply(
        &mut self,
        data: &mut Vec<u8>,
    ) -> Result<Option<ClientReply>, ClientError> {
        let mut header = [0; SimpleReply::BYTES];
        if !read_or_end(&mut self.stream, &mut header)? {
            return Ok(None);
        }
        let reply = SimpleReply::decode(&header)
            .ok_or_else(|| ClientError::Protocol("a reply has no magic number".into()))?;
        let data_bytes = if reply.error == 0 {
            reply.cookie as u32
        } else {
            0
        };
        if data_bytes > CLIENT_MAX_PAYLOAD_BYTES {
            let text = "a reply has a cookie that was never sent";
            return Err(ClientError::Protocol(text.into()));
        }
        data.resize(data_bytes as usize, 0);
        self.stream.read_exact(data)?;
        let tag = (reply.cookie >> 32) as u32;
        Ok(Some(ClientReply {
            tag,
            error: reply.error,
            data_bytes,
        }))
    }
}

/// Reads all of `bytes`; `false` if the stream ended before the first.
fn read_or_end(stream: &mut impl Read, bytes: &mut [u8]) -> io::Result<bool> {
    let first = loop {
        match stream.read(bytes) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            other => break other?,
        }
    };
    if first > 0 {
        stream.read_exact(&mut bytes[first..])?;
    }
    Ok(first > 0)
}

/// Agrees on the export.
fn go(
    output: &mut impl Write,
    input: &mut impl Read,
    export: &str,
) -> Result<ExportInfo, ClientError> {
    let mut message = Vec::new();
    let wanted = [info::BLOCK_SIZE, info::DESCRIPTION];
    let len_bytes = (4 + export.len() + 2 + 2 * wanted.len()) as u32;
    message.extend_from_slice(
        &OptionHeader {
            option: option::GO,
            len_bytes,
        }
        .encode(),
    );
    message.extend_from_slice(&(export.len() as u32).to_be_bytes());
    message.extend_from_slice(export.as_bytes());
    message.extend_from_slice(&(wanted.len() as u16).to_be_bytes());
    for kind in wanted {
        message.extend_from_slice(&kind.to_be_bytes());
    }
    output.write_all(&message)?;
    go_replies(input, export)
}

fn go_replies(input: &mut impl Read, export: &str) -> Result<ExportInfo, ClientError> {
    let mut found: Option<(u64, u16)> = None;
    let (mut description, mut block_sizes) = (None, None);
    loop {
        let mut header = [0; OptionReplyHeader::BYTES];
        input.read_exact(&mut header)?;
        let header = OptionReplyHeader::decode(&header)
            .filter(|header| header.option == option::GO && header.len_bytes <= 64 << 10)
            .ok_or_else(|| ClientError::Protocol("an answer to GO is malformed".into()))?;
        let mut data = vec![0; header.len_bytes as usize];
        input.read_exact(&mut data)?;
        match header.reply {
            option_reply::ACK => break,
            option_reply::INFO if data.len() >= 2 => match (be16(&data, 0), data.len()) {
                (info::EXPORT, 12) => found = Some((be64(&data, 2), be16(&data, 10))),
                (info::BLOCK_SIZE, 14) => {
                    block_sizes = Some([be32(&data, 2), be32(&data, 6), be32(&data, 10)]);
                }
                (info::DESCRIPTION, _) => {
                    description = Some(String::from_utf8_lossy(&data[2..]).into_owned());
                }
                _ => {}
            },
            reply if reply & option_reply::ERROR_BIT != 0 => {
                let cause = match String::from_utf8_lossy(&data) {
                    text if text.is_empty() => format!("error {}", reply & 0xffff),
                    text => text.into_owned(),
                };
                return Err(ClientError::Refused {
                    export: export.to_owned(),
                    cause,
                });
            }
            _ => {}
        }
    }
    let Some((size_bytes, flags)) = found else {
        return Err(ClientError::Protocol(
            "it did not tell the export's size".into(),
        ));
    };
    Ok(ExportInfo {
        size_bytes,
        flags: ExportFlags::decode(flags),
        description,
        block_sizes,
    })
}
