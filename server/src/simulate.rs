//! `disktime simulate`: a workload against a configuration in virtual time. The same scheduler,
//! loop and volumes as in the server, on the modelled disk; the same bytes every time.

use crate::assembly::{self, DiskService};
use crate::emulation;
use crate::failure::{Failure, Outcome};
use crate::status::{SYSTEM, disk_window, reserved_share, vdisk_window};
use disktime_engine::{LoopReport, VdiskId};
use disktime_reservations::Configuration;
use disktime_volumes::{Format, OpenOptions, VirtualDriver};
use disktime_workloads::{LoadReport, Moment, VirtualTarget, Workload, run_virtual};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// Runs the command.
pub fn run(file: &Path, workload: &Workload, policy: Option<&str>, json: bool) -> Outcome {
    let configuration = emulation::load_under(file, policy)?;
    let report = simulate(&configuration, workload)?;
    if json {
        print!("{}", report.to_json_text());
    } else {
        print!("{report}");
    }
    Ok(())
}

/// Runs a workload against a configuration.
pub fn simulate(configuration: &Configuration, workload: &Workload) -> Outcome<LoadReport> {
    let admitted = assembly::judge_admitted(configuration)?;
    let mut services = Vec::new();
    let mut targets = BTreeMap::new();
    for (disk, admission) in configuration.disks.iter().zip(&admitted.disks) {
        let name = &disk.name.value;
        let virtual_disk = assembly::open_virtual(configuration, disk)?;
        let disk_loop = assembly::schedule(virtual_disk, admission, disk);
        let options = OpenOptions {
            format: Format::IfBlank { known_zero: true },
            uuid_seed: workload.seed,
            system: assembly::system_stream(admission),
        };
        let vdisks = assembly::vdisk_configs(configuration, name);
        let mut driver = VirtualDriver::default();
        let (service, _) = DiskService::open(disk_loop, &mut driver, &vdisks, options)
            .map_err(|error| Failure::new(format!("disk `{name}`: {error}")))?;
        for (position, vdisk) in vdisks.iter().enumerate() {
            let target = VirtualTarget {
                service: services.len(),
                vdisk: VdiskId(position as u32),
                size_bytes: vdisk.spec.size_bytes,
            };
            targets.insert(vdisk.spec.name.clone(), target);
        }
        services.push(service);
    }
    let mut reports: Vec<Option<LoopReport>> = vec![None; services.len()];
    let mut observe = |moment: Moment, index: usize, service: &mut DiskService| {
        if let Moment::End(now) = moment {
            reports[index] = Some(service.report(now));
        }
    };
    let mut report = run_virtual(&mut services, &targets, workload, None, &mut observe)?;
    for (disk, (service, loop_report)) in configuration
        .disks
        .iter()
        .zip(services.iter().zip(&reports))
    {
        if let Some(loop_report) = loop_report {
            fill(
                &mut report,
                configuration,
                &disk.name.value,
                service,
                loop_report,
            );
        }
    }
    Ok(report)
}

/// Adds what a disk and its vdisks received to the report.
fn fill(
    report: &mut LoadReport,
    configuration: &Configuration,
    disk: &str,
    service: &DiskService,
    loop_report: &LoopReport,
) {
    let mut figures = disk_window(loop_report.windows.total);
    if let Some(figures) = figures.as_object_mut() {
        let system = &loop_report.streams[service.system_stream().0 as usize];
        figures.insert(SYSTEM.to_owned(), vdisk_window(system.windows.total));
        figures.insert(
            "overruns".to_owned(),
            json!(loop_report.windows.total.counters.overruns),
        );
        figures.insert(
            "unspent_bound_ms".to_owned(),
            json!(loop_report.unspent_bound.as_millis_f64()),
        );
    }
    report.disks.insert(disk.to_owned(), figures);
    for (position, vdisk) in configuration.vdisks_on(disk).enumerate() {
        let Some(stream) = service.stream(VdiskId(position as u32)) else {
            continue;
        };
        let stream = &loop_report.streams[stream.0 as usize];
        let mut figures = Map::new();
        figures.insert(
            "reserved_share".to_owned(),
            json!(reserved_share(&stream.config)),
        );
        if let Value::Object(window) = vdisk_window(stream.windows.total) {
            figures.extend(window);
        }
        let unspent = stream
            .windows
            .total
            .counters
            .unspent_max
            .map(|unspent| unspent as f64 / 1e6);
        figures.insert("unspent_max_ms".to_owned(), json!(unspent));
        report
            .vdisks
            .insert(vdisk.name.value.clone(), Value::Object(figures));
    }
}
