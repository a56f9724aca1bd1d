//! The client's side of TLS over a blocking socket: two halves of one connection, for two threads.
//!
//! Invariants: only the sending half writes to the socket, so records leave in the order in which
//! they were made; neither half waits for the network while it holds the lock on the shared state.

use super::certificates::{authorities, certificates, private_key};
use super::error::{CertificateError, ChannelError};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};
use socket2::Socket;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Most encrypted bytes that one read takes from the socket.
const INPUT_BYTES: usize = 64 << 10;

type SharedConnection = Arc<Mutex<ClientConnection>>;

/// The sending half of an encrypted connection.
pub struct TlsSender {
    connection: SharedConnection,
    socket: Socket,
    /// Encrypted bytes of the current call.
    output: Vec<u8>,
}

/// The receiving half of an encrypted connection.
pub struct TlsReceiver {
    connection: SharedConnection,
    socket: Socket,
    /// Encrypted bytes; those in `start..end` are not decrypted yet.
    input: Box<[u8]>,
    start: usize,
    end: usize,
}

/// Which authorities the client trusts, and its own certificate if it has one.
pub struct ClientCredentials(Arc<ClientConfig>);

impl ClientCredentials {
    /// Reads `ca-cert.pem` (the authorities), and `client-cert.pem` with `client-key.pem` if that
    /// certificate exists.
    ///
    /// # Errors
    /// When a file is missing, holds something else or is not valid now.
    pub fn load(dir: &Path) -> Result<ClientCredentials, CertificateError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let unusable = |path: &Path, error: rustls::Error| CertificateError::Unusable {
            path: path.to_owned(),
            cause: error.to_string(),
        };
        let purpose = "the certificate that signs the server's";
        // An expired authority among several is for the server's administrator to replace.
        let mut ignored_warnings = Vec::new();
        let roots = authorities(&dir.join("ca-cert.pem"), purpose, &mut ignored_warnings)?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(dir, error))?
            .with_root_certificates(roots);
        let certificate = dir.join("client-cert.pem");
        let config = if certificate.exists() {
            let key = private_key(&dir.join("client-key.pem"))?;
            let chain = certificates(&certificate, "the client's certificate")?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| unusable(&certificate, error))?
        } else {
            builder.with_no_client_auth()
        };
        Ok(ClientCredentials(Arc::new(config)))
    }

    /// Runs the handshake with the server `host` over a socket on which no plain bytes are in
    /// flight.
    ///
    /// # Errors
    /// When the connection fails, or either side rejects the other.
    pub fn connect(&self, socket: &Socket, host: &str) -> io::Result<(TlsSender, TlsReceiver)> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|error| io::Error::new(ErrorKind::InvalidInput, error))?;
        let mut connection = ClientConnection::new(self.0.clone(), name).map_err(failed)?;
        let mut stream = socket;
        while connection.is_handshaking() {
            connection.complete_io(&mut stream)?;
        }
        let connection = Arc::new(Mutex::new(connection));
        let sender = TlsSender {
            connection: connection.clone(),
            socket: socket.try_clone()?,
            output: Vec::new(),
        };
        let receiver = TlsReceiver {
            connection,
            socket: socket.try_clone()?,
            input: vec![0; INPUT_BYTES].into_boxed_slice(),
            start: 0,
            end: 0,
        };
        Ok((sender, receiver))
    }
}

fn lock(connection: &SharedConnection) -> MutexGuard<'_, ClientConnection> {
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

fn failed(error: rustls::Error) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, ChannelError::from(error))
}

impl TlsSender {
    /// Encrypts what `write` writes, and sends it.
    fn send<T>(
        &mut self,
        write: impl FnOnce(&mut ClientConnection) -> io::Result<T>,
    ) -> io::Result<T> {
        let written = {
            let mut connection = lock(&self.connection);
            let written = write(&mut connection)?;
            while connection.wants_write() {
                connection.write_tls(&mut self.output)?;
            }
            written
        };
        let sent = self.socket.write_all(&self.output);
        self.output.clear();
        sent.map(|()| written)
    }

    /// Sends the last bytes and close_notify in one write: a server that has received the last
    /// bytes may close the connection, and a later write would fail.
    ///
    /// # Errors
    /// When the connection fails.
    pub fn finish(&mut self, last: &[u8]) -> io::Result<()> {
        self.send(|connection| {
            connection.writer().write_all(last)?;
            connection.send_close_notify();
            Ok(())
        })
    }
}

impl Write for TlsSender {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.send(|connection| connection.writer().write(bytes))
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.send(|connection| connection.writer().write_vectored(slices))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for TlsReceiver {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        loop {
            {
                let mut connection = lock(&self.connection);
                loop {
                    match connection.reader().read(into) {
                        Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                        other => return other,
                    }
                    let mut here = &self.input[self.start..self.end];
                    if here.is_empty() {
                        break;
                    }
                    self.start += connection.read_tls(&mut here)?;
                    connection.process_new_packets().map_err(failed)?;
                }
            }
            match self.socket.read(&mut self.input) {
                Ok(0) => {
                    let text = "the server closed the connection without close_notify";
                    return Err(io::Error::new(ErrorKind::UnexpectedEof, text));
                }
                Ok(count) => (self.start, self.end) = (0, count),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}
