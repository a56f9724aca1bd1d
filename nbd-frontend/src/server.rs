//! The edge where connections come in: accept, handshake under a time limit, hand over.
//!
//! Invariants: the number of connections is bounded, counted from accept until the session is
//! dropped; a connection in its handshake holds a bounded amount of memory and a bounded time;
//! one that misbehaves is dropped and no other notices. No request is seen here.
//!
//! What is not known here: who serves the sessions.

use crate::export::{Export, ExportDirectory};
use crate::handshake::{Handshake, HandshakeLimits, Progress};
use crate::listen::{ListenError, UnixSocket, bind_tcp};
use crate::negotiated::Negotiated;
use crate::session::{NbdSession, SessionLimits};
use crate::uri::NbdUri;
use disktime_engine::Session;
use socket2::SockRef;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

/// Where to listen, and what connections may cost.
#[derive(Debug, Clone)]
pub struct ListenConfig {
    /// The unix socket's path.
    pub socket: Option<PathBuf>,
    /// TCP addresses.
    pub listen: Vec<SocketAddr>,
    /// Longest time from accept to the choice of an export.
    pub handshake_time: Duration,
    /// Most connections at once, handshakes included. More are closed at once.
    pub connections: usize,
    /// Bounds of a handshake.
    pub handshake: HandshakeLimits,
    /// Bounds of a session.
    pub session: SessionLimits,
}

impl Default for ListenConfig {
    fn default() -> ListenConfig {
        ListenConfig {
            socket: None,
            listen: Vec::new(),
            handshake_time: Duration::from_secs(10),
            connections: 256,
            handshake: HandshakeLimits::default(),
            session: SessionLimits::default(),
        }
    }
}

/// A connection whose client has chosen an export.
pub struct Accepted {
    /// Which, as it was when it was chosen.
    pub export: Export,
    /// The connection, nonblocking. Closed when dropped.
    pub socket: OwnedFd,
    /// Its state. What the client already sent is inside: call `next_request` before waiting for
    /// the socket.
    pub session: Box<dyn Session>,
    /// Who it is, for the log.
    pub peer: String,
}

/// Takes the connections. Must not block; dropping one closes it.
pub type Deliver = Arc<dyn Fn(Accepted) + Send + Sync>;

/// The listening sockets.
#[derive(Debug)]
pub struct NbdListener {
    config: ListenConfig,
    unix: Option<UnixSocket>,
    tcp: Vec<TcpListener>,
}

impl NbdListener {
    /// Binds all addresses of `config`. Clients can connect from now on and wait for `serve`.
    ///
    /// # Errors
    /// If one of them cannot be had; then none is kept.
    pub fn bind(config: ListenConfig) -> Result<NbdListener, ListenError> {
        let unix = config.socket.as_deref().map(UnixSocket::bind).transpose()?;
        let tcp = config
            .listen
            .iter()
            .copied()
            .map(bind_tcp)
            .collect::<Result<_, _>>()?;
        Ok(NbdListener { config, unix, tcp })
    }

    /// The unix socket's path.
    pub fn socket(&self) -> Option<&Path> {
        self.unix.as_ref().map(UnixSocket::path)
    }

    /// The TCP addresses, with the port that the system chose where 0 was asked for.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.tcp
            .iter()
            .filter_map(|listener| listener.local_addr().ok())
            .collect()
    }

    /// By which URIs the export `name` is reached, the unix socket first.
    pub fn uris(&self, name: &str) -> Vec<NbdUri> {
        let unix = self.socket().map(|path| {
            NbdUri::unix(
                std::path::absolute(path).unwrap_or_else(|_| path.to_owned()),
                name,
            )
        });
        let tcp = self
            .addresses()
            .into_iter()
            .map(|address| NbdUri::tcp(&address.ip().to_string(), address.port(), name));
        unix.into_iter().chain(tcp).collect()
    }

    /// Accepts connections until `stop` is done; then the sockets are closed, the unix socket's
    /// file is removed, and handshakes that are not finished are dropped. Sessions that were
    /// delivered live on. Runs within a tokio runtime.
    ///
    /// # Errors
    /// If the runtime cannot watch the sockets.
    pub async fn serve(
        self,
        directory: Arc<dyn ExportDirectory>,
        deliver: Deliver,
        stop: impl Future<Output = ()>,
    ) -> io::Result<()> {
        let edge = Arc::new(Edge {
            permits: Arc::new(Semaphore::new(self.config.connections)),
            config: self.config,
            directory,
            deliver,
        });
        let mut loops = JoinSet::new();
        if let Some(socket) = &self.unix {
            let listener = tokio::net::UnixListener::from_std(socket.listener()?)?;
            loops.spawn(accept_unix(listener, edge.clone()));
        }
        for listener in self.tcp {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            loops.spawn(accept_tcp(listener, edge.clone()));
        }
        stop.await;
        // Dropping the set ends its tasks, and each of those owns the handshakes that it began.
        loops.shutdown().await;
        drop(self.unix);
        Ok(())
    }
}

/// What all accepting loops share.
struct Edge {
    config: ListenConfig,
    permits: Arc<Semaphore>,
    directory: Arc<dyn ExportDirectory>,
    deliver: Deliver,
}

