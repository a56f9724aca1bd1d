//! A run as tables: a summary and a table per disk, then latencies, then clients; and several
//! policies side by side. At most 100 columns wide with names of usual length.

use super::{AccountFigures, DiskFigures, LatencyMicros, LoadFigures, SimulationReport, rounded};
use disktime_observe::{DiskOverlap, Grouped, Percentiles, SoloTime, Table, grouped};
use disktime_units::Nanos;
use std::fmt;

/// Everything about one run.
impl fmt::Display for SimulationReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, disk) in &self.figures.disks {
            write!(f, "{}", disk_sentence(self, name, disk))?;
            writeln!(f, "{}", disk_table(self, name, disk))?;
            if let Some(overlap) = &disk.overlap {
                writeln!(f, "{}", overlap_text(self, name, overlap))?;
            }
        }
        for (name, vdisk) in &self.figures.vdisks {
            if let Some(history) = vdisk.history {
                writeln!(f, "{}", history.sentence(name))?;
            }
        }
        write!(f, "{}\n{}", latency_table(self), self.load)
    }
}

/// Several runs, a line per vdisk and policy.
pub(in super::super) fn compared(runs: &[(&str, &SimulationReport)]) -> String {
    let with_alone = runs.iter().any(|(_, report)| report.has_alone());
    let mut heading = vec![
        "vdisk", "policy", "received", "spare", "IOPS", "MB/s", "p50 ms", "p99 ms", "p99.9",
        "missed",
    ];
    if with_alone {
        heading.push("isolation");
    }
    let mut table = Table::new(&heading);
    let names = runs.first().map(|(_, report)| report.figures.vdisks.keys());
    for name in names.into_iter().flatten() {
        for (policy, report) in runs {
            let Some(vdisk) = report.figures.vdisks.get(name) else {
                continue;
            };
            let window = vdisk.account.window;
            let mut row = vec![name.clone(), (*policy).to_owned()];
            row.extend([window.received_share, window.spare_share].map(percent));
            row.extend(throughput(&vdisk.load));
            let latency = vdisk.load.latency_us;
            row.push(optional(latency.map(|times| times.p50), millis));
            row.push(optional(latency.map(|times| times.p99), millis));
            row.push(optional(latency.map(|times| times.p99_9), millis));
            row.push(window.deadlines_missed.to_string());
            if with_alone {
                let isolation = vdisk.comparison.and_then(|comparison| comparison.isolation);
                row.push(optional(isolation, |isolation| number(isolation, 3)));
            }
            table.row(row);
        }
    }
    format!("{table}\n{}", compared_disks(runs, with_alone))
}

fn compared_disks(runs: &[(&str, &SimulationReport)], with_alone: bool) -> Table {
    let mut heading = vec!["disk", "policy", "busy", "waiting", "idle", "switches"];
    if with_alone {
        heading.push("sharing efficiency");
    }
    let mut table = Table::new(&heading);
    let names = runs.first().map(|(_, report)| report.figures.disks.keys());
    for name in names.into_iter().flatten() {
        for (policy, report) in runs {
            let Some(disk) = report.figures.disks.get(name) else {
                continue;
            };
            let window = disk.window;
            let mut row = vec![name.clone(), (*policy).to_owned()];
            row.extend([window.busy_share, window.waiting_share, window.idle_share].map(percent));
            row.push(window.switches.to_string());
            if with_alone {
                row.push(optional(disk.efficiency, |efficiency| {
                    number(efficiency, 3)
                }));
            }
            table.row(row);
        }
    }
    table
}

fn disk_sentence(report: &SimulationReport, name: &str, disk: &DiskFigures) -> String {
    let efficiency = disk.efficiency.map_or_else(String::new, |efficiency| {
        format!("; sharing efficiency {}", number(efficiency, 3))
    });
    let window = disk.window;
    format!(
        "{name} under {}, {} in virtual time: busy {}, waiting for a client {}, idle {};\n\
         {} switches{efficiency}; W {} ms, unspent at most {} ms\n\n",
        disk.policy,
        report.load.duration,
        percent(window.busy_share),
        percent(window.waiting_share),
        percent(window.idle_share),
        window.switches,
        number(disk.worst_case_ms, 1),
        number(disk.unspent_bound_ms, 1),
    )
}

/// Which share of the disk's time each stream received. The shares received add up to the whole.
fn disk_table(report: &SimulationReport, name: &str, disk: &DiskFigures) -> String {
    let mut table = Table::new(&[
        "vdisk",
        "reserved",
        "in every",
        "limit",
        "received",
        "used",
        "spare",
        "unused",
        "met",
        "missed",
        "unspent ms",
    ]);
    let (groups, vdisks) = (&report.figures.groups, &report.figures.vdisks);
    for (line, entry) in grouped(groups, vdisks, |vdisk| vdisk.group.as_deref()) {
        let account = match entry {
            Grouped::Group(group) => &group.account,
            Grouped::Vdisk(vdisk) => &vdisk.account,
        };
        if account.entitlement.disk == name {
            table.row(account_row(line, account));
        }
    }
    for (name, account) in &disk.histories {
        table.row(account_row(format!("({name})"), account));
    }
    let mut other = |what: &str, reserved: String, received: f64| {
        let mut row = vec![what.to_owned(), reserved, String::new(), String::new()];
        row.push(percent(received));
        row.resize(11, String::new());
        table.row(row);
    };
    for (work, figures) in &disk.background {
        let reserved = percent(figures.reserved_share);
        other(
            &format!("({work})"),
            reserved,
            figures.window.received_share,
        );
    }
    let window = disk.window;
    if disk.switching_reserved_share > 0.0 {
        let reserved = percent(disk.switching_reserved_share);
        other("(switching)", reserved, window.switching_share);
    }
    other("(idle)", String::new(), window.idle_share);
    if disk.in_flight_share >= 0.0005 {
        other("(in flight)", String::new(), disk.in_flight_share);
    }
    table.to_string()
}

