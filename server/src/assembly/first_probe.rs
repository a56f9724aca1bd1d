//! The first probe of a disk that has no profile: a few seconds of reads, before it is served for
//! the first time, say whether it rotates and what its reads cost.
//!
//! The kernel calls many virtual disks rotational; then one request at a time would be in flight on
//! a disk that overlaps them. A file with holes answers from nowhere, so the reads go to blocks
//! that were written: those of the disk, where all of it is, else those of a temporary file beside
//! it, which is removed.
//!
//! - `record`: what the state directory keeps of it, so that `check`, `simulate` and every
//!   later start use the same figures. `taking`: the reads.
//!
//! Invariants: nothing on a disk is changed; the probe may only loosen what is promised: if the
//! file's reservations fit what the kernel says and not what was found, the former counts.
//!
//! What is not known here: how reservations are admitted.

mod record;
mod taking;

use super::disks::disk_options;
use crate::diagnostics::print_sentence;
use crate::failure::CommandResult;
use crate::serving::state_dir;
use disktime_calibration::Profile;
use disktime_disks::{CostModel, DiskOptions, OverlapCost, Survey, survey_disk};
use disktime_drive_models::ClassCost;
use disktime_reservations::{Admission, AdmissionReport, Configuration, Disk as DiskConfig};
use disktime_units::Nanos;
use record::Record;
use std::path::Path;

/// Smaller disks are not probed: they could lie in a cache whole.
const MIN_SIZE_BYTES: u64 = 1 << 30;

/// The path of a disk whose figures are neither told nor measured, so that a probe is worth while.
fn unknown(disk: &DiskConfig) -> Option<&Path> {
    let told = disk.emulate.is_some()
        || disk.profile.is_some()
        || disk.seeks.is_some()
        || disk.max_in_flight.is_some();
    disk.path().filter(|_| !told)
}

/// Whether a probe of the disk counts for its figures.
pub(super) fn is_known(configuration: &Configuration, disk: &DiskConfig) -> bool {
    found(configuration, disk).is_some()
}

/// The record of a disk that does not rotate, if that counts.
fn found(configuration: &Configuration, disk: &DiskConfig) -> Option<Record> {
    Record::load(configuration, disk, unknown(disk)?).filter(Record::counts)
}

/// The options with what the probe found, if there was one that counts.
pub(super) fn with_findings(
    configuration: &Configuration,
    disk: &DiskConfig,
    mut options: DiskOptions,
) -> DiskOptions {
    let Some(record) = found(configuration, disk) else {
        return options;
    };
    options.has_seeks = Some(false);
    // W, H and σ stay what is assumed: a few seconds do not show the worst of a disk.
    if let (
        Some(profile),
        Ok(Survey {
            worst_case,
            cost: CostModel::Overlapping(assumed),
            ..
        }),
    ) = (record.profile(), survey_disk(&options))
    {
        options.worst_case = options.worst_case.or(Some(worst_case));
        options.cost = Some(CostModel::Overlapping(prices(&profile, &assumed)));
    }
    options
}

/// Reads by what was measured; what was not measured by the dearer of that and what is assumed.
fn prices(profile: &Profile, assumed: &OverlapCost) -> OverlapCost {
    let found = &profile.cost;
    OverlapCost {
        random_read: found.random_read,
        sequential_read: found.sequential_read,
        random_write: dearer(&found.random_read, &assumed.random_write),
        sequential_write: dearer(&found.sequential_read, &assumed.sequential_write),
        occupancy_bound: found.occupancy_bound.max(assumed.occupancy_bound),
        fast_read_percent: found.fast_read_percent,
        ..*assumed
    }
}

fn dearer(one: &ClassCost, other: &ClassCost) -> ClassCost {
    ClassCost {
        occupancy_base: one.occupancy_base.max(other.occupancy_base),
        occupancy_per_mib: one.occupancy_per_mib.max(other.occupancy_per_mib),
        lone_base: one.lone_base.max(other.lone_base),
        lone_per_mib: one.lone_per_mib.max(other.lone_per_mib),
    }
}

/// Probes the disks that were not probed, and keeps what it finds in the state directory.
/// Returns sentences for the user.
///
/// # Errors
/// Another server uses the state directory, or it cannot be written. A disk that cannot be read is
/// no error here: it is told when it is opened.
pub(crate) fn probe_unknown_disks(configuration: &Configuration) -> CommandResult<Vec<String>> {
    let mut notices = Vec::new();
    for (index, disk) in configuration.disks.iter().enumerate() {
        let Some(path) = unknown(disk) else {
            continue;
        };
        if Record::load(configuration, disk, path).is_some() {
            continue;
        }
        notices.extend(Record::damage(configuration, disk));
        let size_bytes = survey_disk(&disk_options(disk))
            .ok()
            .and_then(|survey| survey.size_bytes);
        if size_bytes.is_none_or(|size_bytes| size_bytes < MIN_SIZE_BYTES) {
            continue;
        }
        let _lock = state_dir::lock(configuration)?;
        let name = &disk.name.value;
        print_sentence(format_args!(
            "{name}: reading from it for about six seconds, to see whether it rotates and \
             what its reads cost"
        ));
        let record = match taking::probe(path) {
            Ok(record) => record,
            Err(reason) => {
                notices.push(format!(
                    "{name}: it could not be probed ({reason}), so defaults are assumed; \
                     `\"seeks\": true` or `false` says whether it rotates"
                ));
                continue;
            }
        };
        let before = is_admitted(configuration, index)?;
        let kept = record.save(configuration, disk).and_then(|()| {
            match before && !is_admitted(configuration, index)? {
                true => record.declined().save(configuration, disk),
                false => Ok(()),
            }
        });
        if let Err(failure) = kept {
            notices.push(format!("{name}: {failure}; defaults are assumed"));
        }
    }
    Ok(notices)
}

fn is_admitted(configuration: &Configuration, index: usize) -> CommandResult<bool> {
    let report: AdmissionReport<'_> = super::admit_all(configuration)?;
    Ok(report.disks.get(index).is_some_and(Admission::is_admitted))
}

/// What was found of the disks that have no profile, as sentences.
pub(crate) fn findings(configuration: &Configuration) -> Vec<String> {
    let sentence = |disk: &DiskConfig| {
        let path = unknown(disk)?;
        let Some(record) = Record::load(configuration, disk, path) else {
            return Record::damage(configuration, disk);
        };
        let name = &disk.name.value;
        Some(format!("{name}: {}", record.described(configuration, disk)))
    };
    configuration.disks.iter().filter_map(sentence).collect()
}

/// How the disks are judged that the first `serve` is going to probe, as sentences.
pub(crate) fn assumptions(configuration: &Configuration) -> Vec<String> {
    let sentence = |disk: &DiskConfig| {
        if Record::load(configuration, disk, unknown(disk)?).is_some() {
            return None;
        }
        let survey = survey_disk(&disk_options(disk)).ok()?;
        if survey.size_bytes? < MIN_SIZE_BYTES {
            return None;
        }
        let assumed = if survey.has_seeks {
            "as a rotating disk, which the kernel says it is"
        } else {
            "as a disk that does not rotate"
        };
        Some(format!(
            "{}: it is judged {assumed}; the first `serve` reads from it for some seconds to see \
             (`\"seeks\": true` or `false` says it instead)",
            disk.name.value
        ))
    };
    configuration.disks.iter().filter_map(sentence).collect()
}

/// A time of one read, for people: 1 / rate.
fn each(per_second: u64) -> Nanos {
    Nanos(1_000_000_000 / per_second.max(1))
}

#[cfg(test)]
mod tests;
