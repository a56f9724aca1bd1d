//! What the experiments of RTAS 2008 have in common: one sequential and one random stream, 4 KiB
//! reads with a fixed number in flight, that together reserve everything.

use disktime_engine::{PolicyKind, StreamConfig};
use disktime_lab::figure::{Axis, Series};
use disktime_lab::setup::{Setup, reader, reserved};
use disktime_lab::{Lab, LabResult, Run, Scheduling};
use disktime_scheduler::{ZygariaIopsConfig, ZygariaUtilConfig};
use disktime_units::Nanos;
use disktime_workloads::Pattern;

/// Index of the sequential stream.
pub(super) const SEQUENTIAL: usize = 0;
/// Index of the random stream.
pub(super) const RANDOM: usize = 1;
/// Requests of each stream in flight; the paper's number is not known.
const DEPTH: u32 = 4;
/// Every request is that long, and none are merged.
pub(super) const BLOCK_BYTES: u32 = 4096;
/// The period of reservations, for the policies that have periods: as long as the papers' tokens
/// are saved.
const PERIOD: Nanos = Nanos::from_secs(1);
/// How long a run of a sweep is in full, in seconds.
pub(super) const RUN_SECONDS: u64 = 60;
/// The sweep: the sequential stream's part of what is reserved.
pub(super) const SPLITS: [f64; 9] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9];
/// Received and reserved share of disk time may differ by so much, in percentage points.
const ERROR_ALLOWED: f64 = 5.0;

/// The set-up in words.
pub(super) const SET_UP: &str = "A sequential and a random stream of 4 KiB reads share the raw disk, \
    each in its half, with four requests of each in flight, none of them merged.";

/// Said of every sweep.
pub(super) const DEPTH_NOTE: &str = "How many requests the paper kept in flight is not known; here \
    four of each stream. Adjacent requests are not merged, as that is not known either. With \
    merging, a closed loop has nothing queued while its one merged request is served, and a \
    scheduler that does not wait for it cannot control it.";

/// The two streams; the sequential one has `part` of everything reserved.
pub(super) fn pair(lab: &Lab<'_>, policy: PolicyKind, part: f64) -> Setup {
    let entitled = |part: f64| match part {
        part if part > 0.0 => reserved(part, PERIOD),
        _ => StreamConfig::BEST_EFFORT,
    };
    let client = |pattern| reader(pattern, u64::from(BLOCK_BYTES), DEPTH);
    Setup::new(policy, lab.seconds(RUN_SECONDS))
        .quantum(BLOCK_BYTES)
        .stream("sequential", entitled(part), client(Pattern::Sequential))
        .stream("random", entitled(1.0 - part), client(Pattern::Random))
}

/// What each stream reaches alone, in requests per second, in order of arrival as under the
/// papers' schedulers.
///
/// # Errors
/// If a run fails.
pub(super) fn alone(lab: &Lab<'_>) -> LabResult<[f64; 2]> {
    let rate = |index: usize| -> LabResult<f64> {
        let mut setup = pair(lab, PolicyKind::Fifo, 0.5).alone(index);
        setup.scheduling = Scheduling::FIFO;
        Ok(lab.run(&setup)?.iops(index))
    };
    Ok([rate(SEQUENTIAL)?, rate(RANDOM)?])
}

/// Reservations in I/Os per second of a disk that is said to do so many.
pub(super) fn in_iops(nominal: f64) -> PolicyKind {
    PolicyKind::ZygariaIops(ZygariaIopsConfig {
        nominal_iops: Some(nominal.max(1.0) as u32),
        ..ZygariaIopsConfig::default()
    })
}

/// Reservations of disk time by the paper's rules, request by request.
pub(super) fn in_time() -> PolicyKind {
    PolicyKind::ZygariaUtil(ZygariaUtilConfig::default())
}

/// How long a stream keeps the disk under [`in_time_coarsely`].
const STAY: Nanos = Nanos::from_millis(250);

/// The same, so coarse that seeks between streams are few, as the paper asks (§2.2); by what
/// mechanism it gets there is not known.
pub(super) fn in_time_coarsely() -> PolicyKind {
    PolicyKind::ZygariaUtil(ZygariaUtilConfig {
        stay: STAY,
        ..ZygariaUtilConfig::default()
    })
}

/// Said where both are shown.
pub(super) const STAY_NOTE: &str = "RTAS 2008 asks for scheduling so coarse that seeks between \
    streams are few (§2.2), but by what mechanism is not known. By its rules of tokens alone two \
    streams alternate request by request; “coarse” is one reading: a stream with tokens keeps the \
    disk for 250 ms.";

/// One run for each split of a sweep.
///
/// # Errors
/// If a run fails.
pub(super) fn sweep(lab: &Lab<'_>, policy: PolicyKind, splits: &[f64]) -> LabResult<Vec<Run>> {
    lab.run_all(splits.iter().map(|part| pair(lab, policy, *part)))
}

/// Over a sweep: what is reserved for the sequential stream in per cent, and what `of` gives.
pub(super) fn by_split(splits: &[f64], runs: &[Run], of: impl Fn(&Run) -> f64) -> Vec<(f64, f64)> {
    let points = splits.iter().zip(runs);
    points
        .map(|(part, run)| (percent(*part), of(run)))
        .collect()
}

/// Received share of disk time of a stream in per cent, over a sweep.
pub(super) fn shares(splits: &[f64], runs: &[Run], stream: usize) -> Vec<(f64, f64)> {
    by_split(splits, runs, |run| percent(run.share(stream)))
}

/// The horizontal axis of a sweep.
pub(super) fn reserved_axis(of_what: &str) -> Axis {
    let label = format!("reserved for the sequential stream (% of {of_what})");
    Axis::linear(&label, 0.0, 100.0)
}

/// A stream has what it reserved: a line from the origin.
pub(super) fn as_reserved() -> Series {
    Series::curve("as reserved", [(0.0, 0.0), (100.0, 100.0)]).reference()
}

/// Checks over a sweep that both streams received what they reserved.
pub(super) fn check_shares<'a>(
    finding: &'a mut crate::Finding,
    (key, which): (&str, &str),
    splits: &[f64],
    runs: &[Run],
) -> &'a mut crate::Check {
    let errors = splits.iter().zip(runs).flat_map(|(part, run)| {
        [
            (run.share(SEQUENTIAL) - part).abs(),
            (run.share(RANDOM) - (1.0 - part)).abs(),
        ]
    });
    let greatest = errors.fold(0.0, f64::max);
    let what = format!("largest difference of received and reserved share, {which}");
    let check = finding.check(format!("error_{key}"), what, percent(greatest));
    check.at_most(ERROR_ALLOWED, "percentage points")
}

/// In per cent.
pub(super) fn percent(value: f64) -> f64 {
    value * 100.0
}
