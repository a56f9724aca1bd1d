//! Waiting for a client that thinks: that it pays, what it may cost, and who pays for it.

use disktime_lab::oracle::devices::{DISK_BYTES, transfer};
use disktime_lab::oracle::disks::{RESERVED, ms, region, reserved, secs, toy_hdd};
use disktime_lab::oracle::{Behaviour, ClientConfig, Pattern, Think, ToyHdd, World};
use disktime_scheduler::{StreamConfig, SwitchingAccount};
use disktime_units::Nanos;

fn client(index: usize, pattern: Pattern, len: u64, depth: usize, think: Nanos) -> ClientConfig {
    let think = if think == Nanos::ZERO {
        Think::None
    } else {
        Think::Fixed(think)
    };
    ClientConfig {
        behaviour: Behaviour::Closed { depth, think },
        pattern,
        len,
        price: transfer(len),
        zone: region(index),
        merge: true,
    }
}

const THINK: Nanos = Nanos::from_micros(100);

fn reader(pattern: Pattern) -> ClientConfig {
    let len = if matches!(pattern, Pattern::Sequential) {
        64 << 10
    } else {
        4 << 10
    };
    client(0, pattern, len, 1, THINK)
}

fn solo(pattern: Pattern) -> u64 {
    let mut world = World::new(
        toy_hdd(SwitchingAccount::Served),
        DISK_BYTES,
        ToyHdd::default(),
    );
    world.add(StreamConfig::BEST_EFFORT, reader(pattern), Nanos::ZERO, 1);
    world.run(secs(60));
    assert_eq!(
        world.scheduler().disk_counters(world.now()).waiting,
        Nanos::ZERO,
        "a stream alone is not waited for"
    );
    world.client(0).completed()
}

fn beside_short_periods(pattern: Pattern, account: SwitchingAccount, short_ppm: u32) -> f64 {
    let mut world = World::new(toy_hdd(account), DISK_BYTES, ToyHdd::default());
    // Almost no spare time for the reader: it has what is its own.
    let victim = StreamConfig {
        weight: 1,
        ..reserved(400_000, secs(2))
    };
    world.add(victim, reader(pattern), Nanos::ZERO, 1);
    for index in 1..5 {
        let short = StreamConfig {
            weight: 10_000,
            ..reserved(short_ppm, ms(300))
        };
        let random = client(index, Pattern::Random, 4096, 1, Nanos::ZERO);
        world.add(short, random, Nanos::ZERO, index as u64);
    }
    world.run(secs(60));
    let completed = world.client(0).completed();
    world.drain();
    world.assert_charges_add_up("reader beside short periods");
    for index in 0..5 {
        assert_eq!(
            world.counters(index).deadlines_missed,
            0,
            "{:?}",
            world.counters(index)
        );
    }
    completed as f64 / solo(pattern) as f64 / 0.4
}

#[test]
fn a_reader_that_thinks_keeps_its_share_beside_short_periods() {
    for pattern in [Pattern::Sequential, Pattern::Random] {
        let paid = beside_short_periods(pattern, RESERVED, 80_000);
        let served = beside_short_periods(pattern, SwitchingAccount::Served, 100_000);
        println!("{pattern:?}: {paid:.3} with the switching account, {served:.3} without");
        assert!(
            paid >= 0.97,
            "{pattern:?}: {paid:.3} with the switching account"
        );
        assert!(
            served >= 0.93,
            "{pattern:?}: {served:.3} without the switching account"
        );
    }
}

#[test]
fn a_short_reader_does_not_lose_its_lag_to_its_own_thinking() {
    // All reserved, nothing spare: what is lost by going idle for 100 us is not made up elsewhere.
    let mut world = World::new(
        toy_hdd(SwitchingAccount::Served),
        DISK_BYTES,
        ToyHdd::default(),
    );
    let thinker = client(0, Pattern::Random, 4096, 1, THINK);
    world.add(reserved(100_000, ms(300)), thinker, Nanos::ZERO, 1);
    for index in 1..5 {
        let random = client(index, Pattern::Random, 4096, 4, Nanos::ZERO);
        world.add(
            reserved(225_000, ms(300)),
            random,
            Nanos::ZERO,
            index as u64,
        );
    }
    world.run(secs(60));
    let received = world.counters(0).reserved;
    assert!(received >= ms(6000 - 60), "received {received} of 6 s");
}

