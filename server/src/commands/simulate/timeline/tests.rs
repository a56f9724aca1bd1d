//! Unit tests of `timeline`.

use super::*;

#[test]
fn intervals_are_round_and_few_whatever_the_duration() {
    let sampling = |seconds, period, streams| {
        Sampling::new(
            Nanos::from_secs(seconds),
            Some(Nanos::from_millis(period)),
            streams,
        )
    };
    assert_eq!(sampling(1, 500, 3).interval, Nanos::from_millis(50));
    assert_eq!(sampling(10, 500, 3).interval, Nanos::from_millis(500));
    assert_eq!(sampling(60, 500, 3).interval, Nanos::from_millis(500));
    assert_eq!(sampling(7200, 500, 3).interval, Nanos::from_secs(100));
    for (seconds, streams) in [(1, 1), (60, 5), (7200, 20), (60, 100_000)] {
        let sampling = sampling(seconds, 250, streams);
        assert_eq!(sampling.interval.0 % sampling.every.0, 0);
        let readings = seconds * 1_000_000_000 / sampling.every.0;
        assert!(readings <= 2_000, "{readings} readings of {seconds} s");
        assert!(readings * streams as u64 <= 120 * 100_000);
    }
}

#[test]
fn what_an_interval_cannot_hold_was_used_before_it() {
    let reading = |reserved: u64, spare: u64| Reading {
        reserved: Nanos(reserved),
        spare: Nanos(spare),
        ..Reading::default()
    };
    let timeline = Timeline {
        times: vec![Nanos(10), Nanos(20), Nanos(30)],
        switching: vec![Nanos(0); 3],
        readings: vec![
            vec![reading(0, 0), reading(4, 0)],
            vec![reading(0, 0), reading(4, 0)],
            vec![reading(15, 0), reading(4, 5)],
        ],
    };
    let parts = timeline.intervals(Nanos(10));
    let used: Vec<f64> = parts.iter().map(Interval::used).collect();
    assert_eq!(
        used,
        [4.0, 10.0, 10.0],
        "20 in the last, half of it is moved"
    );
    assert_eq!(parts[1].streams[0].reserved, 7.5);
    assert_eq!(timeline.intervals(Nanos(30)).len(), 1);
    assert_eq!(timeline.intervals(Nanos(30))[0].streams[0].reserved, 15.0);
}
