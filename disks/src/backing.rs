//! Opening the block device or regular file behind a real disk.
//!
//! Finds out once what the engines need: size, alignment, whether O_DIRECT works, whether discards
//! have an effect, whether the device is rotational. A defect that can be worked around becomes a
//! notice; any other becomes a [`BackingError`], a sentence with cause and remedy.
//!
//! Invariants: a file is created only when asked, grown when it is smaller than asked, and never
//! shrunk; nothing is written to it here. It is locked against a second writer ([`image_lock`]),
//! under the names of loop devices too ([`loop_device`]), before it is grown.
//!
//! [`image_lock`]: crate::image_lock
//! [`loop_device`]: crate::loop_device

mod content;
mod cut;
mod direct;
mod file_notices;
mod waiting;

use crate::backing_error::{BackingError, system};
use crate::block_device;
use crate::file_space::{FreeSpace, free_bytes};
use crate::image_lock::{LockOutcome, lock_image};
use crate::loop_device::{claim_below, refuse_used_above};
use direct::{clear_direct, direct_alignment};
use file_notices::{loose_mode, old_ext};
use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use waiting::waits_for_others;

/// What to open and how.
#[derive(Debug, Clone)]
pub(crate) struct BackingOptions {
    /// A block device or a regular file.
    pub(crate) path: PathBuf,
    /// The size that is wanted. A smaller file is grown, a smaller device is refused, a larger
    /// one is served whole.
    pub(crate) size_bytes: Option<u64>,
    /// A missing file may be created (sparse, of `size_bytes`).
    pub(crate) create: bool,
    /// Bypass the page cache where that is possible.
    pub(crate) direct: bool,
    /// Open it for reading only, beside whatever uses it. A smaller file is not grown: what lies
    /// beyond its end cannot be read.
    pub(crate) read_only: bool,
}

/// What is behind a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BackingKind {
    /// A regular file.
    File,
    /// A block device.
    BlockDevice,
}

/// An open and locked block device or file.
#[derive(Debug)]
pub(crate) struct Backing {
    file: File,
    path: PathBuf,
    kind: BackingKind,
    size_bytes: u64,
    /// A file's length when it was opened.
    whole_bytes: u64,
    block_bytes: u32,
    direct: bool,
    discards: bool,
    rotational: Option<bool>,
    /// It cannot be written to.
    is_read_only: bool,
    /// Its file system is served over a network or by a program.
    waits_for_others: bool,
    /// `None` for a device.
    free_space: Option<FreeSpace>,
    notices: Vec<String>,
    queue_notice: Option<String>,
    /// What lies below a loop device, kept from others.
    _claimed: Vec<File>,
}

impl Backing {
    /// Opens, locks, grows and examines.
    ///
    /// # Errors
    /// Whatever keeps the path from being used as a disk of the wanted size.
    pub(crate) fn open(options: &BackingOptions) -> Result<Backing, BackingError> {
        let path = options.path.as_path();
        let kind = kind_of(path, options)?;
        let mut notices = Vec::new();
        let (file, direct, is_read_only) = open_to_serve(options, kind, &mut notices)?;
        // One that is only read is not locked, and may have no name: reading changes nothing for
        // the program that uses it.
        let mut claimed = Vec::new();
        if !options.read_only && !is_read_only {
            if let LockOutcome::Unsupported(notice) = lock_image(&file, path)? {
                notices.push(notice);
            }
            claimed = claim_aliases(&file, kind, path)?;
            still_there(&file, path)?;
            if kind == BackingKind::File {
                notices.extend(loose_mode(&file, path));
                notices.extend(old_ext(&file, path));
            }
        }
        let whole_bytes = match kind {
            BackingKind::File => grown_file(&file, options)?,
            BackingKind::BlockDevice => device_size(&file, options)?,
        };
        let alignment = if direct {
            direct_alignment(&file, kind)
        } else {
            Some(512)
        };
        let (file, direct, block_bytes) = match alignment {
            Some(block_bytes) => (file, direct, block_bytes),
            None => {
                notices.push(buffered_notice(
                    path,
                    "the file system does not support O_DIRECT",
                ));
                clear_direct(&file).map_err(|source| system(path, "leave O_DIRECT", source))?;
                (file, false, 512)
            }
        };
        let size_bytes = whole_bytes - whole_bytes % u64::from(block_bytes);
        if size_bytes == 0 {
            return Err(BackingError::TooSmall {
                path: path.to_owned(),
                size_bytes: whole_bytes,
                needed_bytes: options.size_bytes.unwrap_or(0).max(u64::from(block_bytes)),
                remedy: "give the disk a \"size\" to grow the file to",
            });
        }
        let queue = block_device::queue_below(&file, kind);
        let queue_notice = queue.notice(path);
        let discards = match kind {
            _ if options.read_only || is_read_only => false,
            BackingKind::File => punches_holes(&file, size_bytes),
            BackingKind::BlockDevice => queue.discards,
        };
        let is_file = kind == BackingKind::File;
        let waits_for_others = is_file && waits_for_others(&file);
        // One that could keep the caller waiting is asked later, by those who may wait.
        let free_now = (!waits_for_others).then(|| free_bytes(&file)).flatten();
        let free_space = is_file.then(|| FreeSpace::new(free_now.unwrap_or(u64::MAX)));
        Ok(Backing {
            path: path.to_owned(),
            kind,
            size_bytes,
            whole_bytes,
            block_bytes,
            direct,
            discards,
            rotational: queue.rotational,
            is_read_only,
            waits_for_others,
            file,
            free_space,
            notices,
            queue_notice,
            _claimed: claimed,
        })
    }

