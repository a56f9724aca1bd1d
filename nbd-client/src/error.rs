//! Why a connection could not be made, or failed.

use disktime_sockets::CertificateError;
use std::io;
use thiserror::Error;

/// Why a connection could not be made, or failed.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The server cannot be reached.
    #[error("no server answers at {uri} ({source}): is it running, and is the address right?")]
    Connect {
        /// The server's URI.
        uri: String,
        /// The system's error.
        source: io::Error,
    },
    /// The client's certificates cannot be used.
    #[error(transparent)]
    Certificates(#[from] CertificateError),
    /// The URI asks for TLS and names no directory of certificates.
    #[error(
        "{0} asks for TLS: name the directory of certificates with `tls-certificates=DIR` in the URI"
    )]
    NoCertificates(String),
    /// The server refuses the export.
    #[error("the server refused the export `{export}`: {cause}")]
    Refused {
        /// The export's name.
        export: String,
        /// The server's reason.
        cause: String,
    },
    /// The server sent something that the NBD protocol does not allow.
    #[error("the server broke the NBD protocol: {0}")]
    Protocol(String),
    /// The connection failed.
    #[error("the connection to the NBD server failed: {0}")]
    Io(#[from] io::Error),
}

impl ClientError {
    pub(crate) fn protocol(what: impl Into<String>) -> ClientError {
        ClientError::Protocol(what.into())
    }
}
