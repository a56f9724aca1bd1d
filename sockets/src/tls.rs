//! TLS: credentials from PEM files, and one connection's encryption without I/O.
//!
//! ```text
//!   certificates ── revocations ── server ── channel   (server side: bytes in, bytes out)
//!              └─── client                             (client side: two halves over a socket)
//! ```
//!
//! Invariant: nothing is resumed and no early data are accepted. Every connection runs a full
//! handshake with the certificates that are valid now, so a revoked certificate is rejected from
//! the next connection on.
//!
//! What is not known here: protocols, and who may use what.

mod certificates;
mod channel;
mod client;
mod dates;
mod error;
mod revocations;
mod server;

pub use channel::{Decrypted, TlsChannel};
pub use client::{ClientCredentials, TlsReceiver, TlsSender};
pub use error::{CertificateError, ChannelError};
pub use server::{ServerCredentials, TlsSettings};