async fn accept_unix(listener: tokio::net::UnixListener, edge: Arc<Edge>) {
    let mut handshakes = JoinSet::new();
    loop {
        let accepted = accept(listener.accept(), &mut handshakes).await;
        let Some((stream, _)) = accepted else {
            continue;
        };
        let Some(permit) = edge.permit() else {
            continue;
        };
        let peer = match stream.peer_cred().ok().and_then(|peer| peer.pid()) {
            Some(process) => format!("process {process}"),
            None => "a local process".to_owned(),
        };
        let edge = edge.clone();
        handshakes.spawn(async move {
            let into_fd = |stream: tokio::net::UnixStream| stream.into_std().map(OwnedFd::from);
            edge.welcome(stream, permit, peer, into_fd).await;
        });
    }
}

async fn accept_tcp(listener: tokio::net::TcpListener, edge: Arc<Edge>) {
    let mut handshakes = JoinSet::new();
    loop {
        let accepted = accept(listener.accept(), &mut handshakes).await;
        let Some((stream, address)) = accepted else {
            continue;
        };
        let Some(permit) = edge.permit() else {
            continue;
        };
        // Replies are small and awaited; and a peer whose machine died is found out by keepalive.
        let socket = SockRef::from(&stream);
        if let Err(error) = socket
            .set_tcp_nodelay(true)
            .and_then(|()| socket.set_keepalive(true))
        {
            tracing::debug!("a socket option of {address} was refused: {error}");
        }
        let edge = edge.clone();
        handshakes.spawn(async move {
            let into_fd = |stream: tokio::net::TcpStream| stream.into_std().map(OwnedFd::from);
            edge.welcome(stream, permit, address.to_string(), into_fd)
                .await;
        });
    }
}

/// The next connection, while finished handshakes are cleared away. `None` after a failure that
/// may pass, such as too many open files.
async fn accept<T>(
    next: impl Future<Output = io::Result<T>>,
    handshakes: &mut JoinSet<()>,
) -> Option<T> {
    tokio::pin!(next);
    loop {
        tokio::select! {
            accepted = &mut next => match accepted {
                Ok(accepted) => return Some(accepted),
                Err(error) => {
                    tracing::warn!("an NBD connection cannot be accepted: {error}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    return None;
                }
            },
            Some(_) = handshakes.join_next() => {}
        }
    }
}

impl Edge {
    fn permit(&self) -> Option<OwnedSemaphorePermit> {
        let permit = self.permits.clone().try_acquire_owned().ok();
        if permit.is_none() {
            tracing::warn!(
                "an NBD connection was closed: {} are open, which is the limit",
                self.config.connections
            );
        }
        permit
    }

    /// Runs the handshake and hands the connection over.
    async fn welcome<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        mut stream: S,
        permit: OwnedSemaphorePermit,
        peer: String,
        into_fd: impl FnOnce(S) -> io::Result<OwnedFd>,
    ) {
        let handshake = Handshake::new(self.directory.clone(), self.config.handshake);
        let limit = self.config.handshake_time;
        let agreed = match tokio::time::timeout(limit, run(&mut stream, handshake)).await {
            Ok(Ok(agreed)) => agreed,
            Ok(Err(reason)) => return tracing::info!("NBD client {peer} was dropped: {reason}"),
            Err(_) => {
                let seconds = limit.as_secs_f64();
                return tracing::info!(
                    "NBD client {peer} was dropped: it chose no export within {seconds} s"
                );
            }
        };
        let Some((export, negotiated, carried)) = agreed else {
            return;
        };
        let socket = match into_fd(stream) {
            Ok(socket) => socket,
            Err(error) => return tracing::warn!("NBD client {peer} was dropped: {error}"),
        };
        let session = NbdSession::new(export.clone(), self.config.session, &carried)
            .with_negotiated(negotiated)
            .with_lease(Box::new(permit));
        (self.deliver)(Accepted {
            export,
            socket,
            session: Box::new(session),
            peer,
        });
    }
}

/// Drives the handshake over `stream`: the export and what came after; `None` if the client left.
async fn run<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    mut handshake: Handshake,
) -> Result<Option<(Export, Negotiated, Vec<u8>)>, String> {
    let mut chunk = [0; 2048];
    loop {
        let progress = handshake.advance();
        if !handshake.outgoing().is_empty() {
            let sent = stream.write_all(handshake.outgoing()).await;
            handshake.sent();
            if let Err(error) = sent {
                return if progress == Progress::Aborted {
                    Ok(None)
                } else {
                    Err(error.to_string())
                };
            }
        }
        match progress {
            Progress::Continue => {}
            Progress::NeedBytes => match stream.read(&mut chunk).await {
                Ok(0) => return Ok(None),
                Ok(count) => handshake.receive(&chunk[..count]),
                Err(error) => return Err(error.to_string()),
            },
            Progress::Agreed(export) => {
                let negotiated = handshake.negotiated();
                return Ok(Some((*export, negotiated, handshake.into_rest())));
            }
            Progress::Aborted => return Ok(None),
            Progress::Broken(reason) => return Err(reason),
        }
    }
}
