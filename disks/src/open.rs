//! Opening a real disk: which engine serves it, and what is assumed of a device without a profile.
//!
//! io_uring first; where the system refuses it, plain system calls, with a notice that names the
//! cause. Figures that a device does not report (the time of a request) come from the options or
//! from `defaults`, and a notice names them.

use crate::backing::{Backing, BackingOptions};
use crate::defaults::Defaults;
use crate::memory::{MemoryDisk, NULL_KEPT_BYTES};
use crate::sync_engine::SyncDisk;
use crate::uring::{UringDisk, new_ring};
use crate::{
    BackingError, Capabilities, CostModel, DiscardEffect, Disk, DiskProperties, SeekPoint,
};
use disktime_units::Nanos;
use std::io;
use std::path::PathBuf;

/// Where a disk's data are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Medium {
    /// On a block device or in a regular file.
    Path(PathBuf),
    /// In memory, as long as the disk is open.
    Memory,
    /// Nowhere, except for the first MiB: reads return zeroes, writes are dropped. For benches.
    Null,
}

/// A real disk to open. `None` means: found out, or a default is assumed with a notice.
#[derive(Debug, Clone)]
pub struct DiskOptions {
    /// Where the data lie.
    pub medium: Medium,
    /// The size that is wanted: a smaller file is grown, a smaller device is refused. Needed where
    /// the data are not at a path.
    pub size_bytes: Option<u64>,
    /// A missing file may be created (sparse, of `size_bytes`).
    pub create: bool,
    /// Bypass the page cache where that is possible.
    pub direct: bool,
    /// Open it for reading only, without a lock, beside whatever uses it: to measure it. Requests
    /// that write fail.
    pub read_only: bool,
    /// Plain system calls even where io_uring works.
    pub force_sync: bool,
    /// A model paces it ([`crate::PacedDisk`]): the model's times count, so no defaults are assumed
    /// for the device, and its kernel scheduler does not matter.
    pub paced: bool,
    /// Whether streams should be kept apart in time.
    pub has_seeks: Option<bool>,
    /// W.
    pub worst_case: Option<Nanos>,
    /// s.
    pub switch_cost: Option<Nanos>,
    /// R.
    pub worst_seek: Option<Nanos>,
    /// Seek time by distance, of a disk with seeks.
    pub seek_curve: Option<Vec<SeekPoint>>,
    /// The cost model before dispatch.
    pub cost: Option<CostModel>,
    /// Bound on requests in flight.
    pub max_in_flight: Option<usize>,
    /// Largest request.
    pub quantum_bytes: Option<u32>,
}

impl DiskOptions {
    /// The device or file at `path`, with every figure found out or assumed.
    pub fn new(path: impl Into<PathBuf>) -> DiskOptions {
        DiskOptions {
            medium: Medium::Path(path.into()),
            size_bytes: None,
            create: false,
            direct: true,
            read_only: false,
            force_sync: false,
            paced: false,
            has_seeks: None,
            worst_case: None,
            switch_cost: None,
            worst_seek: None,
            seek_curve: None,
            cost: None,
            max_in_flight: None,
            quantum_bytes: None,
        }
    }
}

/// Requests in flight behind a pacing model, which has one at a time.
const PACED_DEPTH: usize = 4;

/// Opens, locks and describes a disk, and starts the engine that serves it.
///
/// # Errors
/// Whatever keeps it from being opened or served, as a sentence with cause and remedy.
pub fn open_disk(options: &DiskOptions) -> Result<Box<dyn Disk + Send>, BackingError> {
    let path = match &options.medium {
        Medium::Path(path) => path,
        Medium::Memory => return memory_disk(options, u64::MAX),
        Medium::Null => return memory_disk(options, NULL_KEPT_BYTES),
    };
    let mut backing = Backing::open(&BackingOptions {
        path: path.clone(),
        size_bytes: options.size_bytes,
        create: options.create,
        direct: options.direct,
        read_only: options.read_only,
    })?;
    let mut notices = backing.take_notices();
    let has_seeks = options
        .has_seeks
        .unwrap_or(!options.paced && backing.rotational() == Some(true));
    if !options.paced {
        notices.extend(backing.take_queue_notice());
        notices.extend(assumed(&backing, options, has_seeks));
    }
    let mut properties = DiskProperties {
        block_bytes: backing.block_bytes(),
        capabilities: capabilities_of(&backing),
        notices,
        ..described(options, has_seeks, backing.size_bytes())
    };
    if options.force_sync {
        return sync_disk(backing, properties);
    }
    let name = backing.path().display().to_string();
    match new_ring(properties.max_in_flight) {
        Ok(ring) => {
            properties.description = format!("io_uring on {name}");
            Ok(Box::new(UringDisk::new(ring, backing, properties)))
        }
        Err(error) => {
            let sysctl = std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled").ok();
            let notice = refusal(&name, &error, sysctl.as_deref());
            properties.notices.push(notice);
            sync_disk(backing, properties)
        }
    }
}

fn sync_disk(
    backing: Backing,
    mut properties: DiskProperties,
) -> Result<Box<dyn Disk + Send>, BackingError> {
    let path = backing.path().to_owned();
    properties.description = format!("plain system calls on {}", path.display());
    match SyncDisk::new(backing, properties) {
        Ok(disk) => Ok(Box::new(disk)),
        Err(source) => Err(BackingError::System {
            path,
            action: "start the threads that serve it",
            source,
        }),
    }
}

