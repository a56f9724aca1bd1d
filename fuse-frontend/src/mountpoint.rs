//! The mount point: checks that a directory can be mounted on, and removes the stale mount of a
//! server that was killed. Blocking; not to be called on async threads.
//!
//! - `unmount`: how a directory is unmounted.
//!
//! Only a stale mount of disktime's own type is removed automatically. Everything else is the
//! user's.

mod unmount;

pub(crate) use unmount::{Unmounted, unmount};

use crate::FuseError;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};
use unmount::UnmountMode;

/// The mount's type as the kernel shows it is `fuse.` + this.
pub const SUBTYPE: &str = "disktime";
const FILE_SYSTEM: &str = "fuse.disktime";

/// How long the kernel may take to abort the connection of a server that was killed.
const ABORT_TIMEOUT: Duration = Duration::from_secs(10);

/// A server may be killed several times, each start mounting over the stale mount before.
const STALE_MOUNTS_MAX: usize = 16;

/// Prepares the directory for a mount, and returns its absolute path.
pub(crate) fn prepare(directory: &Path) -> Result<PathBuf, FuseError> {
    check_support()?;
    let path = absolute(directory)?;
    remove_stale(&path)?;
    let failed = |operation| {
        let path = path.clone();
        move |source| FuseError::Directory {
            path,
            operation,
            source,
        }
    };
    match fs::metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            create_private(&path).map_err(failed("created"))?;
        }
        Err(error) => return Err(failed("accessed")(error)),
        Ok(metadata) if !metadata.is_dir() => return Err(FuseError::NotADirectory { path }),
        Ok(_) => {}
    }
    if fs::read_dir(&path)
        .map_err(failed("read"))?
        .next()
        .is_some()
    {
        return Err(FuseError::NotEmpty { path });
    }
    Ok(path)
}

/// Creates a directory, and those above it that are missing, for this user alone.
fn create_private(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
}

/// Whether the directory could be mounted on, as far as that is known without making or unmounting
/// anything.
pub(crate) fn check(directory: &Path) -> Result<(), FuseError> {
    check_support()?;
    let path = fs::canonicalize(directory)
        .or_else(|_| std::path::absolute(directory))
        .unwrap_or_else(|_| directory.to_owned());
    if let Some(file_system) = fuse_mount_at(&path)? {
        // A stale mount of this program is removed at the start.
        if is_stale(&path) && file_system == FILE_SYSTEM {
            return Ok(());
        }
        return Err(FuseError::AlreadyMounted { path, file_system });
    }
    match fs::read_dir(&path).map(|entries| entries.count()) {
        Ok(0) => Ok(()),
        Ok(_) => Err(FuseError::NotEmpty { path }),
        // It is made at the start.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            Err(FuseError::NotADirectory { path })
        }
        Err(source) => Err(FuseError::Directory {
            path,
            operation: "read",
            source,
        }),
    }
}

/// Whether a directory of this program is mounted there, whether or not a file of it is still open.
pub(crate) fn is_mounted(path: &Path) -> bool {
    fuse_mount_at(path).is_ok_and(|kind| kind.as_deref() == Some(FILE_SYSTEM))
}

fn check_support() -> Result<(), FuseError> {
    let search = std::env::var_os("PATH").unwrap_or_default();
    if !std::env::split_paths(&search).any(|place| place.join("fusermount3").is_file()) {
        return Err(FuseError::NotInstalled);
    }
    match fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/fuse")
    {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(FuseError::NoDevice),
        // fusermount3 opens it as this user too, and reports the error, which is shown.
        Err(error) if error.raw_os_error() == Some(libc::EACCES) => Ok(()),
        Err(source) => Err(FuseError::DeviceRefused { source }),
    }
}

/// The path as in the kernel's table of mounts. The last component is not resolved unless it is a
/// link, because it cannot be accessed while a stale mount is on it.
fn absolute(directory: &Path) -> Result<PathBuf, FuseError> {
    if let Ok(path) = fs::canonicalize(directory) {
        return Ok(path);
    }
    let failed = |operation, source| FuseError::Directory {
        path: directory.into(),
        operation,
        source,
    };
    let path = std::path::absolute(directory).map_err(|source| failed("found", source))?;
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Ok(path);
    };
    create_private(parent).map_err(|source| failed("created", source))?;
    let parent = fs::canonicalize(parent).map_err(|source| failed("found", source))?;
    Ok(parent.join(name))
}

fn remove_stale(path: &Path) -> Result<(), FuseError> {
    for _ in 0..STALE_MOUNTS_MAX {
        let Some(file_system) = fuse_mount_at(path)? else {
            return Ok(());
        };
        let path = path.to_path_buf();
        if !is_stale(&path) {
            return Err(FuseError::AlreadyMounted { path, file_system });
        }
        if file_system != FILE_SYSTEM {
            let reason = "it is not a mount of disktime".into();
            return Err(FuseError::Stale {
                path,
                file_system,
                reason,
            });
        }
        tracing::info!("unmounting {path:?}, the stale mount of a server that was killed");
        if let Err(reason) = unmount::attempt(UnmountMode::Detach, &path) {
            return Err(FuseError::Stale {
                path,
                file_system,
                reason,
            });
        }
    }
    Err(FuseError::Stale {
        path: path.into(),
        file_system: FILE_SYSTEM.into(),
        reason: format!("more than {STALE_MOUNTS_MAX} mounts are stacked there"),
    })
}

/// Whether the server of a mount has ended. Over io_uring the connection ends some time after the
/// server, and requests are cancelled one by one until then.
fn is_stale(path: &Path) -> bool {
    let until = Instant::now() + ABORT_TIMEOUT;
    loop {
        let error = fs::metadata(path)
            .err()
            .and_then(|error| error.raw_os_error());
        match error {
            Some(libc::ENOTCONN) => return true,
            Some(libc::ECANCELED | libc::ECONNABORTED) if Instant::now() < until => {
                thread::sleep(Duration::from_millis(1));
            }
            _ => return false,
        }
    }
}

/// The type of the topmost FUSE mount on exactly this path.
fn fuse_mount_at(path: &Path) -> Result<Option<String>, FuseError> {
    let table = fs::read("/proc/self/mountinfo").map_err(|source| FuseError::Directory {
        path: "/proc/self/mountinfo".into(),
        operation: "read",
        source,
    })?;
    Ok(topmost(&table, path).filter(|kind| kind == "fuse" || kind.starts_with("fuse.")))
}

/// The type of the last mount on this path in a table in the format of `/proc/self/mountinfo`.
fn topmost(table: &[u8], path: &Path) -> Option<String> {
    let lines = table.split(|byte| *byte == b'\n');
    lines.rev().find_map(|line| {
        let fields: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
        let mounted_on = OsString::from_vec(unescape(fields.get(4)?));
        let dash = fields.iter().skip(6).position(|field| *field == b"-")? + 6;
        let kind = fields.get(dash + 1)?;
        (mounted_on.as_bytes() == path.as_os_str().as_bytes())
            .then(|| String::from_utf8_lossy(kind).into_owned())
    })
}

/// Undoes the kernel's escapes, `\040` for a space.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, tail)) = rest.split_first() {
        let octal = tail.get(..3).filter(|_| first == b'\\');
        let byte = octal
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match byte {
            Some(byte) => {
                plain.push(byte);
                rest = &tail[3..];
            }
            None => {
                plain.push(first);
                rest = tail;
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests;
