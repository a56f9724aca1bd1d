//! The properties that a disk will have once it is opened, found out without opening it for
//! writing, locking it or creating it, so that reservations can be admitted before anything is
//! changed.

use crate::backing::{BackingKind, kind_found};
use crate::backing_error::system;
use crate::defaults::Defaults;
use crate::{BackingError, CostModel, DiskOptions, Medium, block_device};
use disktime_units::Nanos;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

/// What is known of a disk that is not open.
#[derive(Debug, Clone, Copy)]
pub struct Survey {
    /// Whether its path exists.
    pub exists: bool,
    /// Its size; that of the options if it does not exist yet.
    pub size_bytes: Option<u64>,
    /// Whether a change of place costs a seek.
    pub has_seeks: bool,
    /// W.
    pub worst_case: Nanos,
    /// s.
    pub switch_cost: Nanos,
    /// R.
    pub worst_seek: Nanos,
    /// The cost model before dispatch.
    pub cost: CostModel,
    /// Bound on requests in flight.
    pub max_in_flight: usize,
    /// Largest request.
    pub quantum_bytes: u32,
}

/// Examines what [`crate::open_disk`] would open with the same options.
///
/// # Errors
/// When the path exists and cannot be examined.
pub fn survey_disk(options: &DiskOptions) -> Result<Survey, BackingError> {
    let Medium::Path(path) = &options.medium else {
        return Ok(Survey::described(options, true, options.size_bytes, None));
    };
    let failed = |source| system(path, "examine it", source);
    let found = match std::fs::metadata(path) {
        Ok(metadata) => {
            kind_found(path, &metadata)?;
            Some(File::open(path).map_err(failed)?)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(failed(error)),
    };
    let (size_bytes, rotational) = match &found {
        Some(file) => existing(file).map_err(failed)?,
        None => (options.size_bytes, rotational_below(path)),
    };
    let size_bytes = size_bytes.max(options.size_bytes);
    Ok(Survey::described(
        options,
        found.is_some(),
        size_bytes,
        rotational,
    ))
}

impl Survey {
    fn described(
        options: &DiskOptions,
        exists: bool,
        size_bytes: Option<u64>,
        rotational: Option<bool>,
    ) -> Survey {
        let has_seeks = options
            .has_seeks
            .unwrap_or(!options.paced && rotational == Some(true));
        let defaults = Defaults::of(&options.medium, has_seeks, options.max_in_flight);
        Survey {
            exists,
            size_bytes,
            has_seeks,
            worst_case: options.worst_case.unwrap_or(defaults.worst_case),
            switch_cost: options.switch_cost.unwrap_or(defaults.switch_cost),
            worst_seek: options.worst_seek.unwrap_or(defaults.worst_seek),
            cost: options.cost.unwrap_or(defaults.cost),
            max_in_flight: options.max_in_flight.unwrap_or(defaults.depth).max(1),
            quantum_bytes: options.quantum_bytes.unwrap_or(defaults.quantum_bytes),
        }
    }
}

fn existing(file: &File) -> io::Result<(Option<u64>, Option<bool>)> {
    let metadata = file.metadata()?;
    if metadata.file_type().is_block_device() {
        let queue = block_device::queue_below(file, BackingKind::BlockDevice);
        return Ok((Some(block_device::size_bytes(file)?), queue.rotational));
    }
    let queue = block_device::queue_below(file, BackingKind::File);
    Ok((Some(metadata.len()), queue.rotational))
}

/// The directory that exists and is nearest to a file that may be created there.
pub fn nearest_directory(path: &Path) -> Option<&Path> {
    let named = |directory| {
        if directory == Path::new("") {
            Path::new(".")
        } else {
            directory
        }
    };
    let above = path.ancestors().skip(1).map(named);
    above.into_iter().find(|directory| directory.is_dir())
}

/// Whether a file that is created there will be on a rotational disk, as far as is known.
fn rotational_below(path: &Path) -> Option<bool> {
    let directory = File::open(nearest_directory(path)?).ok()?;
    block_device::queue_below(&directory, BackingKind::File).rotational
}

#[cfg(test)]
mod tests;
