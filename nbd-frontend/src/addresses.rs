//! Where a listener's exports are reached.

use disktime_nbd_protocol::NbdUri;
use std::net::SocketAddr;
use std::path::PathBuf;

/// The addresses of a listener, from which the URIs of an export are made.
#[derive(Debug, Clone, Default)]
pub struct ExportAddresses {
    /// As clients name them.
    unix: Vec<PathBuf>,
    tcp: Vec<SocketAddr>,
    /// Whether TLS is required, where it is offered.
    tls: Option<bool>,
}

impl ExportAddresses {
    pub(crate) fn new(
        unix: Vec<PathBuf>,
        tcp: Vec<SocketAddr>,
        tls: Option<bool>,
    ) -> ExportAddresses {
        ExportAddresses { unix, tcp, tls }
    }

    /// The URIs of the export `name`, the unix socket first. With TLS they are TLS URIs, except for
    /// a unix socket where TLS is optional.
    pub fn uris(&self, name: &str) -> Vec<NbdUri> {
        let encrypted = |uri: NbdUri, tls| NbdUri { tls, ..uri };
        let unix = self.unix.iter();
        let unix = unix.map(|path| encrypted(NbdUri::unix(path, name), self.tls.unwrap_or(false)));
        let tcp = self.tcp.iter().map(|address| {
            let uri = NbdUri::tcp(&address.ip().to_string(), address.port(), name);
            encrypted(uri, self.tls.is_some())
        });
        unix.chain(tcp).collect()
    }
}
