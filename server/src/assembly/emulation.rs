//! From a reservation file to a configuration, and from a disk's `emulate` key to its model.

use crate::failure::{CommandResult, Failure};
use disktime_disks::DiskProperties;
use disktime_drive_models::{HddModel, HddParameters, find_drive};
use disktime_reservations::{Configuration, Disk, Policy};
use disktime_units::format_size;
use serde_json::Value;
use std::path::Path;

/// Reads a reservation file, with presets and model parameters checked.
pub(crate) fn load(file: &Path) -> CommandResult<Configuration> {
    Ok(Configuration::load(file, &check)?)
}

/// The same; `policy`, if there is one, replaces the policy of all disks.
pub(crate) fn load_under(file: &Path, policy: Option<&str>) -> CommandResult<Configuration> {
    let mut configuration = load(file)?;
    let Some(name) = policy else {
        return Ok(configuration);
    };
    let policy = Policy::from_name(name).ok_or_else(|| {
        let names: Vec<_> = Policy::NAMES.iter().map(|one| format!("`{one}`")).collect();
        Failure::new(format!(
            "there is no policy `{name}`; there are {}",
            names.join(", ")
        ))
    })?;
    for disk in &mut configuration.disks {
        disk.policy = policy;
    }
    Ok(configuration)
}

/// Checks that an `emulate` value names or describes a model.
pub(crate) fn check(value: &Value) -> Result<(), String> {
    parameters(value)
        .map(|_| ())
        .map_err(|error| error.to_string())
}

/// The parameters and the name that an `emulate` value gives.
fn parameters(value: &Value) -> CommandResult<(HddParameters, String)> {
    if let Value::String(text) = value {
        let drive = find_drive(text)?;
        return Ok((drive.parameters, drive.name));
    }
    Ok((
        HddParameters::from_json(value)?,
        "a modelled disk".to_owned(),
    ))
}

/// The model of an emulated disk at the size that the file gives it, and its properties; `None`
/// for a disk that is not emulated.
pub(crate) fn model(
    configuration: &Configuration,
    disk: &Disk,
) -> CommandResult<Option<(HddModel, DiskProperties)>> {
    let Some(emulate) = &disk.emulate else {
        return Ok(None);
    };
    let Some(size) = &disk.size_bytes else {
        let help = "give the disk a \"size\"; it becomes a sparse file of that size";
        return Err(configuration
            .error_at(emulate.span, "an emulated disk needs a size", help)
            .into());
    };
    let (parameters, name) = parameters(&emulate.value)?;
    let model = HddModel::scaled_to(&parameters, size.value).map_err(|error| {
        let help = format!("{} does not fit this drive", format_size(size.value));
        Failure::from(configuration.error_at(size.span, error.to_string(), help))
    })?;
    let mut properties = DiskProperties::of_drive(model.properties(), name);
    if let Some(worst_case) = &disk.worst_case {
        properties.worst_case = worst_case.value;
    }
    if let Some(switch_cost) = &disk.switch_cost {
        properties.switch_cost = switch_cost.value;
    }
    Ok(Some((model, properties)))
}