/// How full a disk was that overlaps requests, and what its vdisks received of their reservations.
fn overlap_text(report: &SimulationReport, name: &str, overlap: &DiskOverlap) -> String {
    let mut table = Table::new(&SoloTime::HEADING);
    let (groups, vdisks) = (&report.figures.groups, &report.figures.vdisks);
    for (line, entry) in grouped(groups, vdisks, |vdisk| vdisk.group.as_deref()) {
        let account = match entry {
            Grouped::Group(group) => &group.account,
            Grouped::Vdisk(vdisk) => &vdisk.account,
        };
        if let Some(solo) = account.solo.filter(|_| account.entitlement.disk == name) {
            table.row(solo.row(line));
        }
    }
    format!(
        "{name} overlaps requests: H {} ms, at most {} ms of work in it; kept for one stream {} \
         of the time\n\n{table}",
        number(overlap.occupancy_bound_ms, 2),
        number(overlap.occupancy_most_ms, 2),
        percent(overlap.focus_share.total),
    )
}

fn account_row(name: String, account: &AccountFigures) -> Vec<String> {
    let (window, entitlement) = (account.window, &account.entitlement);
    let has_reservation = entitlement.reserved_share > 0.0;
    let if_reserved = |share: f64| optional(has_reservation.then_some(share), percent);
    vec![
        name,
        if_reserved(entitlement.reserved_share),
        optional(entitlement.period_ms, duration),
        optional(entitlement.limit_share, percent),
        percent(window.received_share),
        percent(window.reserved_used_share),
        percent(window.spare_share),
        if_reserved(account.unused_share),
        window.deadlines_met.to_string(),
        window.deadlines_missed.to_string(),
        optional(account.unspent_max_ms, |unspent| number(unspent, 1)),
    ]
}

fn latency_table(report: &SimulationReport) -> Table {
    let with_alone = report.has_alone();
    let mut heading = vec![
        "vdisk", "IOPS", "MB/s", "p50 ms", "p90 ms", "p99 ms", "p99.9", "max ms",
    ];
    if with_alone {
        heading.extend(["alone IOPS", "of alone", "isolation"]);
    }
    let mut table = Table::new(&heading);
    let columns = heading.len();
    for (name, vdisk) in &report.figures.vdisks {
        let mut row = vec![name.clone()];
        row.extend(throughput(&vdisk.load));
        row.extend(times(vdisk.load.latency_us));
        if with_alone {
            let comparison = vdisk.comparison.unwrap_or_default();
            let alone = comparison.alone.map(|alone| alone.iops);
            row.push(optional(alone, |iops| number(iops, 1)));
            row.push(optional(comparison.of_alone, percent));
            row.push(optional(comparison.isolation, |isolation| {
                number(isolation, 3)
            }));
        }
        table.row(row);
        for (what, measured) in [
            ("  in queue", vdisk.queue_time_us),
            ("  in service", vdisk.service_time_us),
        ] {
            let mut row = vec![what.to_owned(), String::new(), String::new()];
            row.extend(times(measured_times(measured)));
            row.resize(columns, String::new());
            table.row(row);
        }
    }
    table
}

fn throughput(load: &LoadFigures) -> [String; 2] {
    let megabytes = load.bytes_per_second as f64 / 1e6;
    [number(load.iops, 1), format!("{megabytes:.2}")]
}

fn measured_times(measured: Percentiles) -> Option<LatencyMicros> {
    (measured.count > 0).then_some(LatencyMicros {
        p50: measured.p50,
        p90: measured.p90,
        p99: measured.p99,
        p99_9: measured.p99_9,
        max: measured.max,
    })
}

fn times(times: Option<LatencyMicros>) -> [String; 5] {
    times.map_or_else(
        || std::array::from_fn(|_| "-".to_owned()),
        |times| [times.p50, times.p90, times.p99, times.p99_9, times.max].map(millis),
    )
}

/// A dash where there is nothing.
fn optional(value: Option<f64>, text: impl Fn(f64) -> String) -> String {
    value.map_or_else(|| "-".to_owned(), text)
}

fn number(value: f64, decimals: usize) -> String {
    // No zero with a minus.
    let value = rounded(value, decimals as i32) + 0.0;
    format!("{value:.decimals$}")
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// Microseconds as milliseconds, with as many digits as matter.
fn millis(micros: f64) -> String {
    let millis = micros / 1e3;
    if millis < 10.0 {
        format!("{millis:.2}")
    } else {
        format!("{millis:.1}")
    }
}

fn duration(millis: f64) -> String {
    Nanos((millis * 1e6).round() as u64).to_string()
}
