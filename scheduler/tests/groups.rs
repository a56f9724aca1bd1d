//! Groups: one account for several streams. The group keeps its promise as a stream does, its
//! members share it by weight, and what one of them does not use is there for the others first.

use disktime_lab::oracle::devices::DISK_BYTES;
use disktime_lab::oracle::disks::{ms, region, reserved, secs, toy_hdd};
use disktime_lab::oracle::mixes::{self, ClientMix};
use disktime_lab::oracle::{Behaviour, ClientConfig, Pattern, Think, ToyHdd, World};
use disktime_scheduler::{StreamConfig, StreamId, SwitchingAccount};
use disktime_units::Nanos;

fn client(place: usize, depth: usize, pattern: Pattern, think: Think) -> ClientConfig {
    ClientConfig {
        behaviour: Behaviour::Closed { depth, think },
        pattern,
        len: if matches!(pattern, Pattern::Sequential) {
            64 << 10
        } else {
            4096
        },
        price: Nanos(51_200),
        zone: region(place),
        merge: false,
    }
}

/// A group of 40 %, a stream of 30 % beside it, and a greedy one without a reservation.
fn world(members: &[(u32, ClientConfig)]) -> (World, StreamId) {
    let config = toy_hdd(SwitchingAccount::Served);
    let mut world = World::new(config, DISK_BYTES, ToyHdd::default());
    let group = world.add_group(reserved(400_000, ms(500)));
    for (index, (weight, client)) in members.iter().enumerate() {
        world.add_member(group, *weight, *client, index as u64 + 1);
    }
    let greedy = |place| client(place, 4, Pattern::Random, Think::None);
    world.add(reserved(300_000, secs(1)), greedy(4), Nanos::ZERO, 7);
    // Spare time is the greedy stream's but for a thousandth: what the group gets is its own.
    let weighty = StreamConfig {
        weight: 100_000,
        ..StreamConfig::BEST_EFFORT
    };
    world.add(weighty, greedy(5), Nanos::ZERO, 8);
    (world, group)
}

fn received(world: &World, stream: usize) -> f64 {
    let counters = world.counters(stream);
    (counters.reserved + counters.spare).as_secs_f64()
}

#[test]
fn members_share_the_groups_time_by_weight() {
    let random = |place| client(place, 4, Pattern::Random, Think::None);
    let sequential = |place| client(place, 8, Pattern::Sequential, Think::None);
    let (mut world, group) = world(&[(100, sequential(0)), (300, random(1))]);
    world.run(secs(60));
    let (one, three) = (received(&world, 1), received(&world, 2));
    assert!((one + three - 24.0).abs() < 0.7, "{one} + {three} of 24 s");
    assert!((three / one - 3.0).abs() < 0.1, "{three} s, {one} s");
    let counters = world.scheduler().stream_counters(group);
    assert_eq!(counters.deadlines_missed, 0);
    assert!(counters.deadlines_met >= 118, "{counters:?}");
}

#[test]
fn what_a_member_does_not_use_is_there_for_the_others_of_its_group_first() {
    let random = |place| client(place, 4, Pattern::Random, Think::None);
    let pausing = ClientConfig {
        behaviour: Behaviour::Bursts {
            burst: 5,
            pause: secs(4),
        },
        ..random(1)
    };
    let (mut world, _) = world(&[(100, random(0)), (900, pausing)]);
    world.run(secs(60));
    let (one, other) = (received(&world, 1), received(&world, 2));
    assert!(other < 3.0, "{other} s");
    assert!((one + other - 24.0).abs() < 0.7, "{one} + {other} of 24 s");
}

#[test]
fn a_member_that_asks_for_the_next_when_it_has_the_last_gets_its_part_of_the_group() {
    let reader = client(
        0,
        1,
        Pattern::Sequential,
        Think::Fixed(Nanos::from_micros(100)),
    );
    let sibling = client(1, 8, Pattern::Random, Think::None);
    let (mut world, group) = world(&[(100, reader), (100, sibling)]);
    world.run(secs(60));
    let (one, other) = (received(&world, 1), received(&world, 2));
    assert!((one / other - 1.0).abs() < 0.05, "{one} s, {other} s");
    assert_eq!(world.scheduler().stream_counters(group).deadlines_missed, 0);
}

#[test]
fn groups_of_all_kinds_keep_the_promise_at_the_limit_of_admission() {
    let mut groups = 0;
    for seed in 0..60 {
        let has_seeks = seed % 3 == 0;
        let clients = if seed % 4 == 0 {
            ClientMix::Backlogged
        } else {
            ClientMix::Mixed
        };
        let mut world = mixes::adverse_with(9_000 + seed, clients, 1_000_000, has_seeks, true);
        world = world.without_trace();
        world.run(secs(30));
        world.drain();
        world.assert_charges_add_up(&format!("seed {seed}"));
        world.assert_promises(&format!("seed {seed}"));
        groups += (0..world.stream_count())
            .filter(|stream| {
                let counters = world.counters(*stream);
                let is_group = counters.requests == 0 && counters.deadlines_met > 0;
                is_group && world.config(*stream).reservation.is_some()
            })
            .count();
    }
    assert!(groups > 100, "{groups} groups were checked");
}
