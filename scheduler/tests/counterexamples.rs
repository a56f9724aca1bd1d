//! The states in which simpler rules fail, one test each.

use disktime_lab::oracle::devices::{DISK_BYTES, transfer};
use disktime_lab::oracle::disks::{ms, plain_disk, reserved, secs, toy_hdd};
use disktime_lab::oracle::mixes::{self, ClientMix};
use disktime_lab::oracle::{
    Adversary, Behaviour, ClientConfig, Pattern, ServiceTimes, SharedRng, ToyHdd, World, any_window,
};
use disktime_scheduler::{
    Arrival, Decision, RequestId, RequestKind, Scheduler, SchedulerConfig, StreamConfig,
    SwitchingAccount,
};
use disktime_units::Nanos;

const W: Nanos = ms(27);

fn steady(worst_case: Nanos, times: ServiceTimes) -> Adversary {
    Adversary::new(times, worst_case, SharedRng::new(1))
}

fn client(index: usize, depth: usize, pattern: Pattern, len: u64) -> ClientConfig {
    ClientConfig {
        len,
        ..ClientConfig::closed(index, depth, pattern, transfer(len))
    }
}

fn backlogged(index: usize) -> ClientConfig {
    client(index, 4, Pattern::Random, 4096)
}

fn never(index: usize) -> ClientConfig {
    let behaviour = Behaviour::Waker {
        burst: 0,
        pause: secs(1),
    };
    ClientConfig {
        behaviour,
        ..backlogged(index)
    }
}

#[test]
fn an_idle_stream_of_short_period_starves_no_other() {
    for has_seeks in [false, true] {
        let config = SchedulerConfig {
            has_seeks,
            ..plain_disk(W)
        };
        let mut world = World::new(config, DISK_BYTES, steady(W, ServiceTimes::Worst));
        world.add(reserved(600_000, ms(50)), never(0), Nanos::ZERO, 1);
        world.add(reserved(100_000, ms(300)), backlogged(1), Nanos::ZERO, 2);
        world.add(StreamConfig::BEST_EFFORT, backlogged(2), Nanos::ZERO, 3);
        world.run(secs(30));
        assert_eq!(
            world.asleep(),
            Nanos::ZERO,
            "the disk idled with requests queued"
        );
        world.drain();
        world.assert_charges_add_up("idle stream");
        let (spent, greedy) = (world.counters(1), world.counters(2));
        // Half of the spare time each.
        assert!(
            spent.reserved >= ms(2970) && spent.spare > secs(13),
            "{spent:?}"
        );
        assert!(greedy.spare > secs(13), "{greedy:?}");
        world.assert_promises("idle stream");
    }
}

#[test]
fn idle_streams_do_not_cost_batching() {
    for idle in [1usize, 10, 100] {
        let mut world = World::new(
            toy_hdd(SwitchingAccount::Served),
            DISK_BYTES,
            ToyHdd::default(),
        );
        let seq = client(0, 8, Pattern::Sequential, 64 << 10);
        world.add(reserved(250_000, secs(1)), seq, Nanos::ZERO, 1);
        let random = client(1, 8, Pattern::Random, 4096);
        world.add(reserved(250_000, ms(1300)), random, Nanos::ZERO, 2);
        world.add(StreamConfig::BEST_EFFORT, backlogged(2), Nanos::ZERO, 3);
        for index in 0..idle {
            world.add(
                reserved(500_000 / idle as u32, ms(50)),
                never(index),
                Nanos::ZERO,
                4,
            );
        }
        world.run(secs(60));
        let switches = world.scheduler().disk_counters(world.now()).switches / 60;
        println!("{idle} idle streams: {switches} switches/s");
        assert!(switches <= 12, "{idle} idle streams: {switches} switches/s");
        world.assert_promises("idle streams");
    }
}

