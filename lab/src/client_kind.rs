//! Kinds of clients for the program itself: what they ask for and how much at a time, as clients of
//! a workload file, and the reservation file that they are run on.
//!
//! What is not known here: how the program is run.

use serde_json::{Value, json};
use std::fmt;

/// Where requests go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Pattern {
    /// 64 KiB, one after the other.
    Sequential,
    /// 4 KiB, in runs of that length.
    Runs(u32),
    /// 4 KiB at random places.
    Random,
}

/// A kind of client, in a closed loop without think time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientKind {
    /// Where its requests go.
    pub pattern: Pattern,
    /// It writes instead of reading.
    pub writes: bool,
    /// Requests in flight.
    pub depth: u32,
}

impl ClientKind {
    /// One that reads.
    pub const fn reads(pattern: Pattern, depth: u32) -> ClientKind {
        ClientKind {
            pattern,
            writes: false,
            depth,
        }
    }

    /// One that writes.
    pub const fn writes(pattern: Pattern, depth: u32) -> ClientKind {
        ClientKind {
            pattern,
            writes: true,
            depth,
        }
    }

    /// As a client of a workload file.
    pub fn client(self, vdisk: &str) -> Value {
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

/// A reservation file with vdisks `v0`, `v1` and so on of 8 GiB on the modelled hard disk `h`; of
/// each its share in parts per million and its period in ms, or `None` without a reservation.
/// `served_pays` is for a disk without the switching account.
pub fn configuration(
    served_pays: bool,
    vdisks: impl IntoIterator<Item = Option<(u64, u64)>>,
) -> Value {
    let mut disk = json!({ "path": "h.disk", "size": "64GiB", "emulate": "desktop-7200-2008" });
    if served_pays {
        disk["switching"] = json!("served");
    }
    let vdisks = vdisks.into_iter().enumerate().map(|(slot, reserved)| {
        let mut vdisk = json!({ "disk": "h", "size": "8GiB" });
        if let Some((ppm, period_ms)) = reserved {
            vdisk["reserve"] = json!(format!("{}.{:04}%", ppm / 10_000, ppm % 10_000));
            vdisk["period"] = json!(format!("{period_ms}ms"));
        }
        (format!("v{slot}"), vdisk)
    });
    let vdisks: serde_json::Map<_, _> = vdisks.collect();
    json!({ "state_dir": "s", "disks": { "h": disk }, "vdisks": vdisks })
}
