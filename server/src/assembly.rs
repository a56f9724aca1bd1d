//! From the reservation file to scheduled disks: what is known of each disk before it is opened,
//! whether its reservations are admitted, and the disk with its loop, in real or virtual time.

pub(crate) mod emulation;

use crate::failure::{CommandResult, Failure};
use disktime_disks::{
    BackingError, Disk, DiskOptions, LinearCost, Medium, PacedDisk, Store, VirtualDisk, open_disk,
    survey_disk,
};
use disktime_engine::{
    DiskLoop, Limit, LoopSettings, Order, PolicyKind, Reservation, StreamConfig, SwitchingAccount,
};
use disktime_reservations::{
    Admission, AdmissionReport, Configuration, Disk as DiskConfig, DiskFacts, Group,
    Medium as MediumConfig, Policy, RequestOrder, Switching, Vdisk, admit,
};
use disktime_units::ByBackgroundWork;
use disktime_volumes::label::{COPY_OFFSETS, MAGIC as LABEL_MAGIC, space_bytes};
use disktime_volumes::{GroupConfig, MAX_QUEUED_IOS, VdiskConfig, VdiskSpec, VolumeSet};
use std::collections::HashMap;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// Any disk.
pub(crate) type AnyDisk = Box<dyn Disk + Send>;
/// The vdisks of one disk.
pub(crate) type DiskService = VolumeSet<AnyDisk>;

/// The factor of the switching account (c), in per cent of a switch's mean cost.
const SWITCHING_FACTOR_PERCENT: u32 = 150;

/// How the file's disk is opened.
fn disk_options(disk: &DiskConfig) -> DiskOptions {
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

/// What admission needs to know, without changing anything.
fn facts(configuration: &Configuration, disk: &DiskConfig) -> CommandResult<DiskFacts> {
    let vdisks = configuration.vdisks_on(&disk.name.value);
    let overhead_bytes = space_bytes(vdisks.map(|vdisk| vdisk.name.value.as_str()));
    if let Some((_, properties)) = emulation::model(configuration, disk)? {
        return Ok(DiskFacts {
            has_seeks: properties.has_seeks,
            worst_case: properties.worst_case,
            switch_cost: properties.switch_cost,
            size_bytes: Some(properties.size_bytes),
            overhead_bytes,
        });
    }
    let place = disk.medium.span;
    let survey = survey_disk(&disk_options(disk)).map_err(|error| {
        Failure::from(configuration.error_at(
            place,
            error.to_string(),
            "name a block device or a file",
        ))
    })?;
    if let Some(path) = disk.path().filter(|_| !survey.exists)
        && (disk.size_bytes.is_none() || path.starts_with("/dev"))
    {
        let message = format!("there is no {}", path.display());
        let help =
            "name a block device or a file, or give the disk a \"size\" so that a file is made";
        return Err(configuration.error_at(place, message, help).into());
    }
    Ok(DiskFacts {
        has_seeks: survey.has_seeks,
        worst_case: survey.worst_case,
        switch_cost: survey.switch_cost,
        size_bytes: survey.size_bytes,
        overhead_bytes,
    })
}

/// Decides on the reservations of all disks; changes nothing.
pub(crate) fn admit_all(configuration: &Configuration) -> CommandResult<AdmissionReport<'_>> {
    let verdict = |disk| Ok(admit(configuration, disk, &facts(configuration, disk)?));
    let disks = configuration
        .disks
        .iter()
        .map(verdict)
        .collect::<CommandResult<Vec<_>>>()?;
    Ok(AdmissionReport::new(configuration, disks))
}

/// The same; an error if a disk's reservations are not admitted.
pub(crate) fn require_admitted(
    configuration: &Configuration,
) -> CommandResult<AdmissionReport<'_>> {
    let report = admit_all(configuration)?;
    match report.errors() {
        Some(errors) => Err(errors.into()),
        None => Ok(report),
    }
}

/// The scheduler's policy, with its default parameters.
pub(crate) fn policy_kind(policy: Policy) -> PolicyKind {
    match policy {
        Policy::Fahrrad => PolicyKind::Fahrrad,
        Policy::FahrradDss => PolicyKind::FahrradDss,
        Policy::ZygariaUtil => PolicyKind::ZygariaUtil(Default::default()),
        Policy::ZygariaIops => PolicyKind::ZygariaIops(Default::default()),
        Policy::Mclock => PolicyKind::Mclock(Default::default()),
        Policy::SfqD => PolicyKind::SfqD(Default::default()),
        Policy::Edf => PolicyKind::Edf,
        Policy::CLook => PolicyKind::CLook,
        Policy::Fifo => PolicyKind::Fifo,
    }
}

/// A disk with the loop that schedules it.
pub(crate) fn schedule(
    disk: AnyDisk,
    admission: &Admission,
    config: &DiskConfig,
) -> DiskLoop<AnyDisk> {
    // Every stream's full queue fits, so that one vdisk's backlog never blocks another's requests.
    let max_queued = admission.streams.len() * MAX_QUEUED_IOS;
    let switching = match admission.switching {
        Switching::Served => SwitchingAccount::Served,
        Switching::Account => SwitchingAccount::Reserved {
            factor_percent: SWITCHING_FACTOR_PERCENT,
        },
    };
    DiskLoop::new(
        disk,
        LoopSettings {
            policy: policy_kind(config.policy),
            switching,
            order: match config.order {
                RequestOrder::Sweep => Order::Sweep,
                RequestOrder::LeastPositioning => Order::LeastPositioning,
            },
            max_queued,
        },
    )
}

