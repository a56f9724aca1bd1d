//! From a URI to a connection that has exchanged greetings, encrypted where the URI says so.

use super::ClientError;
use crate::protocol::{
    INIT_MAGIC, MAXIMUM_STRING_BYTES, OPTION_MAGIC, OptionHeader, OptionReplyHeader, be16, be64,
    handshake_flag, option, option_reply,
};
use crate::tls::client::{TlsReceiver, TlsSender, begin, trust};
use crate::uri::{NbdUri, Transport};
use rustls::ClientConfig;
use socket2::Socket;
use std::io::{self, BufReader, IoSlice, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

/// Where requests go.
pub(super) enum Output {
    Plain(Socket),
    Tls(TlsSender),
}

/// Where replies come from.
pub(super) enum Input {
    Plain(Socket),
    Tls(TlsReceiver),
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Output::Plain(socket) => socket.write(bytes),
            Output::Tls(sender) => sender.write(bytes),
        }
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Output::Plain(socket) => socket.write_vectored(slices),
            Output::Tls(sender) => sender.write_vectored(slices),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Input {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Input::Plain(socket) => socket.read(into),
            Input::Tls(receiver) => receiver.read(into),
        }
    }
}

fn reader(input: Input) -> BufReader<Input> {
    BufReader::with_capacity(64 << 10, input)
}

/// Connects, greets, and begins TLS if the URI wants it; what follows are options.
pub(super) fn wire(uri: &NbdUri) -> Result<(Output, BufReader<Input>), ClientError> {
    let config = match (&uri.certificates, uri.tls) {
        (_, false) => None,
        (Some(dir), true) => Some(trust(dir)?),
        (None, true) => return Err(ClientError::NobodyToTrust(uri.to_string())),
    };
    let mut socket = open(&uri.transport).map_err(|source| ClientError::Connect {
        uri: uri.to_string(),
        source,
    })?;
    greet(&mut socket)?;
    Ok(match config {
        None => (
            Output::Plain(socket.try_clone()?),
            reader(Input::Plain(socket)),
        ),
        Some(config) => {
            let (sender, receiver) = encrypt(&mut socket, config, &uri.transport)?;
            (Output::Tls(sender), reader(Input::Tls(receiver)))
        }
    })
}

/// Exchanges the greetings.
fn greet(socket: &mut Socket) -> Result<(), ClientError> {
    let mut greeting = [0; 18];
    socket.read_exact(&mut greeting)?;
    if be64(&greeting, 0) != INIT_MAGIC || be64(&greeting, 8) != OPTION_MAGIC {
        return Err(ClientError::Protocol(
            "its greeting is not that of an NBD server".into(),
        ));
    }
    let flags = be16(&greeting, 16);
    if flags & handshake_flag::FIXED_NEWSTYLE == 0 {
        return Err(ClientError::Protocol(
            "it does not offer the fixed newstyle handshake".into(),
        ));
    }
    let known = flags & (handshake_flag::FIXED_NEWSTYLE | handshake_flag::NO_ZEROES);
    Ok(socket.write_all(&u32::from(known).to_be_bytes())?)
}

/// Asks for TLS and begins it.
fn encrypt(
    socket: &mut Socket,
    config: Arc<ClientConfig>,
    transport: &Transport,
) -> Result<(TlsSender, TlsReceiver), ClientError> {
    let header = OptionHeader {
        option: option::STARTTLS,
        len_bytes: 0,
    };
    socket.write_all(&header.encode())?;
    let mut header = [0; OptionReplyHeader::BYTES];
    socket.read_exact(&mut header)?;
    let header = OptionReplyHeader::decode(&header).filter(|header| {
        header.option == option::STARTTLS && header.len_bytes <= MAXIMUM_STRING_BYTES as u32
    });
    let header =
        header.ok_or_else(|| ClientError::Protocol("an answer to STARTTLS is malformed".into()))?;
    let mut said = vec![0; header.len_bytes as usize];
    socket.read_exact(&mut said)?;
    if header.reply != option_reply::ACK {
        let said = String::from_utf8_lossy(&said);
        return Err(ClientError::Protocol(format!("it refuses TLS: {said}")));
    }
    let host = match transport {
        Transport::Tcp { host, .. } => host,
        // Whoever the certificate names, the socket is on this machine.
        Transport::Unix { .. } => "localhost",
    };
    Ok(begin(socket, config, host)?)
}

fn open(transport: &Transport) -> io::Result<Socket> {
    Ok(match transport {
        Transport::Unix { path } => UnixStream::connect(path)?.into(),
        Transport::Tcp { host, port } => {
            let stream = TcpStream::connect((host.as_str(), *port))?;
            stream.set_nodelay(true)?;
            stream.into()
        }
    })
}
