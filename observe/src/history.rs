//! How the history of a vdisk stands, as the server reports it, and its text for people.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A moment with a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryMark {
    /// The name.
    pub name: String,
    /// The moment.
    pub seq: u64,
    /// When it was made, by RFC 3339.
    pub time: String,
}

/// A branch: what was written between two reverts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryBranch {
    /// Its number.
    pub id: u64,
    /// The branch that it left; 0: it is the first.
    pub parent: u64,
    /// The moment on the parent that it began with.
    pub fork: u64,
    /// Its last moment; none: it is the one that is written.
    pub head: Option<u64>,
    /// Whether it was given up.
    pub dropped: bool,
}

/// What keeps moments from being given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryHolder {
    /// From which moment on.
    pub seq: u64,
    /// What it is: a mark, a branch, a moment that is open.
    pub what: String,
}

/// The history of a vdisk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HistoryStatus {
    /// The vdisk.
    pub vdisk: String,
    /// How long moments are kept.
    pub window_ms: f64,
    /// The oldest moment that can be opened.
    pub oldest: u64,
    /// The newest moment.
    pub newest: u64,
    /// The newest moment that a power failure now would keep.
    pub durable: u64,
    /// The moment that the vdisk's own space holds.
    pub floor: u64,
    /// The branch that is written.
    pub branch: u64,
    /// Bytes of the log's area.
    pub area_bytes: u64,
    /// Bytes of it in use.
    pub used_bytes: u64,
    /// Memory of the index of the newest moment.
    pub index_bytes: u64,
    /// Blocks of 4 KiB in that index.
    pub index_blocks: u64,
    /// Whether the oldest moments are moving into the vdisk's own space.
    pub folding: bool,
    /// Why they cannot be moved, if that failed, and when it is tried again.
    pub fold_problem: Option<String>,
    /// Whether the last write of the log found no space on its disk.
    pub out_of_space: bool,
    /// Whether it takes no changes, because durable data is lost from `lost_from` on.
    pub read_only: bool,
    /// The first moment that is lost.
    pub lost_from: Option<u64>,
    /// Whether its disk failed, and changes fail until the next start.
    pub broken: bool,
    /// The marks, by moment.
    pub marks: Vec<HistoryMark>,
    /// The branches, by number.
    pub branches: Vec<HistoryBranch>,
    /// What keeps moments.
    pub holders: Vec<HistoryHolder>,
}

impl fmt::Display for HistoryStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let window = disktime_units::Nanos((self.window_ms * 1e6) as u64);
        let [used, area] = disktime_units::format_sizes([self.used_bytes, self.area_bytes]);
        writeln!(
            f,
            "{}: window {}, moments seq:{} to seq:{}, durable up to seq:{}",
            self.vdisk,
            disktime_units::format_duration(window),
            self.oldest,
            self.newest,
            self.durable
        )?;
        let [index] = disktime_units::format_sizes([self.index_bytes]);
        writeln!(
            f,
            "  log: {used} of {area} in use, index {index} for {} blocks{}",
            self.index_blocks,
            if self.folding { ", folding" } else { "" }
        )?;
        if let Some(lost) = self.lost_from {
            writeln!(f, "  read-only: durable data is lost from seq:{lost} on")?;
        }
        if self.broken {
            writeln!(
                f,
                "  its disk failed: changes fail until the server is started again"
            )?;
        }
        if self.out_of_space {
            writeln!(
                f,
                "  there is no space on its disk: writes get ENOSPC until there is"
            )?;
        }
        if let Some(problem) = &self.fold_problem {
            writeln!(f, "  {problem}")?;
        }
        for mark in &self.marks {
            writeln!(f, "  mark {}: seq:{}, {}", mark.name, mark.seq, mark.time)?;
        }
        if self.branches.len() > 1 {
            for branch in &self.branches {
                let of = match branch.parent {
                    0 => String::new(),
                    parent => format!(" of branch {parent} at seq:{}", branch.fork),
                };
                let state = match (branch.head, branch.dropped) {
                    (_, true) => "given up".to_owned(),
                    (None, false) => "written now".to_owned(),
                    (Some(head), false) => format!("up to seq:{head}"),
                };
                writeln!(f, "  branch {}{of}: {state}", branch.id)?;
            }
        }
        for holder in &self.holders {
            writeln!(f, "  kept from seq:{} on by {}", holder.seq, holder.what)?;
        }
        Ok(())
    }
}
