//! O10: what the scheduler's design had not tested: limits, many streams, zones and caches, the
//! drive's write cache, and a change of reservations while they are used.

use crate::{Bound, Check, Experiment, Finding, Origin, Real};
use disktime_engine::{PolicyKind, StreamConfig};
use disktime_lab::figure::Figure;
use disktime_lab::mixes::{ACCOUNT, KINDS};
use disktime_lab::{Lab, LabResult, Run, Setup, StreamSpan};
use disktime_units::Nanos;

mod change;
mod limits;
mod places;
mod write_cache;

/// The experiment.
pub const EXPERIMENT: Experiment = Experiment {
    id: "O10",
    title: "what the design had not tested",
    origin: Origin::Own,
    source: "our own; the list of what was not tested in the scheduler's design",
    claim: "Guarantee and isolation (at least 0.99, switching account) also hold with limits, with twelve \
            streams, in every zone, without a cache, with the drive's write cache on, and while \
            reservations change.",
    real: Real::No("eighty runs of a minute take two hours"),
    run,
};

const SECOND: Nanos = Nanos::from_secs(1);
const ISOLATES: Bound = Bound::AtLeast(0.99);
fn run(lab: &Lab<'_>) -> LabResult<Finding> {
    let mut finding = Finding::new(format!(
        "All with the switching account, c = 1.5 ({KINDS}). Limits: r32 with 20 % per 1 s, at most 60 % \
         per 500 ms and all the weight, beside seq and r8 with 10 % each, or beside streams that come by \
         the clock. Twelve streams of six kinds, reserved to the limit of admission. Places: four streams \
         in the outermost fifth of the drive, in the innermost, spread over all of it, and on a drive without \
         a cache. Write cache: a reader with 40 % per 2 s and almost no weight beside random 64 KiB \
         writes, 32 under way, with 40 % per 2 s and all the weight. Change: seq goes from 30 % to 10 % \
         per 1 s and r8 from 20 % per 1 s to 40 % per 500 ms in the middle, with seq1 (20 % per 500 ms) \
         and a best-effort r32 with all the weight beside them."
    ));
    let mut panels = vec![limits::limits(lab, &mut finding)?];
    panels.push(places::many_and_places(lab, &mut finding)?);
    panels.push(write_cache::write_cache(lab, &mut finding)?);
    panels.push(change::change(lab, &mut finding)?);
    finding.figures.push(Figure {
        name: "o10-untested".to_owned(),
        title: "Limits, many streams, places, write cache, and a change while served".to_owned(),
        panels,
    });
    Ok(finding)
}

fn with_weight(weight: u32, config: StreamConfig) -> StreamConfig {
    StreamConfig { weight, ..config }
}

fn all_weight(config: StreamConfig) -> StreamConfig {
    with_weight(10_000, config)
}

fn start(lab: &Lab<'_>, seconds: u64) -> Setup {
    let mut setup = Setup::new(PolicyKind::Fahrrad, lab.seconds(seconds));
    setup.switching = ACCOUNT;
    setup
}
fn none_missed(finding: &mut Finding, key: &str, run: &Run) {
    let missed = run.deadlines_missed() as f64;
    let what = format!("deadlines missed ({})", key.replace('_', " "));
    let check = Check::new(key, what, missed, Bound::AtMost(0.0), "");
    finding.check(check.decisive());
}

/// Time in s at the middle of each window, and the share of it that `of` gives.
fn share_by_window(
    run: &Run,
    width: Nanos,
    stream: usize,
    of: fn(&StreamSpan) -> f64,
) -> Vec<(f64, f64)> {
    let seconds = width.as_secs_f64();
    let windows = run.windows(width);
    let shares = windows.iter().enumerate().map(|(index, streams)| {
        let share = of(&streams[stream]) / seconds;
        ((index as f64 + 0.5) * seconds, share)
    });
    shares.collect()
}
