//! Z1: Zygaria's thousand seconds.

use super::received_table;
use super::rtas::{BLOCK_BYTES, in_iops};
use crate::{Experiment, Finding, Origin, Real};
use disktime_engine::{PolicyKind, StreamConfig};
use disktime_lab::figure::{Axis, Figure, Panel, Series};
use disktime_lab::measures::{least, mean};
use disktime_lab::setup::{self, DriveSetup, Setup, at_rate, reader, reserved};
use disktime_lab::{Lab, LabResult, Run, Scheduling, cells, number};
use disktime_random::Random;
use disktime_units::Nanos;
use disktime_workloads::{Client, Pattern};

/// The experiment.
pub(super) const EXPERIMENT: Experiment = Experiment {
    id: "Z1",
    title: "a thousand seconds of pools, media and jobs",
    origin: Origin::Paper,
    source: "Zygaria, RTAS 2006, the macro-benchmark",
    claim: "With the scheduler, pools get what they reserved and a greedy background pool stays \
            between its reservation and its limit; without it, the background takes what it can.",
    real: Real::No("it takes 1000 s for each of three schedulers"),
    run,
};

/// I/Os per second that the paper's disk did at random places.
const DISK_IOPS: f64 = 112.0;
const SECONDS: u64 = 1000;
/// Reserved share and limit of each pool. The media pool is three streams here.
const BACKGROUND: (f64, f64) = (0.10, 0.25);
const MEDIA: (f64, f64) = (0.33, 0.35);
const JOBS: f64 = 0.285;
/// What each media stream asks for.
const MEDIA_OFFER: f64 = 0.10;
const JOB_COUNT: usize = 100;
const JOBS_AT_ONCE: usize = 10;
const WINDOW: Nanos = Nanos::from_secs(10);
const PERIOD: Nanos = Nanos::from_secs(1);
const STREAMS: [&str; 6] = [
    "a background",
    "b media 1",
    "b media 2",
    "b media 3",
    "c jobs",
    "d jobs",
];
/// The pools with their streams.
const POOLS: [(&str, &[usize]); 4] = [
    ("a: background", &[0]),
    ("b: media", &[1, 2, 3]),
    ("c: jobs", &[4]),
    ("d: jobs", &[5]),
];

/// A job that the pool took.
#[derive(Debug, Clone, Copy)]
struct Job {
    start: Nanos,
    stop: Nanos,
    /// I/Os per second.
    rate: u64,
}

/// The outer part of the papers' drive that does as many random reads as the paper's disk: found
/// by halving, on the model.
fn drive() -> LabResult<DriveSetup> {
    let whole = DriveSetup::papers().parameters()?.size_bytes();
    let (mut small, mut large) = (1_u64 << 30, whole);
    let of_size = |size_bytes: u64| DriveSetup {
        size_bytes: Some(size_bytes - size_bytes % (1 << 20)),
        short_stroke: true,
        ..DriveSetup::papers()
    };
    while large - small > 1 << 30 {
        let middle = (small + large) / 2;
        let model = of_size(middle).model()?;
        let mean_ms = model.mean_random_read(u64::from(BLOCK_BYTES)).mean_ms;
        if 1000.0 / mean_ms > DISK_IOPS {
            small = middle;
        } else {
            large = middle;
        }
    }
    Ok(of_size(small))
}

/// The jobs of a pool: offered at random times, taken while the pool has space.
fn jobs(pool: &str, seconds: u64) -> Vec<Job> {
    let mut random = Random::labelled(2006, pool);
    let pool_rate = (JOBS * DISK_IOPS).floor() as u64;
    let offer = |_| {
        let start = Nanos::from_millis(random.below(seconds * 1000));
        let duration = Nanos::from_millis(10_000 + random.below(90_001));
        Job {
            start,
            stop: start + duration,
            rate: 2 + random.below(pool_rate - 1),
        }
    };
    let mut offered: Vec<Job> = (0..JOB_COUNT).map(offer).collect();
    offered.sort_by_key(|job| job.start);
    let mut taken: Vec<Job> = Vec::new();
    for job in offered {
        let running = taken.iter().filter(|other| other.stop > job.start);
        let used: u64 = running.clone().map(|other| other.rate).sum();
        if running.count() < JOBS_AT_ONCE && used + job.rate <= pool_rate {
            taken.push(job);
        }
    }
    taken
}

fn job_clients(jobs: &[Job]) -> Vec<Client> {
    jobs.iter()
        .map(|job| at_rate(random_reader(1), job.rate).between(job.start, job.stop))
        .collect()
}

fn random_reader(depth: u32) -> Client {
    reader(Pattern::Random, u64::from(BLOCK_BYTES), depth)
}

fn limited((part, limit): (f64, f64)) -> StreamConfig {
    setup::limited(reserved(part, PERIOD), limit, PERIOD)
}

fn setup(drive: &DriveSetup, way: Scheduling, seconds: u64) -> Setup {
    let mut setup = Setup::new(way, Nanos::from_secs(seconds))
        .quantum(BLOCK_BYTES)
        .warm_up(Nanos::ZERO)
        .stream(STREAMS[0], limited(BACKGROUND), random_reader(32));
    setup.drive = drive.clone();
    setup.sample_every = Nanos::from_secs(1);
    setup.seed = 2006;
    let media_rate = (MEDIA_OFFER * DISK_IOPS).round() as u64;
    for name in &STREAMS[1..4] {
        let client = reader(Pattern::Sequential, u64::from(BLOCK_BYTES), 1);
        let third = limited((MEDIA.0 / 3.0, MEDIA.1 / 3.0));
        setup = setup.stream(name, third, at_rate(client, media_rate));
    }
    for name in &STREAMS[4..6] {
        let clients = job_clients(&jobs(name, seconds));
        setup = setup.shared_stream(name, reserved(JOBS, PERIOD), clients);
    }
    setup
}

