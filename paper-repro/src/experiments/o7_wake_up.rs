//! O7: a short-period stream that is idle most of the time, and wakes.

use super::rtas::in_time;
use crate::{Bound, Check, Experiment, Finding, Origin, Real};
use disktime_engine::{PolicyKind, StreamConfig, SwitchingAccount};
use disktime_lab::figure::{Axis, Figure, Mark, Series};
use disktime_lab::mixes::{ACCOUNT, Kind};
use disktime_lab::setup::{Setup, at_rate, reader, reserved, share, writing};
use disktime_lab::{Lab, LabResult, Run, Table, number};
use disktime_units::Nanos;
use disktime_workloads::{Pace, Pattern, Rate};

/// The experiment.
pub const EXPERIMENT: Experiment = Experiment {
    id: "O7",
    title: "wake-up of an idle stream with a short period",
    origin: Origin::Own,
    source: "our own",
    claim: "A stream with 50 % per 50 ms that reads one random 4 KiB every 60 ms beside a greedy \
            sequential writer has 99.9 % of its answers within 50 ms + W.",
    real: Real::Runs {
        runs: WAYS as u32,
        each: Nanos::from_secs(60),
        writes: true,
    },
    run,
};

const PERIOD: Nanos = Nanos::from_millis(50);
/// How many policies are compared.
const WAYS: usize = 5;

fn ways() -> [(&'static str, PolicyKind, SwitchingAccount); WAYS] {
    [
        ("fahrrad (b)", PolicyKind::Fahrrad, ACCOUNT),
        ("fahrrad (a)", PolicyKind::Fahrrad, SwitchingAccount::Served),
        ("edf", PolicyKind::Edf, SwitchingAccount::Served),
        ("zygaria-util", in_time(), SwitchingAccount::Served),
        ("fifo", PolicyKind::Fifo, SwitchingAccount::Served),
    ]
}

fn setup(lab: &Lab<'_>, policy: PolicyKind, switching: SwitchingAccount) -> Setup {
    let mut setup = Setup::new(policy, lab.seconds(300));
    setup.switching = switching;
    let every = Rate {
        events: 1,
        per: Nanos::from_millis(60),
    };
    let reader = at_rate(reader(Pattern::Random, 4096, 1), 1).pace(Pace::Constant { rate: every });
    setup
        .stream("short", reserved(share(0.5), PERIOD), reader)
        .stream(
            "writer",
            StreamConfig::BEST_EFFORT,
            writing(Kind::Sequential.client().depth(32)),
        )
}

fn run(lab: &Lab<'_>) -> LabResult<Finding> {
    let ways = ways();
    let runs = ways
        .iter()
        .map(|(_, policy, switching)| lab.run(&setup(lab, *policy, *switching)))
        .collect::<LabResult<Vec<Run>>>()?;
    let facts = runs[0].facts;
    let mut finding = Finding::new(format!(
        "A stream with 50 % per 50 ms (half a period is less than W = {}) reads one random 4 KiB every \
         60 ms; a best-effort stream writes 64 KiB after 64 KiB, 32 under way, merged up to 512 KiB.",
        facts.worst_case
    ));
    let bound = (PERIOD + facts.worst_case).as_millis_f64();
    let mut table = Table::titled(
        "Latency of the short-period stream",
        &[
            "policy",
            "p50 (ms)",
            "p99 (ms)",
            "p99.9 (ms)",
            "longest (ms)",
            "writer (MB/s)",
        ],
    );
    let mut bars: [Vec<(f64, f64)>; 3] = Default::default();
    for (index, ((name, ..), run)) in ways.iter().zip(&runs).enumerate() {
        let Some(latency) = run.latency(0) else {
            continue;
        };
        let times = [latency.p50, latency.p99, latency.p99_9].map(Nanos::as_millis_f64);
        for (bar, time) in bars.iter_mut().zip(times) {
            bar.push((index as f64, time));
        }
        if index < 2 {
            let what = format!("99.9th percentile of latency, {name}");
            let key = ["p999_account", "p999_served"][index];
            let check = Check::new(key, what, times[2], Bound::AtMost(bound), "ms");
            finding.check(if index == 0 { check.decisive() } else { check });
        }
        table.row(vec![
            (*name).to_owned(),
            number(times[0]),
            number(times[1]),
            number(times[2]),
            number(latency.max.as_millis_f64()),
            number(run.bytes_per_second(1) / 1e6),
        ]);
    }
    finding.tables.push(table);
    finding.note(
        "Half a period is less than W, so a budget competes together with the next one, a period \
         later. Under (a), where the stream also pays for the seek to its place, it may therefore \
         have to wait for the end of a second period; under (b), the default, it pays only what its read \
         would have cost alone.",
    );
    finding.note(
        "edf and zygaria-util answer as soon, and leave the writer more, because they look at nothing \
         but who is due first; beside other reserved streams they pay for that (O2, O4).",
    );
    let [p50, p99, p999] = bars;
    let names = ways.map(|(name, ..)| name);
    finding.figures.push(Figure::single(
        "o7-wake-up",
        "Latency of a stream with 50 % per 50 ms that reads once every 60 ms beside a greedy writer",
        Axis::groups("policy", &names),
        Axis::logarithmic("latency (ms)", 1.0, 1000.0),
        vec![
            Series::new("p50", Mark::Bars, p50),
            Series::new("p99", Mark::Bars, p99),
            Series::new("p99.9", Mark::Bars, p999),
            Series::reference("50 ms + W", Mark::Curve, vec![(-0.5, bound), (4.5, bound)]),
        ],
    ));
    Ok(finding)
}
