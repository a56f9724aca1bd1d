//! `disktime load`: a workload against the running server over NBD, with a live table; the shares
//! are what the server's counters moved by meanwhile.

use crate::assembly::emulation;
use crate::failure::{Failure, Outcome};
use crate::serving::control_socket;
use crate::status::SYSTEM;
use disktime_nbd_protocol::NbdUri;
use disktime_reservations::Configuration;
use disktime_workloads::{LoadReport, Progress, Workload, run_real};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::Path;
use std::sync::atomic::AtomicBool;

/// Runs the command.
pub fn run(file: &Path, workload: &Workload, control: Option<&Path>, json: bool) -> Outcome {
    let configuration = emulation::load(file)?;
    let socket = control.unwrap_or(configuration.control.socket.value.as_path());
    let ask = || control_socket::ask(socket, &json!({ "command": "status" }));
    let before = ask()?;
    let live = std::io::stderr().is_terminal();
    let mut show = |progress: &Progress| print_progress(progress, live);
    let mut report = run_real(
        &uris(&configuration)?,
        workload,
        &AtomicBool::new(false),
        &mut show,
    )?;
    add_shares(&mut report, &before, &ask()?);
    if json {
        print!("{}", report.to_json_text());
    } else {
        print!("{report}");
    }
    Ok(())
}

/// By which URI each vdisk is reached.
fn uris(configuration: &Configuration) -> Outcome<BTreeMap<String, NbdUri>> {
    let Some(nbd) = &configuration.nbd else {
        return Err(Failure::new(format!(
            "{} has no \"nbd\" section, and the load comes over NBD; add one and restart the server",
            configuration.file().display()
        )));
    };
    let socket = std::path::absolute(&nbd.socket.value)?;
    let tls = nbd.tls.as_ref().filter(|tls| tls.require);
    Ok(configuration
        .vdisks
        .iter()
        .map(|vdisk| {
            let name = vdisk.name.value.clone();
            let uri = NbdUri::unix(socket.clone(), &name);
            let uri = match tls {
                Some(tls) => uri.with_certificates(&tls.dir.value),
                None => uri,
            };
            (name, uri)
        })
        .collect())
}

/// A line per client and second; on a terminal the lines are drawn over.
fn print_progress(progress: &Progress, live: bool) {
    for client in &progress.clients {
        let p99 = client
            .p99
            .map_or_else(|| "-".to_owned(), |p99| p99.to_string());
        eprintln!(
            "{:>7}  {:<16} {:>9.0} IOPS {:>9.2} MB/s  p99 {p99}",
            progress.at.to_string(),
            client.name,
            client.iops,
            client.bytes_per_second / 1e6,
        );
    }
    if live {
        // Up again by as many lines, to be drawn over by the next second.
        eprint!("\x1b[{}A", progress.clients.len());
    }
}

/// What the server's counters moved by between two readings.
pub fn add_shares(report: &mut LoadReport, before: &Value, after: &Value) {
    for (name, disk) in after["disks"].as_object().into_iter().flatten() {
        let (then, now) = (&before["disks"][name]["total"], &disk["total"]);
        let fields = [
            ("busy_share", "busy_ns"),
            ("charged_share", "charged_ns"),
            ("waiting_share", "waiting_ns"),
            ("switching_share", "switching_ns"),
        ];
        let mut figures = differences(then, now, &fields);
        let used: f64 = ["busy_share", "waiting_share"]
            .iter()
            .filter_map(|field| figures[*field].as_f64())
            .sum();
        figures.insert("idle_share".to_owned(), json!((1.0 - used).max(0.0)));
        count(&mut figures, then, now, "switches");
        let system = vdisk_shares(&before[SYSTEM][name], &after[SYSTEM][name]);
        figures.insert(SYSTEM.to_owned(), Value::Object(system));
        figures.insert("pacing".to_owned(), pacing(&before["disks"][name], disk));
        report.disks.insert(name.clone(), Value::Object(figures));
    }
    for (kind, shares) in [
        ("vdisks", &mut report.vdisks),
        ("groups", &mut report.groups),
    ] {
        for (name, after) in after[kind].as_object().into_iter().flatten() {
            let mut figures = vdisk_shares(&before[kind][name], after);
            figures.insert("reserved_share".to_owned(), after["reserved_share"].clone());
            shares.insert(name.clone(), Value::Object(figures));
        }
    }
}

fn vdisk_shares(before: &Value, after: &Value) -> Map<String, Value> {
    let (then, now) = (&before["total"], &after["total"]);
    let fields = [
        ("own_share", "own_ns"),
        ("spare_share", "spare_ns"),
        ("waited_share", "waited_ns"),
    ];
    let mut figures = differences(then, now, &fields);
    let received: f64 = ["own_share", "spare_share"]
        .iter()
        .filter_map(|field| figures[*field].as_f64())
        .sum();
    figures.insert("received_share".to_owned(), json!(rounded(received)));
    for field in ["deadlines_met", "deadlines_missed", "requests"] {
        count(&mut figures, then, now, field);
    }
    figures
}

fn rounded(share: f64) -> f64 {
    (share * 1e6).round() / 1e6
}

fn moved(then: &Value, now: &Value, field: &str) -> u64 {
    now[field]
        .as_u64()
        .unwrap_or(0)
        .saturating_sub(then[field].as_u64().unwrap_or(0))
}

fn differences(then: &Value, now: &Value, fields: &[(&str, &str)]) -> Map<String, Value> {
    let elapsed = moved(then, now, "elapsed_ns").max(1) as f64;
    fields
        .iter()
        .map(|(share, field)| {
            (
                (*share).to_owned(),
                json!(rounded(moved(then, now, field) as f64 / elapsed)),
            )
        })
        .collect()
}

fn count(figures: &mut Map<String, Value>, then: &Value, now: &Value, field: &str) {
    figures.insert(field.to_owned(), json!(moved(then, now, field)));
}

fn pacing(before: &Value, after: &Value) -> Value {
    let (then, now) = (&before["pacing"], &after["pacing"]);
    json!({ "requests": moved(then, now, "requests"), "overruns": moved(then, now, "overruns") })
}
