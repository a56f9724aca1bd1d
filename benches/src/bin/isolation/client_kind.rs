//! Kinds of clients: what they ask for and how much at a time; as a client of a workload file and
//! as a job of fio.

use serde_json::{Value, json};
use std::fmt;

/// Where requests go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Pattern {
    /// 64 KiB, one after the other.
    Sequential,
    /// 4 KiB, in runs of that length.
    Runs(u32),
    /// 4 KiB at random places.
    Random,
}

/// A kind of client, in a closed loop without think time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ClientKind {
    pub(crate) pattern: Pattern,
    pub(crate) writes: bool,
    pub(crate) depth: u32,
}

impl ClientKind {
    pub(crate) const fn reads(pattern: Pattern, depth: u32) -> ClientKind {
        ClientKind {
            pattern,
            writes: false,
            depth,
        }
    }

    pub(crate) const fn writes(pattern: Pattern, depth: u32) -> ClientKind {
        ClientKind {
            pattern,
            writes: true,
            depth,
        }
    }

    /// As a client of a workload file.
    pub(crate) fn client(self, vdisk: &str) -> Value {
        let (pattern, run, block) = match self.pattern {
            Pattern::Sequential => ("sequential", None, "64KiB"),
            Pattern::Runs(length) => ("semi-random", Some(length), "4KiB"),
            Pattern::Random => ("random", None, "4KiB"),
        };
        let read = if self.writes { "0%" } else { "100%" };
        let mut client = json!({
            "vdisk": vdisk, "pattern": pattern, "block": block, "depth": self.depth, "read": read,
        });
        if let Some(run) = run {
            client["run"] = json!(run);
        }
        client
    }

    /// As arguments of a job of fio.
    pub(crate) fn fio(self) -> Vec<String> {
        let (mode, block) = match (self.pattern, self.writes) {
            (Pattern::Sequential, false) => ("read".to_owned(), "64k"),
            (Pattern::Sequential, true) => ("write".to_owned(), "64k"),
            (Pattern::Random, false) => ("randread".to_owned(), "4k"),
            (Pattern::Random, true) => ("randwrite".to_owned(), "4k"),
            (Pattern::Runs(length), false) => (format!("randread:{length}"), "4k"),
            (Pattern::Runs(length), true) => (format!("randwrite:{length}"), "4k"),
        };
        vec![
            format!("--rw={mode}"),
            format!("--bs={block}"),
            format!("--iodepth={}", self.depth),
        ]
    }
}

impl fmt::Display for ClientKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pattern = match self.pattern {
            Pattern::Sequential => "sequential".to_owned(),
            Pattern::Runs(length) => format!("runs of {length}"),
            Pattern::Random => "random".to_owned(),
        };
        let writes = if self.writes { " writes" } else { "" };
        write!(formatter, "{pattern}{writes} {}", self.depth)
    }
}
