//! Spare time by weight, and limits.

use disktime_lab::oracle::devices::{DISK_BYTES, transfer};
use disktime_lab::oracle::disks::{RESERVED, limited, ms, plain_disk, reserved, secs, toy_hdd};
use disktime_lab::oracle::{
    Adversary, Behaviour, ClientConfig, Pattern, ServiceTimes, SharedRng, Think, ToyHdd, World,
    received,
};
use disktime_random::SplitMix64;
use disktime_scheduler::{StreamConfig, SwitchingAccount};
use disktime_units::Nanos;

fn client(index: usize, depth: usize, pattern: Pattern) -> ClientConfig {
    let len = if matches!(pattern, Pattern::Sequential) {
        64 << 10
    } else {
        4 << 10
    };
    ClientConfig {
        len,
        merge: true,
        ..ClientConfig::closed(index, depth, pattern, transfer(len))
    }
}

fn weighted(config: StreamConfig, weight: u32) -> StreamConfig {
    StreamConfig { weight, ..config }
}

#[test]
fn spare_time_goes_by_weight_and_touches_no_reservation() {
    for account in [SwitchingAccount::Served, RESERVED] {
        for period in [ms(500), secs(1)] {
            let mut world = World::new(toy_hdd(account), DISK_BYTES, ToyHdd::default());
            let best_effort = StreamConfig::BEST_EFFORT;
            let streams = [
                (
                    weighted(reserved(300_000, period), 100),
                    client(0, 8, Pattern::Sequential),
                ),
                (
                    weighted(reserved(200_000, period), 100),
                    client(1, 8, Pattern::Random),
                ),
                (weighted(best_effort, 100), client(2, 8, Pattern::Random)),
                (weighted(best_effort, 200), client(3, 32, Pattern::Random)),
            ];
            for (index, (config, client)) in streams.into_iter().enumerate() {
                world.add(config, client, Nanos::ZERO, index as u64);
            }
            world.run(secs(60));
            let counters: Vec<_> = (0..4).map(|index| world.counters(index)).collect();
            let spare: Nanos = counters.iter().map(|one| one.spare).sum();
            for (index, due) in [0.2, 0.2, 0.2, 0.4].into_iter().enumerate() {
                let got = counters[index].spare.as_secs_f64() / spare.as_secs_f64();
                println!("{account:?} p {period:?} stream {index}: {got:.4} of the spare time");
                assert!(
                    (got - due).abs() <= 0.01,
                    "stream {index}: {got:.4}, due {due}"
                );
            }
            for (index, due) in [(0, secs(18)), (1, secs(12))] {
                let own = counters[index].reserved;
                let least = due.saturating_sub(period).saturating_sub(ms(54));
                assert!(
                    own >= least && own <= due + ms(54),
                    "stream {index}: {own} of {due}"
                );
                assert_eq!(counters[index].deadlines_missed, 0);
            }
        }
    }
}

/// Use in each whole limit period and in all of them together.
fn assert_limit(
    world: &World,
    stream: usize,
    share_ppm: u64,
    period: Nanos,
    worst: Nanos,
    context: &str,
) {
    let first = world
        .used(stream)
        .first()
        .expect("a stream was served")
        .start;
    // The limit's periods are counted from the first request, here at the start.
    assert!(first < secs(1), "{context}");
    let count = world.now().0 / period.0;
    let ends: Vec<Nanos> = (0..=count).map(|k| Nanos(k * period.0)).collect();
    let used = received(world.used(stream), &ends);
    let allowed = i128::from(period.0) * i128::from(share_ppm) / 1_000_000;
    let worst = i128::from(worst.0);
    for k in 1..used.len() {
        let one = used[k] - used[k - 1];
        assert!(
            one <= allowed + worst,
            "{context}: {one} in period {k}, allowed {allowed} + W"
        );
        let all = used[k] - used[0];
        let bound = allowed * k as i128 + worst;
        assert!(
            all <= bound,
            "{context}: {all} until period {k}, allowed {bound}: no debt kept"
        );
    }
}

