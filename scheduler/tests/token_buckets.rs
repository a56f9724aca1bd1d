//! Zygaria in either currency: whom the buckets serve, what limits hold back, how long transients
//! last, and what an I/O is worth.

use disktime_lab::oracle::devices::{DISK_BYTES, transfer};
use disktime_lab::oracle::disks::{limited, ms, plain_disk, reserved, secs, toy_hdd};
use disktime_lab::oracle::{ClientConfig, Linear, Pattern, ToyHdd, World};
use disktime_scheduler::{
    PolicyKind, SchedulerConfig, StreamConfig, SwitchingAccount, ZygariaIopsConfig,
    ZygariaUtilConfig,
};
use disktime_units::Nanos;

/// A disk on which each client's requests take what they are said to.
fn world(policy: PolicyKind) -> World {
    let config = SchedulerConfig {
        policy,
        ..plain_disk(ms(20))
    };
    World::new(config, DISK_BYTES, Linear::default())
}

fn client(index: usize, pattern: Pattern, service: Nanos) -> ClientConfig {
    ClientConfig::closed(index, 4, pattern, service)
}

fn sequential(index: usize) -> ClientConfig {
    client(index, Pattern::Sequential, ms(1))
}

fn random(index: usize) -> ClientConfig {
    client(index, Pattern::Random, ms(14))
}

fn iops(nominal: u32) -> PolicyKind {
    PolicyKind::ZygariaIops(ZygariaIopsConfig {
        nominal_iops: Some(nominal),
        ..ZygariaIopsConfig::default()
    })
}

/// Share of the disk's time between two instants.
fn share(world: &mut World, stream: usize, until: Nanos) -> f64 {
    let (before, start) = (world.received(stream), world.now());
    world.run(until);
    (world.received(stream) - before).as_secs_f64() / (until - start).as_secs_f64()
}

#[test]
fn time_is_split_as_reserved_whatever_the_estimates() {
    let estimates = |sequential, random| {
        PolicyKind::ZygariaUtil(ZygariaUtilConfig {
            sequential,
            random,
            ..ZygariaUtilConfig::default()
        })
    };
    let usual = PolicyKind::ZygariaUtil(ZygariaUtilConfig::default());
    let cheap = estimates(Nanos::from_micros(300), Nanos::from_micros(300));
    let dear = estimates(ms(30), ms(20));
    for policy in [usual, cheap, dear] {
        for percent in [10, 50, 80] {
            let mut world = world(policy);
            let parts = [percent, 100 - percent].map(|part| reserved(part * 10_000, secs(1)));
            world.add(parts[0], sequential(0), Nanos::ZERO, 1);
            world.add(parts[1], random(1), Nanos::ZERO, 2);
            // What was saved before the start.
            world.run(secs(3));
            let got = share(&mut world, 0, secs(103));
            let due = f64::from(percent) / 100.0;
            assert!((got - due).abs() < 0.002, "{policy:?}: {got}, due {due}");
        }
    }
}

#[test]
fn tokens_in_ios_split_requests_and_not_time() {
    // 66 pairs of requests of 1 and 14 ms fit into a second: both get their 35, and as many more.
    let mut world = world(iops(70));
    world.add(reserved(500_000, secs(1)), sequential(0), Nanos::ZERO, 1);
    world.add(reserved(500_000, secs(1)), random(1), Nanos::ZERO, 2);
    world.run(secs(2));
    let before = [world.counters(0).requests, world.counters(1).requests];
    let time = share(&mut world, 0, secs(62));
    let requests = [0, 1].map(|stream| world.counters(stream).requests - before[stream]);
    let per_second = requests.map(|count| count as f64 / 60.0);
    for rate in per_second {
        assert!((66.0..68.0).contains(&rate), "{per_second:?} I/Os per s");
    }
    assert!((time - 1.0 / 15.0).abs() < 0.002, "{time} of the time");
}

#[test]
fn a_rate_that_the_disk_can_keep_is_kept_and_one_that_it_cannot_decides_nothing() {
    // All random, 14 ms: 71.4 I/Os per second.
    for (nominal, due) in [(70, [0.2, 0.8]), (700, [0.5, 0.5])] {
        let mut world = world(iops(nominal));
        world.add(reserved(200_000, secs(1)), random(0), Nanos::ZERO, 1);
        world.add(reserved(800_000, secs(1)), random(1), Nanos::ZERO, 2);
        world.run(secs(2));
        for (stream, due) in due.into_iter().enumerate() {
            let end = world.now() + secs(50);
            let got = share(&mut world, stream, end);
            assert!((got - due).abs() < 0.02, "{nominal}: {stream} got {got}");
        }
    }
}

