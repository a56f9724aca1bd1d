//! O7: a short-period stream that is idle most of the time, and wakes.

use super::rtas::in_time;
use crate::{Experiment, Finding, Origin, Real};
use disktime_lab::figure::{Axis, Figure, Panel, Series};
use disktime_lab::wake_up::{SHORT_PERIOD, add_short_and_writer};
use disktime_lab::{Lab, LabResult, Scheduling, Setup, Table, cells, number};
use disktime_units::Nanos;

/// The experiment.
pub(super) const EXPERIMENT: Experiment = Experiment {
    id: "O7",
    title: "wake-up of an idle stream with a short period",
    origin: Origin::Own,
    source: "our own",
    claim: "A stream with 50 % per 50 ms that reads one random 4 KiB every 60 ms beside a greedy \
            sequential writer has 99.9 % of its answers within 50 ms + W.",
    real: Real::Runs {
        runs: 5,
        each: Nanos::from_secs(60),
        writes: true,
    },
    run,
};

fn run(lab: &Lab<'_>) -> LabResult<Finding> {
    let ways = [
        Scheduling::ACCOUNT,
        Scheduling::SERVED,
        Scheduling::EDF,
        Scheduling::new("zygaria-util", in_time()),
        Scheduling::FIFO,
    ];
    let setup = |way| add_short_and_writer(Setup::new(way, lab.seconds(300)));
    let runs = lab.run_all(ways.map(setup))?;
    let facts = runs[0].facts;
    let mut finding = Finding::new(format!(
        "A stream with 50 % per 50 ms (half a period is less than W = {}) reads one random 4 KiB every \
         60 ms; a best-effort stream writes 64 KiB after 64 KiB, 32 in flight, merged up to 512 KiB.",
        facts.worst_case
    ));
    let bound = (SHORT_PERIOD + facts.worst_case).as_millis_f64();
    let columns = "policy | p50 (ms) | p99 (ms) | p99.9 (ms) | longest (ms) | writer (MB/s)";
    let mut table = Table::headed(columns).with_title("Latency of the short-period stream");
    let mut bars: [Vec<f64>; 3] = Default::default();
    for (index, (way, run)) in ways.iter().zip(&runs).enumerate() {
        let Some(latency) = run.latency(0) else {
            continue;
        };
        let times = [latency.p50, latency.p99, latency.p99_9].map(Nanos::as_millis_f64);
        for (bar, time) in bars.iter_mut().zip(times) {
            bar.push(time);
        }
        if index < 2 {
            let what = format!("99.9th percentile of latency, {}", way.name());
            finding
                .check(["p999_account", "p999_served"][index], what, times[2])
                .at_most(bound, "ms")
                .decisive_if(index == 0);
        }
        let mut row = cells![way.name()];
        row.extend(times.map(number));
        row.push(number(latency.max.as_millis_f64()));
        row.push(number(run.bytes_per_second(1) / 1e6));
        table.row(row);
    }
    finding.table(table);
    finding.note(
        "Half a period is less than W, so a budget competes together with the next one, a period \
         later. Where the stream also pays for the seek to it, it may therefore have to wait for the \
         end of a second period; with the switching account, the default, it pays only what its read \
         would have cost alone.",
    );
    finding.note(
        "edf and zygaria-util answer as soon, and leave the writer more, because only deadlines and \
         tokens decide there; beside other reserved streams they pay for that (O2, O4).",
    );
    let latency = Axis::logarithmic("latency (ms)", 1.0, 1000.0);
    let names = Axis::groups("policy", ways.iter().map(Scheduling::name));
    let named = ["p50", "p99", "p99.9"].into_iter().zip(bars);
    let panel = Panel::new("", names, latency)
        .with_all(named.map(|(name, times)| Series::bars(name, times)))
        .level("50 ms + W", bound);
    let title = "Latency of a stream with 50 % per 50 ms that reads once every 60 ms beside a greedy \
                 writer";
    finding.figure(Figure::new("o7-wake-up", title, [panel]));
    Ok(finding)
}
