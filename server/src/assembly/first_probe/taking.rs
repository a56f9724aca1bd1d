//! The reads of the first probe.
//!
//! Invariants: the disk is only read, and not while another program uses it; the temporary file has
//! no name, so that it is gone when the process is, however it ends; it is not made where less than
//! four times its size is free.

use super::record::Record;
use disktime_calibration::{
    Device, FirstProbe, OnDisk, Plan, PlanOptions, Prober, Profile, RealClock, measure,
};
use disktime_disks::{
    DiskIdentity, DiskOptions, free_bytes, identify_disk, nearest_directory, open_disk,
    require_unused,
};
use disktime_random::Random;
use disktime_units::format_size;
use std::error::Error;
use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

/// More than the cache of most disks, so that reads come from the medium.
const WRITTEN_BYTES: u64 = 256 << 20;
/// Requests in flight at most.
const DEPTH: usize = 128;

type Reason = Box<dyn Error + Send + Sync>;

/// Probes the disk at `path`, which may be a file that does not exist yet.
///
/// # Errors
/// A sentence with the reason why nothing was measured.
pub(super) fn probe(path: &Path) -> Result<Record, Reason> {
    if let Ok(identity) = identify_disk(path) {
        require_unused(path)?;
        if identity.is_device || identity.hole_bytes == 0 {
            return probe_file(path, &identity);
        }
    }
    let directory = nearest_directory(path).ok_or("there is no directory for it")?;
    let written = written_file(directory)?;
    let name = PathBuf::from(format!("/proc/self/fd/{}", written.as_raw_fd()));
    let identity = identify_disk(&name)?;
    probe_file(&name, &identity).map(|record| record.of(path))
}

/// A file of random data without a name.
fn written_file(directory: &Path) -> Result<File, Reason> {
    let mut file = tempfile::tempfile_in(directory)?;
    let free_bytes = free_bytes(&file).ok_or("how much is free beside it is not known")?;
    if free_bytes / 4 < WRITTEN_BYTES {
        let (free, wanted) = (format_size(free_bytes), format_size(4 * WRITTEN_BYTES));
        return Err(format!("only {free} are free beside it, and {wanted} are wanted").into());
    }
    let mut random = Random::new(3);
    let mut block = vec![0_u8; 1 << 20];
    for _ in 0..WRITTEN_BYTES >> 20 {
        random.fill(&mut block);
        file.write_all(&block)?;
    }
    file.sync_all()?;
    Ok(file)
}

fn probe_file(path: &Path, identity: &DiskIdentity) -> Result<Record, Reason> {
    let disk = open_disk(&DiskOptions {
        read_only: true,
        has_seeks: Some(false),
        max_in_flight: Some(DEPTH),
        // No figures are assumed for a disk that is measured.
        paced: true,
        ..DiskOptions::new(path)
    })?;
    let mut prober = OnDisk::new(disk, RealClock::default(), false);
    let first = FirstProbe::take(&mut prober)?;
    let profile = match first.may_rotate() {
        true => None,
        false => measured(&mut prober, identity)?,
    };
    Ok(Record::new(path, identity, first, profile.as_ref()))
}

/// `None` if the numbers are impossible, as on a machine that is busy with other things.
fn measured(prober: &mut dyn Prober, identity: &DiskIdentity) -> Result<Option<Profile>, Reason> {
    let options = PlanOptions {
        seconds: Plan::MIN_SECONDS,
        writes: false,
    };
    let plan = Plan::new(prober.facts(), options);
    let measurements = measure(&plan, prober, |_| {})?;
    let device = Device::of(identity, false);
    Ok(measurements.profile(device).ok())
}
