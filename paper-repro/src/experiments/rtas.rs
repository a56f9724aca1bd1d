//! What the experiments of RTAS 2008 have in common: one sequential and one random stream, 4 KiB
//! reads with a fixed number under way, that together reserve everything.

use disktime_engine::{PolicyKind, StreamConfig};
use disktime_lab::setup::{Setup, reader, reserved, share};
use disktime_lab::{Lab, LabResult, Run};
use disktime_scheduler::{ZygariaIopsConfig, ZygariaUtilConfig};
use disktime_units::Nanos;
use disktime_workloads::Pattern;

/// Index of the sequential stream.
pub const SEQUENTIAL: usize = 0;
/// Index of the random stream.
pub const RANDOM: usize = 1;
/// Requests under way of each stream; the paper's number is not known.
pub const DEPTH: u32 = 4;
/// Every request is that long, and none are merged.
pub const BLOCK_BYTES: u32 = 4096;
/// The period of reservations, for the policies that have periods: as long as the papers' tokens
/// are saved.
pub const PERIOD: Nanos = Nanos::from_secs(1);
/// How long a run of a sweep is in full, in seconds.
pub const RUN_SECONDS: u64 = 60;
/// The sweep: the sequential stream's part of what is reserved.
pub const SPLITS: [f64; 9] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9];

/// The set-up in words.
pub const SET_UP: &str = "A sequential and a random stream of 4 KiB reads share the raw disk, each \
                          in its half, four requests of each under way, none of them merged.";

/// Said of every sweep.
pub const DEPTH_NOTE: &str = "How many requests the paper kept outstanding is not known; here four \
                              of each stream. Adjacent requests are not merged, as nothing is known of that either; \
                              merged, a closed loop has nothing waiting while its one merged request is served, and no scheduler that does not wait for it can control it.";

/// The two streams; the sequential one has `part` of everything reserved.
pub fn pair(lab: &Lab<'_>, policy: PolicyKind, part: f64) -> Setup {
    let entitled = |part: f64| match part {
        part if part > 0.0 => reserved(share(part), PERIOD),
        _ => StreamConfig::BEST_EFFORT,
    };
    let mut setup = Setup::new(policy, lab.seconds(RUN_SECONDS));
    setup.quantum_bytes = Some(BLOCK_BYTES);
    setup
        .stream(
            "sequential",
            entitled(part),
            reader(Pattern::Sequential, u64::from(BLOCK_BYTES), DEPTH),
        )
        .stream(
            "random",
            entitled(1.0 - part),
            reader(Pattern::Random, u64::from(BLOCK_BYTES), DEPTH),
        )
}

/// What each stream reaches alone, in requests per second, in order of arrival as under the
/// papers' schedulers.
///
/// # Errors
/// If a run fails.
pub fn alone(lab: &Lab<'_>) -> LabResult<[f64; 2]> {
    let rate = |index: usize| -> LabResult<f64> {
        let mut setup = pair(lab, PolicyKind::Fifo, 0.5).alone(index);
        setup.policy = PolicyKind::Fifo;
        Ok(lab.run(&setup)?.iops(index))
    };
    Ok([rate(SEQUENTIAL)?, rate(RANDOM)?])
}

/// Reservations in I/Os per second of a disk that is said to do so many.
pub fn in_iops(nominal: f64) -> PolicyKind {
    PolicyKind::ZygariaIops(ZygariaIopsConfig {
        nominal_iops: Some(nominal.max(1.0) as u32),
        ..ZygariaIopsConfig::default()
    })
}

/// Reservations of disk time by the paper's rules, request by request.
pub fn in_time() -> PolicyKind {
    PolicyKind::ZygariaUtil(ZygariaUtilConfig::default())
}

/// How long a stream keeps the disk under [`in_time_coarsely`].
pub const STAY: Nanos = Nanos::from_millis(250);

/// The same, so coarse that seeks between streams are few, as the paper asks (§2.2); by what
/// mechanism it gets there is not known.
pub fn in_time_coarsely() -> PolicyKind {
    PolicyKind::ZygariaUtil(ZygariaUtilConfig {
        stay: STAY,
        ..ZygariaUtilConfig::default()
    })
}

/// Said where both are shown.
pub const STAY_NOTE: &str = "RTAS 2008 asks for scheduling so coarse that seeks between streams are \
                             few (§2.2), but by what mechanism is not known. By its rules of tokens \
                             alone two streams alternate request by request; “coarse” is one \
                             reading: a stream with tokens keeps the disk for 250 ms.";

/// One run for each split of the sweep.
///
/// # Errors
/// If a run fails.
pub fn sweep(lab: &Lab<'_>, policy: PolicyKind, splits: &[f64]) -> LabResult<Vec<Run>> {
    splits
        .iter()
        .map(|part| lab.run(&pair(lab, policy, *part)))
        .collect()
}

/// The greatest difference between received and reserved share of disk time over a sweep, both
/// streams.
pub fn greatest_error(splits: &[f64], runs: &[Run]) -> f64 {
    let errors = splits.iter().zip(runs).flat_map(|(part, run)| {
        [
            (run.share(SEQUENTIAL) - part).abs(),
            (run.share(RANDOM) - (1.0 - part)).abs(),
        ]
    });
    errors.fold(0.0, f64::max)
}

/// In per cent.
pub fn percent(value: f64) -> f64 {
    value * 100.0
}