#[test]
fn a_wait_is_bounded_and_charged_to_the_one_waited_for() {
    for think in [ms(1), ms(10), ms(60), ms(300)] {
        let mut world = World::new(
            toy_hdd(SwitchingAccount::Served),
            DISK_BYTES,
            ToyHdd::default(),
        );
        let thinker = client(0, Pattern::Random, 4096, 1, think);
        world.add(reserved(500_000, secs(1)), thinker, Nanos::ZERO, 1);
        let greedy = client(1, Pattern::Random, 4096, 8, Nanos::ZERO);
        world.add(reserved(500_000, secs(1)), greedy, Nanos::ZERO, 2);
        world.run(secs(60));
        world.drain();
        world.assert_charges_add_up(&format!("think {think}"));
        let (thinker, greedy) = (world.counters(0), world.counters(1));
        println!(
            "think {think}: waited {} of {}",
            thinker.waited, thinker.reserved
        );
        assert!(
            world.longest_sleep() <= ms(100),
            "slept for {}",
            world.longest_sleep()
        );
        assert_eq!(
            thinker.waited + greedy.waited,
            world.asleep(),
            "think {think}"
        );
        // Once, when the clients stopped: as long as the way to the other and back.
        assert!(greedy.waited <= ms(26), "{greedy:?}");
        assert_eq!(greedy.deadlines_missed, 0, "{greedy:?}");
        // A pause as long as that is not worth waiting for.
        assert!(think < ms(300) || thinker.waited < secs(2), "{thinker:?}");
    }
}

#[test]
fn on_spare_time_a_wait_is_no_longer_than_a_switch() {
    let config = toy_hdd(SwitchingAccount::Served);
    let switch_cost = config.switch_cost;
    let mut world = World::new(config, DISK_BYTES, ToyHdd::default());
    for (index, think) in [ms(1), ms(2), ms(9)].into_iter().enumerate() {
        let thinker = client(index, Pattern::Random, 4096, 1, think);
        world.add(StreamConfig::BEST_EFFORT, thinker, Nanos::ZERO, 1);
    }
    world.run(secs(60));
    world.drain();
    world.assert_charges_add_up("spare");
    assert!(world.asleep() > Nanos::ZERO, "no stream was waited for");
    assert!(
        world.longest_sleep() <= switch_cost,
        "slept for {}",
        world.longest_sleep()
    );
}

#[test]
fn a_thinker_that_was_alone_for_hours_owns_no_hoard() {
    let mut world = World::new(
        toy_hdd(SwitchingAccount::Served),
        DISK_BYTES,
        ToyHdd::default(),
    );
    world = world.without_trace();
    let thinker = client(0, Pattern::Random, 4096, 1, ms(10));
    world.add(reserved(700_000, secs(1)), thinker, Nanos::ZERO, 1);
    let late = client(1, Pattern::Random, 4096, 4, Nanos::ZERO);
    world.add(reserved(300_000, secs(1)), late, secs(3 * 3600), 2);
    world.run(secs(3 * 3600 + 20));
    let late = world.counters(1);
    assert_eq!(late.deadlines_missed, 0, "{late:?}");
    assert!(late.reserved + late.spare >= ms(5_900), "{late:?}");
}

#[test]
fn a_client_that_goes_by_the_clock_is_not_waited_for() {
    let mut world = World::new(toy_hdd(RESERVED), DISK_BYTES, ToyHdd::default());
    let player = ClientConfig {
        behaviour: Behaviour::Clock {
            every: Nanos::from_micros(2_500),
            most: 4_000,
        },
        merge: false,
        ..client(0, Pattern::Sequential, 4 << 10, 1, Nanos::ZERO)
    };
    world.add(reserved(200_000, secs(1)), player, Nanos::ZERO, 1);
    let random = client(1, Pattern::Random, 4 << 10, 8, Nanos::ZERO);
    world.add(reserved(300_000, secs(1)), random, Nanos::ZERO, 2);
    world.add(
        StreamConfig::BEST_EFFORT,
        client(2, Pattern::Random, 4 << 10, 8, Nanos::ZERO),
        Nanos::ZERO,
        3,
    );
    world.run(secs(60));
    let waited = world
        .scheduler()
        .disk_counters(world.now())
        .waiting
        .as_secs_f64();
    let played = world.client(0).completed() as f64 / 60.0;
    println!("waited {waited:.2} s of 60; {played:.1} of 400 a second");
    // Before it is known what kind it is, some waits are tried.
    assert!(waited < 1.5, "waited {waited} s");
    assert!(played > 395.0, "{played} of 400 a second");
    assert_eq!(world.counters(0).deadlines_missed, 0);
    assert_eq!(world.counters(1).deadlines_missed, 0);
}