#[test]
fn a_limit_holds_in_each_of_its_periods_and_debt_is_carried() {
    for seed in 0..24 {
        let mut rng = SplitMix64::new(seed);
        let worst_case = ms(20);
        let has_seeks = seed % 2 == 0;
        let mut config = plain_disk(worst_case);
        config.has_seeks = has_seeks;
        let times = ServiceTimes::ALL[rng.range(0, 6) as usize];
        let device = Adversary::new(times, worst_case, SharedRng::new(rng.next_u64()));
        let mut world = World::new(config, DISK_BYTES, device);
        world = world.answers_first(seed % 3 == 0);
        let limit_period = rng.log_uniform(ms(100), secs(2));
        let think = if rng.percent(50) {
            Think::None
        } else {
            Think::Fixed(ms(rng.range(1, 30)))
        };
        let depth = if rng.percent(50) { 1 } else { 4 };
        let behaviour = Behaviour::Closed { depth, think };
        let one = ClientConfig {
            behaviour,
            ..client(0, depth, Pattern::Random)
        };
        let base = if rng.percent(50) {
            reserved(200_000, ms(700))
        } else {
            StreamConfig::BEST_EFFORT
        };
        world.add(limited(base, 30, limit_period), one, Nanos::ZERO, 1);
        let limit_also = limited(StreamConfig::BEST_EFFORT, 25, ms(500));
        world.add(limit_also, client(1, 4, Pattern::Random), Nanos::ZERO, 2);
        world.add(
            reserved(400_000, ms(400)),
            client(2, 4, Pattern::Random),
            Nanos::ZERO,
            3,
        );
        let greedy_too = rng.percent(50);
        if greedy_too {
            world.add(
                StreamConfig::BEST_EFFORT,
                client(3, 4, Pattern::Random),
                Nanos::ZERO,
                4,
            );
        }
        world.run(secs(40));
        let context =
            format!("seed {seed} ({times:?}, {behaviour:?}, limit period {limit_period})");
        assert_limit(&world, 0, 300_000, limit_period, worst_case, &context);
        assert_limit(&world, 1, 250_000, ms(500), worst_case, &context);
        let other = world.counters(2);
        assert_eq!(other.deadlines_missed, 0, "{context}: {other:?}");
        // What the limits hold back goes to the others: a stream without a limit is always there.
        let waited = world.scheduler().disk_counters(world.now()).waiting;
        assert!(
            world.asleep() <= waited + ms(100),
            "{context}: asleep {} of which waited {waited}",
            world.asleep()
        );
        world.drain();
        world.assert_charges_add_up(&context);
    }
}

#[test]
fn a_limited_stream_alone_leaves_the_disk_idle_until_its_period_ends() {
    let mut world = World::new(
        plain_disk(ms(20)),
        DISK_BYTES,
        Adversary::new(ServiceTimes::Half, ms(20), SharedRng::new(1)),
    );
    let config = limited(StreamConfig::BEST_EFFORT, 50, secs(1));
    world.add(config, client(0, 4, Pattern::Random), Nanos::ZERO, 1);
    world.run(secs(10));
    assert_eq!(world.busy(), secs(5));
    assert_eq!(world.asleep(), secs(5));
    assert_eq!(
        world.scheduler().disk_counters(world.now()).waiting,
        Nanos::ZERO
    );
}

#[test]
fn a_stream_whose_limit_equals_its_reservation_lacks_at_most_w_in_each_period() {
    for offset in [ms(0), ms(130), ms(500), ms(870)] {
        let worst_case = ms(10);
        let device = Adversary::new(ServiceTimes::Half, worst_case, SharedRng::new(1));
        let mut config = plain_disk(worst_case);
        config.has_seeks = true;
        let mut world = World::new(config, DISK_BYTES, device);
        let both = limited(reserved(400_000, secs(1)), 40, secs(1));
        world.add(both, client(0, 4, Pattern::Random), offset, 1);
        world.add(
            reserved(600_000, secs(1)),
            client(1, 4, Pattern::Random),
            Nanos::ZERO,
            2,
        );
        world.run(secs(40) + offset);
        let got = world.counters(0);
        // Known weakness: what the limit holds back is not owed later. A request that straddles a
        // period's end is charged to the next one's limit, so with deadlines that coincide one
        // request of every period is lost, where without a limit it would be lost once.
        let ends: Vec<Nanos> = (0..=40)
            .map(|k| offset + Nanos(k * 1_000_000_000))
            .collect();
        let received = received(world.used(0), &ends);
        for (k, pair) in received.windows(2).enumerate() {
            let one = pair[1] - pair[0];
            assert!(
                one >= 390_000_000,
                "offset {offset}: {one} in period {k}: {got:?}"
            );
        }
        assert_eq!(world.counters(1).deadlines_missed, 0);
    }
}
