//! What a file holds before a disk is made of it: nothing, one of our labels, or something else
//! that must not be lost.

use crate::failure::CommandResult;
use disktime_reservations::{Configuration, Disk as DiskConfig};
use disktime_volumes::label::{COPY_OFFSETS, MAGIC as LABEL_MAGIC};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Refuses to grow a file that holds something else: that would move its end, where some formats
/// keep their signature. Called before the file is opened.
///
/// # Errors
/// When the file is shorter than its size in the reservation file and has content but no label.
pub(crate) fn refuse_to_grow_foreign(
    configuration: &Configuration,
    disk: &DiskConfig,
) -> CommandResult {
    let (Some(size), Some(path)) = (&disk.size_bytes, disk.path()) else {
        return Ok(());
    };
    let Ok(metadata) = std::fs::metadata(path) else {
        return Ok(());
    };
    if !metadata.is_file() || metadata.len() >= size.value || holds_nothing(path) {
        return Ok(());
    }
    if has_label(path)? {
        return Ok(());
    }
    let message = format!(
        "disk `{}`: {} holds something that is no label of ours, and is shorter than its \"size\"; \
         nothing was changed",
        disk.name.value,
        path.display()
    );
    let help = format!(
        "to lose what it holds: `disktime format {} --disk {} --force`",
        configuration.file().display(),
        disk.name.value
    );
    Err(configuration
        .error_at(disk.medium.span, message, help)
        .into())
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
