//! The fit against drives that are known in full: it must find what they do from their times alone.

use super::super::trace::replay_served;
use super::super::*;
use crate::Operation;
use crate::hdd::fit::fit_overheads;
use disktime_random::SplitMix64;
use disktime_units::Nanos;

/// A drive's published parameters: mechanics, and how its memory is divided.
fn published(segments: u32, segment_sectors: u32) -> serde_json::Value {
    serde_json::json!({
        "rpm": 5400, "surfaces": 7, "cyls": 2000,
        "zones": [[0, 699, 120, 20, 31], [700, 1399, 100, 17, 26], [1400, 1999, 80, 14, 21]],
        "seek": [[1, 1.8], [10, 2.4], [100, 4.5], [500, 9.0], [1999, 19.0]],
        "head_switch_ms": 0.9, "write_settle_ms": 0.6,
        "cache_segments": segments, "seg_sectors": segment_sectors
    })
}

/// What the fit is not told.
fn hidden(published: &serde_json::Value, more: serde_json::Value) -> HddParameters {
    let mut drive = published.clone();
    drive["bus_mb_per_s"] = 4.0.into();
    drive["overhead_ms"] = serde_json::json!({
        "read_hit": [0.4, 0.5], "read_miss": [0.9, 0.8], "read_ready": [1.6, 1.6],
        "write_hit": [0.7, 0.6], "write_miss": [1.1, 1.0]
    });
    for (field, value) in more.as_object().expect("an object") {
        drive[field] = value.clone();
    }
    HddParameters::from_json(&drive).expect("the drive is valid")
}

/// A third at random, the others near or right behind the one before; what the drive takes for it,
/// with a few microseconds of the host's, and with the platter at angles that the trace does not
/// record.
fn measure(drive: &HddParameters, longest_think_ms: u64) -> Vec<MeasuredRequest> {
    let mut random = SplitMix64::new(77);
    let (sectors, mut next) = (drive.size_bytes() / 512, 0);
    let mut trace = Vec::new();
    for _ in 0..8000 {
        let count = 4 << random.below(8).saturating_sub(5);
        let first = match random.below(10) {
            0..=2 => next,
            3..=4 => (next + random.below(150)).min(sectors - 64),
            5 => next.saturating_sub(random.below(150)),
            _ => random.below(sectors / 4 - 16) * 4,
        };
        trace.push(MeasuredRequest {
            operation: if random.below(3) == 0 {
                Operation::Write
            } else {
                Operation::Read
            },
            offset_bytes: first.min(sectors - 64) * 512,
            len_bytes: count * 512,
            service: Nanos::ZERO,
            think: Nanos::from_millis(1) + Nanos(random.below(longest_think_ms * 1_000_000)),
        });
        next = first.min(sectors - 64) + count;
    }
    let mut model = HddModel::new(drive).expect("valid");
    // Where thinking is short, the platter has no time to get lost.
    let seed = (longest_think_ms > 10).then(|| SplitMix64::new(5));
    let served = replay_served(&mut model, &trace, seed).expect("it fits");
    for (request, (time, _)) in trace.iter_mut().zip(served) {
        request.service = time + Nanos(random.below(8_000));
    }
    trace
}

fn judged(
    name: &str,
    published: &serde_json::Value,
    truth: &HddParameters,
    think_ms: u64,
) -> (HddParameters, TraceReport) {
    let trace = measure(truth, think_ms);
    let parameters = HddParameters::from_json(published).expect("valid");
    let fitted = fit_overheads(&parameters, &trace[..trace.len() / 2]).expect("it can be fitted");
    let drive = Drive {
        name: name.to_owned(),
        published: parameters.clone(),
        parameters,
        provenance: Provenance::GivenByUser,
        overheads: OverheadSource::Assumed,
    };
    let report = ModelReport::new(&drive, None, Some(&trace)).expect("it fits");
    let report = report.trace.expect("a trace was given");
    (fitted, report)
}