    /// The path as given.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Its size, a multiple of `block_bytes`.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Offsets and lengths must be multiples of this: 512 or 4096.
    pub(crate) fn block_bytes(&self) -> u32 {
        self.block_bytes
    }

    /// Whether I/O bypasses the page cache.
    pub(crate) fn is_direct(&self) -> bool {
        self.direct
    }

    /// Whether a discard frees anything.
    pub(crate) fn discards(&self) -> bool {
        self.discards
    }

    /// Whether it is rotational, where that is known.
    pub(crate) fn rotational(&self) -> Option<bool> {
        self.rotational
    }

    /// Takes the sentences for the user.
    pub(crate) fn take_notices(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notices)
    }

    /// Takes the sentence about the kernel's scheduler below, if that one reorders.
    pub(crate) fn take_queue_notice(&mut self) -> Option<String> {
        self.queue_notice.take()
    }

    /// Whether it cannot be written to.
    pub(crate) fn is_read_only(&self) -> bool {
        self.is_read_only
    }

    /// Whether any call on it can wait for a network or another program, without a limit.
    pub(crate) fn waits_for_others(&self) -> bool {
        self.waits_for_others
    }

    /// What its file system has left for others than root; a device needs none.
    pub(crate) fn free_space(&self) -> Option<&FreeSpace> {
        self.free_space.as_ref()
    }

    /// The descriptor for the engines.
    pub(crate) fn fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }
}

/// Keeps other names of the same bytes from being used at the same time.
fn claim_aliases(file: &File, kind: BackingKind, path: &Path) -> Result<Vec<File>, BackingError> {
    let claimed = match kind {
        BackingKind::File => Vec::new(),
        BackingKind::BlockDevice => claim_below(file, path)?,
    };
    refuse_used_above(file, path)?;
    Ok(claimed)
}

/// Whether the locked file is still the one that the path names: the program that made it may have
/// removed it in the meantime ([`crate::remove_unused`]).
fn still_there(file: &File, path: &Path) -> Result<(), BackingError> {
    let metadata = file
        .metadata()
        .map_err(|source| system(path, "examine it", source))?;
    if metadata.nlink() == 0 {
        let cause = "another program has just removed it".to_owned();
        return Err(BackingError::InUse {
            path: path.to_owned(),
            cause,
        });
    }
    Ok(())
}

fn kind_of(path: &Path, options: &BackingOptions) -> Result<BackingKind, BackingError> {
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let may_create = options.create && options.size_bytes.is_some();
            if !may_create || names_device(path) {
                return Err(missing(path, options));
            }
            return Ok(BackingKind::File);
        }
        Err(error) => return Err(system(path, "examine it", error)),
    };
    kind_found(path, &metadata)
}

/// The kind of a path that can be a disk. Others are refused before they are opened, as opening has
/// effects on pipes and tapes.
pub(crate) fn kind_found(path: &Path, metadata: &Metadata) -> Result<BackingKind, BackingError> {
    let kind = metadata.file_type();
    let found = if kind.is_file() {
        return Ok(BackingKind::File);
    } else if kind.is_block_device() {
        return Ok(BackingKind::BlockDevice);
    } else if kind.is_dir() {
        "a directory"
    } else if kind.is_char_device() {
        "a character device"
    } else {
        "a pipe or a socket"
    };
    Err(BackingError::NotADisk {
        path: path.to_owned(),
        found,
    })
}

/// Whether the path is meant to be a device: a file created there would only hide a typing error.
fn names_device(path: &Path) -> bool {
    path.starts_with("/dev") && !path.starts_with("/dev/shm")
}

fn missing(path: &Path, options: &BackingOptions) -> BackingError {
    let remedy = if names_device(path) {
        "check the name with `lsblk`".to_owned()
    } else if options.size_bytes.is_none() {
        "check the path, or give the disk a \"size\" so that the file can be created".to_owned()
    } else {
        format!(
            "create it: `truncate -s {} {}`",
            options.size_bytes.unwrap_or(0),
            path.display()
        )
    };
    BackingError::Missing {
        path: path.to_owned(),
        remedy,
    }
}

