//! What a run means for the owner of a reservation: figures per vdisk, group and disk, as JSON too.
//!
//! Invariant: of a disk, what its vdisks and its background work received, the switching account,
//! the idle time and what was in flight at the end add up to the whole.

mod history;
mod tables;

use super::run::Run;
use crate::disk_report::{
    DiskReport, GroupStreams, disk_overlap, percentiles, solo_time, stream_window,
};
use crate::failure::CommandResult;
use disktime_engine::{StreamCounters, StreamId, StreamReport, Window};
use disktime_observe::{
    DiskOverlap, DiskWindow, Entitlement, Percentiles, SoloTime, StreamDifference, StreamWindow,
};
use disktime_units::Nanos;
use disktime_workloads::{Latencies, LoadReport, VdiskLoad};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

pub(super) use history::HistoryFigures;
pub(super) use tables::compared;

/// What each vdisk that has clients got with its disk for itself, by name.
pub(super) type Alone = BTreeMap<String, VdiskLoad>;

/// What clients, vdisks, groups and disks got.
#[derive(Debug, Clone)]
pub(super) struct SimulationReport {
    /// What the clients got.
    load: LoadReport,
    /// What the disks counted.
    figures: Figures,
}

/// What the disks counted, by name.
#[derive(Debug, Clone, Default, Serialize)]
struct Figures {
    disks: BTreeMap<String, DiskFigures>,
    vdisks: BTreeMap<String, VdiskFigures>,
    groups: BTreeMap<String, GroupFigures>,
}

/// What a disk's time was used for.
#[derive(Debug, Clone, Serialize)]
struct DiskFigures {
    #[serde(flatten)]
    window: DiskWindow,
    policy: &'static str,
    /// Its background work, by name.
    background: BTreeMap<&'static str, StreamDifference>,
    /// Logs and folds of histories, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    histories: BTreeMap<String, AccountFigures>,
    /// Not charged before it ends.
    in_flight_share: f64,
    switching_reserved_share: f64,
    overruns: u64,
    worst_case_ms: f64,
    unspent_bound_ms: f64,
    /// Of a disk that overlaps requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    overlap: Option<DiskOverlap>,
    /// With `--solo`: the sum of what is left of each vdisk's requests per second alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    efficiency: Option<f64>,
}

/// What a vdisk or a group is entitled to, and what it received.
#[derive(Debug, Clone, Serialize)]
struct AccountFigures {
    #[serde(flatten)]
    window: StreamWindow,
    #[serde(flatten)]
    entitlement: Entitlement,
    /// The part of its reservation that it did not use.
    unused_share: f64,
    /// What all others on the disk received.
    others_share: f64,
    unspent_max_ms: Option<f64>,
    unspent_bound_ms: f64,
    /// On a disk that overlaps requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    solo: Option<SoloTime>,
}

/// What a vdisk and its clients got.
#[derive(Debug, Clone, Serialize)]
struct VdiskFigures {
    #[serde(flatten)]
    account: AccountFigures,
    #[serde(flatten)]
    load: LoadFigures,
    queue_time_us: Percentiles,
    service_time_us: Percentiles,
    group: Option<String>,
    /// How its history stood at the end, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    history: Option<HistoryFigures>,
    /// With `--solo`.
    #[serde(flatten)]
    comparison: Option<Comparison>,
}

/// What the clients of a vdisk got together.
#[derive(Debug, Clone, Copy, Serialize)]
struct LoadFigures {
    iops: f64,
    bytes_per_second: u64,
    /// Null when nothing was answered.
    latency_us: Option<LatencyMicros>,
}

/// From arrival to answer.
#[derive(Debug, Clone, Copy, Serialize)]
struct LatencyMicros {
    p50: f64,
    p90: f64,
    p99: f64,
    p99_9: f64,
    max: f64,
}

/// A vdisk beside the same with its disk for itself; all null without requests there.
#[derive(Debug, Clone, Copy, Default, Serialize)]
struct Comparison {
    alone: Option<LoadFigures>,
    /// `here ÷ alone`, in requests per second.
    of_alone: Option<f64>,
    /// `here ÷ (u × alone)`.
    isolation: Option<f64>,
}

/// What a group's members got together.
#[derive(Debug, Clone, Serialize)]
struct GroupFigures {
    #[serde(flatten)]
    account: AccountFigures,
    members: Vec<String>,
}

impl SimulationReport {
    /// The report of a run; `alone`: each vdisk's clients with their disk for themselves.
    pub(super) fn new(run: &Run, alone: Option<&Alone>) -> SimulationReport {
        let mut figures = Figures::default();
        for disk in run.disks() {
            let disk = disk.report();
            for (name, stream) in disk.streams().vdisks() {
                let mut vdisk = vdisk(disk, name, *stream, run.load(), alone);
                vdisk.history = run.history(name);
                figures.vdisks.insert(name.clone(), vdisk);
            }
            for group in disk.streams().groups() {
                let figures_of_group = self::group(disk, group);
                figures
                    .groups
                    .insert(group.name().to_owned(), figures_of_group);
            }
            let figures_of_disk = self::disk(disk, run.load(), alone);
            figures
                .disks
                .insert(disk.name().to_owned(), figures_of_disk);
        }
        SimulationReport {
            load: run.load().clone(),
            figures,
        }
    }

    /// How long the clients ran.
    pub(super) fn duration(&self) -> Nanos {
        self.load.duration
    }

    /// The disk time of a vdisk.
    pub(super) fn vdisk_window(&self, name: &str) -> StreamWindow {
        let vdisk = self.figures.vdisks.get(name);
        vdisk.map_or_else(StreamWindow::default, |vdisk| vdisk.account.window)
    }

