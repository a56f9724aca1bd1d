//! What can go wrong with a disk's label and its vdisks, as sentences with cause and remedy.

use crate::program_version::ProgramVersion;
use disktime_disks::{DiskError, DiskErrorKind};
use disktime_engine::IoError;
use disktime_units::{format_size, format_sizes};
use thiserror::Error;

/// Why a disk could not be opened, or a change to its vdisks was refused. Nothing was written
/// unless the variant is `Disk`.
#[derive(Debug, Error)]
pub enum VolumeError {
    /// The disk failed a request while the label or a zero map was read or written.
    #[error("{doing} failed: {source}")]
    Disk {
        /// What was being done.
        doing: &'static str,
        /// The disk's own words.
        source: DiskError,
    },
    /// A change to a disk that could only be opened for reading.
    #[error(
        "the disk cannot be written to (a read-only file system, `chattr +i`, a write-protected \
         device), and its label would have to change: it is blank, the file names a vdisk that is \
         new or larger, or one is to be renamed or removed. Make it writable, or name only what is \
         on it"
    )]
    ReadOnlyDisk,
    /// The disk holds something that is not ours.
    #[error(
        "the disk holds {found}, not a disktime label; nothing was written. If its content is not \
         needed any more, `disktime format FILE --disk NAME --force` erases it"
    )]
    Foreign {
        /// What was found, with its article.
        found: String,
    },
    /// The disk has no label, and formatting was not asked for.
    #[error("the disk has no disktime label yet; `disktime format` writes one")]
    Unlabelled,
    /// A label is there, but neither copy is whole.
    #[error(
        "both copies of the disktime label are damaged ({first}; {second}), so it is not known \
         where the vdisks lie; nothing was written. Restore the first 1 MiB of the disk from a \
         backup, or give the vdisks up with `disktime format FILE --disk NAME --force`"
    )]
    Damaged {
        /// What is wrong with the copy at 0.
        first: String,
        /// What is wrong with the copy at 512 KiB.
        second: String,
    },
    /// A label of a later program.
    #[error(
        "the disk's label has version {found}, and this program reads version {supported}; use a \
         newer disktime"
    )]
    Version {
        /// The label's version.
        found: u32,
        /// What this program reads.
        supported: u32,
    },
    /// A label that uses what this program does not know.
    #[error(
        "the disk's label uses {what}, which this program (disktime {}) does not know; disktime \
         {written_by} wrote it: use that version or a later one. Nothing was written",
        ProgramVersion::this()
    )]
    UnknownFeature {
        /// What it uses, by name where it has one.
        what: String,
        /// The program that wrote the label.
        written_by: ProgramVersion,
    },
    /// Something else was written over a copy of the label.
    #[error(
        "{found} was written over the first copy of the disktime label, and the second copy is \
         whole; nothing was written. If what was made there is not needed, erase the first 512 KiB \
         of the disk (`dd if=/dev/zero of=DISK bs=512K count=1 conv=notrunc`) and start again: the \
         label is then restored from its second copy, without what was overwritten of the vdisks. \
         To give the vdisks up, `disktime format FILE --disk NAME --force`"
    )]
    Overwritten {
        /// What was found, with its article.
        found: String,
    },
    /// The disk became smaller than what is laid out on it.
    #[error(
        "the disk has {}, but the vdisks on it reach up to {}; make it as large as it was",
        apart(.size_bytes, .needed_bytes)[0], apart(.size_bytes, .needed_bytes)[1]
    )]
    Truncated {
        /// The disk's size now.
        size_bytes: u64,
        /// End of the last extent.
        needed_bytes: u64,
    },
    /// Not even room for the label and one extent.
    #[error(
        "the disk has {}, and at least {} are needed for the label and one vdisk",
        apart(.size_bytes, .needed_bytes)[0], apart(.size_bytes, .needed_bytes)[1]
    )]
    TooSmall {
        /// The disk's size.
        size_bytes: u64,
        /// The least that works.
        needed_bytes: u64,
    },
    /// The vdisk does not fit.
    #[error(
        "vdisk `{name}` needs {} more on the disk, and {} are free; make it smaller, or free \
         space with `disktime remove`{}", apart(.needed_bytes, .free_bytes)[0], apart(.needed_bytes, .free_bytes)[1],
        orphans_hint(.orphans)
    )]
    NoSpace {
        /// The vdisk.
        name: String,
        /// What it needs beyond what it has, its zero map included.
        needed_bytes: u64,
        /// What is free.
        free_bytes: u64,
        /// Vdisks on the disk that the configuration does not name.
        orphans: Vec<String>,
    },
    /// A vdisk was made smaller in the configuration.
    #[error(
        "vdisk `{name}` has {} on the disk, and the configuration says {}; vdisks do not shrink. \
         Give it its size back, or free it with `disktime remove CONFIG {name}` (its data is lost)",
        apart(.has_bytes, .wanted_bytes)[0], apart(.has_bytes, .wanted_bytes)[1]
    )]
    Shrinks {
        /// The vdisk.
        name: String,
        /// Its size on the disk.
        has_bytes: u64,
        /// Its size in the configuration.
        wanted_bytes: u64,
    },
    /// A name that the label cannot hold.
    #[error("the vdisk name `{name}` does not fit the label: {reason}")]
    Name {
        /// The name.
        name: String,
        /// What is wrong, and what would be accepted.
        reason: &'static str,
    },
    /// The number of vdisks in a label is bounded.
    #[error(
        "a disk holds at most {limit} vdisks (those that the configuration no longer names \
         included), and this would be {wanted}; put some on another disk, or free some with \
         `disktime remove`"
    )]
    TooManyVdisks {
        /// The bound.
        limit: usize,
        /// How many it would be.
        wanted: usize,
    },
    /// The table of vdisks is full.
    #[error(
        "the label has room for {limit} bytes of vdisks and extents, and these would take {wanted}; \
         free vdisks that are not needed with `disktime remove`, so that the others lie in fewer \
         extents"
    )]
    LabelFull {
        /// The bound.
        limit: u64,
        /// What it would be.
        wanted: u64,
    },
    /// There is no space for the label's rooms.
    #[error(
        "with these vdisks the label needs two free ranges of {} in one piece each for its table, \
         and the disk does not have them; free space with `disktime remove`",
        format_size(*.room_bytes)
    )]
    NoLabelRoom {
        /// The size of each.
        room_bytes: u64,
    },
    /// A change of the label failed before.
    #[error(
        "an earlier change of the label failed, so it is not known what the disk holds; open the \
         disk again"
    )]
    UpdateFailed,
    /// A name that is not on the disk.
    #[error("there is no vdisk `{name}` on the disk; it holds {}", name_list(.present))]
    Unknown {
        /// The name.
        name: String,
        /// What is there.
        present: Vec<String>,
    },
    /// Two vdisks of one name, or one of no size: the configuration was not validated.
    #[error("vdisk `{name}`: {reason}")]
    BadSpec {
        /// The vdisk.
        name: String,
        /// What is wrong, and what would be accepted.
        reason: &'static str,
    },
    /// A history that the disk cannot have, or has otherwise.
    #[error("the history of vdisk `{name}`: {problem}")]
    History {
        /// The vdisk.
        name: String,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// The disk has requests in flight but names neither a time nor a file descriptor to wait for.
    #[error("the disk does not answer {doing}, and there is nothing to wait for")]
    Stuck {
        /// What was being done.
        doing: &'static str,
    },
    /// Waiting for the disk failed.
    #[error("waiting for the disk failed: {0}")]
    Wait(std::io::Error),
}

impl VolumeError {
    /// Whether the disk failed a request as it does for a bad sector.
    pub(crate) fn is_bad_sector(&self) -> bool {
        matches!(self, VolumeError::Disk { source, .. } if source.kind == DiskErrorKind::Io)
    }
}

/// Two sizes that are compared.
fn apart(one: &u64, other: &u64) -> [String; 2] {
    format_sizes([*one, *other])
}

fn orphans_hint(orphans: &[String]) -> String {
    if orphans.is_empty() {
        return String::new();
    }
    format!(" (not in the configuration: {})", name_list(orphans))
}

fn name_list(names: &[String]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    names
        .iter()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// What a client gets for a disk's error.
pub(crate) fn io_error(error: &DiskError) -> IoError {
    match error.kind {
        DiskErrorKind::Io | DiskErrorKind::FlushFailedBefore => IoError::Io,
        DiskErrorKind::NoSpace => IoError::NoSpace,
        DiskErrorKind::ReadOnly => IoError::ReadOnly,
        DiskErrorKind::NotSupported => IoError::NotSupported,
    }
}
