//! What a file holds before a disk is made of it: nothing, one of our labels, or something else
//! that must not be lost.

use crate::failure::CommandResult;
use disktime_disks::is_write_protected;
use disktime_reservations::{Configuration, Disk as DiskConfig};
use disktime_units::format_sizes;
use disktime_volumes::label::{
    COPY_CAPACITY_BYTES, COPY_OFFSETS, MAGIC as LABEL_MAGIC, recorded_size_bytes,
};
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Refuses to grow a file that holds something else: that would move its end, where some formats
/// keep their signature. Nor one that was larger before: what it lost would read as holes. Called
/// before the file is opened.
///
/// # Errors
/// When the file is shorter than its size in the reservation file, and has content but no label, or
/// a label that says that it was larger.
pub(crate) fn refuse_to_grow(configuration: &Configuration, disk: &DiskConfig) -> CommandResult {
    let (Some(size), Some(path)) = (&disk.size_bytes, disk.path()) else {
        return Ok(());
    };
    let Ok(metadata) = std::fs::metadata(path) else {
        return Ok(());
    };
    let (name, shown) = (&disk.name.value, path.display());
    let has_bytes = metadata.len();
    if !metadata.is_file() || has_bytes >= size.value || holds_nothing(path) {
        return Ok(());
    }
    let lose_it = format!(
        "to lose what it holds: `disktime format {} --disk {name} --force`",
        configuration.file().display()
    );
    let refuse = |message: String, help: String| {
        let errors = configuration.error_at(disk.medium.span, message, help);
        Err(errors.into())
    };
    if !has_label(path)? {
        let message = format!(
            "disk `{name}`: {shown} holds something that is no label of ours, and is shorter than \
             its \"size\"; nothing was changed"
        );
        return refuse(message, lose_it);
    }
    match recorded_size_bytes(&head(path)?) {
        Some(had_bytes) if has_bytes < had_bytes => {
            let [has, had] = format_sizes([has_bytes, had_bytes]);
            let message = format!(
                "disk `{name}`: {shown} has {has}, and had {had} when its label was written: its \
                 end is lost, and would read as holes; nothing was changed"
            );
            let help = format!(
                "restore the file; if what lay behind {has} is not needed, `truncate -s \
                 {had_bytes} {shown}` makes it zeroes"
            );
            refuse(message, help)
        }
        Some(_) if is_write_protected(path) => {
            let [has, wanted] = format_sizes([has_bytes, size.value]);
            let message = format!(
                "disk `{name}`: {shown} has {has} and cannot be written to, so it cannot grow to its \
                 \"size\" of {wanted}"
            );
            refuse(
                message,
                format!("\"size\": \"{has_bytes}B\"; or make it writable"),
            )
        }
        Some(_) => Ok(()),
        None => {
            let message = format!(
                "disk `{name}`: {shown} is shorter than its \"size\", and no copy of its label is \
                 whole; nothing was changed"
            );
            refuse(message, format!("restore the file; {lose_it}"))
        }
    }
}

/// The first MiB of a file, or as much as it has.
fn head(path: &Path) -> CommandResult<Vec<u8>> {
    let mut head = Vec::new();
    let file = std::fs::File::open(path)?;
    file.take(2 * COPY_CAPACITY_BYTES as u64)
        .read_to_end(&mut head)?;
    Ok(head)
}

/// Whether either copy of the label begins with its magic.
pub(crate) fn has_label(path: &Path) -> CommandResult<bool> {
    let file = std::fs::File::open(path)?;
    let begins_like_one = |offset: &u64| {
        let mut start = [0; LABEL_MAGIC.len()];
        file.read_exact_at(&mut start, *offset).is_ok() && start == *LABEL_MAGIC
    };
    Ok(COPY_OFFSETS.iter().any(begins_like_one))
}

/// Whether a file reads as zeroes: it does not exist yet, or has no allocated block.
pub(super) fn holds_nothing(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match std::fs::metadata(path) {
        Ok(metadata) => metadata.is_file() && metadata.blocks() == 0,
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}
