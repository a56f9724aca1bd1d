//! Policies that give requests tags: mClock and SFQ(D).

use disktime_lab::oracle::devices::DISK_BYTES;
use disktime_lab::oracle::disks::{limited, ms, plain_disk, reserved, secs};
use disktime_lab::oracle::{ClientConfig, Linear, Pattern, World};
use disktime_scheduler::{
    MclockConfig, PolicyKind, SchedulerConfig, SfqConfig, SfqCost, StreamConfig,
};
use disktime_units::Nanos;

fn world(policy: PolicyKind, max_in_flight: usize) -> World {
    let config = SchedulerConfig {
        policy,
        max_in_flight,
        ..plain_disk(ms(20))
    };
    World::new(config, DISK_BYTES, Linear::default())
}

fn mclock(nominal: u32) -> World {
    let config = MclockConfig {
        nominal_iops: Some(nominal),
    };
    world(PolicyKind::Mclock(config), 1)
}

fn sfq(depth: u32, cost: SfqCost) -> PolicyKind {
    PolicyKind::SfqD(SfqConfig { depth, cost })
}

fn client(index: usize, service: Nanos) -> ClientConfig {
    ClientConfig::closed(index, 4, Pattern::Random, service)
}

fn best_effort(weight: u32) -> StreamConfig {
    StreamConfig {
        weight,
        ..StreamConfig::BEST_EFFORT
    }
}

/// Requests dispatched by each stream from now until then.
fn requests(world: &mut World, until: Nanos) -> Vec<u64> {
    let count = |world: &World| -> Vec<u64> {
        let streams = 0..world.stream_count();
        streams.map(|one| world.counters(one).requests).collect()
    };
    let before = count(world);
    world.run(until);
    let after = count(world);
    after
        .iter()
        .zip(before)
        .map(|(now, then)| now - then)
        .collect()
}

/// Counts within one of what is due.
fn assert_counts(counts: &[u64], due: &[u64], context: &str) {
    let near = counts
        .iter()
        .zip(due)
        .all(|(got, due)| got.abs_diff(*due) <= 2);
    assert!(near, "{context}: {counts:?}, due {due:?}");
}

#[test]
fn mclock_gives_reservations_first_and_the_rest_by_weight() {
    // 10 ms each: 100 I/Os per second.
    let mut world = mclock(100);
    let half = StreamConfig {
        weight: 1,
        ..reserved(500_000, secs(1))
    };
    world.add(half, client(0, ms(10)), Nanos::ZERO, 1);
    world.add(best_effort(300), client(1, ms(10)), Nanos::ZERO, 2);
    world.add(best_effort(99), client(2, ms(10)), Nanos::ZERO, 3);
    world.run(secs(10));
    let counts = requests(&mut world, secs(90));
    // 50 a second for the first, far more than its weight would bring; the others share 50.
    assert_counts(&counts, &[4_000, 3_007, 992], "80 s");
}

#[test]
fn mclock_reserves_a_floor_and_not_a_surcharge() {
    // Equal weights bring more than the reservation, so that it changes nothing.
    let mut world = mclock(100);
    world.add(
        reserved(200_000, secs(1)),
        client(0, ms(10)),
        Nanos::ZERO,
        1,
    );
    world.add(best_effort(100), client(1, ms(10)), Nanos::ZERO, 2);
    world.run(secs(10));
    let counts = requests(&mut world, secs(110));
    assert_counts(&counts, &[5_000, 5_000], "100 s");
}

#[test]
fn mclock_does_not_count_service_by_weight_as_reserved() {
    // Alone for 10 s the first has 100 a second, though 20 are reserved. When one comes whose
    // weight is overwhelming, it has its 20 at once.
    let mut world = mclock(100);
    world.add(
        reserved(200_000, secs(1)),
        client(0, ms(10)),
        Nanos::ZERO,
        1,
    );
    world.add(best_effort(1_000_000), client(1, ms(10)), secs(10), 2);
    world.run(secs(10));
    assert!(world.counters(0).requests >= 999);
    let counts = requests(&mut world, secs(11));
    assert_counts(&counts, &[20, 80], "the first second");
    let counts = requests(&mut world, secs(111));
    assert_counts(&counts, &[2_000, 8_000], "100 s");
}

#[test]
fn mclock_never_serves_above_a_limit() {
    // Alone, and with 1 ms requests: the disk is idle for most of the time.
    let mut world = mclock(100);
    let capped = limited(reserved(100_000, secs(1)), 30, secs(1));
    world.add(capped, client(0, ms(1)), Nanos::ZERO, 1);
    world.run(secs(30));
    let turn = 1_000_000_000u64 / 30;
    for (index, entry) in world.trace().iter().enumerate() {
        let earliest = Nanos(index as u64 * turn);
        assert!(entry.at >= earliest, "request {index} at {}", entry.at);
    }
    let count = world.counters(0).requests;
    assert!(
        (899..=901).contains(&count),
        "{count} in 30 s at 30 a second"
    );
}

