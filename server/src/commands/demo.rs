//! `disktime demo`: the difference that reservations make, in a minute. A sequential reader, a
//! random reader and a greedy writer share one disk, a sparse file paced as a 2008 desktop hard
//! disk: first under fifo, then under fahrrad. The result is a table and a picture of disk time
//! over time, drawn as `simulate --svg` draws it.

mod sampling;

use crate::assembly::{self, emulation};
use crate::commands::load;
use crate::commands::simulate::picture::Drawing;
use crate::failure::{CommandResult, Failure};
use crate::serving::nbd;
use crate::serving::server::Server;
use disktime_nbd_protocol::NbdUri;
use disktime_observe::{DiskWindow, ServerDifference, StreamWindow, Table};
use disktime_units::{Nanos, parse_duration};
use disktime_workloads::{LoadReport, Workload, run_real};
use sampling::{PERIOD, Sampled, sample};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::AtomicBool;

/// The clients, with what they do.
const CLIENTS: [(&str, &str); 3] = [
    ("reader", "reads sequentially"),
    ("random", "reads at random"),
    ("writer", "writes as much as it can"),
];
/// How the picture is read.
const HOW_TO_READ: [&str; 4] = [
    "A step is one period of the reader, from deadline to deadline. Dashed: what is reserved.",
    "A tick is a deadline met: the client had received what it has reserved, up to one request.",
    "A triangle is a deadline missed. Where a step stays below the dashed line and no triangle is,",
    "the rest of one request was in the disk at the deadline, or the client had no request.",
];

/// One run of the clients.
struct DemoRun {
    policy: &'static str,
    report: LoadReport,
    counted: ServerDifference,
    sampled: Sampled,
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
    let picture = out.join("disk-time.svg");
    std::fs::write(&picture, drawn(&runs)).map_err(|error| {
        Failure::new(format!(
            "the picture {} cannot be written: {error}",
            picture.display()
        ))
    })?;
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
        .filter_map(|(name, _)| Some(((*name).to_owned(), server.uris(name).into_iter().next()?)))
        .collect();
    let before = server.status().await;
    let load = tokio::task::spawn_blocking(move || {
        run_real(&uris, &workload, &AtomicBool::new(false), &mut |_| {})
    });
    let sampled = sample(server, || load.is_finished()).await?;
    let report = load.await??;
    let counted = server.status().await.since(&before);
    Ok(DemoRun {
        policy,
        report,
        counted,
        sampled: Sampled {
            report: sampled.report.with_name(policy),
            ..sampled
        },
    })
}

/// The runs under each other.
fn drawn(runs: &[DemoRun]) -> String {
    let does = CLIENTS.map(|(name, does)| format!("{name} {does}"));
    let subtitle = format!(
        "{} on one hard disk; each step is {PERIOD}",
        does.join(", ")
    );
    let duration = runs.iter().map(|run| run.sampled.duration).max();
    let mut drawing = Drawing::new(subtitle, duration.unwrap_or(PERIOD), PERIOD);
    for run in runs {
        let whole = run.counted.disks.values().next();
        let whole = whole.map_or_else(DiskWindow::default, |disk| disk.window);
        let window = |name: &str| {
            let vdisk = run.counted.vdisks.get(name);
            vdisk.map_or_else(StreamWindow::default, |vdisk| vdisk.window)
        };
        let (report, timeline) = (&run.sampled.report, Some(&run.sampled.timeline));
        drawing.add(report, timeline, whole, &window);
    }
    for sentence in HOW_TO_READ {
        drawing.note(sentence.to_owned());
    }
    for run in runs {
        drawing.note(pacing(run));
    }
    drawing.to_svg()
}

/// How well this machine kept the times of the modelled disk.
fn pacing(run: &DemoRun) -> String {
    let disks = run.counted.disks.values();
    let (late, all) = disks.fold((0, 0), |(late, all), disk| {
        (late + disk.pacing.overruns, all + disk.pacing.requests)
    });
    format!(
        "Under {}: of {all} requests this machine was late with {late}, so that the disk was slower \
         than its model.",
        run.policy
    )
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
