//! `disktime restore`: copies a file or a directory out of a moment.
//!
//! Invariants: nothing that exists is overwritten, not even with the same; of a file that cannot be
//! read nothing is left, and the others are copied all the same. Owners are given where the program
//! runs as root.

use super::{Found, HistoryServer, Place, find, listed, progress, shown};
use crate::failure::{CommandResult, Failure};
use disktime_image_files::{FileKind, FileSystem, Node, Time};
use indicatif::ProgressBar;
use serde_json::json;
use std::collections::{HashMap, HashSet};
use std::ffi::{CString, OsStr};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// What is read and written at once.
const PART_BYTES: usize = 1 << 20;
/// Directories in directories that are followed.
const MOST_LEVELS: usize = 1000;

/// Runs the command.
pub(crate) fn run(server: &HistoryServer, what: &str, target: &Path) -> CommandResult {
    let place = Place::parse(what)?;
    let Some(path) = &place.path else {
        return Err(Failure::new(format!(
            "which file of {what}? Write it as in {what}:/etc/passwd; {what}:/ is all"
        )));
    };
    let target = target_of(path, target)?;
    let files = place.open(server)?;
    let Found { of, node } = find(&files, path)?;
    let total = count(of, &node);
    let template = "{elapsed:>5} [{bar:32}] {bytes} of {total_bytes}, {eta} left  {msg}";
    let mut copy = Copy {
        of,
        bar: progress(template, Some(total)),
        links: HashMap::new(),
        directories: HashSet::new(),
        files: 0,
        bytes: 0,
        failed: Vec::new(),
    };
    copy.any(&node, &target, 0);
    copy.bar.finish_and_clear();
    let answer = json!({
        "vdisk": place.vdisk, "moment": place.moment, "path": path, "target": target,
        "files": copy.files, "bytes": copy.bytes,
        "failed": copy.failed.iter().map(|(path, why)| json!({ "path": path, "error": why }))
            .collect::<Vec<_>>(),
    });
    server.print(&answer, |_| {
        format!(
            "{what}: {} files, {} bytes, in {}",
            copy.files,
            copy.bytes,
            target.display()
        )
    });
    match copy.failed.as_slice() {
        [] => Ok(()),
        failed => {
            let lines = failed.iter().take(20);
            let lines: Vec<String> = lines.map(|(path, why)| format!("{path}: {why}")).collect();
            let count = failed.len();
            Err(Failure::new(format!(
                "{count} not restored:\n{}",
                lines.join("\n")
            )))
        }
    }
}

/// Where it goes: into a directory that exists, else to that name, which must be free.
fn target_of(path: &str, target: &Path) -> CommandResult<PathBuf> {
    let name = path.rsplit('/').find(|name| !name.is_empty());
    let target = match (target.is_dir(), name) {
        (true, Some(name)) => target.join(name),
        _ => target.to_owned(),
    };
    match target.symlink_metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(target),
        Err(error) => Err(Failure::new(format!("{}: {error}", target.display()))),
        Ok(_) => Err(Failure::new(format!(
            "{} exists, and nothing is overwritten; give another name, or move it away",
            target.display()
        ))),
    }
}

/// How many bytes of data there are below a file, as far as it can be read.
fn count(of: &FileSystem, node: &Node) -> u64 {
    let bar = progress("{elapsed:>5} {spinner} looking: {human_pos} files", None);
    let mut seen = HashSet::new();
    let mut left = vec![node.clone()];
    let mut total: u64 = 0;
    while let Some(node) = left.pop() {
        if !seen.insert(node.number()) {
            continue;
        }
        bar.inc(1);
        match node.kind() {
            FileKind::File => {
                total = total.saturating_add(node.size_bytes().min(node.sectors() * 512));
            }
            FileKind::Directory => {
                let entries = listed(of, &node).unwrap_or_default();
                left.extend(entries.iter().filter_map(|(_, inode)| of.node(*inode).ok()));
            }
            _ => {}
        }
    }
    bar.finish_and_clear();
    total
}

struct Copy<'f> {
    of: &'f FileSystem,
    bar: ProgressBar,
    /// Files with several names that were copied, by inode.
    links: HashMap<u32, PathBuf>,
    /// Directories that were met, by inode: each has one name, unless the file system is damaged.
    directories: HashSet<u32>,
    files: u64,
    bytes: u64,
    failed: Vec<(String, String)>,
}

