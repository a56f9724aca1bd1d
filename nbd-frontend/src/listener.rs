//! The listener: binds or adopts the sockets, accepts connections, and starts a handshake for each.
//!
//! Invariants: the number of connections is bounded, counted from accept until the session is
//! dropped; a connection in its handshake holds a bounded amount of memory for a bounded time; a
//! connection that misbehaves is closed without effect on others. No request is seen here.
//!
//! What is not known here: who serves the sessions.

use crate::access::{AccessControl, ExportRules};
use crate::addresses::ExportAddresses;
use crate::config::ListenConfig;
use crate::export::ExportDirectory;
use crate::negotiate::{Deliver, Negotiator, NewConnection};
use disktime_sockets::{ListenError, ListeningSocket, UnixSocket, adopt, bind_tcp, client_path};
use socket2::{SockRef, TcpKeepalive};
use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// The listening sockets.
#[derive(Debug)]
pub struct NbdListener {
    config: ListenConfig,
    rules: ExportRules,
    unix: Vec<UnixSocket>,
    tcp: Vec<TcpListener>,
}

impl NbdListener {
    fn new(config: ListenConfig, unix: Vec<UnixSocket>, tcp: Vec<TcpListener>) -> NbdListener {
        let rules = ExportRules(Arc::new(config.access_control()));
        NbdListener {
            config,
            rules,
            unix,
            tcp,
        }
    }

    /// Binds all addresses of `config`. Clients can connect from now on; `serve` accepts them.
    ///
    /// # Errors
    /// When one of them cannot be bound; then none is kept.
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
        Ok(NbdListener::new(config, unix, tcp))
    }

    /// Uses sockets that the parent process passed (socket activation), each with its name, instead
    /// of the addresses of `config`. Their files are not removed.
    ///
    /// # Errors
    /// When one of them is not a listening stream socket.
    pub fn adopt(
        config: ListenConfig,
        sockets: Vec<(String, OwnedFd)>,
    ) -> Result<NbdListener, ListenError> {
        let (mut unix, mut tcp) = (Vec::new(), Vec::new());
        for (name, socket) in sockets {
            match adopt(name, socket)? {
                ListeningSocket::Unix(socket) => unix.push(socket),
                ListeningSocket::Tcp(listener) => tcp.push(listener),
            }
        }
        Ok(NbdListener::new(config, unix, tcp))
    }

    /// The unix socket's path, if it has one.
    pub fn socket(&self) -> Option<&Path> {
        self.unix.iter().find_map(UnixSocket::path)
    }

    /// The TCP addresses, with the port that the system chose for port 0.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.tcp
            .iter()
            .filter_map(|listener| listener.local_addr().ok())
            .collect()
    }

    /// Where its exports are reached, which it may be asked for when it serves.
    pub fn export_addresses(&self) -> ExportAddresses {
        let unix = self.unix.iter().filter_map(UnixSocket::path);
        let unix = unix.map(client_path).collect();
        let tls = self.config.tls.as_ref().map(|tls| tls.require);
        ExportAddresses::new(unix, self.addresses(), tls)
    }

    /// The rules of its exports, which may change when it serves.
    pub fn rules(&self) -> ExportRules {
        self.rules.clone()
    }

    /// Accepts connections until `stop` completes; then the sockets are closed, the unix socket's
    /// file is removed, and unfinished handshakes are dropped. Delivered sessions continue. Runs
    /// within a tokio runtime.
    ///
    /// # Errors
    /// When the runtime cannot watch the sockets.
    pub async fn serve(
        self,
        directory: Arc<dyn ExportDirectory>,
        deliver: Deliver,
        stop: impl Future<Output = ()>,
    ) -> io::Result<()> {
        let negotiator = Arc::new(Negotiator::new(
            self.config,
            self.rules.0,
            directory,
            deliver,
        ));
        let mut loops = JoinSet::new();
        for socket in &self.unix {
            let listener = tokio::net::UnixListener::from_std(socket.listener()?)?;
            loops.spawn(accept_unix(listener, negotiator.clone()));
        }
        for listener in self.tcp {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            loops.spawn(accept_tcp(listener, negotiator.clone()));
        }
        stop.await;
        // Dropping the set ends its tasks; each task owns the handshakes that it started.
        loops.shutdown().await;
        drop(self.unix);
        Ok(())
    }
}

async fn accept_unix(listener: tokio::net::UnixListener, negotiator: Arc<Negotiator>) {
    let mut handshakes = JoinSet::new();
    loop {
        let accepted = accept(listener.accept(), &mut handshakes, negotiator.access()).await;
        let Some((stream, _)) = accepted else {
            continue;
        };
        let Some(permit) = negotiator.access().acquire() else {
            continue;
        };
        let name = match stream.peer_cred().ok().and_then(|peer| peer.pid()) {
            Some(process) => format!("process {process}"),
            None => "a local process".to_owned(),
        };
        let negotiator = negotiator.clone();
        handshakes.spawn(async move {
            let into_fd = |stream: tokio::net::UnixStream| stream.into_std().map(OwnedFd::from);
            let connection = NewConnection::local(name, permit);
            negotiator.negotiate(stream, connection, into_fd).await;
        });
    }
}

async fn accept_tcp(listener: tokio::net::TcpListener, negotiator: Arc<Negotiator>) {
    let mut handshakes = JoinSet::new();
    loop {
        let accepted = accept(listener.accept(), &mut handshakes, negotiator.access()).await;
        let Some((stream, address)) = accepted else {
            continue;
        };
        if !negotiator.access().allows(address.ip()) {
            continue;
        }
        let Some(permit) = negotiator.access().acquire() else {
            continue;
        };
        // Replies are small and clients wait for them.
        let socket = SockRef::from(&stream);
        if let Err(error) = socket
            .set_tcp_nodelay(true)
            .and_then(|()| socket.set_tcp_keepalive(&keepalive()))
        {
            tracing::debug!("the socket options of {address} cannot be set: {error}");
        }
        let negotiator = negotiator.clone();
        handshakes.spawn(async move {
            let into_fd = |stream: tokio::net::TcpStream| stream.into_std().map(OwnedFd::from);
            let connection = NewConnection::remote(address, permit);
            negotiator.negotiate(stream, connection, into_fd).await;
        });
    }
}

/// Detects a client whose machine died, and one that was closed while its requests stand still:
/// nothing is sent to it then that could fail. The kernel's own default is two hours.
fn keepalive() -> TcpKeepalive {
    TcpKeepalive::new()
        .with_time(Duration::from_secs(30))
        .with_interval(Duration::from_secs(10))
        .with_retries(6)
}

/// The next connection; meanwhile finished handshakes are removed from the set. `None` after a
/// temporary failure, such as too many open files.
async fn accept<T>(
    next: impl Future<Output = io::Result<T>>,
    handshakes: &mut JoinSet<()>,
    access: &AccessControl,
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