/// What the streams of a disk's background work get.
pub(crate) fn background_streams(admission: &Admission) -> ByBackgroundWork<StreamConfig> {
    ByBackgroundWork::from_fn(|work| {
        let admitted = admission.background(work);
        let reservation = admitted.and_then(|admitted| {
            Some(Reservation {
                share: admitted.reserve,
                period: admitted.period?,
            })
        });
        StreamConfig {
            reservation,
            ..StreamConfig::BEST_EFFORT
        }
    })
}

/// The vdisks of a disk, in file order.
pub(crate) fn vdisk_configs(configuration: &Configuration, disk: &str) -> Vec<VdiskConfig> {
    let groups: HashMap<&str, GroupConfig> = configuration
        .groups_on(disk)
        .map(|group| (group.name.value.as_str(), group_config(group)))
        .collect();
    let config = |vdisk: &Vdisk| VdiskConfig {
        spec: VdiskSpec {
            name: vdisk.name.value.clone(),
            size_bytes: vdisk.size_bytes.value,
        },
        stream: stream_config(&vdisk.reservation, &vdisk.limit, vdisk.weight),
        group: vdisk
            .group
            .as_ref()
            .and_then(|group| groups.get(group.value.as_str()).cloned()),
    };
    configuration.vdisks_on(disk).map(config).collect()
}

fn group_config(group: &Group) -> GroupConfig {
    GroupConfig {
        name: group.name.value.clone(),
        stream: stream_config(&group.reservation, &group.limit, group.weight),
    }
}

fn stream_config(
    reservation: &Option<disktime_reservations::Reservation>,
    limit: &Option<disktime_reservations::Limit>,
    weight: u32,
) -> StreamConfig {
    StreamConfig {
        reservation: reservation.as_ref().map(|reservation| Reservation {
            share: reservation.reserve.value,
            period: reservation.period.value,
        }),
        limit: limit.as_ref().map(|limit| Limit {
            share: limit.share.value,
            period: limit.period,
        }),
        weight,
    }
}

/// What a vdisk is entitled to, for people.
pub(crate) fn entitlement(vdisk: &Vdisk) -> String {
    let limit = vdisk.limit.as_ref().map_or_else(String::new, |limit| {
        format!(", at most {}", limit.share.value)
    });
    match (&vdisk.reservation, &vdisk.group) {
        (Some(reservation), _) => format!(
            "{} of {} in every {}{limit}",
            reservation.reserve.value, vdisk.disk.value, reservation.period.value
        ),
        (None, Some(group)) => format!(
            "of the group {} on {}, weight {}",
            group.value, vdisk.disk.value, vdisk.weight
        ),
        (None, None) => format!(
            "best effort on {}, weight {}{limit}",
            vdisk.disk.value, vdisk.weight
        ),
    }
}

/// Opens the real disk. The flag says whether it is known to read as zeroes.
pub(crate) fn open_real(
    configuration: &Configuration,
    disk: &DiskConfig,
) -> CommandResult<(AnyDisk, bool)> {
    let known_zero = disk.path().is_none_or(holds_nothing);
    let options = disk_options(disk);
    let inner = open_when_free(&options).map_err(|error| {
        let help = "nothing was changed; mend it and start again";
        Failure::from(configuration.error_at(disk.medium.span, error.to_string(), help))
    })?;
    let opened: AnyDisk = match emulation::model(configuration, disk)? {
        Some((model, properties)) => Box::new(PacedDisk::new(model, properties, inner)),
        None => inner,
    };
    Ok((opened, known_zero))
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
fn has_label(path: &Path) -> CommandResult<bool> {
    let file = std::fs::File::open(path)?;
    let begins_like_one = |offset: &u64| {
        let mut start = [0; LABEL_MAGIC.len()];
        file.read_exact_at(&mut start, *offset).is_ok() && start == *LABEL_MAGIC
    };
    Ok(COPY_OFFSETS.iter().any(begins_like_one))
}

/// Whether a file reads as zeroes: it does not exist yet, or has no allocated block.
fn holds_nothing(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match std::fs::metadata(path) {
        Ok(metadata) => metadata.is_file() && metadata.blocks() == 0,
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}

/// The disk in virtual time: the model of an emulated disk; for others a disk of linear cost.
pub(crate) fn open_virtual(
    configuration: &Configuration,
    disk: &DiskConfig,
) -> CommandResult<AnyDisk> {
    if let Some((model, properties)) = emulation::model(configuration, disk)? {
        return Ok(Box::new(VirtualDisk::new(model, properties, Store::None)));
    }
    let survey = survey_disk(&disk_options(disk))?;
    let Some(size_bytes) = survey.size_bytes else {
        let help = "give the disk a \"size\"";
        return Err(configuration
            .error_at(disk.medium.span, "its size is not known", help)
            .into());
    };
    let cost: LinearCost = survey.cost;
    let name = &disk.name.value;
    let depth = survey.max_in_flight;
    Ok(Box::new(VirtualDisk::linear(
        size_bytes,
        cost,
        depth,
        name,
        Store::None,
    )))
}

#[cfg(test)]
mod tests;
