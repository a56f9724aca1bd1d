//! What every policy has in common: charges add up, the disk never sleeps over work, no run differs
//! from its repetition, every request is served, nothing is allocated per request.

use disktime_lab::oracle::devices::{DISK_BYTES, transfer};
use disktime_lab::oracle::disks::{every_policy, ms, plain_disk, region, reserved, secs, toy_hdd};
use disktime_lab::oracle::mixes::{self};
use disktime_lab::oracle::{
    Behaviour, ClientConfig, Linear, Overlapping, Pattern, SharedRng, Think, ToyHdd, World,
};
use disktime_random::SplitMix64;
use disktime_scheduler::{PolicyKind, SchedulerConfig, StreamConfig, SwitchingAccount};
use disktime_units::Nanos;

fn client(rng: &mut SplitMix64, index: usize) -> ClientConfig {
    let think = Think::Exponential(ms(rng.range(1, 30)));
    let behaviour = match rng.range(0, 4) {
        0 => Behaviour::Closed { depth: 1, think },
        1 => Behaviour::Bursts {
            burst: rng.range(1, 60) as usize,
            pause: ms(rng.range(1, 3_000)),
        },
        _ => Behaviour::Closed {
            depth: rng.range(1, 12) as usize,
            think: Think::None,
        },
    };
    let pattern = match rng.range(0, 3) {
        0 => Pattern::Sequential,
        1 => Pattern::Runs(rng.range(2, 64)),
        _ => Pattern::Random,
    };
    ClientConfig {
        behaviour,
        pattern,
        len: 4096,
        price: transfer(4096),
        zone: region(index),
        merge: rng.percent(50),
    }
}

/// A disk: with seeks, without, one at a time or several.
fn disk(kind: PolicyKind, which: u64, seed: u64) -> World {
    let policy = |config: SchedulerConfig| SchedulerConfig {
        policy: kind,
        ..config
    };
    let several = SchedulerConfig {
        max_in_flight: 8,
        merge_limit_bytes: 64 << 10,
        ..plain_disk(ms(10))
    };
    let rng = SharedRng::new(seed);
    let most = ms(3);
    match which {
        0 => World::new(
            policy(toy_hdd(SwitchingAccount::Served)),
            DISK_BYTES,
            ToyHdd::default(),
        ),
        1 => World::new(policy(plain_disk(ms(5))), DISK_BYTES, Linear::default()),
        2 => World::new(policy(several), DISK_BYTES, Linear::default()),
        _ => World::new(policy(several), DISK_BYTES, Overlapping { rng, most }),
    }
}

fn mix(kind: PolicyKind, which: u64, seed: u64) -> World {
    let mut world = disk(kind, which, seed);
    let mut rng = SplitMix64::new(seed);
    world = world.answers_first(rng.percent(50));
    let count = rng.range(1, 6) as usize;
    let shares = mixes::shares(&mut rng, count, 800_000);
    for (index, share) in shares.iter().enumerate() {
        let config = StreamConfig {
            weight: rng.range(1, 300) as u32,
            ..reserved(*share, ms(rng.range(100, 2_000)))
        };
        let start = ms(rng.range(0, 500));
        let client = client(&mut rng, index);
        world.add(config, client, start, rng.next_u64());
    }
    for index in count..count + rng.range(0, 3) as usize {
        let client = client(&mut rng, index);
        world.add(
            StreamConfig::BEST_EFFORT,
            client,
            Nanos::ZERO,
            rng.next_u64(),
        );
    }
    world
}

#[test]
fn charges_add_up_and_the_disk_never_sleeps_over_work() {
    for kind in every_policy() {
        for which in 0..4 {
            for seed in 0..4 {
                let context = format!("{} on disk {which}, seed {seed}", kind.name());
                let mut world = mix(kind, which, seed);
                world = world.without_trace();
                world.run(secs(8));
                world.drain();
                world.assert_charges_add_up(&context);
                // `iocost` holds back what goes beyond its rate.
                if !matches!(kind, PolicyKind::Fahrrad | PolicyKind::Iocost(_)) {
                    assert_eq!(
                        world.asleep(),
                        Nanos::ZERO,
                        "{context}: asleep over requests"
                    );
                }
                for stream in 0..world.stream_count() {
                    let requests = world.counters(stream).requests;
                    assert_eq!(requests, world.client(stream).completed(), "{context}");
                }
            }
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for kind in every_policy() {
        for which in [0, 3] {
            let run = |seed| {
                let mut world = mix(kind, which, seed);
                world.run(secs(4));
                world.trace().to_vec()
            };
            let (first, again, other) = (run(3), run(3), run(4));
            assert!(first == again, "{}: two runs differ", kind.name());
            assert!(first != other, "{}: the seed changes nothing", kind.name());
        }
    }
}

#[test]
fn every_policy_has_a_name_that_finds_it() {
    let mut names: Vec<&str> = PolicyKind::all().iter().map(|kind| kind.name()).collect();
    for kind in PolicyKind::all() {
        assert_eq!(PolicyKind::from_name(kind.name()), Some(kind));
    }
    assert_eq!(PolicyKind::from_name("farhad"), None);
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), PolicyKind::all().len());
}

#[test]
fn requests_of_a_sequential_stream_stay_in_order_under_every_policy() {
    for kind in every_policy() {
        for merge in [false, true] {
            let mut world = disk(kind, 0, 1);
            let mut add = |pattern, depth| {
                let index = world.stream_count();
                let client = ClientConfig {
                    merge,
                    ..ClientConfig::closed(index, depth, pattern, transfer(4096))
                };
                world.add(reserved(400_000, secs(1)), client, Nanos::ZERO, 1);
            };
            add(Pattern::Sequential, 8);
            add(Pattern::Random, 8);
            world.run(secs(10));
            let mut end = None;
            for entry in world.trace().iter().filter(|entry| entry.stream == 0) {
                assert!(
                    end.is_none_or(|end| end == entry.offset),
                    "{}, merge {merge}: {entry:?} after {end:?}",
                    kind.name()
                );
                end = Some(entry.offset + entry.len);
            }
            let requests = world.scheduler().stream_counters(world.stream(0)).requests;
            assert!(requests > 5, "{}: {requests}", kind.name());
        }
    }
}
