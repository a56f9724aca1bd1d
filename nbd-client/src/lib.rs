//! A blocking NBD client, for load generators and tests.
//!
//! ```text
//!   NbdClient         many requests in flight, simple replies; splits into a sender and a receiver
//!   StructuredClient  one request at a time, structured replies and block status
//! ```
//!
//! What is not known here: the server, and time, retries and reconnection.
#![forbid(unsafe_code)]

mod client;
mod connection;
mod error;
mod export_info;
mod request;
mod structured;

pub use client::{NbdClient, NbdReceiver, NbdSender};
pub use error::ClientError;
pub use export_info::ExportInfo;
pub use request::{ClientReply, ClientRequest};
pub use structured::{StructuredClient, StructuredReply};
