//! The configuration of the listener: where it listens, who may connect, and what connections may
//! cost.

use crate::access::{AccessControl, ExportAccess};
use crate::handshake::HandshakeLimits;
use crate::session::SessionLimits;
use disktime_sockets::{AllowList, ServerCredentials, SocketAccess};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Whether connections have to be encrypted, and with which certificates.
#[derive(Debug, Clone)]
pub struct TlsConfig {
    /// Certificate and key.
    pub credentials: Arc<ServerCredentials>,
    /// Whether clients have to use TLS; otherwise they may.
    pub require: bool,
}

/// Where to listen, and what connections may cost.
#[derive(Debug, Clone)]
pub struct ListenConfig {
    /// The unix socket's path.
    pub socket: Option<PathBuf>,
    /// Owner and mode of the unix socket.
    pub socket_access: SocketAccess,
    /// TCP addresses.
    pub listen: Vec<SocketAddr>,
    /// Which addresses may connect by TCP.
    pub allow: AllowList,
    /// Rules of single exports, by name.
    pub exports: HashMap<String, ExportAccess>,
    /// Whether and how connections are encrypted; `None` offers no TLS.
    pub tls: Option<TlsConfig>,
    /// Longest time for each option of a handshake; above the limit of connections, for the whole.
    pub handshake_time: Duration,
    /// Most connections at once, handshakes included. A few more are closed with an error that says
    /// so, others at once.
    pub connections: usize,
    /// Limits of a handshake.
    pub handshake: HandshakeLimits,
    /// Limits of a session.
    pub session: SessionLimits,
}

impl ListenConfig {
    /// The most connections that an export gets at once: at most its own limit, and at most what is
    /// not kept for the other exports.
    pub fn most_connections_of(&self, export: &str) -> usize {
        AccessControl::most_of(self.connections, &self.exports, export)
    }

    pub(crate) fn access_control(&self) -> AccessControl {
        AccessControl::new(self.allow.clone(), self.connections, &self.exports)
    }
}

impl Default for ListenConfig {
    fn default() -> ListenConfig {
        ListenConfig {
            socket: None,
            socket_access: SocketAccess::default(),
            listen: Vec::new(),
            allow: AllowList::default(),
            exports: HashMap::new(),
            tls: None,
            handshake_time: Duration::from_secs(10),
            connections: 256,
            handshake: HandshakeLimits::default(),
            session: SessionLimits::default(),
        }
    }
}