#[test]
fn mclock_promised_more_than_there_is_serves_in_order_of_arrival() {
    // 14 ms each: 71 a second, and 150 are promised, 1 : 2, the first limited to 60. All R tags are
    // in the past; those of new requests are their times of arrival.
    let mut world = mclock(200);
    let first = limited(reserved(250_000, secs(1)), 30, secs(1));
    world.add(first, client(0, ms(14)), Nanos::ZERO, 1);
    world.add(
        reserved(500_000, secs(1)),
        client(1, ms(14)),
        Nanos::ZERO,
        2,
    );
    world.add(best_effort(10_000), client(2, ms(14)), Nanos::ZERO, 3);
    world.run(secs(10));
    let counts = requests(&mut world, secs(94));
    assert_counts(&counts, &[3_000, 3_000, 0], "6000 requests");
}

#[test]
fn mclock_holds_no_stream_back_for_what_it_had_while_alone() {
    let mut world = mclock(100);
    world.add(best_effort(100), client(0, ms(10)), Nanos::ZERO, 1);
    world.add(best_effort(100), client(1, ms(10)), secs(20), 2);
    world.run(secs(20));
    let counts = requests(&mut world, secs(22));
    assert_counts(&counts, &[100, 100], "2 s");
}

#[test]
fn sfq_shares_its_cost_exactly_and_time_by_accident() {
    let mut world = world(sfq(1, SfqCost::Requests), 1);
    world.add(reserved(300_000, secs(1)), client(0, ms(1)), Nanos::ZERO, 1);
    world.add(
        reserved(100_000, secs(1)),
        client(1, ms(14)),
        Nanos::ZERO,
        2,
    );
    let mut counts = [0u64; 2];
    world.run(secs(20));
    for entry in world.trace() {
        counts[entry.stream] += 1;
        let ahead = counts[0].abs_diff(counts[1] * 3);
        assert!(ahead <= 3 + 1, "{counts:?} at {}", entry.at);
    }
    let time = [0, 1].map(|stream| {
        let counters = world.counters(stream);
        (counters.reserved + counters.spare).as_secs_f64() / 20.0
    });
    // 3 · 1 ms against 14 ms.
    assert!((time[0] - 3.0 / 17.0).abs() < 0.005, "{time:?}");
}

#[test]
fn sfq_by_bytes_shares_bytes() {
    let mut world = world(sfq(1, SfqCost::Bytes), 1);
    let long = ClientConfig {
        len: 64 << 10,
        ..client(0, ms(2))
    };
    world.add(reserved(500_000, secs(1)), long, Nanos::ZERO, 1);
    world.add(
        reserved(500_000, secs(1)),
        client(1, ms(14)),
        Nanos::ZERO,
        2,
    );
    world.run(secs(60));
    let [long, short] = [0, 1].map(|stream| world.counters(stream).requests);
    assert!(
        short.abs_diff(long * 16) <= 16,
        "{long} long, {short} short"
    );
}

#[test]
fn sfq_divides_what_is_not_reserved_by_weight() {
    let mut world = world(sfq(4, SfqCost::Requests), 4);
    world.add(reserved(200_000, secs(1)), client(0, ms(1)), Nanos::ZERO, 1);
    world.add(best_effort(300), client(1, ms(1)), Nanos::ZERO, 2);
    world.add(best_effort(100), client(2, ms(1)), Nanos::ZERO, 3);
    let counts = requests(&mut world, secs(10));
    let due = [2_000, 6_000, 2_000];
    let near = counts
        .iter()
        .zip(due)
        .all(|(got, due)| got.abs_diff(due) <= 8);
    assert!(near, "{counts:?}, due {due:?}");
}

#[test]
fn sfq_keeps_no_more_outstanding_than_it_may() {
    for (depth, bound, due) in [(3, 8, 3), (8, 2, 2)] {
        let mut world = world(sfq(depth, SfqCost::Requests), bound);
        for index in 0..3 {
            world.add(best_effort(100), client(index, ms(3)), Nanos::ZERO, 1);
        }
        let mut most = 0;
        for step in 1..500 {
            world.run(ms(step));
            most = most.max(world.scheduler().in_flight());
        }
        assert_eq!(most, due, "D = {depth} on a disk of {bound}");
    }
}

#[test]
fn sfq_holds_no_stream_back_for_what_it_had_while_alone() {
    let mut world = world(sfq(1, SfqCost::Requests), 1);
    world.add(best_effort(100), client(0, ms(5)), Nanos::ZERO, 1);
    world.add(best_effort(100), client(1, ms(5)), secs(20), 2);
    world.run(secs(20));
    let counts = requests(&mut world, secs(22));
    assert_counts(&counts, &[200, 200], "2 s");
}
