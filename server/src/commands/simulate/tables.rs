//! A run for people: one glance per disk, then latencies, then clients; and several policies side
//! by side. At most 100 columns wide with names of usual length.

use super::figures::rounded;
use crate::status::{SYSTEM, rows};
use crate::table::Table;
use disktime_units::Nanos;
use disktime_workloads::LoadReport;
use serde_json::Value;

/// Everything about one run.
pub fn whole(report: &LoadReport) -> String {
    let mut text = String::new();
    for (name, disk) in &report.disks {
        text.push_str(&disk_sentence(report, name, disk));
        text.push_str(&disk_table(report, name, disk));
        text.push('\n');
    }
    text.push_str(&latency_table(report));
    text.push('\n');
    text.push_str(&report.clients_text());
    text
}

/// Several runs, a line per vdisk and policy.
pub fn compared(runs: &[(&str, &LoadReport)]) -> String {
    let with_alone = runs.iter().any(|(_, report)| has_alone(report));
    let mut heading = vec![
        "vdisk", "policy", "received", "spare", "IOPS", "MB/s", "p50 ms", "p99 ms", "p99.9",
        "missed",
    ];
    if with_alone {
        heading.push("isolation");
    }
    let mut table = Table::new(&heading);
    let names = runs.first().map(|(_, report)| report.vdisks.keys());
    for name in names.into_iter().flatten() {
        for (policy, report) in runs {
            let vdisk = &report.vdisks[name];
            let mut row = vec![name.clone(), (*policy).to_owned()];
            row.extend(["received_share", "spare_share"].map(|key| percent(&vdisk[key])));
            row.extend(throughput(vdisk));
            row.extend(["p50", "p99", "p99_9"].map(|key| millis(&vdisk["latency_us"][key])));
            row.push(count(&vdisk["deadlines_missed"]));
            if with_alone {
                row.push(number(&vdisk["isolation"], 3));
            }
            table.row(row);
        }
    }
    format!("{table}\n{}", compared_disks(runs, with_alone))
}

fn compared_disks(runs: &[(&str, &LoadReport)], with_alone: bool) -> String {
    let mut heading = vec!["disk", "policy", "busy", "waiting", "idle", "switches"];
    if with_alone {
        heading.push("sharing efficiency");
    }
    let mut table = Table::new(&heading);
    let names = runs.first().map(|(_, report)| report.disks.keys());
    for name in names.into_iter().flatten() {
        for (policy, report) in runs {
            let disk = &report.disks[name];
            let mut row = vec![name.clone(), (*policy).to_owned()];
            row.extend(
                ["busy_share", "waiting_share", "idle_share"].map(|key| percent(&disk[key])),
            );
            row.push(count(&disk["switches"]));
            if with_alone {
                row.push(number(&disk["efficiency"], 3));
            }
            table.row(row);
        }
    }
    table.to_string()
}

fn has_alone(report: &LoadReport) -> bool {
    report
        .disks
        .values()
        .any(|disk| disk.get("efficiency").is_some())
}

fn disk_sentence(report: &LoadReport, name: &str, disk: &Value) -> String {
    let efficiency = disk
        .get("efficiency")
        .map_or_else(String::new, |efficiency| {
            format!("; sharing efficiency {}", number(efficiency, 3))
        });
    format!(
        "{name} under {}, {} in virtual time: busy {}, waiting for a client {}, idle {};\n\
         {} switches{efficiency}; W {} ms, unspent at most {} ms\n\n",
        disk["policy"].as_str().unwrap_or("-"),
        report.duration,
        percent(&disk["busy_share"]),
        percent(&disk["waiting_share"]),
        percent(&disk["idle_share"]),
        count(&disk["switches"]),
        number(&disk["worst_case_ms"], 1),
        number(&disk["unspent_bound_ms"], 1),
    )
}