/// Why io_uring is refused and what the user can do. `sysctl` is the content of
/// `kernel.io_uring_disabled`, where that exists.
fn refusal(name: &str, error: &io::Error, sysctl: Option<&str>) -> String {
    let disabled = sysctl.map(str::trim).filter(|value| *value != "0");
    let cause = match (error.raw_os_error(), disabled) {
        (Some(libc::ENOSYS), _) => "the kernel has no usable io_uring (Linux 5.6 or newer is \
                                    needed, and it may be compiled out)"
            .to_owned(),
        (Some(libc::EPERM | libc::EACCES), Some(value)) => format!(
            "kernel.io_uring_disabled is {value}; allow it with `sysctl kernel.io_uring_disabled=0`"
        ),
        (Some(libc::EPERM | libc::EACCES), None) => "the system's policy forbids it (a seccomp \
                                                     filter, as containers have by default)"
            .to_owned(),
        (Some(libc::ENOMEM), _) => {
            "there is not enough lockable memory; raise it with `ulimit -l`".to_owned()
        }
        _ => error.to_string(),
    };
    format!("{name}: io_uring is refused: {cause}; plain system calls serve it, more slowly")
}

fn memory_disk(
    options: &DiskOptions,
    kept_bytes: u64,
) -> Result<Box<dyn Disk + Send>, BackingError> {
    let (description, notice) = match options.medium {
        Medium::Null => (
            "null (keeps nothing; for benches)",
            "a disk is null: its reads are zeroes, and what is written to it is dropped",
        ),
        _ => (
            "memory",
            "a disk lies in memory: what it holds is gone when the server stops",
        ),
    };
    let size_bytes = options.size_bytes.unwrap_or(0);
    let has_seeks = options.has_seeks.unwrap_or(false);
    let properties = DiskProperties {
        description: description.to_owned(),
        block_bytes: 512,
        notices: vec![notice.to_owned()],
        capabilities: Capabilities {
            discard: DiscardEffect::Undefined,
            caches_reads: false,
            holds_data: true,
            volatile_cache: false,
        },
        ..described(options, has_seeks, size_bytes - size_bytes % 512)
    };
    match MemoryDisk::new(properties, kept_bytes) {
        Ok(disk) => Ok(Box::new(disk)),
        Err(source) => Err(BackingError::Memory { size_bytes, source }),
    }
}

/// What a block device or file can do. Holes of a file, and discarded ranges of a block device
/// whose queue zeroes them, read as zeroes.
fn capabilities_of(backing: &Backing) -> Capabilities {
    Capabilities {
        discard: if backing.discards() {
            DiscardEffect::Zeroes
        } else {
            DiscardEffect::Ignored
        },
        caches_reads: !backing.is_direct(),
        holds_data: true,
        volatile_cache: true,
    }
}

/// The properties of a disk; the description is the engine's to set.
fn described(options: &DiskOptions, has_seeks: bool, size_bytes: u64) -> DiskProperties {
    let defaults = Defaults::of(&options.medium, has_seeks, options.max_in_flight);
    let depth = if options.paced {
        PACED_DEPTH
    } else {
        defaults.depth
    };
    DiskProperties {
        description: String::new(),
        size_bytes,
        block_bytes: 4096,
        has_seeks,
        worst_case: options.worst_case.unwrap_or(defaults.worst_case),
        switch_cost: options.switch_cost.unwrap_or(defaults.switch_cost),
        worst_seek: options.worst_seek.unwrap_or(defaults.worst_seek),
        seek_curve: match &options.seek_curve {
            Some(curve) if has_seeks => curve.clone(),
            None if has_seeks => default_seek_curve(size_bytes),
            _ => Vec::new(),
        },
        positioning: None,
        cost: options.cost.unwrap_or(defaults.cost),
        max_in_flight: options.max_in_flight.unwrap_or(depth).max(1),
        quantum_bytes: options.quantum_bytes.unwrap_or(defaults.quantum_bytes),
        capabilities: Capabilities {
            discard: DiscardEffect::Undefined,
            caches_reads: false,
            holds_data: true,
            volatile_cache: true,
        },
        notices: Vec::new(),
    }
}

/// Seeks of the assumed hard disk by the fraction of the stroke: square root first, then linear.
fn default_seek_curve(size_bytes: u64) -> Vec<SeekPoint> {
    const POINTS: [(u64, u64); 9] = [
        (0, 0),
        (1, 1_000),
        (10, 2_200),
        (50, 3_900),
        (100, 5_200),
        (200, 6_900),
        (333, 8_500),
        (600, 11_700),
        (1_000, 17_000),
    ];
    POINTS
        .into_iter()
        .map(|(thousandths, micros)| SeekPoint {
            distance_bytes: size_bytes / 1_000 * thousandths
                + size_bytes % 1_000 * thousandths / 1_000,
            seek: Nanos::from_micros(micros),
        })
        .collect()
}

fn assumed(backing: &Backing, options: &DiskOptions, has_seeks: bool) -> Option<String> {
    let defaults = Defaults::of(&options.medium, has_seeks, options.max_in_flight);
    let told = options.worst_case.is_some()
        && options.cost.is_some()
        && (!has_seeks || (options.switch_cost.is_some() && options.worst_seek.is_some()));
    if told {
        return None;
    }
    let why = match (options.has_seeks, backing.rotational()) {
        (Some(_), _) => "as configured",
        (None, Some(true)) => "the kernel calls it rotational",
        (None, Some(false)) => "the kernel calls it non-rotational",
        (None, None) => "the kernel does not say whether it spins",
    };
    let worst_case = options.worst_case.unwrap_or(defaults.worst_case);
    let switch_cost = options.switch_cost.unwrap_or(defaults.switch_cost);
    Some(format!(
        "{}: it has no profile, so defaults are assumed: {defaults} ({why}), worst case \
         {worst_case}, switch {switch_cost}",
        backing.path().display()
    ))
}

#[cfg(test)]
mod tests;
