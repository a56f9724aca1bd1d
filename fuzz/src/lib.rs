//! Fuzzing of the NBD frontend and of the disk label: what a peer sends and what a disk holds is
//! arbitrary, what must hold is asserted.
//!
//! ```text
//!   corpus/ ─┬─ cargo fuzz (libfuzzer/, nightly, guided by coverage) ─┬─ Target::run ── assertions
//!            └─ this crate's program (stable, a seeded mutator) ──────┘
//! ```
//!
//! The entry points are the same for both. `cargo xtask fuzz` takes cargo-fuzz where it is
//! installed. The corpus is replayed by the ordinary tests. What is not known here: sockets, time,
//! disks.
#![forbid(unsafe_code)]

pub mod handshake;
pub mod label;
pub mod mutate;
pub mod seeds;
pub mod transmission;

use std::path::PathBuf;

/// An entry point.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, which is also its folder in the corpus.
    pub name: &'static str,
    /// Takes any bytes; panics if something does not hold.
    pub run: fn(&[u8]),
}

/// All of them.
pub const TARGETS: [Target; 3] = [
    Target {
        name: "handshake",
        run: handshake::run,
    },
    Target {
        name: "transmission",
        run: transmission::run,
    },
    Target {
        name: "label",
        run: label::run,
    },
];

impl Target {
    /// Where its corpus lies.
    pub fn corpus(&self) -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("corpus")
            .join(self.name)
    }
}
