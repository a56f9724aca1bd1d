//! One run of a workload against a configuration in virtual time: the same scheduler, loop and
//! volumes as in the server, on the modelled disks.
//!
//! Invariant: reading the counters during the run (a [`Timeline`]) does not change the run.

use super::timeline::{Sampling, Timeline};
use crate::assembly::{self, DiskService};
use crate::disk_report::{DiskReport, DiskStreams};
use crate::failure::{CommandResult, Failure};
use disktime_engine::LoopReport;
use disktime_reservations::Configuration;
use disktime_volumes::{Format, OpenOptions, VirtualDriver};
use disktime_workloads::{LoadReport, Moment, VirtualTarget, Workload, run_virtual};
use std::collections::BTreeMap;

/// The result of a run.
#[derive(Debug)]
pub(super) struct Run {
    /// What the clients saw.
    load: LoadReport,
    /// What the disks counted, in file order.
    disks: Vec<DiskRun>,
}

/// What one disk counted.
#[derive(Debug)]
pub(super) struct DiskRun {
    /// At the end.
    report: DiskReport,
    /// During the run, if a picture was asked for.
    timeline: Option<Timeline>,
}

impl Run {
    /// What the clients saw.
    pub(super) fn load(&self) -> &LoadReport {
        &self.load
    }

    /// What the disks counted, in file order.
    pub(super) fn disks(&self) -> &[DiskRun] {
        &self.disks
    }
}

impl DiskRun {
    /// What it counted until the end.
    pub(super) fn report(&self) -> &DiskReport {
        &self.report
    }

    /// What it counted during the run, if a picture was asked for.
    pub(super) fn timeline(&self) -> Option<&Timeline> {
        self.timeline.as_ref()
    }
}

/// Runs a workload against a configuration.
///
/// # Errors
/// Reservations that are not admitted, a workload that does not fit.
pub(super) fn run(
    configuration: &Configuration,
    workload: &Workload,
    sampling: Option<Sampling>,
) -> CommandResult<Run> {
    let mut services = Vec::new();
    let targets = open(configuration, workload, &mut services)?;
    let mut reports: Vec<Option<LoopReport>> = vec![None; services.len()];
    let mut timelines: Vec<Timeline> = services.iter().map(|_| Timeline::default()).collect();
    let mut observe = |moment: Moment, index: usize, service: &mut DiskService| {
        let (Moment::Sample(now) | Moment::End(now)) = moment;
        if sampling.is_some() {
            timelines[index].sample(now, service.disk_loop().scheduler());
        }
        if let Moment::End(now) = moment {
            reports[index] = Some(service.report(now));
        }
    };
    let every = sampling.map(|sampling| sampling.every());
    let load = run_virtual(&mut services, &targets, workload, every, &mut observe)?;
    let counted = reports.into_iter().zip(timelines);
    let disks = configuration.disks.iter().zip(services.iter().zip(counted));
    let disks = disks.filter_map(|(disk, (service, (report, timeline)))| {
        let name = &disk.name.value;
        let description = service.disk_loop().properties().description.clone();
        let streams = DiskStreams::of(configuration, name, service);
        Some(DiskRun {
            report: DiskReport::new(name.clone(), description, disk.policy, streams, report?),
            timeline: sampling.map(|_| timeline),
        })
    });
    let disks = disks.collect();
    Ok(Run { load, disks })
}

/// Histories are not simulated yet.
fn refuse_histories(configuration: &Configuration) -> CommandResult {
    let mut histories = configuration.vdisks.iter();
    let Some(history) = histories.find_map(|vdisk| vdisk.history.as_ref()) else {
        return Ok(());
    };
    let message = "`simulate` does not run histories yet";
    let help = "leave `history` out of the file that is simulated";
    Err(configuration.error_at(history.place, message, help).into())
}

/// Opens all disks with their vdisks; returns the disk and number of each vdisk.
fn open(
    configuration: &Configuration,
    workload: &Workload,
    services: &mut Vec<DiskService>,
) -> CommandResult<BTreeMap<String, VirtualTarget>> {
    refuse_histories(configuration)?;
    let admitted = assembly::require_admitted(configuration)?;
    let mut targets = BTreeMap::new();
    for (disk, admission) in configuration.disks.iter().zip(&admitted.disks) {
        let name = &disk.name.value;
        let virtual_disk = assembly::open_virtual(configuration, disk)?;
        let disk_loop = assembly::schedule(virtual_disk, admission, disk);
        let options = OpenOptions {
            format: Format::IfBlank { known_zero: true },
            uuid_seed: workload.seed,
            background: assembly::background_streams(admission),
        };
        let vdisks = assembly::vdisk_configs(configuration, name, &admitted.disks);
        let mut driver = VirtualDriver::default();
        let (service, _) = DiskService::open(disk_loop, &mut driver, &vdisks, options)
            .map_err(|error| Failure::new(format!("disk `{name}`: {error}")))?;
        for (vdisk, id) in vdisks.iter().zip(service.vdisk_ids()) {
            let target = VirtualTarget {
                service: services.len(),
                vdisk: id,
                size_bytes: vdisk.spec.size_bytes,
            };
            targets.insert(vdisk.spec.name.clone(), target);
        }
        services.push(service);
    }
    Ok(targets)
}
