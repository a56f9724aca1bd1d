//! One connection from its greeting to the choice of an export: NBD's messages and TLS over a
//! stream, under a time limit for each option.
//!
//! Invariant: a connection that completes no option within the time limit, breaks the protocol or
//! is evicted is closed; every other one is delivered exactly once. A client that asks about many
//! vdisks takes its time, so the whole is limited by the number of options only; but a client above
//! the limit of connections, which waits for its error only, has the time limit for the whole.
//!
//! What is not known here: who serves the session.

use crate::access::{AccessControl, ConnectionAccess, ConnectionPermit};
use crate::config::ListenConfig;
use crate::encrypted_session::EncryptedSession;
use crate::export::{Export, ExportDirectory};
use crate::handshake::{Encryption, Handshake, HandshakeProgress};
use crate::handshake_stream::HandshakeStream;
use crate::negotiated::Negotiated;
use crate::session::NbdSession;
use disktime_engine::Session;
use disktime_sockets::{ServerCredentials, TlsChannel};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

/// A connection whose client has chosen an export.
pub struct Accepted {
    /// The export, as it was when the client chose it.
    pub export: Export,
    /// The connection, nonblocking. Closed when dropped.
    pub socket: OwnedFd,
    /// Its state, which includes what the client has already sent: call `next_request` before
    /// waiting for the socket.
    pub session: Box<dyn Session>,
    /// The client's name in the log.
    pub peer: String,
}

/// Receives the accepted connections. Must not block; dropping a connection closes it.
pub type Deliver = Arc<dyn Fn(Accepted) + Send + Sync>;

/// What all connections of a listener share.
pub(crate) struct Negotiator {
    config: ListenConfig,
    access: Arc<AccessControl>,
    directory: Arc<dyn ExportDirectory>,
    deliver: Deliver,
}

/// A connection that was accepted.
pub(crate) struct NewConnection {
    /// The client's name in the log.
    name: String,
    /// `None` for a unix socket.
    address: Option<IpAddr>,
    permit: ConnectionPermit,
}

impl NewConnection {
    /// A connection to a unix socket.
    pub(crate) fn local(name: String, permit: ConnectionPermit) -> NewConnection {
        NewConnection {
            name,
            address: None,
            permit,
        }
    }

    /// A TCP connection.
    pub(crate) fn remote(peer: SocketAddr, permit: ConnectionPermit) -> NewConnection {
        NewConnection {
            name: peer.to_string(),
            address: Some(peer.ip()),
            permit,
        }
    }
}

impl Negotiator {
    /// `access`: the rules and limits of the connections.
    pub(crate) fn new(
        config: ListenConfig,
        access: Arc<AccessControl>,
        directory: Arc<dyn ExportDirectory>,
        deliver: Deliver,
    ) -> Negotiator {
        Negotiator {
            config,
            access,
            directory,
            deliver,
        }
    }

    /// The rules and limits of the connections.
    pub(crate) fn access(&self) -> &AccessControl {
        &self.access
    }

    /// Runs the handshake and delivers the connection.
    pub(crate) async fn negotiate<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        mut stream: S,
        connection: NewConnection,
        into_fd: impl FnOnce(S) -> io::Result<OwnedFd>,
    ) {
        let peer = connection.name;
        let access = Arc::new(ConnectionAccess::new(
            self.directory.clone(),
            self.access.clone(),
            connection.address,
            connection.permit,
        ));
        let encryption = match &self.config.tls {
            None => Encryption::Unavailable,
            Some(tls) if tls.require => Encryption::Required,
            Some(_) => Encryption::Offered,
        };
        let handshake =
            Handshake::new(access.clone(), self.config.handshake).with_encryption(encryption);
        let tls = self.config.tls.as_ref().map(|tls| &*tls.credentials);
        let patience = match access.is_admitted() {
            true => Patience::for_each_option(self.config.handshake_time),
            false => Patience::for_the_whole(self.config.handshake_time),
        };
        let wire = HandshakeStream::new(&mut stream);
        let negotiated = tokio::select! {
            negotiated = drive(wire, handshake, tls, patience) => negotiated,
            () = access.evicted() => return,
        };
        let agreed = match negotiated {
            Ok(Some(agreed)) => agreed,
            Ok(None) => return,
            Err(reason) => {
                return tracing::info!("NBD client {peer}: connection closed: {reason}");
            }
        };
        let socket = match into_fd(stream) {
            Ok(socket) => socket,
            Err(error) => return tracing::warn!("NBD client {peer}: connection closed: {error}"),
        };
        let Agreed {
            export,
            negotiated,
            carried,
            channel,
        } = agreed;
        // The access holds the connection's permits, so it lives as long as the session.
        let session = NbdSession::new(export.clone(), self.config.session, &carried)
            .with_negotiated(negotiated)
            .with_lease(Box::new(access));
        let session: Box<dyn Session> = match channel {
            Some(channel) => Box::new(EncryptedSession::new(session, channel)),
            None => Box::new(session),
        };
        (self.deliver)(Accepted {
            export,
            socket,
            session,
            peer,
        });
    }
}

