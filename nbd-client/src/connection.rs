//! From a URI to a connection on which greetings are exchanged, encrypted if the URI asks for it.

use crate::error::ClientError;
use disktime_nbd_protocol::{
    INIT_MAGIC, MAXIMUM_STRING_BYTES, NbdUri, OPTION_MAGIC, OptionHeader, OptionReplyHeader,
    Transport, be16, be64, handshake_flag, option, option_reply,
};
use disktime_sockets::{ClientCredentials, TlsReceiver, TlsSender};
use socket2::Socket;
use std::io::{self, BufReader, IoSlice, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;

/// The sending side of a socket.
pub(crate) enum Output {
    Plain(Socket),
    Tls(TlsSender),
}

/// The receiving side of a socket.
pub(crate) enum Input {
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

/// Connects, exchanges the greetings, and starts TLS if the URI asks for it. Options follow.
pub(crate) fn connect(uri: &NbdUri) -> Result<(Output, BufReader<Input>), ClientError> {
    let credentials = match (&uri.certificates, uri.tls) {
        (_, false) => None,
        (Some(dir), true) => Some(ClientCredentials::load(dir)?),
        (None, true) => return Err(ClientError::NoCertificates(uri.to_string())),
    };
    let mut socket = open(&uri.transport).map_err(|source| ClientError::Connect {
        uri: uri.to_string(),
        source,
    })?;
    greet(&mut socket)?;
    Ok(match credentials {
        None => (
            Output::Plain(socket.try_clone()?),
            reader(Input::Plain(socket)),
        ),
        Some(credentials) => {
            let (sender, receiver) = start_tls(&mut socket, &credentials, &uri.transport)?;
            (Output::Tls(sender), reader(Input::Tls(receiver)))
        }
    })
}

/// Exchanges the greetings over a connection that is there. Options follow.
pub(crate) fn over(connection: UnixStream) -> Result<(Output, BufReader<Input>), ClientError> {
    let mut socket = Socket::from(connection);
    greet(&mut socket)?;
    let output = Output::Plain(socket.try_clone()?);
    Ok((output, reader(Input::Plain(socket))))
}

/// Exchanges the greetings.
fn greet(socket: &mut Socket) -> Result<(), ClientError> {
    let mut greeting = [0; 18];
    socket.read_exact(&mut greeting)?;
    if be64(&greeting, 0) != INIT_MAGIC || be64(&greeting, 8) != OPTION_MAGIC {
        return Err(ClientError::protocol(
            "its greeting is not that of an NBD server",
        ));
    }
    let flags = be16(&greeting, 16);
    if flags & handshake_flag::FIXED_NEWSTYLE == 0 {
        return Err(ClientError::protocol(
            "it does not offer the fixed newstyle handshake",
        ));
    }
    let known = flags & (handshake_flag::FIXED_NEWSTYLE | handshake_flag::NO_ZEROES);
    Ok(socket.write_all(&u32::from(known).to_be_bytes())?)
}

/// Sends STARTTLS and runs the TLS handshake.
fn start_tls(
    socket: &mut Socket,
    credentials: &ClientCredentials,
    transport: &Transport,
) -> Result<(TlsSender, TlsReceiver), ClientError> {
    socket.write_all(&OptionHeader::message(option::STARTTLS, &[]))?;
    let mut header = [0; OptionReplyHeader::BYTES];
    socket.read_exact(&mut header)?;
    let header = OptionReplyHeader::decode(&header).filter(|header| {
        header.option == option::STARTTLS && header.len_bytes <= MAXIMUM_STRING_BYTES as u32
    });
    let header = header.ok_or_else(|| ClientError::protocol("a reply to STARTTLS is malformed"))?;
    let mut text = vec![0; header.len_bytes as usize];
    socket.read_exact(&mut text)?;
    if header.reply != option_reply::ACK {
        let text = String::from_utf8_lossy(&text);
        return Err(ClientError::protocol(format!("it refuses TLS: {text}")));
    }
    let host = match transport {
        Transport::Tcp { host, .. } => host,
        // A unix socket leads to this machine, so the certificate has to be valid for that name.
        Transport::Unix { .. } => "localhost",
    };
    Ok(credentials.connect(socket, host)?)
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
