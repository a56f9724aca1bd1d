//! Order within a stream, order of arrival under `fifo`, and the same run twice.

use disktime_lab::oracle::devices::{DISK_BYTES, transfer};
use disktime_lab::oracle::disks::{RESERVED, ms, reserved, secs, toy_hdd};
use disktime_lab::oracle::mixes::{self, ClientMix};
use disktime_lab::oracle::{ClientConfig, Dispatched, Pattern, ToyHdd, World};
use disktime_scheduler::{PolicyKind, StreamConfig, SwitchingAccount};

fn client(index: usize, depth: usize, pattern: Pattern, merge: bool) -> ClientConfig {
    ClientConfig {
        merge,
        ..ClientConfig::closed(index, depth, pattern, transfer(4096))
    }
}

#[test]
fn a_sequential_run_keeps_its_order() {
    for merge in [false, true] {
        let mut world = World::new(toy_hdd(RESERVED), DISK_BYTES, ToyHdd::default());
        world.add(
            reserved(400_000, secs(1)),
            client(0, 16, Pattern::Sequential, merge),
            ms(0),
            1,
        );
        world.add(
            reserved(300_000, secs(1)),
            client(1, 8, Pattern::Random, merge),
            ms(0),
            2,
        );
        world.add(
            StreamConfig::BEST_EFFORT,
            client(2, 32, Pattern::Random, merge),
            ms(0),
            3,
        );
        world.run(secs(20));
        let run = world.trace().iter().filter(|entry| entry.stream == 0);
        let run: Vec<&Dispatched> = run.collect();
        assert!(run.len() > 500, "{}", run.len());
        for pair in run.windows(2) {
            assert_eq!(
                pair[1].offset,
                pair[0].offset + pair[0].len,
                "out of order: {pair:?}"
            );
        }
        let merged = run.iter().any(|entry| entry.len > 4096);
        assert_eq!(merged, merge);
    }
}

#[test]
fn no_request_is_older_than_a_few_sweeps() {
    for depth in [2u64, 8, 32, 128] {
        let mut world = World::new(toy_hdd(RESERVED), DISK_BYTES, ToyHdd::default());
        let random = client(0, depth as usize, Pattern::Random, false);
        world.add(reserved(400_000, secs(1)), random, ms(0), 1);
        world.run(secs(60));
        let mut oldest = 0;
        for (position, entry) in world.trace().iter().enumerate() {
            // A closed loop: when request n came, n + 1 − depth had left at least.
            let left_when_it_came = (entry.sequence + 1).saturating_sub(depth);
            oldest = oldest.max(position as u64 - left_when_it_came.min(position as u64));
        }
        assert!(
            oldest <= 4 * depth.max(16),
            "depth {depth}: passed over {oldest} times"
        );
    }
}

#[test]
fn the_same_run_twice_is_the_same() {
    let builders: [fn(u64) -> World; 3] = [
        |seed| mixes::adverse(seed, ClientMix::Mixed, 1_000_000, seed % 2 == 0),
        |seed| mixes::on_toy_hdd(seed, ClientMix::Mixed, RESERVED),
        |seed| mixes::on_toy_hdd(seed, ClientMix::Mixed, SwitchingAccount::Served),
    ];
    for build in builders {
        for seed in 0..6 {
            let run = |seed| {
                let mut world = build(seed);
                world.run(secs(15));
                world
            };
            let (one, two, other) = (run(seed), run(seed), run(seed + 1000));
            assert!(one.trace() == two.trace(), "seed {seed}: two runs differ");
            for stream in 0..one.stream_count() {
                assert_eq!(one.counters(stream), two.counters(stream), "seed {seed}");
            }
            assert!(
                one.trace() != other.trace(),
                "seed {seed}: the seed does not matter"
            );
        }
    }
}

#[test]
fn fifo_serves_in_order_of_arrival_and_counts_what_it_misses() {
    let mut config = toy_hdd(SwitchingAccount::Served);
    config.policy = PolicyKind::Fifo;
    let mut world = World::new(config, DISK_BYTES, ToyHdd::default());
    world.add(
        reserved(500_000, secs(1)),
        client(0, 1, Pattern::Random, true),
        ms(0),
        1,
    );
    world.add(
        reserved(100_000, secs(1)),
        client(1, 32, Pattern::Random, true),
        ms(0),
        2,
    );
    world.add(
        StreamConfig::BEST_EFFORT,
        client(2, 8, Pattern::Random, true),
        ms(0),
        3,
    );
    world.run(secs(60));
    let order = world
        .trace()
        .windows(2)
        .all(|pair| pair[0].sequence < pair[1].sequence);
    assert!(order, "out of order of arrival");
    let (victim, hog) = (world.counters(0), world.counters(1));
    assert!(victim.deadlines_missed >= 55, "{victim:?}");
    assert_eq!(hog.deadlines_missed, 0, "{hog:?}");
    assert!(hog.spare > secs(30), "{hog:?}");
    world.drain();
    world.assert_charges_add_up("fifo");
}