/// Who had which share of the disk's time. The shares received add up to the whole.
fn disk_table(report: &LoadReport, name: &str, disk: &Value) -> String {
    let mut table = Table::new(&[
        "vdisk",
        "reserved",
        "in every",
        "limit",
        "received",
        "own",
        "spare",
        "unused",
        "met",
        "missed",
        "unspent ms",
    ]);
    let whole = report.to_json();
    let on_disk = rows(&whole["groups"], &whole["vdisks"]).into_iter();
    for (vdisk, figures) in on_disk.filter(|(_, figures)| figures["disk"] == name) {
        let mut row = vec![vdisk, reserved(&figures["reserved_share"])];
        row.push(duration(&figures["period_ms"]));
        row.push(percent(&figures["limit_share"]));
        row.extend(
            ["received_share", "own_share", "spare_share"].map(|key| percent(&figures[key])),
        );
        row.push(unused(figures));
        row.extend(["deadlines_met", "deadlines_missed"].map(|key| count(&figures[key])));
        row.push(number(&figures["unspent_max_ms"], 1));
        table.row(row);
    }
    let mut other = |what: &str, reserved: String, received: &Value| {
        let mut row = vec![what.to_owned(), reserved, String::new(), String::new()];
        row.push(percent(received));
        row.resize(11, String::new());
        table.row(row);
    };
    let system = &disk[SYSTEM]["received_share"];
    other("(system)", percent(&disk["system_reserved_share"]), system);
    if disk["switching_reserved_share"].as_f64() > Some(0.0) {
        let reserved = percent(&disk["switching_reserved_share"]);
        other("(switching)", reserved, &disk["switching_share"]);
    }
    other("(idle)", String::new(), &disk["idle_share"]);
    if disk["in_flight_share"].as_f64() >= Some(0.0005) {
        other("(in flight)", String::new(), &disk["in_flight_share"]);
    }
    table.to_string()
}

fn latency_table(report: &LoadReport) -> String {
    let with_alone = has_alone(report);
    let mut heading = vec![
        "vdisk", "IOPS", "MB/s", "p50 ms", "p90 ms", "p99 ms", "p99.9", "max ms",
    ];
    if with_alone {
        heading.extend(["alone IOPS", "of alone", "isolation"]);
    }
    let mut table = Table::new(&heading);
    let columns = heading.len();
    for (name, vdisk) in &report.vdisks {
        let mut row = vec![name.clone()];
        row.extend(throughput(vdisk));
        row.extend(times(&vdisk["latency_us"]));
        if with_alone {
            row.push(number(&vdisk["alone"]["iops"], 1));
            row.push(percent(&vdisk["of_alone"]));
            row.push(number(&vdisk["isolation"], 3));
        }
        table.row(row);
        for (what, key) in [
            ("  in queue", "queue_time_us"),
            ("  in service", "service_time_us"),
        ] {
            let mut row = vec![what.to_owned(), String::new(), String::new()];
            row.extend(times(&vdisk[key]));
            row.resize(columns, String::new());
            table.row(row);
        }
    }
    table.to_string()
}

fn throughput(vdisk: &Value) -> [String; 2] {
    let megabytes = vdisk["bytes_per_second"].as_f64().unwrap_or(0.0) / 1e6;
    [number(&vdisk["iops"], 1), format!("{megabytes:.2}")]
}

fn times(percentiles: &Value) -> [String; 5] {
    let none = percentiles["count"] == 0;
    ["p50", "p90", "p99", "p99_9", "max"].map(|key| {
        if none {
            "-".to_owned()
        } else {
            millis(&percentiles[key])
        }
    })
}

fn reserved(share: &Value) -> String {
    match share.as_f64() {
        Some(share) if share > 0.0 => percent(&share.into()),
        _ => "-".to_owned(),
    }
}

fn unused(vdisk: &Value) -> String {
    match vdisk["reserved_share"].as_f64() {
        Some(reserved) if reserved > 0.0 => percent(&vdisk["unused_share"]),
        _ => "-".to_owned(),
    }
}

fn number(value: &Value, decimals: usize) -> String {
    value
        .as_f64()
        // No zero with a minus.
        .map(|value| rounded(value, decimals as i32) + 0.0)
        .map_or_else(|| "-".to_owned(), |value| format!("{value:.decimals$}"))
}

fn percent(share: &Value) -> String {
    share
        .as_f64()
        .map_or_else(|| "-".to_owned(), |share| format!("{:.1} %", share * 100.0))
}

/// Microseconds as milliseconds, with as many digits as matter.
fn millis(micros: &Value) -> String {
    let Some(micros) = micros.as_f64() else {
        return "-".to_owned();
    };
    let millis = micros / 1e3;
    if millis < 10.0 {
        format!("{millis:.2}")
    } else {
        format!("{millis:.1}")
    }
}

fn duration(millis: &Value) -> String {
    let nanos = |millis: f64| Nanos((millis * 1e6).round() as u64);
    millis
        .as_f64()
        .map_or_else(|| "-".to_owned(), |millis| nanos(millis).to_string())
}

fn count(value: &Value) -> String {
    value
        .as_u64()
        .map_or_else(|| "-".to_owned(), |count| count.to_string())
}