#[test]
fn a_stream_that_starts_has_the_disk_until_it_has_saved_no_more_than_the_other() {
    let mut world = world(PolicyKind::ZygariaUtil(ZygariaUtilConfig::default()));
    let half = reserved(500_000, secs(1));
    world.add(half, random(0), Nanos::ZERO, 1);
    world.add(half, sequential(1), secs(10), 2);
    world.run(secs(10));
    // At 10 s the first has no tokens, and its bucket would overflow at 11 s; the second's, which
    // is full, would overflow at t + (t − 10 s) when it is served until t.
    let first = share(&mut world, 1, Nanos(10_480_000_000));
    assert!(first > 0.97, "{first} of the first half second");
    world.run(Nanos(10_520_000_000));
    let later = share(&mut world, 1, secs(21));
    assert!((later - 0.5).abs() < 0.01, "{later} of the time after");
}

#[test]
fn unreserved_time_goes_to_the_stream_that_used_least_for_its_weight() {
    let mut world = world(PolicyKind::ZygariaUtil(ZygariaUtilConfig::default()));
    let weighted = |weight| StreamConfig {
        weight,
        ..StreamConfig::BEST_EFFORT
    };
    world.add(weighted(300), random(0), Nanos::ZERO, 1);
    world.add(weighted(100), sequential(1), Nanos::ZERO, 2);
    world.run(secs(5));
    let got = share(&mut world, 0, secs(65));
    assert!((got - 0.75).abs() < 0.02, "{got}");
}

#[test]
fn no_window_has_more_than_the_limit_brings_and_what_was_saved() {
    let util = PolicyKind::ZygariaUtil(ZygariaUtilConfig::default());
    let mut world = world(util);
    // Alone, so that the disk stands idle beside its requests.
    let capped = limited(reserved(100_000, secs(1)), 20, secs(1));
    world.add(capped, random(0), Nanos::ZERO, 1);
    world.run(secs(60));
    assert!(world.asleep() > secs(40), "the disk was not kept idle");
    // 20 % of a second saved, 20 % of the time, one request.
    let most = |time: Nanos| Nanos(200_000_000 + time.0 / 5 + 14_000_000);
    let dispatches = &world.trace();
    for (first, entry) in dispatches.iter().enumerate() {
        for last in [first + 1, first + 10, first + 100] {
            let Some(last_entry) = dispatches.get(last) else {
                continue;
            };
            let served = Nanos((last - first) as u64 * 14_000_000);
            let window = last_entry.at - entry.at;
            assert!(
                served <= most(window),
                "{served} in {window} at {}",
                entry.at
            );
        }
    }
    let got = world.received(0);
    let due = most(world.now());
    assert!(
        got <= due && got >= due.saturating_sub(ms(28)),
        "{got} of {due}"
    );
}

#[test]
fn a_limit_in_ios_counts_ios() {
    let mut world = world(iops(100));
    let capped = limited(StreamConfig::BEST_EFFORT, 10, secs(1));
    world.add(capped, sequential(0), Nanos::ZERO, 1);
    world.add(StreamConfig::BEST_EFFORT, random(1), Nanos::ZERO, 2);
    world.run(secs(50));
    // Ten saved, ten a second, and one that is overdrawn.
    let requests = world.counters(0).requests;
    assert!((500..=511).contains(&requests), "{requests}");
    assert_eq!(world.asleep(), Nanos::ZERO, "the other could go");
}

#[test]
fn staying_buys_throughput_at_the_same_shares() {
    // Two sequential streams, half of a hard disk each: what both together read in MB/s.
    let together = |stay| {
        let config = SchedulerConfig {
            policy: PolicyKind::ZygariaUtil(ZygariaUtilConfig {
                stay,
                ..ZygariaUtilConfig::default()
            }),
            ..toy_hdd(SwitchingAccount::Served)
        };
        let mut world = World::new(config, DISK_BYTES, ToyHdd::default());
        for index in [0, 4] {
            let reader = ClientConfig {
                len: 64 << 10,
                ..client(index, Pattern::Sequential, transfer(64 << 10))
            };
            world.add(reserved(500_000, secs(1)), reader, Nanos::ZERO, 1);
        }
        world.run(secs(60));
        for stream in 0..2 {
            let got = world.received(stream).as_secs_f64() / 60.0;
            assert!((got - 0.5).abs() < 0.01, "stay {stay}: {got}");
        }
        (0..2)
            .map(|stream| world.client(stream).bytes())
            .sum::<u64>()
            / 60_000_000
    };
    let (turns, visits) = (together(Nanos::ZERO), together(ms(250)));
    assert!(turns < 5, "request by request: {turns} MB/s");
    assert!(visits > 70, "250 ms at a time: {visits} MB/s");
}
