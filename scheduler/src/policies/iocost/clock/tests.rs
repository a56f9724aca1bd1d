//! When the rate falls, rises and stays.

use super::*;
use crate::ledger::Account;
use crate::stream_id::StreamId;

const CALM: Shortage = Shortage {
    short: false,
    lagging: false,
};
const SHORT: Shortage = Shortage {
    short: true,
    lagging: false,
};

fn clock() -> DeviceClock {
    let mut clock = DeviceClock::new(IocostQos {
        percentile_ppm: 950_000,
        read_latency: Nanos::from_micros(500),
        write_latency: Nanos::from_micros(300),
        vrate_min_percent: 50,
        vrate_max_percent: 200,
    });
    clock.begin(Nanos::ZERO);
    clock
}

fn done(kind: RequestKind, micros: u64) -> FinishedDispatch {
    FinishedDispatch {
        stream: StreamId::for_test(0),
        account: Account::Spare,
        measured: Nanos::ZERO,
        service: Nanos::from_micros(micros),
        price: Nanos::from_micros(10),
        kind,
        alone: Nanos::ZERO,
        sequential: false,
        switched: false,
        moved: false,
        after_spare_of: None,
    }
}

/// Ends so many periods, each with 100 reads, of which so many are late.
fn periods(clock: &mut DeviceClock, count: u64, late: u64, shortage: Shortage) -> i128 {
    for _ in 0..count {
        let now = clock.period_end();
        for index in 0..100 {
            let micros = if index < late { 511 } else { 510 };
            clock.note_completion(now, false, &done(RequestKind::Read, micros));
        }
        clock.end_period(now, shortage, true);
    }
    clock.base_rate()
}

#[test]
fn a_period_is_twice_the_longer_target() {
    assert_eq!(clock().period_end(), Nanos::from_millis(1));
    let mut qos = clock().qos;
    qos.write_latency = Nanos::from_millis(7);
    assert_eq!(DeviceClock::new(qos).period, Nanos::from_millis(14));
    // A median takes longer to measure.
    qos.percentile_ppm = 500_000;
    assert_eq!(DeviceClock::new(qos).period, Nanos::from_millis(70));
}

#[test]
fn the_rate_falls_while_more_than_a_twentieth_is_late() {
    let mut clock = clock();
    assert_eq!(periods(&mut clock, 10, 5, CALM), WHOLE_RATE);
    assert_eq!(periods(&mut clock, 3, 6, SHORT), WHOLE_RATE, "not at once");
    assert_eq!(periods(&mut clock, 1, 6, SHORT), WHOLE_RATE * 99 / 100);
    assert_eq!(
        periods(&mut clock, 1_000, 6, SHORT),
        WHOLE_RATE / 2,
        "its bound"
    );
}

#[test]
fn the_rate_rises_while_streams_are_short_and_the_device_is_well_within_its_target() {
    let mut clock = clock();
    assert_eq!(
        periods(&mut clock, 20, 0, CALM),
        WHOLE_RATE,
        "no stream is short"
    );
    assert_eq!(periods(&mut clock, 20, 4, SHORT), WHOLE_RATE, "too near");
    assert_eq!(periods(&mut clock, 4, 3, SHORT), WHOLE_RATE * 101 / 100);
    assert_eq!(
        periods(&mut clock, 1_000, 0, SHORT),
        WHOLE_RATE * 2,
        "its bound"
    );
}

#[test]
fn nothing_done_means_unknown() {
    let mut clock = clock();
    periods(&mut clock, 3, 100, SHORT);
    let lagging = Shortage {
        short: true,
        lagging: true,
    };
    for _ in 0..10 {
        let now = clock.period_end();
        clock.end_period(now, lagging, true);
    }
    assert_eq!(clock.base_rate(), WHOLE_RATE);
    // Three periods were busy before; the fourth makes it fall.
    assert_eq!(periods(&mut clock, 1, 100, SHORT), WHOLE_RATE * 99 / 100);
}

#[test]
fn requests_that_wait_for_places_make_the_rate_fall() {
    let mut clock = clock();
    for awaited in [false, true] {
        for _ in 0..4 {
            let end = clock.period_end();
            clock.becomes_full(end - Nanos::from_micros(60));
            clock.note_completion(end, awaited, &done(RequestKind::Flush, 60));
            clock.end_period(end, SHORT, true);
        }
    }
    // It rose four times, the last time by a hundredth, and then fell by one.
    assert_eq!(clock.base_rate(), (WHOLE_RATE * 101 / 100) * 99 / 100);
}

#[test]
fn time_that_was_given_up_is_made_up_for_in_the_next_period() {
    let mut clock = clock();
    let end = clock.period_end();
    let before = clock.vnow(end);
    clock.takes_back(-200_000 * WHOLE_RATE);
    clock.end_period(end, CALM, true);
    assert_eq!(clock.base_rate(), WHOLE_RATE);
    assert_eq!(clock.vnow(end), before, "time does not jump");
    let passed = clock.vnow(clock.period_end()) - before;
    assert_eq!(passed, 800_000 * WHOLE_RATE);
}
