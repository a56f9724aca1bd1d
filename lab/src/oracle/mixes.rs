//! Random sets of streams at the limit of admission, with adverse clients.

use super::clients::{Behaviour, ClientConfig, Pattern, Think};
use super::devices::{Adversary, DISK_BYTES, ServiceTimes, ToyHdd};
use super::disks::{ms, plain_disk, region, reserved, secs, switching_ppm, toy_hdd};
use super::rng::SharedRng;
use super::world::World;
use disktime_random::SplitMix64;
use disktime_scheduler::{SchedulerConfig, StreamConfig, SwitchingAccount};
use disktime_units::Nanos;

/// What kind of mix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientMix {
    /// All backlogged, always.
    Backlogged,
    /// All kinds.
    Mixed,
}

/// `count` shares in parts per million that add up to `total` exactly, each at least 1000.
pub fn shares(rng: &mut SplitMix64, count: usize, total: u64) -> Vec<u32> {
    let weights: Vec<u64> = (0..count).map(|_| rng.range(50, 1000)).collect();
    let sum: u64 = weights.iter().sum();
    let free = total - 1000 * count as u64;
    let mut shares: Vec<u64> = weights.iter().map(|w| 1000 + free * w / sum).collect();
    shares[0] += total - shares.iter().sum::<u64>();
    shares.into_iter().map(|share| share as u32).collect()
}

/// A client's behaviour, at random.
fn behaviour_of(rng: &mut SplitMix64, clients: ClientMix) -> Behaviour {
    let depth = rng.range(2, 6) as usize;
    let kind = match clients {
        ClientMix::Backlogged => 0,
        ClientMix::Mixed => rng.range(0, 10),
    };
    let closed = |depth, think| Behaviour::Closed { depth, think };
    match kind {
        0..3 => closed(depth, Think::None),
        3 => closed(1, Think::None),
        4 => closed(1, Think::Fixed(Nanos(rng.range(1, 30_000_000)))),
        5 => closed(1, Think::Exponential(ms(rng.range(1, 60)))),
        6 | 7 => Behaviour::Waker {
            burst: rng.range(1, 40) as usize,
            pause: rng.log_uniform(ms(1), secs(8)),
        },
        _ => Behaviour::Bursts {
            burst: rng.range(1, 80) as usize,
            pause: rng.log_uniform(ms(1), secs(30)),
        },
    }
}

fn random_client(rng: &mut SplitMix64, index: usize, behaviour: Behaviour) -> ClientConfig {
    let pattern = match rng.range(0, 4) {
        0 => Pattern::Sequential,
        1 => Pattern::Runs(rng.range(2, 128)),
        _ => Pattern::Random,
    };
    ClientConfig {
        behaviour,
        pattern,
        len: 4096,
        price: Nanos(51_200),
        zone: region(index),
        merge: rng.percent(50),
    }
}

/// A mix on a disk whose service times are an adversary's, with `used_ppm` reserved in all.
pub fn adverse(seed: u64, clients: ClientMix, used_ppm: u64, has_seeks: bool) -> World {
    adverse_with(seed, clients, used_ppm, has_seeks, false)
}

/// The same, with half of the reservations being those of groups if asked for.
pub fn adverse_with(
    seed: u64,
    clients: ClientMix,
    used_ppm: u64,
    has_seeks: bool,
    with_groups: bool,
) -> World {
    let mut rng = SplitMix64::new(seed);
    let worst_case = rng.log_uniform(ms(2), ms(30));
    let config = match has_seeks {
        true => SchedulerConfig {
            worst_case,
            merge_limit_bytes: 16 << 10,
            ..toy_hdd(SwitchingAccount::Served)
        },
        false => plain_disk(worst_case),
    };
    let times = ServiceTimes::ALL[rng.range(0, 6) as usize];
    let device = Adversary::new(times, worst_case, SharedRng::new(rng.next_u64()));
    let answers_first = rng.percent(50);
    let mut world = World::new(config, DISK_BYTES, device).answers_first(answers_first);
    let count = rng.range(2, 21) as usize;
    let mut periods: Vec<Nanos> = (0..count)
        .map(|_| rng.log_uniform(ms(50), secs(5)))
        .collect();
    if rng.percent(30) {
        // Deadlines that coincide.
        periods.fill(ms(1000));
    }
    let shares = shares(&mut rng, count, used_ppm);
    populate(
        &mut world,
        &mut rng,
        clients,
        &shares,
        &periods,
        with_groups,
    );
    world
}

/// A mix on the toy hard disk at the limit of admission.
pub fn on_toy_hdd(seed: u64, clients: ClientMix, switching: SwitchingAccount) -> World {
    let mut rng = SplitMix64::new(seed);
    let config = toy_hdd(switching);
    let count = rng.range(2, 9);
    let mut periods: Vec<Nanos> = (0..count)
        .map(|_| rng.log_uniform(ms(100), secs(5)))
        .collect();
    // Short periods cost much switching; something has to be left to reserve.
    while switching_ppm(&config, &periods) > 700_000 {
        periods.pop();
    }
    let taken = switching_ppm(&config, &periods);
    let shares = shares(&mut rng, periods.len(), 1_000_000 - taken);
    let answers_first = rng.percent(50);
    let mut world = World::new(config, DISK_BYTES, ToyHdd::default()).answers_first(answers_first);
    populate(&mut world, &mut rng, clients, &shares, &periods, false);
    world
}

fn populate(
    world: &mut World,
    rng: &mut SplitMix64,
    clients: ClientMix,
    shares: &[u32],
    periods: &[Nanos],
    with_groups: bool,
) {
    for (index, (share, period)) in shares.iter().zip(periods).enumerate() {
        let behaviour = behaviour_of(rng, clients);
        let client = random_client(rng, index, behaviour);
        let config = StreamConfig {
            weight: rng.range(1, 200) as u32,
            ..reserved(*share, *period)
        };
        let start = if rng.percent(50) {
            Nanos::ZERO
        } else {
            Nanos(rng.range(0, 3_000_000_000))
        };
        if with_groups && rng.percent(50) {
            let group = world.add_group(config);
            for _ in 0..rng.range(1, 5) {
                let behaviour = behaviour_of(rng, clients);
                let client = random_client(rng, index, behaviour);
                let weight = rng.range(1, 200) as u32;
                world.add_member(group, weight, client, rng.next_u64());
            }
            continue;
        }
        world.add(config, client, start, rng.next_u64());
    }
    let greedy = rng.range(0, 3) as usize;
    for index in 0..greedy {
        let behaviour = Behaviour::Closed {
            depth: 4,
            think: Think::None,
        };
        let client = random_client(rng, shares.len() + index, behaviour);
        world.add(
            StreamConfig::BEST_EFFORT,
            client,
            Nanos::ZERO,
            rng.next_u64(),
        );
    }
}
