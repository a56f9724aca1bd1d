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
    /// The cut through several vdisks that it is a part of.
    pub cut: Option<HistoryCut>,
}

/// A cut through several vdisks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryCut {
    /// The vdisks that have its mark.
    pub vdisks: Vec<String>,
    /// How many should have it; more than there are if a crash came while it was made, or if it was
    /// dropped.
    pub count: u32,
}

impl fmt::Display for HistoryCut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (there, names) = (self.vdisks.len(), self.vdisks.join(", "));
        match there < self.count as usize {
            true => write!(
                f,
                ", an incomplete cut: {there} of {} vdisks have it ({names})",
                self.count
            ),
            false => write!(f, ", a cut through {names}"),
        }
    }
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
    /// What it is: a mark, a clone, a branch, a moment that is open.
    pub what: String,
    /// Bytes of the log that it keeps and that are older than the window, alone or with others.
    pub held_bytes: u64,
    /// Bytes of them that are freed when it alone is dropped.
    pub alone_bytes: u64,
    /// Bytes that are freed when it is dropped with all that are listed before it, or that keep
    /// from the same moment on.
    pub with_older_bytes: u64,
}

impl fmt::Display for HistoryHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "kept from seq:{} on by {}", self.seq, self.what)?;
        if self.held_bytes == 0 {
            // The window keeps as much.
            return Ok(());
        }
        let parts = [self.held_bytes, self.alone_bytes, self.with_older_bytes];
        let [held, alone, with_older] = disktime_units::format_sizes(parts);
        write!(f, ": {held}; dropping it frees {alone}")?;
        if self.with_older_bytes > self.alone_bytes {
            write!(f, ", dropping all up to seq:{} {with_older}", self.seq)?;
        }
        Ok(())
    }
}

/// The history of a vdisk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HistoryStatus {
    /// The vdisk.
    pub vdisk: String,
    /// How long moments are kept; none: all are, as those of a clone.
    pub window_ms: Option<f64>,
    /// The oldest moment that can be opened.
    pub oldest: u64,
    /// When what is kept begins, by RFC 3339; none: nothing was written.
    pub oldest_time: Option<String>,
    /// The newest moment.
    pub newest: u64,
    /// Its time.
    pub newest_time: String,
    /// The newest moment that a power failure now would keep.
    pub durable: u64,
    /// The moment that the vdisk's own space holds.
    pub floor: u64,
    /// The branch that is written.
    pub branch: u64,
    /// Bytes of the log's area; 0: it is a clone to which nothing was written.
    pub area_bytes: u64,
    /// Bytes that the area may have: of a clone they are set aside when it is first written to.
    pub max_bytes: u64,
    /// Bytes of it in use.
    pub used_bytes: u64,
    /// Bytes of it that hold moments of the window, the segment that is written included.
    pub window_bytes: u64,
    /// Bytes that are older, and kept by what `holders` names.
    pub held_bytes: u64,
    /// Bytes of them that no single drop frees, as several of `holders` keep them.
    pub held_together_bytes: u64,
    /// Bytes that wait for a fold.
    pub foldable_bytes: u64,
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
    /// What keeps moments, by moment.
    pub holders: Vec<HistoryHolder>,
}

/// `window 24h`, not `86400s`.
fn window_text(window_ms: f64) -> String {
    let window = disktime_units::Nanos((window_ms * 1e6) as u64);
    let (second, rest) = (window.0 / 1_000_000_000, window.0 % 1_000_000_000);
    let time = match (rest, second % 3600, second % 60) {
        (0, 0, _) if second > 0 => format!("{}h", second / 3600),
        (0, _, 0) if second > 0 => format!("{}m", second / 60),
        _ => disktime_units::format_duration(window),
    };
    format!("window {time}")
}

impl HistoryBranch {
    fn state(&self) -> String {
        match (self.head, self.dropped) {
            (_, true) => "given up".to_owned(),
            (None, false) => "written now".to_owned(),
            (Some(head), false) => format!("up to seq:{head}"),
        }
    }
}

