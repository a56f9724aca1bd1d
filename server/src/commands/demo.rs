//! `disktime demo`: the difference that reservations make, in a minute. A sequential reader, a
//! random reader and a greedy writer share one disk, a sparse file paced as a 2008 desktop hard
//! disk: first under fifo, then under fahrrad. The result is a table and a picture of disk time
//! over time.

mod chart;

use crate::assembly::{self, emulation};
use crate::commands::load;
use crate::failure::{CommandResult, Failure};
use crate::serving::nbd;
use crate::serving::server::Server;
use chart::Panel;
use disktime_nbd_protocol::NbdUri;
use disktime_observe::{ServerDifference, ServerStatus, Table};
use disktime_units::{Nanos, parse_duration};
use disktime_workloads::{LoadReport, Workload, run_real};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// The clients, with their names in the picture.
const CLIENTS: [(&str, &str); 3] = [
    ("reader", "sequential reader (reserved 40 %)"),
    ("random", "random reader (reserved 30 %)"),
    ("writer", "greedy writer (best effort)"),
];
/// The shares that the first of them have reserved.
const RESERVED: [f64; 2] = [0.40, 0.30];
/// Time between two points of the picture.
const SAMPLE: Duration = Duration::from_millis(500);

/// One run of the clients.
struct DemoRun {
    policy: &'static str,
    report: LoadReport,
    counted: ServerDifference,
    panel: Panel,
}

/// Runs the command.
pub(crate) fn run(out: &Path, half: &str) -> CommandResult {
    let duration = parse_duration(half)?;
    if duration < Nanos::from_secs(2) {
        return Err(Failure::new(
            "runs shorter than 2s show nothing; use --half 10s or more",
        ));
    }
    std::fs::create_dir_all(out).map_err(|error| {
        Failure::new(format!(
            "the directory {} cannot be created: {error}; use --out DIR",
            out.display()
        ))
    })?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let mut runs = Vec::new();
    for policy in ["fifo", "fahrrad"] {
        eprintln!("{policy}: {duration} ...");
        runs.push(runtime.block_on(run_clients(policy, duration))?);
    }
    let series: Vec<String> = CLIENTS.iter().map(|(_, name)| (*name).to_owned()).collect();
    let panels: Vec<Panel> = runs.iter().map(|run| run.panel.clone()).collect();
    let picture = out.join("disk-time.svg");
    chart::draw(
        &picture,
        "Disk time of three clients on one hard disk (dashed: what is reserved)",
        &series,
        &RESERVED,
        &panels,
    )?;
    let report: serde_json::Map<String, Value> = runs
        .iter()
        .map(|run| {
            let report = load::to_json(&run.report, &run.counted)?;
            Ok((run.policy.to_owned(), report))
        })
        .collect::<CommandResult<_>>()?;
    std::fs::write(
        out.join("report.json"),
        format!("{:#}\n", Value::Object(report)),
    )?;
    print!("{}", table(&runs));
    println!(
        "\nThe picture is {}, the figures are {}.",
        picture.display(),
        out.join("report.json").display()
    );
    Ok(())
}

fn configuration(policy: &str) -> Value {
    json!({
        "state_dir": ".",
        "disks": { "hdd0": {
            "path": "hdd0.disk", "size": "64GiB", "emulate": "desktop-7200-2008", "policy": policy
        } },
        "vdisks": {
            "reader": { "disk": "hdd0", "size": "8GiB", "reserve": "40%", "period": "500ms" },
            "random": { "disk": "hdd0", "size": "8GiB", "reserve": "30%", "period": "500ms" },
            "writer": { "disk": "hdd0", "size": "16GiB" }
        },
        "nbd": { "socket": "nbd.sock" },
        "control": { "socket": "control.sock" }
    })
}

fn workload(duration: Nanos) -> Value {
    let duration = format!("{}ms", duration.0 / 1_000_000);
    json!({
        "duration": duration,
        "clients": {
            "reader": { "vdisk": "reader", "pattern": "sequential", "block": "64KiB", "depth": 4 },
            "random": { "vdisk": "random", "pattern": "random", "block": "4KiB", "depth": 4 },
            "writer": { "vdisk": "writer", "pattern": "random", "block": "64KiB", "read": "0%", "depth": 32 }
        }
    })
}

