//! The disks of a file, opened: the real one, or its model in virtual time.

use super::emulation::VirtualContent;
use super::foreign_content::holds_nothing;
use super::profile::profiled_options;
use super::{AnyDisk, emulation, first_probe};
use crate::failure::{CommandResult, Failure};
use disktime_disks::{
    BackingError, CostModel, DiskOptions, DiskProperties, Medium, VirtualDisk, VirtualOverlapDisk,
    open_disk, survey_disk,
};
use disktime_drive_models::PricedModel;
use disktime_reservations::{Configuration, Disk as DiskConfig, Medium as MediumConfig};
use std::time::{Duration, Instant};

/// How the file's disk is opened, by the file alone.
pub(super) fn disk_options(disk: &DiskConfig) -> DiskOptions {
    DiskOptions {
        size_bytes: disk.size_bytes.map(|size| size.value),
        create: true,
        paced: disk.emulate.is_some(),
        has_seeks: disk.seeks.map(|seeks| seeks.value),
        worst_case: disk.worst_case.map(|worst_case| worst_case.value),
        switch_cost: disk.switch_cost.map(|cost| cost.value),
        max_in_flight: disk.max_in_flight.map(|depth| depth.value as usize),
        medium: match &disk.medium.value {
            MediumConfig::Path(path) => Medium::Path(path.clone()),
            MediumConfig::Memory => Medium::Memory,
            MediumConfig::Null => Medium::Null,
        },
        ..DiskOptions::new("")
    }
}

/// Opens the real disk. The flag says whether it is known to read as zeroes.
pub(crate) fn open_real(
    configuration: &Configuration,
    disk: &DiskConfig,
) -> CommandResult<(AnyDisk, bool)> {
    let known_zero = disk.path().is_none_or(holds_nothing);
    let mut options = profiled_options(configuration, disk)?;
    let model = emulation::model(configuration, disk)?;
    if let Some((_, properties)) = model.as_ref().filter(|(model, _)| model.overlaps()) {
        options.max_in_flight = Some(properties.max_in_flight);
    }
    let inner = open_when_free(&options).map_err(|error| {
        let help = "no disk was changed; mend it and start again";
        Failure::from(configuration.error_at(disk.medium.span, error.to_string(), help))
    })?;
    let opened = match model {
        Some((model, properties)) => model.paced(properties, inner),
        None => inner,
    };
    Ok((opened, known_zero))
}

/// Opens a disk with a path for reading only, beside whatever uses it. A file is not grown.
pub(crate) fn open_to_read(
    configuration: &Configuration,
    disk: &DiskConfig,
) -> CommandResult<AnyDisk> {
    let mut options = profiled_options(configuration, disk)?;
    options.read_only = true;
    options.create = false;
    let inner = open_disk(&options).map_err(|error| {
        Failure::from(configuration.error_at(disk.medium.span, error.to_string(), ""))
    })?;
    Ok(match emulation::model(configuration, disk)? {
        Some((model, properties)) => model.paced(properties, inner),
        None => inner,
    })
}

/// Opens a disk's file or device for reading only, with the size that it has.
pub(crate) fn open_as_it_is(
    configuration: &Configuration,
    disk: &DiskConfig,
) -> CommandResult<AnyDisk> {
    let options = DiskOptions {
        size_bytes: None,
        read_only: true,
        create: false,
        ..profiled_options(configuration, disk)?
    };
    Ok(open_disk(&options)?)
}

/// The size that a disk would have which does not exist yet or holds nothing; `None` if its label
/// has to be looked for.
pub(crate) fn size_if_empty(
    configuration: &Configuration,
    disk: &DiskConfig,
) -> CommandResult<Option<u64>> {
    if !disk.path().is_none_or(holds_nothing) {
        return Ok(None);
    }
    if let Some((_, properties)) = emulation::model(configuration, disk)? {
        return Ok(Some(properties.size_bytes));
    }
    Ok(survey_disk(&profiled_options(configuration, disk)?)?.size_bytes)
}

/// How long a disk may be in use by another process before it is refused.
const IN_USE_TIMEOUT: Duration = Duration::from_secs(5);
const RETRY_INTERVAL: Duration = Duration::from_millis(20);

/// Opens a disk, waiting while it is in use. The kernel closes the files of a killed server only
/// when the requests in its ring have completed; a server that is started at once would find them
/// open.
fn open_when_free(options: &DiskOptions) -> Result<AnyDisk, BackingError> {
    let until = Instant::now() + IN_USE_TIMEOUT;
    let mut logged = false;
    loop {
        match open_disk(options) {
            Err(BackingError::InUse { path, .. }) if Instant::now() < until => {
                if !std::mem::replace(&mut logged, true) {
                    let seconds = IN_USE_TIMEOUT.as_secs();
                    tracing::info!("{} is in use; waiting up to {seconds} s", path.display());
                }
                std::thread::sleep(RETRY_INTERVAL);
            }
            opened => return opened,
        }
    }
}

/// The disk in virtual time: the model of an emulated disk; for others one that takes what the
/// prices say that are assumed of it.
pub(crate) fn open_virtual(
    configuration: &Configuration,
    disk: &DiskConfig,
    content: &VirtualContent<'_>,
) -> CommandResult<AnyDisk> {
    if let Some((model, properties)) = emulation::model(configuration, disk)? {
        return Ok(model.in_virtual_time(properties, content));
    }
    let survey = survey_disk(&profiled_options(configuration, disk)?)?;
    let Some(size_bytes) = survey.size_bytes else {
        let help = "give the disk a \"size\"";
        return Err(configuration
            .error_at(disk.medium.span, "its size is not known", help)
            .into());
    };
    let name = &disk.name.value;
    let depth = survey.max_in_flight;
    let cost = match survey.cost {
        CostModel::Linear(cost) => {
            let linear = VirtualDisk::linear(size_bytes, cost, depth, name, content.store());
            return Ok(Box::new(linear.prepared_in(content.preparation())));
        }
        CostModel::Overlapping(cost) => cost,
    };
    let model = PricedModel::new(cost);
    let (worst_case, quantum_bytes) = (survey.worst_case, survey.quantum_bytes);
    let drive = model.properties(size_bytes, worst_case, depth, quantum_bytes);
    let whose = if disk.profile.is_some() {
        "the prices of its profile"
    } else if first_probe::is_known(configuration, disk) {
        "the prices that the first probe found"
    } else {
        "its assumed prices"
    };
    let description = format!("{name} by {whose}, in virtual time");
    let properties = DiskProperties::of_drive(drive, description);
    let disk = VirtualOverlapDisk::new(model, properties, content.store());
    Ok(Box::new(disk.prepared_in(content.preparation())))
}
