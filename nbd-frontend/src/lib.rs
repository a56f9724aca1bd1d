//! The NBD door: the protocol as pure encoding and decoding, the handshake and the transmission
//! phase as state machines without I/O, the listener that accepts connections, and a client.
//!
//! How a connection lives: [`NbdListener`] accepts it and runs its [`Handshake`]; then it hands
//! the socket and an [`NbdSession`] to whoever serves that export (see [`disktime_engine::Session`])
//! and forgets it.
//!
//! What is not known here: disks, scheduling, and what an export is made of. The exports come from
//! the caller's [`ExportDirectory`], requests go out as [`disktime_engine::Request`].
#![forbid(unsafe_code)]

mod access;
mod client;
mod export;
mod handshake;
mod listen;
mod negotiated;
pub mod protocol;
mod server;
mod session;
mod tls;
mod uri;
mod verdict;
mod welcome;

pub use access::ExportAccess;
pub use client::{
    CLIENT_MAX_PAYLOAD_BYTES, ClientError, ClientReply, ClientRequest, ExportInfo, ExtendedClient,
    ExtendedReply, NbdClient, NbdReceiver, NbdSender,
};
pub use export::{Export, ExportDirectory, ExportFlags, ExportHandle, find_export};
pub use handshake::{Encryption, Handshake, HandshakeLimits, Progress};
pub use listen::{ListenError, SocketAccess, UnixSocket};
pub use negotiated::Negotiated;
pub use server::{Accepted, Deliver, ListenConfig, NbdListener, TlsConfig};
pub use session::{NbdSession, SessionLimits};
pub use tls::{Credentials, TlsError, TlsSettings};
pub use uri::{NbdUri, Transport, UriError};
