//! Quantities with their units, shared by every room: time in nanoseconds, shares in parts per
//! million, the names of background work, the text forms of sizes, durations, shares and ranges of
//! addresses in a file, and numbers in bytes.
//!
//! Invariants: no floating point; arithmetic that overflows panics in a debug build, and saturates
//! where its name says so. What is not known here: what a quantity is used for.
#![forbid(unsafe_code)]

mod background;
pub mod little_endian;
mod nanos;
mod network;
mod request_kind;
mod share;
mod text;
mod trims;

pub use background::{BackgroundWork, ByBackgroundWork};
pub use nanos::Nanos;
pub use network::{Network, NetworkError};
pub use request_kind::RequestKind;
pub use share::Share;
pub use text::{
    QuantityError, format_duration, format_size, format_sizes, parse_duration, parse_share,
    parse_size,
};
pub use trims::TrimHandling;