/// Segments, their sectors, the longest think time, and what is hidden.
fn drives() -> Vec<(&'static str, u32, u32, u64, serde_json::Value)> {
    vec![
        (
            "no read-ahead, no write cache, one segment",
            1,
            128,
            50,
            serde_json::json!({"read_ahead": "never"}),
        ),
        (
            "no cache at all",
            0,
            1,
            50,
            serde_json::json!({"read_ahead": "never"}),
        ),
        (
            "keeps what was asked for, no write cache",
            2,
            128,
            50,
            serde_json::json!({"read_ahead_keeps": true}),
        ),
        (
            "reads on after sequential reads, keeps what passes",
            4,
            96,
            50,
            serde_json::json!({
                "read_ahead": "sequential", "read_before": "passing", "read_ahead_keeps": true,
                "write_cache": true, "reads_hit_writes": true, "write_invalidates": "overlap"
            }),
        ),
        (
            "reads on a little",
            3,
            256,
            50,
            serde_json::json!({"read_ahead_sectors": 32, "write_cache": true}),
        ),
        (
            "hurried, small write cache",
            3,
            128,
            6,
            serde_json::json!({"write_cache": true, "write_cache_sectors": 16}),
        ),
        (
            "hurried, no write cache, no read-ahead",
            2,
            128,
            3,
            serde_json::json!({"read_ahead": "never"}),
        ),
    ]
}

#[test]
fn what_a_drive_does_is_found_in_its_times() {
    for (name, segments, segment_sectors, think_ms, more) in drives() {
        let published = published(segments, segment_sectors);
        let truth = hidden(&published, more);
        let (fitted, report) = judged(name, &published, &truth, think_ms);
        println!("{name}: {report:?}");
        let swapped = report.swapped_demerit_percent.expect("both halves judge");
        let worst = report.demerit_percent.max(swapped);
        assert!(worst <= 4.0, "{name}: {worst} %");
        let reads = &report.kinds[0];
        assert!(reads.demerit_percent <= 4.0, "{name}: {reads:?}");
        assert_eq!(fitted.write_cache, truth.write_cache, "{name}");
        let cached = report.cached_reads;
        let either = cached.measured.max(cached.modelled);
        assert!(
            cached.both * 20 + 200 >= either * 19,
            "{name}: other reads come from the cache: {cached:?}"
        );
        if truth.write_cache || truth.read_ahead != ReadAheadPolicy::Never {
            // Only what the cache takes or gives shows the bus by itself.
            let rate = fitted.bus_mb_per_s.expect("found");
            assert!((3.9..4.1).contains(&rate), "{name}: a bus of {rate} MB/s");
        }
    }
}

#[test]
fn a_trace_that_says_little_changes_little_and_breaks_nothing() {
    let published = published(3, 128);
    let truth = hidden(&published, serde_json::json!({"write_cache": true}));
    let parameters = HddParameters::from_json(&published).expect("valid");
    let trace = measure(&truth, 50);
    let only = |operation: Operation| {
        let of_kind = trace
            .iter()
            .filter(|request| request.operation == operation);
        of_kind.copied().collect::<Vec<_>>()
    };
    let one_length: Vec<_> = trace
        .iter()
        .map(|request| MeasuredRequest {
            len_bytes: 4096,
            ..*request
        })
        .collect();
    for (name, part) in [
        ("one request", &trace[..1]),
        ("few requests", &trace[..40]),
        ("reads alone", &only(Operation::Read)[..]),
        ("writes alone", &only(Operation::Write)[..]),
        ("one length", &one_length[..]),
        ("nothing", &[]),
    ] {
        let fitted = fit_overheads(&parameters, part).expect(name);
        fitted.validate().expect(name);
        if part.len() < 10 {
            assert_eq!(
                fitted,
                HddParameters {
                    overhead_ms: fitted.overhead_ms,
                    ..parameters.clone()
                }
            );
        }
        let drive = Drive {
            name: name.to_owned(),
            parameters: parameters.clone(),
            published: parameters.clone(),
            provenance: Provenance::GivenByUser,
            overheads: OverheadSource::Assumed,
        };
        if part.len() > 1 {
            let report = ModelReport::new(&drive, None, Some(part)).expect(name);
            assert!(report.render().contains("the other way round"), "{name}");
        }
    }
}
