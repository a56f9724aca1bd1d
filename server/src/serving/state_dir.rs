//! The state directory and its lock: one server at a time uses a state directory.
//!
//! The file `lock` has two lines: the number of the process that locked it last, and, once the
//! directory remembers disks, a word that says so: what is lost later is missed.

use crate::diagnostics::print_sentence;
use crate::failure::{CommandResult, Failure};
use crate::serving::permission::{may_make_files, nearest_directory};
use disktime_reservations::Configuration;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::Read;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The second line of the lock file of a directory that remembers disks.
const REMEMBERS: &str = "remembers disks";

/// Held while this process uses the state directory. The kernel releases the lock when the process
/// ends, however it ends.
#[derive(Debug)]
pub(crate) struct StateLock {
    file: File,
    directory: PathBuf,
    remembers: bool,
}

impl StateLock {
    /// The state directory.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Whether the directory has remembered disks before.
    pub(crate) fn remembers(&self) -> bool {
        self.remembers
    }

    /// Notes that the directory remembers disks from now on.
    pub(crate) fn note_that_it_remembers(&mut self) -> std::io::Result<()> {
        if self.remembers {
            return Ok(());
        }
        self.remembers = true;
        self.write()?;
        self.file.sync_all()
    }

    /// Overwrites the lines without making the file empty in between.
    fn write(&self) -> std::io::Result<()> {
        let mut lines = format!("{}\n", std::process::id());
        if self.remembers {
            lines.push_str(REMEMBERS);
            lines.push('\n');
        }
        self.file.write_all_at(lines.as_bytes(), 0)?;
        self.file.set_len(lines.len() as u64)
    }
}

/// Creates the directory if it does not exist, for this user alone, and locks it.
///
/// # Errors
/// When another server has locked it, or it cannot be created.
pub(crate) fn lock(configuration: &Configuration) -> CommandResult<StateLock> {
    let directory = configuration.state_dir.value.as_path();
    let refused = |doing: &str, error: std::io::Error| {
        let message = format!(
            "the state directory {} cannot be {doing}: {error}",
            directory.display()
        );
        let help = "name a directory that this user may write to";
        Failure::from(configuration.error_at(configuration.state_dir.span, message, help))
    };
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(|error| refused("created", error))?;
    warn_if_others_may_write(directory);
    let path = directory.join("lock");
    let mut file = open(&path).map_err(|error| refused("used", error))?;
    let is_locked = file.try_lock();
    let mut lines = String::new();
    let _ = file.read_to_string(&mut lines);
    match is_locked {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let holder = lines.lines().next().unwrap_or_default();
            return Err(Failure::new(format!(
                "a server{} uses the state directory {} already; stop it, or use another \
                 \"state_dir\"",
                if holder.is_empty() {
                    String::new()
                } else {
                    format!(" (process {})", holder.trim())
                },
                directory.display()
            )));
        }
        Err(TryLockError::Error(error)) => return Err(refused("locked", error)),
    }
    let lock = StateLock {
        file,
        directory: directory.to_owned(),
        remembers: remembers(&lines),
    };
    lock.write().map_err(|error| refused("used", error))?;
    Ok(lock)
}

/// A user who may write to the directory can put another file in the place of a disk's or socket's.
fn warn_if_others_may_write(directory: &Path) {
    let mode = std::fs::metadata(directory).map_or(0, |found| found.permissions().mode() & 0o777);
    if mode & 0o022 != 0 {
        print_sentence(format_args!(
            "the state directory {directory} has the mode {mode:04o}, so other users may \
             replace what is in it; `chmod go-w {directory}`",
            directory = directory.display()
        ));
    }
}

/// What is known of a state directory that is not locked here.
#[derive(Debug)]
pub(crate) struct StateLook {
    /// Whether it has remembered disks before.
    pub(crate) remembers: bool,
    /// The number of the process that uses it.
    pub(crate) holder: Option<String>,
}

/// Looks at the state directory without making or locking it.
///
/// # Errors
/// When a server could not make or use it.
pub(crate) fn look(configuration: &Configuration) -> CommandResult<StateLook> {
    let directory = configuration.state_dir.value.as_path();
    let refused = |error: std::io::Error| {
        let message = format!(
            "the state directory {} cannot be used: {error}",
            directory.display()
        );
        let help = "name a directory that this user may write to";
        Failure::from(configuration.error_at(configuration.state_dir.span, message, help))
    };
    may_make_files(nearest_directory(directory)).map_err(refused)?;
    let path = directory.join("lock");
    let (lines, inode) = match std::fs::read_to_string(&path) {
        Ok(lines) => (lines, std::fs::metadata(&path).map_err(refused)?.ino()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => (String::new(), 0),
        Err(error) => return Err(refused(error)),
    };
    let process = lines.lines().next().unwrap_or_default().trim();
    let locks = std::fs::read_to_string("/proc/locks").unwrap_or_default();
    Ok(StateLook {
        remembers: remembers(&lines),
        holder: is_locked(&locks, process, inode).then(|| process.to_owned()),
    })
}

/// Whether the process has locked the file with that inode, by the kernel's list: asking by a lock
/// would keep a server out that starts at that moment.
fn is_locked(locks: &str, process: &str, inode: u64) -> bool {
    locks.lines().any(|line| {
        let mut fields = line.split_whitespace();
        let is_lock = fields.any(|field| field == "FLOCK");
        let (owner, file) = (fields.nth(2), fields.next());
        let found = file.and_then(|file| file.rsplit(':').next()?.parse().ok());
        is_lock && owner == Some(process) && found == Some(inode)
    })
}

fn remembers(lines: &str) -> bool {
    lines.lines().any(|line| line == REMEMBERS)
}

fn open(path: &Path) -> std::io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

#[cfg(test)]
mod tests;
