//! Connections that come by no listening socket: the server's own, and those of clients of its
//! control socket.
//!
//! Invariants: as for those that a listener accepts, except that they are not encrypted, as they
//! do not leave the machine; they have a limit of their own, so that they take no place from
//! clients.

use crate::config::ListenConfig;
use crate::export::ExportDirectory;
use crate::negotiate::{Deliver, Negotiator, NewConnection};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use tokio::net::UnixStream;

/// Serves such connections.
#[derive(Clone)]
pub struct LocalConnections(Arc<Negotiator>);

impl std::fmt::Debug for LocalConnections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LocalConnections")
    }
}

impl LocalConnections {
    /// At most `connections` at once, to these exports.
    pub fn new(
        connections: usize,
        directory: Arc<dyn ExportDirectory>,
        deliver: Deliver,
    ) -> LocalConnections {
        let config = ListenConfig {
            connections,
            ..ListenConfig::default()
        };
        let access = Arc::new(config.access_control());
        LocalConnections(Arc::new(Negotiator::new(
            config, access, directory, deliver,
        )))
    }

    /// Runs the handshake with the client at the other end, whose name is for the log, and delivers
    /// the connection. Above the limit the connection is closed.
    pub async fn serve(&self, connection: UnixStream, name: String) {
        let Some(permit) = self.0.access().acquire() else {
            return;
        };
        let into_fd = |connection: UnixStream| connection.into_std().map(OwnedFd::from);
        let new = NewConnection::local(name, permit);
        self.0.negotiate(connection, new, into_fd).await;
    }
}