#[test]
fn overshoot_of_many_streams_does_not_add_up() {
    // Each has two requests and a little in a period, and enters a third with next to nothing.
    let worst_case = ms(25) - Nanos(1000);
    for has_seeks in [false, true] {
        let config = SchedulerConfig {
            has_seeks,
            ..plain_disk(worst_case)
        };
        let mut world = World::new(config, DISK_BYTES, steady(worst_case, ServiceTimes::Worst));
        for index in 0..20 {
            world.add(
                reserved(50_000, secs(1)),
                backlogged(index),
                Nanos::ZERO,
                index as u64,
            );
        }
        world.run(secs(60));
        world.assert_promises("overshoot");
    }
}

#[test]
fn remainders_just_below_w_neither_idle_the_disk_nor_pile_up() {
    for has_seeks in [false, true] {
        let config = SchedulerConfig {
            has_seeks,
            ..plain_disk(W)
        };
        let mut world = World::new(config, DISK_BYTES, steady(W, ServiceTimes::Nearly));
        // u·p = W − 0.2 ms for each of twenty.
        for index in 0..20 {
            world.add(
                reserved(50_000, ms(536)),
                backlogged(index),
                Nanos::ZERO,
                index as u64,
            );
        }
        world.run(secs(60));
        assert_eq!(
            world.asleep(),
            Nanos::ZERO,
            "the disk idled with requests queued"
        );
        world.drain();
        world.assert_charges_add_up("remainders");
        world.assert_promises("remainders");
    }
}

#[test]
fn periods_inside_a_backlog_may_lack_two_w_and_no_more() {
    let mut worst = 0.0f64;
    for seed in 0..12 {
        let mut world = mixes::adverse(seed, ClientMix::Backlogged, 1_000_000, true);
        world.run(secs(30));
        world.drain();
        // The bound inside a backlog is 2W where the served stream pays.
        for audit in world.assert_promises(&format!("seed {seed}")) {
            worst = worst.max(audit.inside as f64 / audit.bound as f64);
        }
    }
    assert!(
        worst > 1.3,
        "the adversary is too tame to show that W is exceeded: {worst:.2}"
    );
}

#[test]
fn an_unaligned_window_lacks_what_a_period_may_move_and_no_more() {
    for seed in 100..120 {
        let has_seeks = seed % 2 == 0;
        let mut world = mixes::adverse(seed, ClientMix::Backlogged, 1_000_000, has_seeks);
        world.run(secs(40));
        world.drain();
        let bound = i128::from(world.scheduler().unspent_bound().0);
        for index in 0..world.stream_count() {
            let config = world.config(index);
            let (Some(own), Some(from)) = (config.reservation, world.first_backlog(index)) else {
                continue;
            };
            let share = own.share.0;
            let short = any_window(world.segments(index), share, from, secs(40));
            let movable =
                i128::from(own.period.0) * i128::from(share) * i128::from(1_000_000 - share)
                    / 1_000_000_000_000;
            assert!(
                short <= 2 * movable + 2 * bound + 2,
                "seed {seed}, stream {index} {config:?}: a window lacks {short}"
            );
        }
    }
}

fn arrival(id: u32) -> Arrival {
    Arrival {
        id: RequestId(id),
        offset_bytes: Some(u64::from(id) << 20),
        len_bytes: 4096,
        price: Nanos(51_200),
        lone: Nanos(51_200),
        kind: RequestKind::Read,
        merge_class: None,
    }
}

#[test]
fn a_remainder_that_idles_is_not_reset_to_a_whole_budget() {
    let mut scheduler = Scheduler::new(plain_disk(W), DISK_BYTES);
    let stream = scheduler.add_stream(Nanos::ZERO, reserved(500_000, ms(200)));
    let mut batch = Vec::new();
    let mut now = Nanos::ZERO;
    for (id, service) in [(0, ms(27)), (1, ms(27)), (2, ms(27)), (3, ms(9))] {
        scheduler.arrive(now, stream, arrival(id));
        let Decision::Dispatch { flight, .. } = scheduler.next(now, &mut batch) else {
            panic!("nothing was dispatched");
        };
        now += service;
        scheduler.complete(now, flight);
    }
    assert_eq!(scheduler.unspent(stream), 10_000_000);
    // At 195 ms, 5 ms before the deadline, fluid service would have left 2.5 ms.
    scheduler.arrive(ms(195), stream, arrival(4));
    assert_eq!(scheduler.unspent(stream), 2_500_000);
}