/// What a completed handshake agreed on.
struct Agreed {
    export: Export,
    negotiated: Negotiated,
    /// What the client sent after the handshake, decrypted.
    carried: Vec<u8>,
    channel: Option<TlsChannel>,
}

/// Drives the handshake; `None` if the client closed the connection.
async fn drive<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: HandshakeStream<'_, S>,
    mut handshake: Handshake,
    tls: Option<&ServerCredentials>,
    mut patience: Patience,
) -> Result<Option<Agreed>, String> {
    let mut chunk = [0; 2048];
    loop {
        let progress = handshake.advance();
        if !handshake.outgoing().is_empty() {
            let sent = patience.wait(stream.send(handshake.outgoing())).await;
            handshake.sent();
            // A client that sent ABORT need not wait for the reply.
            if sent.is_err() && progress == HandshakeProgress::Aborted {
                return Ok(None);
            }
            sent?;
            // Something is sent only as the reply to a complete option.
            patience.option_is_complete();
        }
        match progress {
            HandshakeProgress::Continue => {}
            HandshakeProgress::NeedBytes => {
                match patience.wait(stream.receive(&mut chunk)).await? {
                    0 => return Ok(None),
                    count => handshake.receive(&chunk[..count]),
                }
            }
            HandshakeProgress::StartTls => {
                let credentials = tls.ok_or("the server has no TLS credentials")?;
                if !patience.wait(stream.start_tls(credentials)).await? {
                    return Err("it closed the connection during the TLS handshake".to_owned());
                }
                handshake.encrypted();
            }
            HandshakeProgress::Agreed(export) => {
                return Ok(Some(Agreed {
                    export: *export,
                    negotiated: handshake.negotiated().clone(),
                    carried: handshake.into_rest(),
                    channel: stream.into_channel(),
                }));
            }
            HandshakeProgress::Aborted => {
                stream.close().await;
                return Ok(None);
            }
            HandshakeProgress::Broken(reason) => return Err(reason),
        }
    }
}

/// How long a client may still take: to complete its next option, with the reply to it, or for the
/// rest of its handshake.
struct Patience {
    limit: Duration,
    deadline: Instant,
    is_for_each_option: bool,
}

impl Patience {
    fn for_each_option(limit: Duration) -> Patience {
        Patience {
            limit,
            deadline: Instant::now() + limit,
            is_for_each_option: true,
        }
    }

    fn for_the_whole(limit: Duration) -> Patience {
        Patience {
            is_for_each_option: false,
            ..Patience::for_each_option(limit)
        }
    }

    fn option_is_complete(&mut self) {
        if self.is_for_each_option {
            self.deadline = Instant::now() + self.limit;
        }
    }

    async fn wait<T>(&self, step: impl Future<Output = Result<T, String>>) -> Result<T, String> {
        match tokio::time::timeout_at(self.deadline, step).await {
            Ok(result) => result,
            Err(_) => {
                let limit = self.limit.as_secs_f64();
                Err(match self.is_for_each_option {
                    true => {
                        format!("it took longer than {limit} s to send an option of its handshake")
                    }
                    false => format!(
                        "the limit of connections is reached, and it took longer than {limit} s \
                         to choose an export and get that as its error"
                    ),
                })
            }
        }
    }
}

#[cfg(test)]
mod tests;