/// Opens the path, for reading only if it cannot be written to: a file on a read-only file system
/// or with the attribute `immutable`, a write-protected device. Whether that is so.
fn open_to_serve(
    options: &BackingOptions,
    kind: BackingKind,
    notices: &mut Vec<String>,
) -> Result<(File, bool, bool), BackingError> {
    let (file, direct) = match open_file(options, kind, notices) {
        Err(_) if !options.read_only && is_write_refused(&options.path) => {
            return open_for_reading(options, kind, notices);
        }
        opened => opened?,
    };
    let is_protected = kind == BackingKind::BlockDevice && block_device::is_read_only(&file);
    if is_protected && !options.read_only {
        drop(file);
        return open_for_reading(options, kind, notices);
    }
    Ok((file, direct, false))
}

/// Whether something that is there refuses to be written to by anyone.
pub(crate) fn is_write_refused(path: &Path) -> bool {
    let refused = OpenOptions::new().write(true).open(path).err();
    let number = refused.and_then(|error| error.raw_os_error());
    matches!(number, Some(libc::EROFS | libc::EPERM))
}

fn open_for_reading(
    options: &BackingOptions,
    kind: BackingKind,
    notices: &mut Vec<String>,
) -> Result<(File, bool, bool), BackingError> {
    let reading = BackingOptions {
        read_only: true,
        create: false,
        ..options.clone()
    };
    notices.clear();
    let (file, direct) = open_file(&reading, kind, notices)?;
    Ok((file, direct, true))
}

/// Opens the path, with O_DIRECT if that is wanted and works.
fn open_file(
    options: &BackingOptions,
    kind: BackingKind,
    notices: &mut Vec<String>,
) -> Result<(File, bool), BackingError> {
    let path = options.path.as_path();
    // On a block device O_EXCL means: not while it is mounted or opened exclusively elsewhere.
    let exclusive = if kind == BackingKind::BlockDevice && !options.read_only {
        libc::O_EXCL
    } else {
        0
    };
    let open = |flags: libc::c_int| {
        OpenOptions::new()
            .read(true)
            .write(!options.read_only)
            .create(kind == BackingKind::File && options.create && options.size_bytes.is_some())
            .truncate(false)
            // What vdisks hold is their users' alone. The umask can take more away.
            .mode(0o600)
            .custom_flags(flags | exclusive)
            .open(path)
    };
    if options.direct {
        match open(libc::O_DIRECT) {
            Ok(file) => return Ok((file, true)),
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                notices.push(buffered_notice(path, "the file system refuses O_DIRECT"));
            }
            Err(error) => return Err(opening(path, options, error)),
        }
    }
    open(0)
        .map(|file| (file, false))
        .map_err(|error| opening(path, options, error))
}

fn opening(path: &Path, options: &BackingOptions, error: io::Error) -> BackingError {
    if error.kind() == io::ErrorKind::NotFound {
        // The path itself may be created, so a directory above it is missing.
        let remedy = match path.parent().filter(|parent| !parent.exists()) {
            Some(parent) => format!("create its directory: `mkdir -p {}`", parent.display()),
            None => return missing(path, options),
        };
        return BackingError::Missing {
            path: path.to_owned(),
            remedy,
        };
    }
    let action = if options.read_only {
        "open it for reading"
    } else {
        "open it for reading and writing"
    };
    system(path, action, error)
}

fn buffered_notice(path: &Path, cause: &str) -> String {
    format!(
        "{}: {cause}, so its I/O goes through the page cache: measured disk times are those of \
         the cache",
        path.display()
    )
}

/// The file's size, after growing it to the wanted one.
fn grown_file(file: &File, options: &BackingOptions) -> Result<u64, BackingError> {
    let path = options.path.as_path();
    let metadata = file
        .metadata()
        .map_err(|source| system(path, "find its size", source))?;
    let wanted = options.size_bytes.unwrap_or(0);
    if metadata.len() >= wanted {
        return Ok(metadata.len());
    }
    if options.read_only {
        // As large as it would be made.
        return Ok(wanted);
    }
    file.set_len(wanted)
        .map_err(|source| system(path, "grow it to the wanted size", source))?;
    Ok(wanted)
}

fn device_size(file: &File, options: &BackingOptions) -> Result<u64, BackingError> {
    let path = options.path.as_path();
    let size_bytes = block_device::size_bytes(file)
        .map_err(|source| system(path, "ask for the device's size", source))?;
    match options.size_bytes {
        Some(needed_bytes) if needed_bytes > size_bytes => Err(BackingError::TooSmall {
            path: path.to_owned(),
            size_bytes,
            needed_bytes,
            remedy: "a device cannot grow: lower \"size\" or leave it out",
        }),
        _ => Ok(size_bytes),
    }
}

/// Whether holes can be punched: tried beyond the end of the file, where there is no data.
fn punches_holes(file: &File, size_bytes: u64) -> bool {
    let Ok(metadata) = file.metadata() else {
        return false;
    };
    let behind = metadata.len().max(size_bytes).next_multiple_of(1 << 20);
    let step = metadata.blksize().max(4096);
    let (Ok(offset), Ok(len)) = (i64::try_from(behind), i64::try_from(step)) else {
        return false;
    };
    let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
    // SAFETY: the descriptor is open; the range lies beyond the end of the file.
    unsafe { libc::fallocate(file.as_raw_fd(), mode, offset, len) == 0 }
}
