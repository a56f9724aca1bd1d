//! `disktime diff`: which files differ between two moments.
//!
//! A file that has the same inode, size and times of modification and of change has not changed:
//! the file system sets the latter at every change, and no program can set it. With `--content` the
//! content of these is compared, too.

use super::{Found, HistoryServer, Place, find, listed, progress, shown};
use crate::failure::{CommandResult, Failure};
use disktime_image_files::{FileError, FileKind, FileSystem, ImageFiles, Node};
use indicatif::ProgressBar;
use serde_json::json;
use std::cmp::Ordering;
use std::collections::HashSet;

const PART_BYTES: usize = 1 << 20;
/// Directories in directories that are followed.
const MOST_LEVELS: usize = 1000;

/// How a path differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Added,
    Removed,
    /// It is another kind of file.
    Kind,
    Content,
    /// Mode, owner, time or extended attributes.
    Attributes,
    /// One of the two cannot be read.
    Unknown,
}

impl Change {
    fn sign(self) -> char {
        match self {
            Change::Added => '+',
            Change::Removed => '-',
            Change::Kind => 'T',
            Change::Content => 'M',
            Change::Attributes => 'A',
            Change::Unknown => '?',
        }
    }

    fn name(self) -> &'static str {
        match self {
            Change::Added => "added",
            Change::Removed => "removed",
            Change::Kind => "kind",
            Change::Content => "content",
            Change::Attributes => "attributes",
            Change::Unknown => "unreadable",
        }
    }
}

/// Runs the command.
pub(crate) fn run(
    server: &HistoryServer,
    from: &str,
    to: &str,
    with_content: bool,
) -> CommandResult {
    let (from_place, to_place) = (Place::parse(from)?, Place::parse(to)?);
    let path = from_place.path.as_ref().or(to_place.path.as_ref());
    if to_place.path.is_some() && from_place.path != to_place.path {
        return Err(Failure::new(
            "both moments are compared below one path; give it with the first",
        ));
    }
    let (one, other) = (from_place.open(server)?, to_place.open(server)?);
    let mut diff = Diff {
        bar: progress("{elapsed:>5} {spinner} {human_pos} files  {msg}", None),
        with_content,
        found: Vec::new(),
        directories: HashSet::new(),
    };
    match path.map(String::as_str) {
        None | Some("/") => diff.trees(&one, &other)?,
        Some(path) => {
            let (one, other) = (find(&one, path)?, find(&other, path)?);
            diff.pair(path.trim_end_matches('/').as_bytes(), &one, &other, 0);
        }
    }
    diff.bar.finish_and_clear();
    let rows = diff.found.iter();
    let answer = json!({
        "from": from, "to": to,
        "changes": rows.map(|(change, path)| json!({ "path": path, "change": change.name() }))
            .collect::<Vec<_>>(),
    });
    server.print(&answer, |_| {
        let rows = diff.found.iter();
        let lines: Vec<String> = rows
            .map(|(change, path)| format!("{} {path}", change.sign()))
            .collect();
        match lines.is_empty() {
            true => format!("no file differs between {from} and {to}"),
            false => lines.join("\n"),
        }
    });
    Ok(())
}

struct Diff {
    bar: ProgressBar,
    with_content: bool,
    found: Vec<(Change, String)>,
    /// Directories that were met in the earlier moment, by inode: each has one name, unless the
    /// file system is damaged.
    directories: HashSet<u32>,
}

impl Diff {
    fn note(&mut self, change: Change, path: &[u8]) {
        self.found.push((change, shown(path)));
    }

    /// All file systems of two images, by partition.
    fn trees(&mut self, one: &ImageFiles, other: &ImageFiles) -> CommandResult {
        for tree in one.trees() {
            let at = tree
                .partition
                .map_or_else(String::new, |number| format!("/{number}"));
            let same = other
                .trees()
                .iter()
                .find(|same| same.partition == tree.partition);
            if same.is_none() {
                self.note(Change::Removed, at.as_bytes());
                continue;
            }
            self.directories.clear();
            let path = format!("{at}/");
            let (one, other) = (find(one, &path)?, find(other, &path)?);
            self.pair(at.as_bytes(), &one, &other, 0);
        }
        for tree in other.trees() {
            if !one
                .trees()
                .iter()
                .any(|same| same.partition == tree.partition)
            {
                let number = tree.partition.unwrap_or_default();
                self.note(Change::Added, format!("/{number}").as_bytes());
            }
        }
        Ok(())
    }