impl Copy<'_> {
    /// Copies anything; what fails is noted.
    fn any(&mut self, node: &Node, target: &Path, level: usize) {
        let copied = match node.kind() {
            FileKind::Directory => self.directory(node, target, level),
            _ => self.single(node, target),
        };
        match copied {
            Ok(()) => self.files += u64::from(node.kind() != FileKind::Directory),
            Err(failure) => self.note(target, &failure),
        }
    }

    fn note(&mut self, target: &Path, why: &impl ToString) {
        self.failed
            .push((target.display().to_string(), why.to_string()));
    }

    fn directory(&mut self, node: &Node, target: &Path, level: usize) -> CommandResult {
        if level > MOST_LEVELS || !self.directories.insert(node.number()) {
            return Err(Failure::new(
                "the file system is damaged: a directory has two names",
            ));
        }
        let entries = listed(self.of, node);
        // For this user alone until its own rights are set.
        fs::DirBuilder::new().mode(0o700).create(target)?;
        for (name, inode) in entries? {
            let target = target.join(OsStr::from_bytes(&name));
            match self.of.node(inode) {
                Ok(child) => self.any(&child, &target, level + 1),
                Err(error) => self.note(&target, &error),
            }
        }
        self.attributes(node, target, &File::open(target)?)
    }

    fn single(&mut self, node: &Node, target: &Path) -> CommandResult {
        if let Some(first) = self.links.get(&node.number()) {
            return Ok(fs::hard_link(first, target)?);
        }
        match node.kind() {
            FileKind::File => self.file(node, target)?,
            FileKind::Link => {
                let to = self.of.target(node)?;
                std::os::unix::fs::symlink(OsStr::from_bytes(&to), target)?;
                own(node, target)?;
                set_times(node, target)?;
            }
            FileKind::Directory => {}
            FileKind::Socket => return Err(Failure::new("a socket, which is not restored")),
            FileKind::Pipe | FileKind::Character | FileKind::Block => {
                special(node, target)?;
                own(node, target)?;
                set_times(node, target)?;
            }
        }
        if node.links() > 1 {
            self.links.insert(node.number(), target.to_owned());
        }
        Ok(())
    }

    fn file(&mut self, node: &Node, target: &Path) -> CommandResult {
        self.bar.set_message(shown(target.as_os_str().as_bytes()));
        let mut options = OpenOptions::new();
        let file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(target)?;
        let written = self.content(node, &file);
        let finished = written.and_then(|()| self.attributes(node, target, &file));
        if finished.is_err() {
            // It was made here; half of a file is worse than none.
            let _ = fs::remove_file(target);
        }
        finished
    }

    fn content(&mut self, node: &Node, file: &File) -> CommandResult {
        let mut part = vec![0; PART_BYTES];
        let mut at = 0;
        while let Some(stretch) = self.of.stretch(node, at)? {
            while !stretch.is_hole && at < stretch.end {
                let len = (stretch.end - at).min(PART_BYTES as u64) as usize;
                let read = self.of.read(node, at, &mut part[..len])?;
                if read < len {
                    return Err(Failure::new(
                        "the file system is damaged: a file ends too early",
                    ));
                }
                file.write_all_at(&part[..len], at)?;
                at += len as u64;
                self.bytes += len as u64;
                self.bar.inc(len as u64);
            }
            at = stretch.end;
        }
        Ok(file.set_len(node.size_bytes())?)
    }

    /// Owner, extended attributes, mode and times, in the order in which they do not undo another.
    fn attributes(&mut self, node: &Node, target: &Path, file: &File) -> CommandResult {
        own(node, target)?;
        for xattr in self.of.xattrs(node)? {
            if let Err(error) = set_xattr(target, &xattr.name, &xattr.value) {
                let name = shown(&xattr.name);
                self.note(
                    target,
                    &format!("its attribute {name} cannot be set: {error}"),
                );
            }
        }
        // Set-user-id would be of the one who restores, not of the owner.
        let mode = match is_root() {
            true => node.mode(),
            false => node.mode() & 0o1777,
        };
        file.set_permissions(Permissions::from_mode(mode.into()))?;
        Ok(set_times(node, target)?)
    }
}

fn is_root() -> bool {
    // SAFETY: only returns a number and cannot fail.
    unsafe { libc::geteuid() == 0 }
}

/// Gives a file its owner, which only root can.
fn own(node: &Node, target: &Path) -> io::Result<()> {
    match is_root() {
        true => std::os::unix::fs::lchown(target, Some(node.uid()), Some(node.gid())),
        false => Ok(()),
    }
}

fn set_xattr(target: &Path, name: &[u8], value: &[u8]) -> io::Result<()> {
    let name = CString::new(name)?;
    let flags = rustix::fs::XattrFlags::empty();
    Ok(rustix::fs::lsetxattr(target, name, value, flags)?)
}

fn special(node: &Node, target: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
    let kind = match node.kind() {
        FileKind::Pipe => FileType::Fifo,
        FileKind::Character => FileType::CharacterDevice,
        _ => FileType::BlockDevice,
    };
    let (major, minor) = node.device().unwrap_or_default();
    let mode = Mode::from_raw_mode(node.mode().into());
    Ok(mknodat(CWD, target, kind, mode, makedev(major, minor))?)
}

/// Gives a file, or a symbolic link itself, its times.
fn set_times(node: &Node, target: &Path) -> io::Result<()> {
    use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
    let of = |time: Time| Timespec {
        tv_sec: time.seconds,
        tv_nsec: time.nanoseconds.into(),
    };
    let times = Timestamps {
        last_access: of(node.accessed()),
        last_modification: of(node.modified()),
    };
    Ok(utimensat(CWD, target, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}