impl HistoryStatus {
    /// Its branches as a tree, with the marks that lie on them: a line each, those that forked
    /// from a branch below it.
    pub fn tree(&self) -> String {
        let mut text = String::new();
        let is_listed = |id: u64| self.branches.iter().any(|branch| branch.id == id);
        let roots = self.branches.iter();
        let roots = roots.filter(|branch| !is_listed(branch.parent));
        // Not by recursion: a branch may be a thousand forks away from the first one.
        let mut open: Vec<(&HistoryBranch, usize)> = roots.map(|root| (root, 1)).collect();
        open.reverse();
        while let Some((branch, depth)) = open.pop() {
            let indent = "  ".repeat(depth.min(TREE_DEPTH));
            let from = match branch.parent {
                0 => String::new(),
                _ => format!(" from seq:{}", branch.fork),
            };
            let (id, state) = (branch.id, branch.state());
            text.push_str(&format!("{indent}branch {id}{from}: {state}"));
            let end = branch.head.unwrap_or(u64::MAX);
            let marks = self.marks.iter();
            let marks = marks.filter(|mark| (id..=end).contains(&mark.seq));
            let marks: Vec<&str> = marks.map(|mark| mark.name.as_str()).collect();
            if !marks.is_empty() {
                text.push_str(&format!("; marks: {}", marks.join(", ")));
            }
            text.push('\n');
            let forked = self.branches.iter().rev();
            let forked = forked.filter(|other| other.parent == id);
            open.extend(forked.map(|other| (other, depth + 1)));
        }
        text
    }
}

/// Deeper branches are not indented further.
const TREE_DEPTH: usize = 12;

impl fmt::Display for HistoryStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sizes = [self.used_bytes, self.area_bytes, self.max_bytes];
        let [used, area, max] = disktime_units::format_sizes(sizes);
        writeln!(
            f,
            "{}: {}, moments seq:{} to seq:{}, durable up to seq:{}",
            self.vdisk,
            self.window_ms
                .map_or_else(|| "keeps all".to_owned(), window_text),
            self.oldest,
            self.newest,
            self.durable
        )?;
        if let Some(oldest) = &self.oldest_time {
            writeln!(f, "  from {oldest} to {}", self.newest_time)?;
        }
        let [index] = disktime_units::format_sizes([self.index_bytes]);
        if self.area_bytes == 0 {
            let why = "nothing was written to the clone";
            writeln!(f, "  log: none, as {why}; it may take {max}")?;
        } else {
            writeln!(
                f,
                "  log: {used} of {area} in use, index {index} for {} blocks{}",
                self.index_blocks,
                if self.folding { ", folding" } else { "" }
            )?;
        }
        let reasons = [self.window_bytes, self.held_bytes, self.foldable_bytes];
        let [window, held, foldable] = disktime_units::format_sizes(reasons);
        write!(f, "  space: {window} for the window")?;
        if self.held_bytes > 0 {
            write!(f, ", {held} older and kept by what is named below")?;
            if self.held_together_bytes > 0 {
                let [together] = disktime_units::format_sizes([self.held_together_bytes]);
                write!(f, " ({together} by several together)")?;
            }
        }
        if self.foldable_bytes > 0 {
            write!(f, ", {foldable} to be folded")?;
        }
        writeln!(f)?;
        if let Some(lost) = self.lost_from {
            writeln!(
                f,
                "  read-only: durable data is lost from seq:{lost} on; `disktime accept-loss {}` \
                 gives it up",
                self.vdisk
            )?;
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
            write!(f, "  mark {}: seq:{}, {}", mark.name, mark.seq, mark.time)?;
            if let Some(cut) = &mark.cut {
                write!(f, "{cut}")?;
            }
            writeln!(f)?;
        }
        if self.branches.len() > 1 {
            write!(f, "{}", self.tree())?;
        }
        for holder in &self.holders {
            writeln!(f, "  {holder}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