/// What the jobs of a pool ask for in each window, in requests per second.
fn offered(jobs: &[Job], windows: usize) -> impl Iterator<Item = f64> {
    let width = WINDOW.as_secs_f64();
    (0..windows).map(move |window| {
        let from = window as f64 * width;
        let overlap = |job: &Job| {
            let begin = job.start.as_secs_f64().max(from);
            let end = job.stop.as_secs_f64().min(from + width);
            (end - begin).max(0.0) / width
        };
        jobs.iter().map(|job| overlap(job) * job.rate as f64).sum()
    })
}

fn run(lab: &Lab<'_>) -> LabResult<Finding> {
    let drive = drive()?;
    let seconds = lab.seconds(SECONDS).0 / 1_000_000_000;
    let ways = [
        Scheduling::new("zygaria-iops (the paper's)", in_iops(DISK_IOPS)),
        Scheduling::new("fahrrad (ours, disk time)", PolicyKind::Fahrrad),
        Scheduling::new("none (order of arrival)", PolicyKind::Fifo),
    ];
    let runs = lab.run_all(ways.map(|way| setup(&drive, way, seconds)))?;
    let mut finding = Finding::new(format!(
        "{seconds} s on the outer {} GB of the modelled drive, which does {DISK_IOPS} random IOPS. \
         Pool a: background, as fast as it can (32 in flight), reserved 10 %, limit 25 %. Pool b: \
         three media streams sharing 33 %, limit 35 %, each asking for 10 %, at 17, 33 and 50 % of the \
         disk. Pools c and d: 28.5 % each, 100 jobs each of U(10, 100) s and U(2, {}) IOPS at random \
         places, starting at U(0, {seconds}) s, rejected if the pool would overflow or ten are there. \
         4 KiB reads, not merged.",
        drive.size_bytes.unwrap_or(0) / 1_000_000_000,
        number((JOBS * DISK_IOPS).floor()),
    ));
    let asked = asked(seconds);
    for (index, key) in [(0, "zygaria"), (1, "fahrrad")] {
        let streams = asked.iter().enumerate();
        let kept = streams.map(|(media, asked)| runs[index].iops(media + 1) / asked * 100.0);
        let name = ways[index].name();
        let what = format!("worst of media and jobs: achieved ÷ asked, {name}");
        finding
            .check(format!("kept_{key}"), what, least(kept))
            .at_least(95.0, "%")
            .decisive_if(index == 0);
    }
    let background = |index: usize| runs[index].iops(0) / DISK_IOPS * 100.0;
    let what = "background's IOPS of the disk's 112, zygaria-iops";
    finding
        .check("background_zygaria", what, background(0))
        .between(10.0, 25.5, "%")
        .decisive();
    let what = "background's share of the time (reserved 10 %, limit 25 %), fahrrad";
    finding
        .check("background_fahrrad", what, runs[1].share(0) * 100.0)
        .between(10.0, 25.5, "%");
    let what = "background's IOPS of the disk's 112, order of arrival";
    finding
        .check("background_none", what, background(2))
        .at_least(25.0, "%")
        .decisive();
    let columns = ["scheduler", "stream", "asked (IOPS)"];
    finding.table(received_table(&columns, ways.iter().zip(&runs), |way| {
        let asked = asked.iter().map(|asked| number(*asked));
        let asked = std::iter::once("all".to_owned()).chain(asked);
        let streams = STREAMS.iter().zip(asked);
        streams.map(move |(name, asked)| cells![way.name(), name, asked])
    }));
    let panels = ways.iter().zip(&runs);
    let panels = panels.map(|(way, run)| panel(way.name(), run, seconds as f64));
    let title = "Throughput of Zygaria's four pools in windows of 10 s";
    finding.figure(Figure::new("z1-macro", title, panels));
    finding.note(
        "What the paper's figure shows of this benchmark is not known in numbers; the claim is worded \
         from its set-up. Its pools share among their streams; here a media stream has a third of its \
         pool, and the jobs of a pool are one stream.",
    );
    Ok(finding)
}

/// What each stream but the background asks for on average, in requests per second.
fn asked(seconds: u64) -> Vec<f64> {
    let windows = (Nanos::from_secs(seconds).0 / WINDOW.0) as usize;
    let media = [(MEDIA_OFFER * DISK_IOPS).round(); 3];
    let jobs = STREAMS[4..6].iter();
    let jobs = jobs.map(|pool| mean(offered(&self::jobs(pool, seconds), windows)));
    media.into_iter().chain(jobs).collect()
}

fn panel(name: &str, run: &Run, seconds: f64) -> Panel {
    let width = WINDOW.as_secs_f64();
    let windows = run.windows(WINDOW);
    let curves = POOLS.iter().map(|(name, streams)| {
        let points = windows.iter().enumerate().map(|(index, window)| {
            let requests = streams.iter().map(|stream| window[*stream].requests);
            (index as f64 * width, requests.sum::<u64>() as f64 / width)
        });
        Series::curve(*name, points)
    });
    let x = Axis::linear("time (s)", 0.0, seconds);
    let y = Axis::linear("throughput (IOPS)", 0.0, 80.0);
    Panel::new(name, x, y)
        .with_all(curves)
        .level("limit of a", BACKGROUND.1 * DISK_IOPS)
}

#[cfg(test)]
mod tests;