async fn run_clients(policy: &'static str, duration: Nanos) -> CommandResult<DemoRun> {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("demo.json");
    std::fs::write(&file, configuration(policy).to_string())?;
    let configuration = emulation::load(&file)?;
    let workload_file = directory.path().join("workload.json");
    let workload = Workload::parse(&workload_file, &workload(duration).to_string())?;
    let report = assembly::require_admitted(&configuration)?;
    let server = Server::start(
        &configuration,
        &report,
        nbd::prepare(&configuration)?,
        Vec::new(),
        &[],
    )
    .await?;
    let result = load_and_sample(&server, policy, workload).await;
    server.stop().await?;
    result
}

async fn load_and_sample(
    server: &Server,
    policy: &'static str,
    workload: Workload,
) -> CommandResult<DemoRun> {
    let uris: BTreeMap<String, NbdUri> = CLIENTS
        .iter()
        .filter_map(|(name, _)| Some(((*name).to_owned(), server.uris(name).first()?.clone())))
        .collect();
    let before = server.status().await?;
    let load = tokio::task::spawn_blocking(move || {
        run_real(&uris, &workload, &AtomicBool::new(false), &mut |_| {})
    });
    let mut ticks = tokio::time::interval(SAMPLE);
    ticks.tick().await;
    let mut last = before.clone();
    let mut panel = Panel::new(policy);
    while !load.is_finished() {
        ticks.tick().await;
        let now = server.status().await?;
        let end_s = elapsed_ns(&before, &now) as f64 / 1e9;
        panel.add_interval(end_s, sample(&last, &now));
        last = now;
    }
    // The clients stopped within the last interval: it would show a dip that no policy caused.
    panel.remove_last_interval();
    let report = load.await??;
    let counted = last.since(&before);
    Ok(DemoRun {
        policy,
        report,
        counted,
        panel,
    })
}

/// The time between two readings.
fn elapsed_ns(earlier: &ServerStatus, later: &ServerStatus) -> u64 {
    let difference = later.since(earlier);
    let disk = difference.disks.get("hdd0");
    disk.map_or(0, |disk| disk.window.elapsed_ns)
}

/// The share of the disk's time that each client got between two readings.
fn sample(earlier: &ServerStatus, later: &ServerStatus) -> Vec<f64> {
    let elapsed = elapsed_ns(earlier, later).max(1) as f64;
    let difference = later.since(earlier);
    let received = |name: &str| {
        let vdisk = difference.vdisks.get(name);
        vdisk.map_or(0, |vdisk| vdisk.window.received_ns()) as f64
    };
    CLIENTS
        .iter()
        .map(|(name, _)| received(name) / elapsed)
        .collect()
}

fn table(runs: &[DemoRun]) -> Table {
    let mut table = Table::new(&[
        "client",
        "policy",
        "reserved",
        "disk time received",
        "IOPS",
        "MB/s",
        "p50 ms",
        "p99 ms",
        "deadlines missed",
    ]);
    for (name, _) in CLIENTS {
        for run in runs {
            let Some(client) = run.report.client(name) else {
                continue;
            };
            let Some(vdisk) = run.counted.vdisks.get(name) else {
                continue;
            };
            let percent = |share: f64| format!("{:.1} %", share * 100.0);
            let millis = |time: Option<Nanos>| {
                time.map_or_else(
                    || "-".to_owned(),
                    |time| format!("{:.1}", time.as_millis_f64()),
                )
            };
            table.row(vec![
                name.to_owned(),
                run.policy.to_owned(),
                percent(vdisk.reserved_share),
                percent(vdisk.window.received_share),
                format!("{:.0}", client.iops),
                format!("{:.2}", client.bytes_per_second / 1e6),
                millis(client.latency.map(|latency| latency.p50)),
                millis(client.latency.map(|latency| latency.p99)),
                vdisk.window.deadlines_missed.to_string(),
            ]);
        }
    }
    table
}
