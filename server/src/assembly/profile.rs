//! A disk's profile: prices, H, σ, W, depth and quantum as `disktime calibrate` measured them.
//!
//! What the file says of a disk counts before its profile, its profile before what the first probe
//! of it found (`first_probe`), and that before the defaults.
//!
//! Invariant: a profile of another disk is never used.

use super::disks::disk_options;
use super::first_probe;
use crate::failure::{CommandResult, Failure};
use disktime_calibration::{Profile, ProfileError};
use disktime_disks::{DiskOptions, identify_disk};
use disktime_reservations::{Configuration, Disk as DiskConfig};

/// How the file's disk is opened, with the figures of its profile.
///
/// # Errors
/// The profile cannot be read, holds an impossible number, or is of another disk.
pub(super) fn profiled_options(
    configuration: &Configuration,
    disk: &DiskConfig,
) -> CommandResult<DiskOptions> {
    let mut options = disk_options(disk);
    let Some(profile) = load(configuration, disk)? else {
        return Ok(first_probe::with_findings(configuration, disk, options));
    };
    options.has_seeks = Some(profile.device.rotational);
    options.cost = Some(profile.cost_model());
    options.worst_case = options.worst_case.or(Some(profile.worst_case));
    options.switch_cost = options.switch_cost.or(Some(profile.switch_cost()));
    options.worst_seek = Some(profile.worst_seek());
    options.seek_curve = profile.seeks.as_ref().map(|seeks| seeks.curve.clone());
    options.quantum_bytes = Some(profile.quantum_bytes);
    let depth = profile.max_in_flight as usize;
    options.max_in_flight = options.max_in_flight.or(Some(depth));
    Ok(options)
}

fn load(configuration: &Configuration, disk: &DiskConfig) -> CommandResult<Option<Profile>> {
    let (Some(file), Some(path)) = (&disk.profile, disk.path()) else {
        return Ok(None);
    };
    let refused = |message: String, help: &str| {
        Failure::from(configuration.error_at(file.span, message, help))
    };
    let help = "measure the disk with `disktime calibrate`, or remove `profile`: then defaults are \
                assumed";
    if let Err(error) = std::fs::File::open(&file.value) {
        let message = format!(
            "the profile {} cannot be read: {error}",
            file.value.display()
        );
        return Err(refused(message, help));
    }
    let profile = match Profile::load(&file.value) {
        Ok(profile) => profile,
        // It has its own line and column.
        Err(ProfileError::Document(errors)) => return Err(errors.into()),
        Err(error) => return Err(refused(error.to_string(), help)),
    };
    let found = identify_disk(path).map_err(|error| refused(error.to_string(), help))?;
    profile
        .require_device(&file.value, found.size_bytes, found.model.as_deref())
        .map_err(|error| refused(error.to_string(), help))?;
    let contrary = |seeks: bool| seeks != profile.device.rotational;
    if let Some(seeks) = disk.seeks.as_ref().filter(|seeks| contrary(seeks.value)) {
        let message = format!(
            "`seeks` is {} and the profile was measured with `--seeks {}`",
            seeks.value, profile.device.rotational
        );
        let help = "remove `seeks`, or measure the disk again";
        return Err(configuration.error_at(seeks.span, message, help).into());
    }
    Ok(Some(profile))
}