    /// As JSON: the clients, and what the disks counted.
    pub(super) fn to_json(&self) -> CommandResult<Value> {
        let mut whole = self.load.to_json();
        let figures = serde_json::to_value(&self.figures)?;
        if let (Value::Object(whole), Value::Object(figures)) = (&mut whole, figures) {
            whole.extend(figures);
        }
        Ok(whole)
    }

    /// Whether it was compared with each vdisk alone.
    fn has_alone(&self) -> bool {
        let mut disks = self.figures.disks.values();
        disks.any(|disk| disk.efficiency.is_some())
    }
}

/// A number with so many decimals.
fn rounded(value: f64, decimals: i32) -> f64 {
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

fn vdisk(
    disk: &DiskReport,
    name: &str,
    id: StreamId,
    clients: &LoadReport,
    alone: Option<&Alone>,
) -> VdiskFigures {
    let stream = disk.stream(id);
    let load = clients.loads.get(name).copied().unwrap_or_default();
    let account = account(disk, stream, stream.windows.total);
    let reserved = account.entitlement.reserved_share;
    VdiskFigures {
        account,
        load: load_figures(&load),
        queue_time_us: percentiles(&stream.queue_time),
        service_time_us: percentiles(&stream.service_time),
        group: disk.streams().group_of(name).map(str::to_owned),
        history: None,
        comparison: alone.map(|alone| compare_with_alone(&load, alone.get(name), reserved)),
    }
}

fn load_figures(load: &VdiskLoad) -> LoadFigures {
    LoadFigures {
        iops: rounded(load.iops, 3),
        bytes_per_second: load.bytes_per_second.round() as u64,
        latency_us: load.latency.as_ref().map(latency_micros),
    }
}

fn latency_micros(latency: &Latencies) -> LatencyMicros {
    let micros = |time: Nanos| time.0 as f64 / 1e3;
    LatencyMicros {
        p50: micros(latency.p50),
        p90: micros(latency.p90),
        p99: micros(latency.p99),
        p99_9: micros(latency.p99_9),
        max: micros(latency.max),
    }
}

fn group(disk: &DiskReport, group: &GroupStreams) -> GroupFigures {
    let stream = disk.stream(group.account());
    GroupFigures {
        account: account(disk, stream, group.windows(disk.counted()).total),
        members: group.member_names().map(str::to_owned).collect(),
    }
}

/// What a vdisk or a group is entitled to, and what it received.
fn account(
    disk: &DiskReport,
    stream: &StreamReport,
    total: Window<StreamCounters>,
) -> AccountFigures {
    let counters = &total.counters;
    let entitlement = disk.entitlement(&stream.config);
    let used = share(counters.reserved, total.elapsed);
    let all = disk.counted().streams.values().map(received);
    let all = all.fold(Nanos::ZERO, |sum, one| sum + one);
    let others = all.saturating_sub(counters.reserved + counters.spare);
    AccountFigures {
        window: stream_window(total),
        unused_share: rounded((entitlement.reserved_share - used).max(0.0), 6),
        entitlement,
        others_share: share(others, total.elapsed),
        unspent_max_ms: counters.unspent_max.map(|unspent| unspent as f64 / 1e6),
        unspent_bound_ms: disk.counted().unspent_bound.as_millis_f64(),
        solo: solo_time(stream),
    }
}

fn compare_with_alone(here: &VdiskLoad, alone: Option<&VdiskLoad>, reserved: f64) -> Comparison {
    let Some(alone) = alone.filter(|alone| alone.iops > 0.0) else {
        return Comparison::default();
    };
    let of_alone = here.iops / alone.iops;
    Comparison {
        alone: Some(load_figures(alone)),
        of_alone: Some(rounded(of_alone, 4)),
        isolation: (reserved > 0.0).then(|| rounded(of_alone / reserved, 4)),
    }
}

fn disk(disk: &DiskReport, load: &LoadReport, alone: Option<&Alone>) -> DiskFigures {
    let total = disk.counted().windows.total;
    let counters = &total.counters;
    let in_flight = (counters.busy + counters.waiting)
        .saturating_sub(counters.charged)
        .saturating_sub(counters.switching);
    let background = disk.streams().background().map(|(work, id)| {
        let stream = disk.stream(id);
        let figures = StreamDifference {
            window: stream_window(stream.windows.total),
            reserved_share: disk.entitlement(&stream.config).reserved_share,
        };
        (work.name(), figures)
    });
    let histories = disk.streams().histories().iter().map(|(name, id)| {
        let stream = disk.stream(*id);
        (name.clone(), account(disk, stream, stream.windows.total))
    });
    let efficiency = alone.map(|alone| {
        let parts = disk.streams().vdisks().iter().filter_map(|(name, _)| {
            let alone = alone.get(name).filter(|alone| alone.iops > 0.0)?;
            Some(load.loads.get(name)?.iops / alone.iops)
        });
        rounded(parts.sum(), 4)
    });
    DiskFigures {
        window: disk.total(),
        policy: disk.policy(),
        background: background.collect(),
        histories: histories.collect(),
        in_flight_share: share(in_flight, total.elapsed),
        switching_reserved_share: disk.counted().switching_share.as_f64(),
        overruns: counters.overruns,
        worst_case_ms: disk.counted().worst_case.as_millis_f64(),
        unspent_bound_ms: disk.counted().unspent_bound.as_millis_f64(),
        overlap: disk_overlap(disk.counted()),
        efficiency,
    }
}
