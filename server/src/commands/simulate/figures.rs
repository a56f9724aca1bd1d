//! What a run means for whoever reserves: per vdisk and disk, as JSON.
//!
//! Invariant: of a disk, what its vdisks and its own stream received, the switching account, the
//! idle time and what was in flight at the end add up to the whole.

use super::run::{DiskRun, Run};
use crate::groups::{GroupStreams, group_of};
use crate::status::{SYSTEM, disk_window, percentiles, reserved_share, vdisk_window};
use disktime_engine::{StreamConfig, StreamCounters, StreamId, StreamReport, Window};
use disktime_units::Nanos;
use disktime_workloads::{LoadReport, VdiskLoad};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// What each vdisk that has clients got with its disk for itself, by name.
pub type Alone = BTreeMap<String, VdiskLoad>;

/// The report of a run, with what the disks counted.
pub fn report(run: &Run, alone: Option<&Alone>) -> LoadReport {
    let mut report = run.load.clone();
    for disk in &run.disks {
        for (name, stream) in &disk.vdisks {
            let load = run.load.loads.get(name).copied().unwrap_or_default();
            let mut figures = vdisk(disk, *stream, &load);
            let of = group_of(&disk.groups, name).map(|group| group.name.as_str());
            figures.insert("group".to_owned(), json!(of));
            if let Some(alone) = alone {
                let reserved = figures["reserved_share"].as_f64().unwrap_or(0.0);
                compare_with_alone(&mut figures, &load, alone.get(name), reserved);
            }
            report.vdisks.insert(name.clone(), Value::Object(figures));
        }
        for group in &disk.groups {
            let figures = Value::Object(self::group(disk, group));
            report.groups.insert(group.name.clone(), figures);
        }
        let figures = self::disk(disk, &run.load, alone);
        report
            .disks
            .insert(disk.name.clone(), Value::Object(figures));
    }
    report
}

/// A number with so many decimals.
pub fn rounded(value: f64, decimals: i32) -> f64 {
    let factor = 10f64.powi(decimals);
    (value * factor).round() / factor
}

fn received(stream: &StreamReport) -> Nanos {
    let counters = &stream.windows.total.counters;
    counters.reserved + counters.spare
}

fn share(part: Nanos, whole: Nanos) -> f64 {
    if whole == Nanos::ZERO {
        return 0.0;
    }
    rounded(part.0 as f64 / whole.0 as f64, 6)
}

/// A value that is JSON's object.
fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn vdisk(disk: &DiskRun, id: StreamId, load: &VdiskLoad) -> Map<String, Value> {
    let stream = &disk.report.streams[&id];
    let mut figures = account(disk, &stream.config, stream.windows.total);
    figures.extend(object(json!({
        "iops": rounded(load.iops, 3),
        "bytes_per_second": load.bytes_per_second.round() as u64,
        "latency_us": load.latency.map(|latency| latency.to_json()),
        "queue_time_us": percentiles(&stream.queue_time),
        "service_time_us": percentiles(&stream.service_time),
    })));
    figures
}

fn group(disk: &DiskRun, group: &GroupStreams) -> Map<String, Value> {
    let config = &disk.report.streams[&group.account].config;
    let mut figures = account(disk, config, group.windows(&disk.report).total);
    figures.insert("members".to_owned(), json!(group.member_names()));
    figures
}

/// What a vdisk or a group is entitled to, and what it received.
fn account(
    disk: &DiskRun,
    config: &StreamConfig,
    total: Window<StreamCounters>,
) -> Map<String, Value> {
    let counters = &total.counters;
    let reserved = reserved_share(config);
    let own = share(counters.reserved, total.elapsed);
    let all = disk.report.streams.values().map(received);
    let all = all.fold(Nanos::ZERO, |sum, one| sum + one);
    let others = all.saturating_sub(counters.reserved + counters.spare);
    let period = config.reservation.map(|reservation| reservation.period);
    let unspent = counters.unspent_max.map(|unspent| unspent as f64 / 1e6);
    let mut figures = object(vdisk_window(total));
    figures.extend(object(json!({
        "disk": disk.name,
        "reserved_share": reserved,
        "period_ms": period.map(Nanos::as_millis_f64),
        "limit_share": config.limit.map(|limit| limit.share.as_f64()),
        "weight": config.weight,
        "unused_share": rounded((reserved - own).max(0.0), 6),
        "others_share": share(others, total.elapsed),
        "unspent_max_ms": unspent,
        "unspent_bound_ms": disk.report.unspent_bound.as_millis_f64(),
    })));
    figures
}

/// `here ÷ (u × alone)`, and `here ÷ alone`, in requests per second.
fn compare_with_alone(
    figures: &mut Map<String, Value>,
    here: &VdiskLoad,
    alone: Option<&VdiskLoad>,
    reserved: f64,
) {
    let Some(alone) = alone.filter(|alone| alone.iops > 0.0) else {
        for key in ["alone", "of_alone", "isolation"] {
            figures.insert(key.to_owned(), Value::Null);
        }
        return;
    };
    let of_alone = here.iops / alone.iops;
    let isolation = (reserved > 0.0).then(|| rounded(of_alone / reserved, 4));
    figures.insert(
        "alone".to_owned(),
        json!({
            "iops": rounded(alone.iops, 3),
            "bytes_per_second": alone.bytes_per_second.round() as u64,
            "latency_us": alone.latency.map(|latency| latency.to_json()),
        }),
    );
    figures.insert("of_alone".to_owned(), json!(rounded(of_alone, 4)));
    figures.insert("isolation".to_owned(), json!(isolation));
}

fn disk(disk: &DiskRun, load: &LoadReport, alone: Option<&Alone>) -> Map<String, Value> {
    let total = disk.report.windows.total;
    let counters = &total.counters;
    // Its time is known, but nobody is charged before it ends.
    let in_flight = (counters.busy + counters.waiting)
        .saturating_sub(counters.charged)
        .saturating_sub(counters.switching);
    let system = &disk.report.streams[&disk.system];
    let mut figures = object(disk_window(total));
    figures.extend(object(json!({
        "policy": disk.policy.name(),
        SYSTEM: vdisk_window(system.windows.total),
        "system_reserved_share": reserved_share(&system.config),
        "in_flight_share": share(in_flight, total.elapsed),
        "switching_reserved_share": disk.report.switching_share.as_f64(),
        "overruns": counters.overruns,
        "worst_case_ms": disk.report.worst_case.as_millis_f64(),
        "unspent_bound_ms": disk.report.unspent_bound.as_millis_f64(),
    })));
    if let Some(alone) = alone {
        let parts = disk.vdisks.iter().filter_map(|(name, _)| {
            let alone = alone.get(name).filter(|alone| alone.iops > 0.0)?;
            Some(load.loads.get(name)?.iops / alone.iops)
        });
        figures.insert("efficiency".to_owned(), json!(rounded(parts.sum(), 4)));
    }
    figures
}
