//! The edge where connections come in: bind or take over the sockets, accept, look who it is; the
//! rest of a connection's way in is `welcome`'s.
//!
//! Invariants: the number of connections is bounded, counted from accept until the session is
//! dropped; a connection in its handshake holds a bounded amount of memory and a bounded time;
//! one that misbehaves is dropped and no other notices. No request is seen here.
//!
//! What is not known here: who serves the sessions.

use crate::access::{Access, ExportAccess};
use crate::export::{Export, ExportDirectory};
use crate::handshake::HandshakeLimits;
use crate::listen::{ListenError, Listening, SocketAccess, UnixSocket, adopt, bind_tcp};
use crate::session::SessionLimits;
use crate::tls::Credentials;
use crate::uri::NbdUri;
use crate::welcome::{Edge, Guest};
use disktime_engine::Session;
use disktime_units::Network;
use socket2::SockRef;
use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// How connections are encrypted.
#[derive(Debug, Clone)]
pub struct TlsConfig {
    /// Certificate and key.
    pub credentials: Arc<Credentials>,
    /// Whether clients have to encrypt; otherwise they may.
    pub require: bool,
}

/// Where to listen, and what connections may cost.
#[derive(Debug, Clone)]
pub struct ListenConfig {
    /// The unix socket's path.
    pub socket: Option<PathBuf>,
    /// Who may use the unix socket.
    pub socket_access: SocketAccess,
    /// TCP addresses.
    pub listen: Vec<SocketAddr>,
    /// Who may connect by TCP; everybody without.
    pub allow: Option<Vec<Network>>,
    /// What holds for single exports, by name.
    pub exports: HashMap<String, ExportAccess>,
    /// Whether and how connections are encrypted.
    pub tls: Option<TlsConfig>,
    /// Longest time from accept to the choice of an export.
    pub handshake_time: Duration,
    /// Most connections at once, handshakes included. A few more are told so, the rest are closed
    /// at once.
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
            socket_access: SocketAccess::default(),
            listen: Vec::new(),
            allow: None,
            exports: HashMap::new(),
            tls: None,
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
    unix: Vec<UnixSocket>,
    tcp: Vec<TcpListener>,
}

impl NbdListener {
    /// Binds all addresses of `config`. Clients can connect from now on and wait for `serve`.
    ///
    /// # Errors
    /// If one of them cannot be had; then none is kept.
    pub fn bind(config: ListenConfig) -> Result<NbdListener, ListenError> {
        let bind = |path| UnixSocket::bind(path, config.socket_access);
        let unix = config.socket.as_deref().map(bind).transpose()?;
        let unix = unix.into_iter().collect();
        let tcp = config
            .listen
            .iter()
            .copied()
            .map(bind_tcp)
            .collect::<Result<_, _>>()?;
        Ok(NbdListener { config, unix, tcp })
    }

    /// Takes sockets that somebody else opened (systemd, or a client that starts its server), each
    /// with its name, instead of the addresses of `config`. Their files are not removed.
    ///
    /// # Errors
    /// If one of them is not a listening stream socket.
    pub fn adopt(
        config: ListenConfig,
        sockets: Vec<(String, OwnedFd)>,
    ) -> Result<NbdListener, ListenError> {
        let (mut unix, mut tcp) = (Vec::new(), Vec::new());
        for (name, socket) in sockets {
            match adopt(name, socket)? {
                Listening::Unix(socket) => unix.push(socket),
                Listening::Tcp(listener) => tcp.push(listener),
            }
        }
        Ok(NbdListener { config, unix, tcp })
    }

    /// The unix socket's path, if it has one.
    pub fn socket(&self) -> Option<&Path> {
        self.unix.iter().find_map(UnixSocket::path)
    }

    /// The TCP addresses, with the port that the system chose where 0 was asked for.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.tcp
            .iter()
            .filter_map(|listener| listener.local_addr().ok())
            .collect()
    }

    /// By which URIs the export `name` is reached, the unix socket first. With TLS they are those of
    /// TLS, except for a unix socket where it is only offered.
    pub fn uris(&self, name: &str) -> Vec<NbdUri> {
        let tls = self.config.tls.as_ref();
        let encrypted = |uri: NbdUri, encrypted| NbdUri {
            tls: encrypted,
            ..uri
        };
        let unix = self.unix.iter().filter_map(UnixSocket::path).map(|path| {
            let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
            encrypted(NbdUri::unix(path, name), tls.is_some_and(|tls| tls.require))
        });
        let tcp = self.addresses().into_iter().map(|address| {
            let uri = NbdUri::tcp(&address.ip().to_string(), address.port(), name);
            encrypted(uri, tls.is_some())
        });
        unix.chain(tcp).collect()
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
            access: Arc::new(Access::new(
                self.config.allow.clone(),
                self.config.connections,
                &self.config.exports,
            )),
            config: self.config,
            directory,
            deliver,
        });
        let mut loops = JoinSet::new();
        for socket in &self.unix {
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

async fn accept_unix(listener: tokio::net::UnixListener, edge: Arc<Edge>) {
    let mut handshakes = JoinSet::new();
    loop {
        let accepted = accept(listener.accept(), &mut handshakes, &edge.access).await;
        let Some((stream, _)) = accepted else {
            continue;
        };
        let Some(place) = edge.access.place() else {
            continue;
        };
        let name = match stream.peer_cred().ok().and_then(|peer| peer.pid()) {
            Some(process) => format!("process {process}"),
            None => "a local process".to_owned(),
        };
        let edge = edge.clone();
        handshakes.spawn(async move {
            let into_fd = |stream: tokio::net::UnixStream| stream.into_std().map(OwnedFd::from);
            let guest = Guest {
                name,
                address: None,
                place,
            };
            edge.welcome(stream, guest, into_fd).await;
        });
    }
}

async fn accept_tcp(listener: tokio::net::TcpListener, edge: Arc<Edge>) {
    let mut handshakes = JoinSet::new();
    loop {
        let accepted = accept(listener.accept(), &mut handshakes, &edge.access).await;
        let Some((stream, address)) = accepted else {
            continue;
        };
        if !edge.access.allows(address.ip()) {
            continue;
        }
        let Some(place) = edge.access.place() else {
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
            let guest = Guest {
                name: address.to_string(),
                address: Some(address.ip()),
                place,
            };
            edge.welcome(stream, guest, into_fd).await;
        });
    }
}

/// The next connection, while finished handshakes are cleared away. `None` after a failure that
/// may pass, such as too many open files.
async fn accept<T>(
    next: impl Future<Output = io::Result<T>>,
    handshakes: &mut JoinSet<()>,
    access: &Access,
) -> Option<T> {
    tokio::pin!(next);
    loop {
        tokio::select! {
            accepted = &mut next => match accepted {
                Ok(accepted) => return Some(accepted),
                Err(error) => {
                    access.accept_failed(&error);
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    return None;
                }
            },
            Some(_) = handshakes.join_next() => {}
        }
    }
}
