//! F2: Fahrrad's four streams, with and without its scheduler.

use super::rtas::BLOCK_BYTES;
use crate::{Bound, Check, Experiment, Finding, Origin, Real};
use disktime_engine::PolicyKind;
use disktime_lab::figure::{Axis, Figure, Mark, Panel, Series};
use disktime_lab::measures::{RECEIVED_COLUMNS, received_cells};
use disktime_lab::setup::{Setup, at_rate, of_kind, reader, reserved, share};
use disktime_lab::{Lab, LabResult, Run, Table, number};
use disktime_units::Nanos;
use disktime_workloads::{Kind, Pattern};

/// The experiment.
pub const EXPERIMENT: Experiment = Experiment {
    id: "F2",
    title: "four streams with and without the scheduler",
    origin: Origin::Paper,
    source: "Fahrrad, EuroSys 2008, the stream set of its evaluation (as recalled)",
    claim: "With disk time reserved, media streams keep their rates and every stream gets its share \
            beside a random background load; without the scheduler they do not.",
    real: Real::Runs {
        runs: POLICIES.len() as u32,
        each: Nanos::from_secs(60),
        writes: false,
    },
    run,
};

const NAMES: [&str; 4] = ["media 1", "media 2", "transactions", "background"];
const SHARES: [f64; 4] = [0.2, 0.4, 0.3, 0.1];
/// Requests per second of the media streams.
const RATES: [u64; 2] = [400, 800];
const PERIOD: Nanos = Nanos::from_millis(500);
const BACKGROUND: usize = 3;
const OURS: usize = 3;
/// The policies, and what they are called in the report.
const POLICIES: [(PolicyKind, &str); 4] = [
    (PolicyKind::Fifo, "none (order of arrival)"),
    (PolicyKind::CLook, "none (C-LOOK)"),
    (PolicyKind::FahrradDss, "fahrrad-dss (the paper's)"),
    (PolicyKind::Fahrrad, "fahrrad (ours)"),
];

fn setup(lab: &Lab<'_>, policy: PolicyKind) -> Setup {
    let mut setup = Setup::new(policy, lab.seconds(120));
    setup.quantum_bytes = Some(BLOCK_BYTES);
    let media = |rate: u64| at_rate(reader(Pattern::Sequential, u64::from(BLOCK_BYTES), 1), rate);
    let clients = [
        media(RATES[0]),
        media(RATES[1]),
        of_kind(Kind::Bursts),
        reader(Pattern::Random, u64::from(BLOCK_BYTES), 32),
    ];
    for ((name, part), client) in NAMES.iter().zip(SHARES).zip(clients) {
        setup = setup.stream(name, reserved(share(part), PERIOD), client);
    }
    setup
}

fn run(lab: &Lab<'_>) -> LabResult<Finding> {
    let runs = POLICIES
        .iter()
        .map(|(policy, _)| lab.run(&setup(lab, *policy)))
        .collect::<LabResult<Vec<Run>>>()?;
    let mut finding = Finding::new(
        "Four streams of 4 KiB reads, not merged, each in its quarter of the disk: media 1 and 2 read \
         sequentially at 400 and 800 requests per second and reserve 20 % and 40 % of the time; \
         transactions are bursts of random reads (every 0.1 to 1 s, uniformly, 1 to 30 × period of \
         them) with 30 %; the background keeps 32 random reads under way with 10 %. Period 500 ms; \
         each stream pays for the seeks to it.",
    );
    let rate_kept = |run: &Run, stream: usize| run.iops(stream) / RATES[stream] as f64 * 100.0;
    for (which, (key, name)) in [(OURS, ("ours", "ours")), (2, ("dss", "fahrrad-dss"))] {
        for stream in [0, 1] {
            let what = format!("{}: achieved ÷ asked rate, {name}", NAMES[stream]);
            let value = rate_kept(&runs[which], stream);
            let key = format!("rate_{}_{key}", stream + 1);
            let check = Check::new(key, what, value, Bound::AtLeast(99.0), "%");
            finding.check(if which == OURS {
                check.decisive()
            } else {
                check
            });
        }
        finding.check(Check::new(
            format!("background_{key}"),
            format!("background's share of the time (10 % reserved), {name}"),
            runs[which].share(BACKGROUND) * 100.0,
            Bound::AtLeast(9.9),
            "%",
        ));
    }
    let without = rate_kept(&runs[0], 0).min(rate_kept(&runs[0], 1));
    finding.check(
        Check::new(
            "rate_without",
            "the worse media stream's achieved ÷ asked rate, order of arrival",
            without,
            Bound::AtMost(90.0),
            "%",
        )
        .decisive(),
    );
    finding.tables.push(table(&runs));
    finding.figures.push(figure(&runs));
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

fn table(runs: &[Run]) -> Table {
    let mut table = Table::titled(
        "What each stream got",
        &[&["scheduler", "stream"][..], &RECEIVED_COLUMNS].concat(),
    );
    for ((_, policy), run) in POLICIES.iter().zip(runs) {
        for (stream, name) in NAMES.iter().enumerate() {
            let stream_of = [(*policy).to_owned(), (*name).to_owned()];
            table.row(
                stream_of
                    .into_iter()
                    .chain(received_cells(run, stream))
                    .collect(),
            );
        }
    }
    table
}

fn figure(runs: &[Run]) -> Figure {
    let bars = |value: &dyn Fn(&Run, usize) -> f64| {
        let each = POLICIES.iter().zip(runs).map(|((_, name), run)| {
            let points = (0..NAMES.len()).map(|stream| (stream as f64, value(run, stream)));
            Series::new(*name, Mark::Bars, points.collect())
        });
        each.collect::<Vec<_>>()
    };
    let reserved = SHARES
        .iter()
        .enumerate()
        .map(|(index, part)| (index as f64, part * 100.0));
    let mut shares = bars(&|run, stream| run.share(stream) * 100.0);
    shares.push(Series::reference(
        "reserved",
        Mark::Points,
        reserved.collect(),
    ));
    let p99 = |run: &Run, stream: usize| {
        run.latency(stream)
            .map_or(f64::NAN, |latency| latency.p99.as_millis_f64())
    };
    Figure {
        name: "f2-four-streams".to_owned(),
        title: "Fahrrad's four streams: disk time received, and latencies".to_owned(),
        panels: vec![
            Panel {
                title: "disk time".to_owned(),
                x: Axis::groups("stream", &NAMES),
                y: Axis::linear("share of the disk's time (%)", 0.0, 100.0),
                series: shares,
            },
            Panel {
                title: "99th percentile of latency".to_owned(),
                x: Axis::groups("stream", &NAMES),
                y: Axis::logarithmic("latency (ms)", 10.0, 200_000.0),
                series: bars(&p99),
            },
        ],
    }
}
