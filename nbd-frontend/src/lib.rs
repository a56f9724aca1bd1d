//! The NBD frontend: handshake and transmission as state machines without I/O, access control, and
//! the listener that accepts connections.
//!
//! ```text
//!   NbdListener ── negotiate ── Handshake           accept, handshake (tokio)
//!        │             └── access                   addresses, limits
//!   LocalConnections ─┘                            connections that come by no listening socket
//!        └── Deliver(Accepted { export, socket, session })
//!                                            └── NbdSession, EncryptedSession   (engine's reactor)
//! ```
//!
//! The life of a connection: [`NbdListener`] accepts it and drives its [`Handshake`]; then the
//! socket and an [`NbdSession`] are delivered to the server, which serves the export with them (see
//! [`disktime_engine::Session`]).
//!
//! What is not known here: disks, scheduling, and what an export consists of. The exports come from
//! the server's [`ExportDirectory`]; requests leave as [`disktime_engine::Request`].
#![forbid(unsafe_code)]

mod access;
mod addresses;
mod changed;
mod config;
mod encrypted_session;
mod export;
mod handshake;
mod handshake_stream;
mod listener;
mod local;
mod negotiate;
mod negotiated;
mod session;
mod validate;

pub use access::{ExportAccess, ExportRules};
pub use addresses::ExportAddresses;
pub use changed::{ChangedContext, ChangedRanges, ContextHandle};
pub use config::{ListenConfig, TlsConfig};
pub use export::{Export, ExportDirectory, ExportHandle, Kept};
pub use handshake::{Encryption, Handshake, HandshakeLimits, HandshakeProgress};
pub use listener::NbdListener;
pub use local::LocalConnections;
pub use negotiate::{Accepted, Deliver};
pub use negotiated::Negotiated;
pub use session::{NbdSession, SessionLimits};
