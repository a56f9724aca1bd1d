//! Cloud volumes: rates, latency, credit.

use super::*;
use crate::{ModelRequest, Operation, OverlapModel};
use disktime_units::Nanos;

fn volume() -> CloudParameters {
    CloudParameters {
        operation: Nanos::from_micros(100),
        operation_bytes: 256 << 10,
        per_mib: Nanos::from_millis(4),
        credit: None,
        latency_min: Nanos::from_micros(300),
        latency_varies: Nanos::from_micros(140),
        latency_max: Nanos::from_micros(2000),
        queue_depth: 64,
    }
}

fn read(tag: u64, len_bytes: u64) -> ModelRequest {
    ModelRequest {
        tag,
        operation: Operation::Read,
        offset_bytes: 0,
        len_bytes,
        durable: false,
    }
}

/// Ends of requests that are all submitted at the start, in order.
fn ends(parameters: CloudParameters, count: u64, len_bytes: u64) -> Vec<u64> {
    let mut model = CloudModel::new(parameters, 1);
    for tag in 0..count {
        model.submit(Nanos::ZERO, read(tag, len_bytes));
    }
    let pops = std::iter::from_fn(|| model.pop_completion(Nanos::MAX));
    let mut ends: Vec<u64> = pops.map(|done| done.at.0).collect();
    assert!(ends.is_sorted());
    assert_eq!(ends.len() as u64, count);
    ends.sort_unstable();
    ends
}

#[test]
fn operations_and_bytes_each_have_their_rate() {
    let micros = |ends: &[u64]| ends.last().copied().unwrap_or(0) / 1000;
    // 10,000 operations of 100 µs, and the last latency.
    let small = micros(&ends(volume(), 10_000, 4096));
    assert!((1_000_300..1_002_000).contains(&small), "{small}");
    // 1,000 of 128 KiB, each half a millisecond.
    let large = micros(&ends(volume(), 1000, 128 << 10));
    assert!((500_300..502_000).contains(&large), "{large}");
    // More than 256 KiB are several operations; here the bytes still count for more.
    let huge = micros(&ends(volume(), 100, 1 << 20));
    assert!((400_300..402_000).contains(&huge), "{huge}");
}

#[test]
fn small_and_large_requests_do_not_pay_each_others_rate() {
    let mut model = CloudModel::new(volume(), 1);
    for tag in 0..1000 {
        model.submit(
            Nanos::ZERO,
            read(tag, if tag % 2 == 0 { 4096 } else { 128 << 10 }),
        );
    }
    let last = std::iter::from_fn(|| model.pop_completion(Nanos::MAX)).last();
    let micros = last.expect("many are in flight").at.0 / 1000;
    // 500 of 128 KiB and 500 of 4 KiB by their bytes; a thousand operations take less.
    assert!((257_800..259_900).contains(&micros), "{micros}");
}

#[test]
fn latency_stays_in_its_bounds_and_around_its_mean() {
    let mut model = CloudModel::new(volume(), 1);
    let mut latencies = Vec::new();
    for round in 0..20_000 {
        let at = Nanos::from_millis(round * 10);
        model.submit(at, read(round, 4096));
        let done = model.pop_completion(Nanos::MAX).expect("in flight");
        latencies.push((done.at - at).0 - 100_000);
    }
    latencies.sort_unstable();
    assert!(latencies[0] >= 300_000 && latencies[19_999] <= 2_000_000);
    assert!(
        latencies[19_999] > 1_200_000,
        "long ones are rare but happen"
    );
    let mean = latencies.iter().sum::<u64>() / 20_000;
    assert!(mean.abs_diff(440_000) < 12_000, "{mean}");
    let median = latencies[10_000];
    assert!(median.abs_diff(300_000 + 97_000) < 8_000, "{median}");
}

#[test]
fn credit_is_used_up_and_comes_back() {
    let mut parameters = volume();
    parameters.credit = Some(Credit {
        burst_percent: 400,
        full: Nanos::from_millis(300),
    });
    let mut model = CloudModel::new(parameters, 1);
    let mut admitted = |at: Nanos, count: u64| {
        for tag in 0..count {
            model.submit(at, read(tag, 4096));
        }
        let last = std::iter::from_fn(|| model.pop_completion(Nanos::MAX)).last();
        (last.expect("many are in flight").at - at).0 / 1_000_000
    };
    // 3,000 at four times the rate are covered by the credit and by what comes in meanwhile; the
    // other thousands take their time.
    assert_eq!(admitted(Nanos::ZERO, 3000), 75);
    assert_eq!(admitted(Nanos::from_millis(400), 10_000), 700);
    let short = Nanos::from_millis(1100);
    assert_eq!(admitted(short, 2000), 200, "no credit is left");
}
