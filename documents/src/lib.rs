//! Strict JSON documents that people write: parsed with the place of every value, checked against
//! tables of keys, and refused with findings that show the line, a mark and what was expected.
//!
//! The way through this room: [`Document`] is a file's text; [`read_document`] parses it (`json`),
//! opens its root as an [`Object`] of a [`Table`] and hands that to the caller, whose getters
//! return typed values. Everything that is wrong becomes a [`Finding`]; all findings together are
//! [`DocumentErrors`]. [`object_schema`] and [`key_reference`] write a JSON Schema and a Markdown
//! table from the same [`Table`], so that reader, schema and reference cannot disagree.
//!
//! Invariants: no text makes the parser panic; nesting, the number of findings and the size of a
//! printed error are bounded; a document without findings is strict JSON (RFC 8259) in which each
//! object has each key once. What is not known here: the meaning of any document.
#![forbid(unsafe_code)]

mod document;
mod errors;
mod finding;
mod json;
mod key;
mod load;
mod names;
mod object;
mod problem;
mod read;
mod reference;
mod schema;
mod similar;
mod span;

pub use document::Document;
pub use errors::DocumentErrors;
pub use finding::{Finding, Findings, Severity, shortened};
pub use json::{Member, Node};
pub use key::{Form, Format, Key, NameRule, Table, ValueKind, key, required_key};
pub use names::check_file_name;
pub use object::Object;
pub use problem::{Excerpt, Problem, write_problems};
pub use read::read_document;
pub use reference::key_reference;
pub use schema::{definitions, object_schema};
pub use similar::did_you_mean;
pub use span::{Location, Span, Spanned};
