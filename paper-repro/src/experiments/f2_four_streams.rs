//! F2: Fahrrad's four streams, with and without its scheduler.

use super::received_table;
use super::rtas::BLOCK_BYTES;
use crate::{Experiment, Finding, Origin, Real};
use disktime_engine::PolicyKind;
use disktime_lab::figure::{Axis, Figure, Panel, Series};
use disktime_lab::setup::{Setup, at_rate, bursts, reader, reserved};
use disktime_lab::{Lab, LabResult, Run, Scheduling, cells, number};
use disktime_units::Nanos;
use disktime_workloads::Pattern;

/// The experiment.
pub(super) const EXPERIMENT: Experiment = Experiment {
    id: "F2",
    title: "four streams with and without the scheduler",
    origin: Origin::Paper,
    source: "Fahrrad, EuroSys 2008, the stream set of its evaluation (as recalled)",
    claim: "With disk time reserved, media streams keep their rates and every stream gets its share \
            beside a random background load; without the scheduler they do not.",
    real: Real::reads(WAYS.len(), Nanos::from_secs(60)),
    run,
};

const NAMES: [&str; 4] = ["media 1", "media 2", "transactions", "background"];
const SHARES: [f64; 4] = [0.2, 0.4, 0.3, 0.1];
/// Requests per second of the media streams.
const RATES: [u64; 2] = [400, 800];
const PERIOD: Nanos = Nanos::from_millis(500);
const BACKGROUND: usize = 3;
const OURS: usize = 3;
const WAYS: [Scheduling; 4] = [
    Scheduling::new("none (order of arrival)", PolicyKind::Fifo),
    Scheduling::new("none (C-LOOK)", PolicyKind::CLook),
    Scheduling::new("fahrrad-dss (the paper's)", PolicyKind::FahrradDss),
    Scheduling::new("fahrrad (ours)", PolicyKind::Fahrrad),
];

fn setup(lab: &Lab<'_>, way: Scheduling) -> Setup {
    let block = u64::from(BLOCK_BYTES);
    let media = |rate: u64| at_rate(reader(Pattern::Sequential, block, 1), rate);
    let clients = [
        media(RATES[0]),
        media(RATES[1]),
        bursts(),
        reader(Pattern::Random, block, 32),
    ];
    let streams = NAMES.iter().zip(SHARES).zip(clients);
    let setup = Setup::new(way, lab.seconds(120)).quantum(BLOCK_BYTES);
    streams.fold(setup, |setup, ((name, part), client)| {
        setup.stream(name, reserved(part, PERIOD), client)
    })
}

fn run(lab: &Lab<'_>) -> LabResult<Finding> {
    let runs = lab.run_all(WAYS.map(|way| setup(lab, way)))?;
    let mut finding = Finding::new(
        "Four streams of 4 KiB reads, not merged, each in its quarter of the disk: media 1 and 2 read \
         sequentially at 400 and 800 requests per second and reserve 20 % and 40 % of the time; \
         transactions are bursts of random reads (every 0.1 to 1 s, uniformly, 1 to 30 × period of \
         them) with 30 %; the background keeps 32 random reads in flight with 10 %. Period 500 ms; \
         each stream pays for the seeks to it.",
    );
    let rate_kept = |run: &Run, stream: usize| run.iops(stream) / RATES[stream] as f64 * 100.0;
    for (which, (key, name)) in [(OURS, ("ours", "ours")), (2, ("dss", "fahrrad-dss"))] {
        for stream in [0, 1] {
            let what = format!("{}: achieved ÷ asked rate, {name}", NAMES[stream]);
            let value = rate_kept(&runs[which], stream);
            finding
                .check(format!("rate_{}_{key}", stream + 1), what, value)
                .at_least(99.0, "%")
                .decisive_if(which == OURS);
        }
        let what = format!("background's share of the time (10 % reserved), {name}");
        let value = runs[which].share(BACKGROUND) * 100.0;
        finding
            .check(format!("background_{key}"), what, value)
            .at_least(9.9, "%");
    }
    let without = rate_kept(&runs[0], 0).min(rate_kept(&runs[0], 1));
    let what = "the worse media stream's achieved ÷ asked rate, order of arrival";
    finding
        .check("rate_without", what, without)
        .at_most(90.0, "%")
        .decisive();
    finding.table(received_table(
        &["scheduler", "stream"],
        WAYS.iter().zip(&runs),
        |way| NAMES.map(|name| cells![way.name(), name]),
    ));
    finding.figure(figure(&runs));
    finding.note(format!(
        "Ours spends {} % of the disk's time waiting for the next request of a media stream that it \
         serves: it is charged to that stream, which has the reservation, and it is time that the \
         background does not get ({} IOPS, against {} under fahrrad-dss, which never waits). A stream \
         that comes by the clock gains nothing from being waited for; one that comes when it is \
         answered loses the disk if it is not. The scheduler does not tell the two apart.",
        number((runs[OURS].waited_share(0) + runs[OURS].waited_share(1)) * 100.0),
        number(runs[OURS].iops(BACKGROUND)),
        number(runs[OURS - 1].iops(BACKGROUND)),
    ));
    finding.note(
        "The stream set is recalled, not read in the paper: sizes of requests, periods and the depth \
         of the background are chosen here. “Without” is order of arrival and C-LOOK, as the kernel's \
         schedulers of 2008 are not to be had in virtual time.",
    );
    Ok(finding)
}

fn figure(runs: &[Run]) -> Figure {
    let bars = |value: fn(&Run, usize) -> f64| {
        let ways = WAYS.iter().zip(runs);
        ways.map(move |(way, run)| {
            Series::bars(
                way.name(),
                (0..NAMES.len()).map(|stream| value(run, stream)),
            )
        })
    };
    let reserved = Series::markers("reserved", SHARES.map(|part| part * 100.0)).reference();
    let time = Axis::linear("share of the disk's time (%)", 0.0, 100.0);
    let latency = Axis::logarithmic("latency (ms)", 10.0, 200_000.0);
    let stream = || Axis::groups("stream", NAMES);
    Figure::new(
        "f2-four-streams",
        "Fahrrad's four streams: disk time received, and latencies",
        [
            Panel::new("disk time", stream(), time)
                .with_all(bars(|run, stream| run.share(stream) * 100.0))
                .with(reserved),
            Panel::new("99th percentile of latency", stream(), latency)
                .with_all(bars(|run, stream| run.latency_ms(stream, |all| all.p99))),
        ],
    )
}
