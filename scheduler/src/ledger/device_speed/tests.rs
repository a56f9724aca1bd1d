//! Unit tests of `device_speed`.

use super::*;

const LONE: Nanos = Nanos(71_000);
const OCCUPANCY: Nanos = Nanos(3_000);

/// Windows of reads of a lone client on a disk that is slower by `percent`, from `from_ms` on.
fn windows(speed: &mut DeviceSpeed, from_ms: u64, count: u64, percent: u64) {
    let service = Nanos(LONE.0 * percent / 100);
    for window in 0..count {
        let start = Nanos::from_millis(from_ms + 100 * window);
        for read in 0..1000u64 {
            let solo = speed.latency(LONE);
            speed.note_read(FinishedRead {
                service,
                lone: LONE,
                alone: Some((service, solo)),
                is_lone: true,
                is_deep: false,
            });
            let now = start + Nanos(read * 100_000 + 100_000);
            speed.note_done(now, OCCUPANCY, Nanos(now.0 / 10 * 9));
        }
    }
}

#[test]
fn a_disk_as_fast_as_its_prices_has_no_factors() {
    let mut speed = DeviceSpeed::new(100);
    windows(&mut speed, 0, 5, 100);
    assert_eq!(speed.factors(), (ONE, ONE, None));
    windows(&mut speed, 500, 5, 120);
    assert_eq!(speed.factors(), (ONE, ONE, None), "noise");
}

#[test]
fn a_disk_three_times_slower_is_known_within_a_second_and_forgotten_within_one() {
    let mut speed = DeviceSpeed::new(100);
    windows(&mut speed, 0, 5, 100);
    windows(&mut speed, 500, 8, 300);
    let (latency, _, since) = speed.factors();
    assert!((2_800_000..=3_000_000).contains(&latency), "{latency}");
    assert!(since.is_some_and(|since| since <= Nanos::from_millis(800)));
    windows(&mut speed, 1300, 8, 100);
    let (latency, occupancy, since) = speed.factors();
    assert_eq!((latency, occupancy, since), (ONE, ONE, None));
}

#[test]
fn one_window_tells_how_slow_the_disk_is() {
    let mut speed = DeviceSpeed::new(100);
    windows(&mut speed, 0, 5, 100);
    windows(&mut speed, 500, 2, 300);
    let (latency, _, _) = speed.factors();
    assert!((2_800_000..=3_000_000).contains(&latency), "{latency}");
}

/// A tenth of the reads of a volume takes 63 % of the mean, however slow it is.
#[test]
fn latency_that_varies_does_not_hide_a_slow_disk() {
    for (fast_read_percent, least, most) in
        [(63, 2_800_000, 3_100_000), (100, 1_800_000, 2_200_000)]
    {
        let mut speed = DeviceSpeed::new(fast_read_percent);
        for read in 0..10_000u64 {
            let percent = if read % 4 == 0 { 63 } else { 112 };
            let service = Nanos(LONE.0 * 3 * percent / 100);
            let solo = speed.latency(LONE);
            speed.note_read(FinishedRead {
                service,
                lone: LONE,
                alone: Some((service, solo)),
                is_lone: true,
                is_deep: false,
            });
            let now = Nanos(read * 100_000);
            speed.note_done(now, OCCUPANCY, Nanos(now.0 / 10 * 9));
        }
        let (latency, _, _) = speed.factors();
        assert!((least..=most).contains(&latency), "{latency}");
    }
}

#[test]
fn the_fast_tenth_is_at_most_an_eighth_too_high() {
    let mut ratios = Ratios {
        counts: [0; BUCKETS],
        total: 0,
    };
    for ratio in 0..1000u64 {
        ratios.add(900_000 + ratio * 3_000);
    }
    // The tenth is at 1.2.
    let tenth = ratios.fast_tenth().expect("there are enough");
    assert!((1_200_000..=1_350_000).contains(&tenth), "{tenth}");
}

#[test]
fn overlap_alone_does_not_look_like_a_slow_disk() {
    let mut speed = DeviceSpeed::new(100);
    for read in 0..2000u64 {
        // A tenth of the reads found the disk free.
        let service = if read % 8 == 0 {
            LONE
        } else {
            Nanos(LONE.0 * 5)
        };
        speed.note_read(FinishedRead {
            service,
            lone: LONE,
            alone: None,
            is_lone: false,
            is_deep: false,
        });
        speed.note_done(Nanos(read * 200_000), OCCUPANCY, Nanos(read * 190_000));
    }
    assert_eq!(speed.factors(), (ONE, ONE, None));
}

#[test]
fn a_disk_slower_for_deep_clients_alone_keeps_its_bound_on_the_occupancy() {
    let mut speed = DeviceSpeed::new(100);
    for read in 0..5000u64 {
        // Forty outstanding, each ten times as slow as its price in throughput and in latency.
        let solo = speed.occupancy(OCCUPANCY);
        speed.note_read(FinishedRead {
            service: Nanos(LONE.0 * 12),
            lone: LONE,
            alone: Some((Nanos(OCCUPANCY.0 * 10), solo)),
            is_lone: false,
            is_deep: true,
        });
        let now = Nanos(read * 200_000);
        speed.note_done(now, OCCUPANCY, now);
    }
    let (latency, occupancy, _) = speed.factors();
    assert!((9_000_000..=11_000_000).contains(&occupancy), "{occupancy}");
    assert!(latency.abs_diff(occupancy) < occupancy / 10, "{latency}");
    let bound = speed.bound(Nanos(2 * LONE.0));
    assert!(bound.0 * 10 > 2 * LONE.0 * 9, "{bound}");
}

/// Less in the disk makes requests that need much of it slower, so H is not taken back for what
/// they show with H in the disk; a disk that lost two thirds of its throughput drains H in twice
/// the time.
#[test]
fn the_bound_on_the_occupancy_does_not_shrink_by_what_it_causes() {
    let nominal = Nanos(2 * LONE.0);
    let bound = |occupancy_ppm| {
        let mut speed = DeviceSpeed::new(100);
        speed.occupancy_ppm = occupancy_ppm;
        speed.bound(nominal)
    };
    assert_eq!(bound(1_600_000), nominal);
    assert_eq!(bound(3_000_000), Nanos(nominal.0 * 2 / 3));
}
