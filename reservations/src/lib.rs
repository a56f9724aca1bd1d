//! The reservation file: what a person writes, turned into what the server runs.
//!
//! The way through this room: `keys` lists every key once, in tables with its type, range and
//! default; `read` turns a document (`disktime_documents`) into a [`Configuration`] and gathers
//! every mistake it can find; [`admit`] decides whether a disk's reservations fit into its time
//! and its space, and when they do not, what would; [`schema`] and [`reference`] write the JSON
//! Schema and the reference page from the same tables.
//!
//! Invariants: no text makes the reader panic; a configuration that came out of
//! [`Configuration::parse`] has only names that resolve, quantities in range, and limits at or
//! above reservations; admission is exact integer arithmetic in parts per million, switching
//! rounded up. What is not known here: rings, frontends, and what a disk model is (a preset is
//! checked through [`EmulateChecker`]).
#![forbid(unsafe_code)]

mod admission;
mod configuration;
mod demand;
mod history;
mod keys;
mod read;
mod reference;
mod remedy;
mod report;
mod schema;
mod threads;

pub use admission::{Admission, DiskFacts, OverlapFacts, StreamAdmission, admit};
pub use configuration::{
    Configuration, Control, Disk, EmulateChecker, Fuse, Group, Limit, Medium, Nbd, Policy,
    RequestOrder, Reservation, Switching, Tls, Vdisk,
};
pub use disktime_documents::{DocumentErrors, Severity, Span, Spanned, check_file_name};
pub use history::{History, HistoryStream, PartialReservation, WhenFull};
pub use reference::reference;
pub use remedy::Remedy;
pub use report::AdmissionReport;
pub use schema::schema;