    /// Compares two files of one path, and what is below them.
    fn pair(&mut self, path: &[u8], one: &Found<'_>, other: &Found<'_>, level: usize) {
        self.bar.inc(1);
        let change = match (one.node.kind(), other.node.kind()) {
            (FileKind::Directory, FileKind::Directory) => {
                let is_new = level < MOST_LEVELS && self.directories.insert(one.node.number());
                if !is_new || self.below(path, one, other, level).is_err() {
                    self.note(Change::Unknown, path);
                }
                Ok((!same_rights(&one.node, &other.node)).then_some(Change::Attributes))
            }
            (a, b) if a != b => Ok(Some(Change::Kind)),
            _ => self.singles(one, other),
        };
        match change {
            Ok(None) => {}
            Ok(Some(change)) => self.note(change, if path.is_empty() { b"/" } else { path }),
            Err(_) => self.note(Change::Unknown, path),
        }
    }

    fn singles(&self, one: &Found<'_>, other: &Found<'_>) -> Result<Option<Change>, FileError> {
        let (a, b) = (&one.node, &other.node);
        let is_untouched = a.number() == b.number()
            && a.size_bytes() == b.size_bytes()
            && (a.modified(), a.changed()) == (b.modified(), b.changed());
        if is_untouched && !self.with_content {
            return Ok(None);
        }
        let same_content = match a.kind() {
            FileKind::File => same_content(one, other)?,
            FileKind::Link => one.of.target(a)? == other.of.target(b)?,
            _ => a.device() == b.device(),
        };
        let same_attributes = same_rights(a, b)
            && a.modified() == b.modified()
            && one.of.xattrs(a)? == other.of.xattrs(b)?;
        Ok(match (same_content, same_attributes) {
            (false, _) => Some(Change::Content),
            (true, false) => Some(Change::Attributes),
            (true, true) => None,
        })
    }

    /// Compares what two directories hold.
    fn below(
        &mut self,
        path: &[u8],
        one: &Found<'_>,
        other: &Found<'_>,
        level: usize,
    ) -> Result<(), FileError> {
        let (a, b) = (listed(one.of, &one.node)?, listed(other.of, &other.node)?);
        let (mut a, mut b) = (a.into_iter().peekable(), b.into_iter().peekable());
        loop {
            let order = match (a.peek(), b.peek()) {
                (None, None) => return Ok(()),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(one), Some(other)) => one.0.cmp(&other.0),
            };
            let left = if order.is_le() { a.next() } else { None };
            let right = if order.is_ge() { b.next() } else { None };
            let name = left
                .as_ref()
                .or(right.as_ref())
                .map(|entry| entry.0.clone());
            let path = [path, b"/", name.unwrap_or_default().as_slice()].concat();
            match (left, right) {
                (Some((_, one_inode)), Some((_, other_inode))) => {
                    let pair = (found(one.of, one_inode), found(other.of, other_inode));
                    match pair {
                        (Ok(one), Ok(other)) => self.pair(&path, &one, &other, level + 1),
                        _ => self.note(Change::Unknown, &path),
                    }
                }
                (Some(_), None) => self.note(Change::Removed, &path),
                _ => self.note(Change::Added, &path),
            }
        }
    }
}

fn found(of: &FileSystem, inode: u32) -> Result<Found<'_>, FileError> {
    let node = of.node(inode)?;
    Ok(Found { of, node })
}

fn same_rights(one: &Node, other: &Node) -> bool {
    (one.mode(), one.uid(), one.gid()) == (other.mode(), other.uid(), other.gid())
}

fn same_content(one: &Found<'_>, other: &Found<'_>) -> Result<bool, FileError> {
    if one.node.size_bytes() != other.node.size_bytes() {
        return Ok(false);
    }
    let (mut a, mut b) = (vec![0; PART_BYTES], vec![0; PART_BYTES]);
    let mut at = 0;
    while at < one.node.size_bytes() {
        let len = one.of.read(&one.node, at, &mut a)?;
        let other_len = other.of.read(&other.node, at, &mut b)?;
        if len == 0 || a[..len] != b[..other_len] {
            return Ok(false);
        }
        at += len as u64;
    }
    Ok(true)
}
