//! TLS for this crate's own client: two halves of one connection, for two threads.
//!
//! Invariants: only the sending half writes to the socket, so records leave in the order in which
//! they were made; neither half waits for the network while it holds the state that both share.

use super::credentials::{certificates, private_key, roots};
use super::{TlsError, describe};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};
use socket2::Socket;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes of the wire that are read at once.
const WIRE_BYTES: usize = 64 << 10;

type Shared = Arc<Mutex<ClientConnection>>;

/// The sending half.
pub(crate) struct TlsSender {
    shared: Shared,
    socket: Socket,
    wire: Vec<u8>,
}

/// The receiving half.
pub(crate) struct TlsReceiver {
    shared: Shared,
    socket: Socket,
    wire: Box<[u8]>,
    start: usize,
    end: usize,
}

/// Who the client trusts, by `ca-cert.pem` of the directory, and who it is, by `client-cert.pem` and
/// `client-key.pem` if there is such a certificate.
pub(crate) fn trust(dir: &Path) -> Result<Arc<ClientConfig>, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let authority = dir.join("ca-cert.pem");
    let purpose = "the certificate that signs the server's";
    let unusable = |path: &Path, error: rustls::Error| TlsError::Unusable {
        path: path.to_owned(),
        cause: error.to_string(),
    };
    // One of several that is out of its time concerns whoever runs the server.
    let roots = roots(&authority, purpose, &mut Vec::new())?;
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
    Ok(Arc::new(config))
}

/// Runs the handshake over a socket that both sides are done with in plain.
pub(crate) fn begin(
    socket: &Socket,
    config: Arc<ClientConfig>,
    host: &str,
) -> io::Result<(TlsSender, TlsReceiver)> {
    let name = ServerName::try_from(host.to_owned())
        .map_err(|error| io::Error::new(ErrorKind::InvalidInput, error))?;
    let mut connection = ClientConnection::new(config, name).map_err(failed)?;
    let mut stream = socket;
    while connection.is_handshaking() {
        connection.complete_io(&mut stream)?;
    }
    let shared = Arc::new(Mutex::new(connection));
    let sender = TlsSender {
        shared: shared.clone(),
        socket: socket.try_clone()?,
        wire: Vec::new(),
    };
    let receiver = TlsReceiver {
        shared,
        socket: socket.try_clone()?,
        wire: vec![0; WIRE_BYTES].into_boxed_slice(),
        start: 0,
        end: 0,
    };
    Ok((sender, receiver))
}

fn locked(shared: &Shared) -> MutexGuard<'_, ClientConnection> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn failed(error: rustls::Error) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, describe(&error))
}

impl TlsSender {
    /// Encrypts by `make` and sends what that comes to.
    fn send<T>(
        &mut self,
        make: impl FnOnce(&mut ClientConnection) -> io::Result<T>,
    ) -> io::Result<T> {
        let made = {
            let mut connection = locked(&self.shared);
            let made = make(&mut connection)?;
            while connection.wants_write() {
                connection.write_tls(&mut self.wire)?;
            }
            made
        };
        let sent = self.socket.write_all(&self.wire);
        self.wire.clear();
        sent.map(|()| made)
    }

    /// Sends its last bytes and says good-bye, in one piece: who has got the bytes may hang up, and
    /// anything sent later would find nobody.
    pub(crate) fn finish(&mut self, last: &[u8]) -> io::Result<()> {
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
                let mut connection = locked(&self.shared);
                loop {
                    match connection.reader().read(into) {
                        Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                        other => return other,
                    }
                    let mut here = &self.wire[self.start..self.end];
                    if here.is_empty() {
                        break;
                    }
                    self.start += connection.read_tls(&mut here)?;
                    connection.process_new_packets().map_err(failed)?;
                }
            }
            match self.socket.read(&mut self.wire) {
                Ok(0) => {
                    let text = "the server closed without TLS's good-bye";
                    return Err(io::Error::new(ErrorKind::UnexpectedEof, text));
                }
                Ok(count) => (self.start, self.end) = (0, count),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}
