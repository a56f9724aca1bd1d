//! One run of a workload against a configuration in virtual time: the same scheduler, loop and
//! volumes as in the server, on the modelled disks.
//!
//! Invariant: reading the counters during the run (a [`Timeline`]) does not change the run.

use super::figures::HistoryFigures;
use super::timeline::{Sampling, Timeline};
use crate::assembly::emulation::VirtualContent;
use crate::assembly::{self, DiskService, ThreadService};
use crate::disk_report::{DiskReport, DiskStreams};
use crate::failure::{CommandResult, Failure};
use disktime_disks::Preparation;
use disktime_engine::LoopReport;
use disktime_reservations::Configuration;
use disktime_units::Nanos;
use disktime_volumes::{Format, LabelledDisk, OpenOptions, VirtualDriver, VolumeError};
use disktime_workloads::{LoadReport, Moment, VirtualTarget, Workload, run_virtual};
use std::collections::BTreeMap;

/// The result of a run.
#[derive(Debug)]
pub(super) struct Run {
    /// What the clients saw.
    load: LoadReport,
    /// What the disks counted, in file order.
    disks: Vec<DiskRun>,
    /// How histories stood at the end, by vdisk.
    histories: BTreeMap<String, HistoryFigures>,
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

    /// How the history of a vdisk stood at the end, if it has one.
    pub(super) fn history(&self, vdisk: &str) -> Option<HistoryFigures> {
        self.histories.get(vdisk).copied()
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
    let mut opened = open(configuration, workload)?;
    let count = configuration.disks.len();
    let mut reports: Vec<Option<LoopReport>> = vec![None; count];
    let mut timelines: Vec<Timeline> = (0..count).map(|_| Timeline::default()).collect();
    let mut histories = BTreeMap::new();
    let threads = &opened.threads;
    let mut observe = |moment: Moment, index: usize, service: &mut ThreadService| {
        let (Moment::Sample(now) | Moment::End(now)) = moment;
        for (disk, set) in threads[index].iter().zip(service.sets()) {
            if sampling.is_some() {
                timelines[*disk].sample(now, set.disk_loop().scheduler());
            }
            if let Moment::End(now) = moment {
                reports[*disk] = Some(set.report(now));
                histories.extend(histories_of(set, now));
            }
        }
    };
    let every = sampling.map(|sampling| sampling.every());
    let (services, targets) = (&mut opened.services, &opened.targets);
    let load = run_virtual(services, targets, workload, every, &mut observe)?;
    let counted = reports.into_iter().zip(timelines);
    let disks = configuration.disks.iter().zip(opened.sets()).zip(counted);
    let disks = disks.filter_map(|((disk, set), (report, timeline))| {
        let name = &disk.name.value;
        let description = set.disk_loop().properties().description.clone();
        let streams = DiskStreams::of(configuration, name, set);
        Some(DiskRun {
            report: DiskReport::new(name.clone(), description, disk.policy, streams, report?),
            timeline: sampling.map(|_| timeline),
        })
    });
    let disks = disks.collect();
    // A fold may be in flight.
    opened.services.into_iter().for_each(ThreadService::abandon);
    Ok(Run {
        load,
        disks,
        histories,
    })
}

/// How the histories of a disk's vdisks stand, by name.
fn histories_of(set: &DiskService, now: Nanos) -> Vec<(String, HistoryFigures)> {
    let names = set.vdisks().map(|(name, _)| name);
    let vdisks = names.zip(set.vdisk_ids());
    let found = vdisks.filter_map(|(name, vdisk)| {
        let report = set.history(vdisk)?;
        Some((name.to_owned(), HistoryFigures::new(&report, now)))
    });
    found.collect()
}

/// Where the parts of a run are.
#[derive(Default)]
struct Opened {
    /// A service per thread.
    services: Vec<ThreadService>,
    /// The disks of each, by their positions in the file.
    threads: Vec<Vec<usize>>,
    /// The vdisks by name.
    targets: BTreeMap<String, VirtualTarget>,
}

impl Opened {
    /// The set of each disk, in file order.
    fn sets(&self) -> Vec<&DiskService> {
        let services = self.services.iter().zip(&self.threads);
        let sets = services.flat_map(|(service, disks)| disks.iter().zip(service.sets()));
        let mut sets: Vec<_> = sets.collect();
        sets.sort_by_key(|(disk, _)| **disk);
        sets.into_iter().map(|(_, set)| set).collect()
    }
}

/// Opens all disks with their vdisks, before the time begins.
fn open(configuration: &Configuration, workload: &Workload) -> CommandResult<Opened> {
    let admitted = assembly::require_admitted(configuration)?;
    let mut opened = Opened::default();
    for disks in configuration.threads() {
        let preparation = Preparation::begin();
        let mut driver = VirtualDriver::default();
        let (mut labelled, mut vdisks) = (Vec::new(), Vec::new());
        for at in &disks {
            let (disk, admission) = (&configuration.disks[*at], &admitted.disks[*at]);
            let name = &disk.name.value;
            let is_kept = configuration.vdisks.iter().any(|vdisk| {
                let log = vdisk.log_disk();
                vdisk.history.is_some() && (vdisk.disk.value == *name || log == Some(name))
            });
            let content = VirtualContent::new(is_kept, &preparation);
            let virtual_disk = assembly::open_virtual(configuration, disk, &content)?;
            let disk_loop = assembly::schedule(virtual_disk, admission, disk);
            let options = OpenOptions {
                format: Format::IfBlank { known_zero: true },
                uuid_seed: workload.seed.wrapping_add(*at as u64),
                background: assembly::background_streams(admission),
            };
            let disk = LabelledDisk::open(disk_loop, &mut driver, options);
            labelled.push(disk.map_err(of_disk(name))?);
            vdisks.push(assembly::vdisk_configs(
                configuration,
                name,
                &admitted.disks,
            ));
        }
        let joined = ThreadService::from_labelled(labelled, &mut driver, &vdisks);
        let (service, _) = joined.map_err(|misfit| {
            let disk = &configuration.disks[disks[misfit.disk]];
            of_disk(&disk.name.value)(misfit.error)
        })?;
        preparation.end();
        for (set, vdisks) in service.sets().iter().zip(&vdisks) {
            let has_data = set.disk_loop().properties().capabilities.holds_data;
            for (vdisk, id) in vdisks.iter().zip(set.vdisk_ids()) {
                let target = VirtualTarget {
                    service: opened.services.len(),
                    vdisk: id,
                    size_bytes: vdisk.spec.size_bytes,
                    has_data,
                };
                opened.targets.insert(vdisk.spec.name.clone(), target);
            }
        }
        opened.services.push(service);
        opened.threads.push(disks);
    }
    Ok(opened)
}

fn of_disk(name: &str) -> impl Fn(VolumeError) -> Failure {
    move |error| Failure::new(format!("disk `{name}`: {error}"))
}
