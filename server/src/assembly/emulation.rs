//! From a reservation file to a configuration, and from a disk's `emulate` key to its model.

use super::AnyDisk;
use crate::failure::{CommandResult, Failure};
use disktime_disks::{
    DiskProperties, PacedDisk, PacedOverlapDisk, Preparation, Store, VirtualDisk,
    VirtualOverlapDisk,
};
use disktime_drive_models::{HddModel, HddParameters, OverlapDrive, find_drive};
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

/// What an `emulate` value names or describes.
enum Drive {
    /// A hard disk, with its name.
    HardDisk(Box<HddParameters>, String),
    /// A drive that overlaps requests.
    Overlapping(Box<OverlapDrive>),
}

/// The drive that an `emulate` value gives.
fn parameters(value: &Value) -> CommandResult<Drive> {
    let Value::String(text) = value else {
        let parameters = Box::new(HddParameters::from_json(value)?);
        return Ok(Drive::HardDisk(parameters, "a modelled disk".to_owned()));
    };
    if let Some(drive) = OverlapDrive::find(text) {
        return Ok(Drive::Overlapping(Box::new(drive)));
    }
    let drive = find_drive(text)?;
    Ok(Drive::HardDisk(Box::new(drive.parameters), drive.name))
}

/// What a disk in virtual time keeps of its data.
#[derive(Debug, Clone, Copy)]
pub(crate) struct VirtualContent<'a> {
    /// All of it, because a history is made of data; else nothing.
    is_kept: bool,
    /// As long as it lasts, nothing takes time.
    preparation: &'a Preparation,
}

impl<'a> VirtualContent<'a> {
    /// Of a disk that is made ready in `preparation`.
    pub(crate) fn new(is_kept: bool, preparation: &'a Preparation) -> VirtualContent<'a> {
        VirtualContent {
            is_kept,
            preparation,
        }
    }

    pub(super) fn store(&self) -> Store {
        match self.is_kept {
            true => Store::Sparse,
            false => Store::None,
        }
    }

    pub(super) fn preparation(&self) -> &Preparation {
        self.preparation
    }
}

/// The model of an emulated disk.
pub(crate) enum Model {
    /// A hard disk, which serves one request at a time.
    HardDisk(Box<HddModel>),
    /// A drive that overlaps requests.
    Overlapping(Box<OverlapDrive>),
}

/// Seed of a modelled drive's chances, so that a simulation repeats.
const MODEL_SEED: u64 = 1;

impl Model {
    /// Whether it serves several requests at once, so that the real disk must, too.
    pub(crate) fn overlaps(&self) -> bool {
        matches!(self, Model::Overlapping(_))
    }

    /// The disk in virtual time.
    pub(crate) fn in_virtual_time(
        self,
        properties: DiskProperties,
        content: &VirtualContent<'_>,
    ) -> AnyDisk {
        let (store, preparation) = (content.store(), content.preparation());
        match self {
            Model::HardDisk(model) => {
                let disk = VirtualDisk::new(*model, properties, store);
                Box::new(disk.prepared_in(preparation))
            }
            Model::Overlapping(drive) => {
                let disk = VirtualOverlapDisk::new(drive.model(MODEL_SEED), properties, store);
                Box::new(disk.prepared_in(preparation))
            }
        }
    }

    /// The disk paced over a real one.
    pub(crate) fn paced(self, properties: DiskProperties, inner: AnyDisk) -> AnyDisk {
        match self {
            Model::HardDisk(model) => Box::new(PacedDisk::new(*model, properties, inner)),
            Model::Overlapping(drive) => {
                let model = drive.model(MODEL_SEED);
                Box::new(PacedOverlapDisk::new(model, properties, inner))
            }
        }
    }
}

/// The model of an emulated disk at the size that the file gives it, and its properties; `None`
/// for a disk that is not emulated.
pub(crate) fn model(
    configuration: &Configuration,
    disk: &Disk,
) -> CommandResult<Option<(Model, DiskProperties)>> {
    let Some(emulate) = &disk.emulate else {
        return Ok(None);
    };
    let Some(size) = &disk.size_bytes else {
        let help = "give the disk a \"size\"; it becomes a sparse file of that size";
        return Err(configuration
            .error_at(emulate.span, "an emulated disk needs a size", help)
            .into());
    };
    let (model, drive, name) = match parameters(&emulate.value)? {
        Drive::HardDisk(parameters, name) => {
            let model = HddModel::scaled_to(&parameters, size.value).map_err(|error| {
                let help = format!("{} does not fit this drive", format_size(size.value));
                Failure::from(configuration.error_at(size.span, error.to_string(), help))
            })?;
            let drive = model.properties();
            (Model::HardDisk(Box::new(model)), drive, name)
        }
        Drive::Overlapping(found) => {
            let (drive, name) = (found.properties(size.value), found.name.to_owned());
            (Model::Overlapping(found), drive, name)
        }
    };
    let mut properties = DiskProperties::of_drive(drive, name);
    if let Some(depth) = disk.max_in_flight.as_ref().filter(|_| model.overlaps()) {
        properties.max_in_flight = properties.max_in_flight.min(depth.value as usize);
    }
    if let Some(worst_case) = &disk.worst_case {
        properties.worst_case = worst_case.value;
    }
    if let Some(switch_cost) = &disk.switch_cost {
        properties.switch_cost = switch_cost.value;
    }
    Ok(Some((model, properties)))
}
