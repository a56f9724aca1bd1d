//! A connection with many requests in flight: requests are sent without waiting for replies, and
//! replies are received in the server's order.

use crate::connection::{Input, Output, connect, over};
use crate::error::ClientError;
use crate::export_info::{ExportInfo, choose_export};
use crate::request::{ClientReply, ClientRequest};
use disktime_nbd_protocol::{MAXIMUM_BLOCK_BYTES, NbdUri, RequestHeader, SimpleReply, command};
use std::io::{self, BufReader, ErrorKind, IoSlice, Read, Write};
use std::os::unix::net::UnixStream;

/// The sending half of a connection.
pub struct NbdSender {
    output: Output,
}

/// The receiving half of a connection.
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
    /// Connects and chooses the URI's export.
    ///
    /// # Errors
    /// When the server cannot be reached, has no such export, or does not speak NBD.
    pub fn connect(uri: &NbdUri) -> Result<NbdClient, ClientError> {
        NbdClient::choose(connect(uri)?, &uri.export)
    }

    /// Uses a connection that leads to a server already, and chooses an export.
    ///
    /// # Errors
    /// When the server has no such export, or does not speak NBD.
    pub fn over(connection: UnixStream, export: &str) -> Result<NbdClient, ClientError> {
        NbdClient::choose(over(connection)?, export)
    }

    fn choose(
        (mut output, mut stream): (Output, BufReader<Input>),
        export: &str,
    ) -> Result<NbdClient, ClientError> {
        let info = choose_export(&mut output, &mut stream, export)?;
        let sender = NbdSender { output };
        Ok(NbdClient {
            sender,
            receiver: NbdReceiver { stream },
            info,
        })
    }

    /// What the server told about the export.
    pub fn info(&self) -> &ExportInfo {
        &self.info
    }

    /// Sends a request; does not wait for its reply.
    ///
    /// # Errors
    /// When the connection fails.
    pub fn send_request(&mut self, request: &ClientRequest<'_>) -> Result<(), ClientError> {
        self.sender.send_request(request)
    }

    /// Waits for the next reply, in the server's order; see [`NbdReceiver::receive_reply`].
    ///
    /// # Errors
    /// When the connection fails.
    pub fn receive_reply(
        &mut self,
        data: &mut Vec<u8>,
    ) -> Result<Option<ClientReply>, ClientError> {
        self.receiver.receive_reply(data)
    }

    /// Sends one request and waits for its reply; only while no other request is in flight.
    ///
    /// # Errors
    /// When the connection fails. An error of the server is in the reply.
    pub fn call(
        &mut self,
        request: &ClientRequest<'_>,
        data: &mut Vec<u8>,
    ) -> Result<ClientReply, ClientError> {
        self.send_request(request)?;
        let closed = || ClientError::Io(ErrorKind::UnexpectedEof.into());
        self.receive_reply(data)?.ok_or_else(closed)
    }

    /// Sends DISC; the server answers the requests in flight and closes the connection.
    ///
    /// # Errors
    /// When the connection fails.
    pub fn disconnect(&mut self) -> Result<(), ClientError> {
        self.sender.disconnect()
    }

    /// Splits the connection into its two halves, for two threads.
    pub fn split(self) -> (NbdSender, NbdReceiver, ExportInfo) {
        (self.sender, self.receiver, self.info)
    }
}

impl NbdSender {
    /// Sends a request; does not wait for its reply.
    ///
    /// # Errors
    /// When the connection fails.
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

    /// Sends DISC; the server answers the requests in flight and closes the connection.
    ///
    /// # Errors
    /// When the connection fails.
    pub fn disconnect(&mut self) -> Result<(), ClientError> {
        let header = RequestHeader::new(command::DISC, 0, 0, 0).encode();
        match &mut self.output {
            Output::Plain(socket) => Ok(socket.write_all(&header)?),
            Output::Tls(sender) => Ok(sender.finish(&header)?),
        }
    }
}

impl NbdReceiver {
    /// Waits for the next reply, in the server's order. The data of a successful read replace the
    /// contents of `data`. `None` when the server closed the connection between two replies.
    ///
    /// # Errors
    /// When the connection fails.
    pub fn receive_reply(
        &mut self,
        data: &mut Vec<u8>,
    ) -> Result<Option<ClientReply>, ClientError> {
        let mut header = [0; SimpleReply::BYTES];
        if !read_or_end(&mut self.stream, &mut header)? {
            return Ok(None);
        }
        let reply = SimpleReply::decode(&header)
            .ok_or_else(|| ClientError::protocol("a reply has no magic number"))?;
        let data_bytes = if reply.error == 0 {
            reply.cookie as u32
        } else {
            0
        };
        if data_bytes > MAXIMUM_BLOCK_BYTES {
            return Err(ClientError::protocol(
                "a reply has a cookie that was never sent",
            ));
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
