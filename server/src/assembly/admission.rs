//! Whether the reservations of a file's disks are admitted, from what is known of each disk before
//! it is opened.
//!
//! Invariant: nothing on a disk is changed here.

use super::emulation;
use super::profile::profiled_options;
use crate::failure::{CommandResult, Failure};
use disktime_disks::{CostModel, Survey, survey_disk};
use disktime_reservations::{
    Admission, AdmissionReport, Configuration, Disk as DiskConfig, DiskFacts, OverlapFacts, admit,
};
use disktime_volumes::label::{MAX_VDISKS, space_bytes};

/// What admission needs to know, without changing anything.
fn facts(configuration: &Configuration, disk: &DiskConfig) -> CommandResult<DiskFacts> {
    let vdisks = configuration.vdisks_on(&disk.name.value);
    refuse_too_many(configuration, disk)?;
    let overhead_bytes = space_bytes(vdisks.map(|vdisk| vdisk.name.value.as_str()));
    if let Some((_, properties)) = emulation::model(configuration, disk)? {
        return Ok(DiskFacts {
            has_seeks: properties.has_seeks,
            worst_case: properties.worst_case,
            switch_cost: properties.switch_cost,
            size_bytes: Some(properties.size_bytes),
            overhead_bytes,
            overlap: overlaps(properties.has_seeks, properties.max_in_flight)
                .then(|| overlap_facts(&properties.cost, properties.quantum_bytes)),
        });
    }
    let survey = survey(configuration, disk)?;
    if let Some(path) = disk.path().filter(|_| !survey.exists)
        && (disk.size_bytes.is_none() || path.starts_with("/dev"))
    {
        let message = format!("there is no {}", path.display());
        let help =
            "name a block device or a file, or give the disk a \"size\" so that a file is made";
        return Err(configuration
            .error_at(disk.medium.span, message, help)
            .into());
    }
    Ok(DiskFacts {
        has_seeks: survey.has_seeks,
        worst_case: survey.worst_case,
        switch_cost: survey.switch_cost,
        size_bytes: survey.size_bytes,
        overhead_bytes,
        overlap: overlaps(survey.has_seeks, survey.max_in_flight)
            .then(|| overlap_facts(&survey.cost, survey.quantum_bytes)),
    })
}

fn survey(configuration: &Configuration, disk: &DiskConfig) -> CommandResult<Survey> {
    survey_disk(&profiled_options(configuration, disk)?).map_err(|error| {
        let help = "name a block device or a file";
        Failure::from(configuration.error_at(disk.medium.span, error.to_string(), help))
    })
}

/// What the requests of a disk cost, and the longest that is sent to it as one.
pub(super) fn disk_prices(
    configuration: &Configuration,
    disk: &DiskConfig,
) -> CommandResult<(CostModel, u32)> {
    if let Some((_, properties)) = emulation::model(configuration, disk)? {
        return Ok((properties.cost, properties.quantum_bytes));
    }
    let survey = survey(configuration, disk)?;
    Ok((survey.cost, survey.quantum_bytes))
}

/// Refuses more vdisks than a disk can hold.
fn refuse_too_many(configuration: &Configuration, disk: &DiskConfig) -> CommandResult {
    let name = &disk.name.value;
    let count = configuration.vdisks_on(name).count();
    if count <= MAX_VDISKS {
        return Ok(());
    }
    let message = format!("the file has {count} vdisks on `{name}`, and a disk holds {MAX_VDISKS}");
    let help = "put some on another disk";
    Err(configuration.error_at(disk.name.span, message, help).into())
}

/// Whether the scheduler sends several requests at once and charges solo time.
fn overlaps(has_seeks: bool, max_in_flight: usize) -> bool {
    !has_seeks && max_in_flight > 1
}

fn overlap_facts(cost: &CostModel, quantum_bytes: u32) -> OverlapFacts {
    let quantum_bytes = u64::from(quantum_bytes);
    OverlapFacts {
        occupancy_bound: cost.occupancy_bound(quantum_bytes),
        longest_alone: cost.longest_alone(quantum_bytes),
        settle: cost.settle(),
    }
}

/// Decides on the reservations of one disk; changes nothing.
pub(crate) fn admit_disk(
    configuration: &Configuration,
    disk: &DiskConfig,
) -> CommandResult<Admission> {
    Ok(admit(configuration, disk, &facts(configuration, disk)?))
}

/// Decides on the reservations of all disks; changes nothing.
pub(crate) fn admit_all(configuration: &Configuration) -> CommandResult<AdmissionReport<'_>> {
    let disks = configuration
        .disks
        .iter()
        .map(|disk| admit_disk(configuration, disk))
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
