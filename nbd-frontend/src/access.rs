//! Access control: which addresses may use which exports, and how many connections at once.
//!
//! ```text
//!   rules ─── control (all connections) ─── connection (one: what its handshake sees)
//!                ├── undecided (connections that have not chosen an export, oldest first)
//!                ├── permit (what one connection counts against the limits)
//!                └── places (how the exports share the places of all connections)
//! ```
//!
//! Invariants: an export that an address may not use looks to it like one that does not exist; a
//! connection counts against the limits from accept to the end of its session; above the limit a
//! client gets an error that says so before it is closed, as long as few are refused at once; at
//! the limit, the oldest connection that has not chosen an export is closed for a new one; the
//! clients of one export cannot take all places.
//!
//! What is not known here: the protocol, TLS, sockets.

mod connection;
mod control;
mod permit;
mod places;
mod rules;
mod undecided;

pub(crate) use connection::ConnectionAccess;
pub(crate) use control::AccessControl;
pub(crate) use permit::ConnectionPermit;
pub use rules::{ExportAccess, ExportRules};

#[cfg(test)]
mod tests;
