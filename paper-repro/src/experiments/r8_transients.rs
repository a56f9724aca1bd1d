//! R8: streams that start and stop.

use super::rtas::{BLOCK_BYTES, in_time};
use crate::{Bound, Check, Experiment, Finding, Origin, Real};
use disktime_engine::PolicyKind;
use disktime_lab::figure::{Axis, Figure, Mark, Panel, Series};
use disktime_lab::measures::greatest;
use disktime_lab::setup::{Setup, reader, reserved, share};
use disktime_lab::{Lab, LabResult, Run};
use disktime_units::Nanos;
use disktime_workloads::Pattern;

/// The experiment.
pub const EXPERIMENT: Experiment = Experiment {
    id: "R8",
    title: "streams that start and stop",
    origin: Origin::Paper,
    source: "RTAS 2008, §4.4",
    claim: "When streams start and stop, transients last about as long as tokens are saved: 1 s.",
    real: Real::No("the moments of its starts and stops are fixed in a run of two minutes"),
    run,
};

/// What is reserved by the stream that is always there, and by the one that comes and goes.
const SHARES: [f64; 2] = [0.5, 0.5];
/// The second stream is there for that long, then away for as long.
const PHASE: Nanos = Nanos::from_secs(10);
const PHASES: u64 = 6;
/// Shares are judged in windows of this length, each begun so much after the one before.
const WINDOW: Nanos = Nanos::from_millis(500);
/// Ours alternates within its promise by some periods: its windows are ten periods long.
const OUR_WINDOW: Nanos = Nanos::from_secs(1);
const STEP: Nanos = Nanos::from_millis(50);
/// In the picture the windows are shorter.
const SHOWN: Nanos = Nanos::from_millis(250);
/// For the policy that has periods.
const OUR_PERIOD: Nanos = Nanos::from_millis(100);
/// A share is back when it is that near to the reserved one for good.
const NEAR: f64 = 0.1;

fn setup(policy: PolicyKind, period: Nanos) -> Setup {
    let mut setup = Setup::new(policy, Nanos(PHASE.0 * 2 * PHASES));
    setup.warm_up = Nanos::ZERO;
    setup.sample_every = STEP;
    setup.quantum_bytes = Some(BLOCK_BYTES);
    let config = |index: usize| reserved(share(SHARES[index]), period);
    let visits = (0..PHASES).map(|phase| {
        let start = Nanos(PHASE.0 * (2 * phase + 1));
        reader(Pattern::Random, 4096, 4).between(start, start + PHASE)
    });
    let visits: Vec<_> = visits.collect();
    setup
        .stream("steady", config(0), reader(Pattern::Sequential, 4096, 4))
        .shared_stream("comes and goes", config(1), visits)
}

/// How long after each of its starts the newcomer's share takes to stay near what it reserved, in
/// seconds.
fn transients(run: &Run, window: Nanos) -> Vec<f64> {
    let steps = run.windows(STEP);
    let per_window = (window.0 / STEP.0) as usize;
    let per_phase = (PHASE.0 / STEP.0) as usize;
    let share = |first: usize| {
        let chosen = steps.iter().skip(first).take(per_window);
        let time: f64 = chosen.map(|streams| streams[1].disk_time()).sum();
        time / window.as_secs_f64()
    };
    (0..PHASES as usize)
        .map(|phase| {
            let first = per_phase * (2 * phase + 1);
            let last = first + per_phase - per_window;
            let far = (first..last)
                .rev()
                .find(|step| (share(*step) - SHARES[1]).abs() > NEAR);
            far.map_or(0.0, |step| (step + 1 - first) as f64 * STEP.as_secs_f64())
        })
        .collect()
}

fn run(lab: &Lab<'_>) -> LabResult<Finding> {
    let paper = lab.run(&setup(in_time(), OUR_PERIOD))?;
    let ours = lab.run(&setup(PolicyKind::Fahrrad, OUR_PERIOD))?;
    let mut finding = Finding::new(
        "A sequential stream is always there; a random one comes for 10 s and is away for 10 s, six \
         times. Each reserves half of the time; 4 KiB reads, four under way. A transient lasts until \
         the newcomer's share, in any later window of 500 ms, is within 10 percentage points of what it \
         reserved (under fahrrad: of 1 s, ten periods). Policies zygaria-util (tokens of 1 s saved) and fahrrad (period 100 ms).",
    );
    finding.check(
        Check::new(
            "longest_zygaria_util",
            "longest transient, zygaria-util",
            greatest(&transients(&paper, WINDOW)),
            Bound::Between(0.25, 2.0),
            "s",
        )
        .decisive(),
    );
    finding.check(Check::new(
        "longest_fahrrad",
        "longest transient, fahrrad (period 100 ms)",
        greatest(&transients(&ours, OUR_WINDOW)),
        Bound::AtMost(1.0),
        "s",
    ));
    let panel = |title: &str, run: &Run| {
        let windows = run.windows(SHOWN);
        let shown = windows.iter().take((PHASE.0 * 4 / SHOWN.0) as usize);
        let shown: Vec<_> = shown.collect();
        let series = |stream: usize| {
            let all = shown.iter().enumerate();
            all.map(|(index, window)| {
                let share = window[stream].disk_time() / SHOWN.as_secs_f64();
                (index as f64 * SHOWN.as_secs_f64(), share * 100.0)
            })
            .collect::<Vec<_>>()
        };
        let half = vec![(0.0, 50.0), (40.0, 50.0)];
        Panel {
            title: title.to_owned(),
            x: Axis::linear("time (s)", 0.0, 40.0),
            y: Axis::linear("share of the disk's time (%)", 0.0, 110.0),
            series: vec![
                Series::reference("reserved by each", Mark::Curve, half),
                Series::new("steady sequential stream", Mark::Steps, series(0)),
                Series::new("random stream that comes and goes", Mark::Steps, series(1)),
            ],
        }
    };
    finding.figures.push(Figure {
        name: "r8-transients".to_owned(),
        title: "A stream that starts at 10 s, stops at 20 s, starts again at 30 s".to_owned(),
        panels: vec![
            panel("zygaria-util (the paper's)", &paper),
            panel("fahrrad (ours)", &ours),
        ],
    });
    finding.note("Which streams the paper started and stopped is not known.");
    Ok(finding)
}
