//! What can be wrong with certificate files and with an encrypted connection.

use rustls::AlertDescription;
use std::fmt;
use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// Why TLS cannot be offered or used. Every message names the file.
#[derive(Debug, Error)]
pub enum CertificateError {
    /// The directory does not exist or cannot be read.
    #[error(
        "the TLS directory {} cannot be used: {source}: it holds server-cert.pem and server-key.pem",
        path.display()
    )]
    Directory {
        /// The directory.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The file does not exist or cannot be read.
    #[error("{} cannot be read: {source}: it has to hold {what} in PEM form", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What it has to hold.
        what: &'static str,
        /// The system's error.
        source: io::Error,
    },
    /// The file holds nothing of the expected kind.
    #[error("{} holds no {what} in PEM form{hint}", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
        /// The most frequent cause.
        hint: &'static str,
    },
    /// The key belongs to another certificate.
    #[error(
        "the key in {} does not belong to the certificate in {}: one of them is of another pair",
        key.display(), certificate.display()
    )]
    Mismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// The certificate has expired or is not valid yet.
    #[error("the certificate in {} {when}: put a valid one there", path.display())]
    NotValidNow {
        /// The file.
        path: PathBuf,
        /// `has expired on …` or `is valid only from …`.
        when: String,
    },
    /// Anything else.
    #[error("{} cannot be used: {cause}", path.display())]
    Unusable {
        /// The file or directory.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
}

/// Why an encrypted connection failed: the TLS library's error, with its most frequent cause.
#[derive(Debug, Clone, PartialEq)]
pub struct ChannelError(rustls::Error);

impl ChannelError {
    pub(super) fn from_io(error: &io::Error) -> ChannelError {
        ChannelError(rustls::Error::General(error.to_string()))
    }
}

impl From<rustls::Error> for ChannelError {
    fn from(error: rustls::Error) -> ChannelError {
        ChannelError(error)
    }
}

impl fmt::Display for ChannelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hint = match &self.0 {
            rustls::Error::NoCertificatesPresented => {
                ": the client presented no certificate, and `client_certificates` requires one"
            }
            rustls::Error::InvalidMessage(_) => ": what the client sends is not TLS",
            rustls::Error::AlertReceived(
                AlertDescription::UnknownCA
                | AlertDescription::BadCertificate
                | AlertDescription::CertificateUnknown
                | AlertDescription::CertificateExpired,
            ) => ": the client does not accept server-cert.pem",
            _ => "",
        };
        write!(f, "TLS failed ({}){hint}", self.0)
    }
}

impl std::error::Error for ChannelError {}
