//! Fuzzing of the NBD protocol, its frontend, the disk label, the history of a vdisk, and the
//! file systems in it: a peer sends and a disk holds arbitrary bytes, and assertions check what
//! must hold.
//!
//! ```text
//!   corpus/ ─┬─ cargo fuzz (libfuzzer/, nightly, guided by coverage) ─┬─ Target::run ── assertions
//!            └─ this crate's program (stable, a seeded mutator) ──────┘
//! ```
//!
//! The entry points are the same for both. `cargo xtask fuzz` uses cargo-fuzz where it is
//! installed. The corpus is replayed by the ordinary tests. What is not known here: sockets, time,
//! disks.
#![forbid(unsafe_code)]

pub mod handshake;
pub mod history;
pub mod image;
pub mod label;
pub mod mutate;
pub mod protocol;
pub mod seeds;
pub mod transmission;

use std::path::PathBuf;

/// An entry point.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, which is also its folder in the corpus.
    pub name: &'static str,
    /// Takes any bytes; panics if an assertion fails.
    pub run: fn(&[u8]),
}

/// All entry points.
pub const TARGETS: [Target; 6] = [
    Target {
        name: "handshake",
        run: handshake::run,
    },
    Target {
        name: "protocol",
        run: protocol::run,
    },
    Target {
        name: "transmission",
        run: transmission::run,
    },
    Target {
        name: "label",
        run: label::run,
    },
    Target {
        name: "history",
        run: history::run,
    },
    Target {
        name: "image",
        run: image::run,
    },
];

impl Target {
    /// The folder of its corpus.
    pub fn corpus(&self) -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("corpus")
            .join(self.name)
    }
}
