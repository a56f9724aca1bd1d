//! R8: streams that start and stop.

use super::rtas::{BLOCK_BYTES, in_time};
use crate::{Experiment, Finding, Origin, Real};
use disktime_engine::PolicyKind;
use disktime_lab::figure::{Axis, Figure, Panel, Series};
use disktime_lab::measures::greatest;
use disktime_lab::setup::{Setup, reader, reserved};
use disktime_lab::{Lab, LabResult, Run};
use disktime_units::Nanos;
use disktime_workloads::Pattern;

/// The experiment.
pub(super) const EXPERIMENT: Experiment = Experiment {
    id: "R8",
    title: "streams that start and stop",
    origin: Origin::Paper,
    source: "RTAS 2008, §4.4",
    claim: "When streams start and stop, transients last about as long as tokens are saved: 1 s.",
    real: Real::No("the moments of its starts and stops are fixed in a run of two minutes"),
    run,
};

/// What is reserved by each stream: the one that is always there, and the one that comes and goes.
const SHARE: f64 = 0.5;
/// The second stream is there for that long, then away for as long.
const PHASE: Nanos = Nanos::from_secs(10);
const PHASES: u64 = 6;
/// Shares are judged in windows of this length, each begun so much after the one before.
const WINDOW: Nanos = Nanos::from_millis(500);
/// Ours alternates within its promise by some periods: its windows are ten periods long.
const OUR_WINDOW: Nanos = Nanos::from_secs(1);
const STEP: Nanos = Nanos::from_millis(50);
/// In the picture the windows are shorter, and this many phases are shown.
const SHOWN: Nanos = Nanos::from_millis(250);
const SHOWN_PHASES: u64 = 4;
/// For the policy that has periods.
const OUR_PERIOD: Nanos = Nanos::from_millis(100);
/// A share is back when it is that near to the reserved one for good.
const NEAR: f64 = 0.1;

fn setup(policy: PolicyKind) -> Setup {
    let mut setup = Setup::new(policy, Nanos(PHASE.0 * 2 * PHASES))
        .quantum(BLOCK_BYTES)
        .warm_up(Nanos::ZERO);
    setup.sample_every = STEP;
    let config = reserved(SHARE, OUR_PERIOD);
    let visits = (0..PHASES).map(|phase| {
        let start = Nanos(PHASE.0 * (2 * phase + 1));
        reader(Pattern::Random, 4096, 4).between(start, start + PHASE)
    });
    setup
        .stream("steady", config, reader(Pattern::Sequential, 4096, 4))
        .shared_stream("comes and goes", config, visits.collect())
}

/// How long after each of its starts the newcomer's share takes to stay near what it reserved, in
/// seconds.
fn transients(run: &Run, window: Nanos) -> impl Iterator<Item = f64> {
    let steps = run.windows(STEP);
    let per_window = (window.0 / STEP.0) as usize;
    let per_phase = (PHASE.0 / STEP.0) as usize;
    let share = move |first: usize| {
        let chosen = steps.iter().skip(first).take(per_window);
        let time: f64 = chosen.map(|streams| streams[1].disk_time()).sum();
        time / window.as_secs_f64()
    };
    (0..PHASES as usize).map(move |phase| {
        let first = per_phase * (2 * phase + 1);
        let last = first + per_phase - per_window;
        let mut steps = (first..last).rev();
        let far = steps.find(|step| (share(*step) - SHARE).abs() > NEAR);
        far.map_or(0.0, |step| (step + 1 - first) as f64 * STEP.as_secs_f64())
    })
}

fn run(lab: &Lab<'_>) -> LabResult<Finding> {
    let paper = lab.run(&setup(in_time()))?;
    let ours = lab.run(&setup(PolicyKind::Fahrrad))?;
    let mut finding = Finding::new(
        "A sequential stream is always there; a random one comes for 10 s and is away for 10 s, six \
         times. Each reserves half of the time; 4 KiB reads, four in flight. A transient lasts until \
         the newcomer's share, in any later window of 500 ms, is within 10 percentage points of what \
         it reserved (under fahrrad: of 1 s, ten periods). Policies zygaria-util (tokens of 1 s \
         saved) and fahrrad (period 100 ms).",
    );
    let longest = greatest(transients(&paper, WINDOW));
    let what = "longest transient, zygaria-util";
    finding
        .check("longest_zygaria_util", what, longest)
        .between(0.25, 2.0, "s")
        .decisive();
    let longest = greatest(transients(&ours, OUR_WINDOW));
    let what = "longest transient, fahrrad (period 100 ms)";
    finding
        .check("longest_fahrrad", what, longest)
        .at_most(1.0, "s");
    finding.figure(Figure::new(
        "r8-transients",
        "A stream that starts at 10 s, stops at 20 s, starts again at 30 s",
        [
            panel("zygaria-util (the paper's)", &paper),
            panel("fahrrad (ours)", &ours),
        ],
    ));
    finding.note("Which streams the paper started and stopped is not known.");
    Ok(finding)
}

fn panel(title: &str, run: &Run) -> Panel {
    let windows = run.windows(SHOWN);
    let shown = (PHASE.0 * SHOWN_PHASES / SHOWN.0) as usize;
    let series = |name: &str, stream: usize| {
        let all = windows.iter().take(shown).enumerate();
        let points = all.map(|(index, window)| {
            let share = window[stream].disk_time() / SHOWN.as_secs_f64();
            (index as f64 * SHOWN.as_secs_f64(), share * 100.0)
        });
        Series::steps(name, points)
    };
    let x = Axis::linear("time (s)", 0.0, 40.0);
    let y = Axis::linear("share of the disk's time (%)", 0.0, 110.0);
    Panel::new(title, x, y)
        .level("reserved by each", 50.0)
        .with(series("steady sequential stream", 0))
        .with(series("random stream that comes and goes", 1))
}
