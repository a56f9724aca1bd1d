//! The reservation file: what a person writes, turned into what the server runs.
//!
//! The way through this room: `json` reads strict JSON and keeps the place of every value;
//! `fields` lists, once, every key with its type, range and default; `read` turns the tree into
//! a [`Configuration`] and gathers every mistake it can find; [`admit`] decides whether a disk's
//! reservations fit into its time and its space, and when they do not, what would; [`schema`]
//! writes the JSON Schema from the same list of keys.
//!
//! Invariants: no text makes the parser panic; a configuration that came out of
//! [`Configuration::parse`] has only names that resolve, quantities in range, and limits at or
//! above reservations; admission is exact integer arithmetic in parts per million, switching
//! rounded up. What is not known here: rings, doors, and what a disk model is (a preset is
//! checked through [`EmulateChecker`]).
#![forbid(unsafe_code)]

mod admission;
mod configuration;
mod fields;
mod finding;
mod json;
mod read;
mod reference;
mod remedy;
mod report;
mod schema;
mod similar;
mod values;

pub use admission::{Admission, DiskFacts, StreamAdmission, admit, default_system_stream};
pub use configuration::{
    Configuration, Control, Disk, EmulateChecker, Fuse, Group, Limit, Medium, Nbd, Policy,
    RequestOrder, Reservation, Spanned, Switching, Tls, Vdisk,
};
pub use finding::{ConfigurationErrors, Finding, Location, Severity, Span};
pub use json::{Member, Node, read as read_json};
pub use reference::reference;
pub use remedy::Remedy;
pub use report::AdmissionReport;
pub use schema::schema;
pub use similar::nearest;
