//! O10: what the scheduler's design had not tested: limits, many streams, zones and caches, the
//! drive's write cache, and a change of reservations while they are used.

use crate::{Experiment, Finding, Origin, Real};
use disktime_engine::StreamConfig;
use disktime_lab::figure::Figure;
use disktime_lab::mixes::KINDS;
use disktime_lab::setup::weighted;
use disktime_lab::{Lab, LabResult, Run, Scheduling, Setup, StreamSpan};
use disktime_units::Nanos;

mod change;
mod limits;
mod regions;
mod write_cache;

/// The experiment.
pub(super) const EXPERIMENT: Experiment = Experiment {
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
/// The least isolation that is asked for.
const ISOLATES: f64 = 0.99;

fn run(lab: &Lab<'_>) -> LabResult<Finding> {
    let mut finding = Finding::new(format!(
        "All with the switching account, c = 1.5 ({KINDS}). Limits: r32 with 20 % per 1 s, at most 60 % \
         per 500 ms and all the weight, beside seq and r8 with 10 % each, or beside streams that come by \
         the clock. Twelve streams of six kinds, reserved to the limit of admission. Regions: four streams \
         in the outermost fifth of the drive, in the innermost, spread over all of it, and on a drive without \
         a cache. Write cache: a reader with 40 % per 2 s and almost no weight beside random 64 KiB \
         writes, 32 in flight, with 40 % per 2 s and all the weight. Change: seq goes from 30 % to 10 % \
         per 1 s and r8 from 20 % per 1 s to 40 % per 500 ms in the middle, with seq1 (20 % per 500 ms) \
         and a best-effort r32 with all the weight beside them."
    ));
    let panels = [
        limits::limits(lab, &mut finding)?,
        regions::many_streams_and_regions(lab, &mut finding)?,
        write_cache::write_cache(lab, &mut finding)?,
        change::change(lab, &mut finding)?,
    ];
    let title = "Limits, many streams, regions, write cache, and a change while served";
    finding.figure(Figure::new("o10-untested", title, panels));
    Ok(finding)
}

fn all_weight(config: StreamConfig) -> StreamConfig {
    weighted(10_000, config)
}

fn start(lab: &Lab<'_>, seconds: u64) -> Setup {
    Setup::new(Scheduling::ACCOUNT, lab.seconds(seconds))
}

fn none_missed(finding: &mut Finding, key: &str, run: &Run) {
    let what = format!("deadlines missed ({})", key.replace('_', " "));
    let missed = run.deadlines_missed() as f64;
    finding.check(key, what, missed).at_most(0.0, "").decisive();
}

/// Time in s at the middle of each window, and the share of it that `of` gives.
fn share_by_window(
    run: &Run,
    width: Nanos,
    stream: usize,
    of: fn(&StreamSpan) -> f64,
) -> Vec<(f64, f64)> {
    let seconds = width.as_secs_f64();
    let windows = run.windows(width).into_iter().enumerate();
    let shares = windows.map(|(index, streams)| {
        let share = of(&streams[stream]) / seconds;
        ((index as f64 + 0.5) * seconds, share)
    });
    shares.collect()
}
