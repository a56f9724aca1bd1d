//! Random sets of streams at the limit of admission, with adverse clients.

use super::clients::{Behaviour, ClientConfig, Pattern, Think};
use super::devices::{Adversary, DISK_BYTES, ServiceTimes, ToyHdd};
use super::random::Rng;
use super::world::World;
use super::{ms, plain_disk, reserved, secs, switching_ppm, toy_hdd};
use disktime_scheduler::{SchedulerConfig, StreamConfig, SwitchingAccount};
use disktime_units::Nanos;

/// What kind of mix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clients {
    /// All backlogged, always.
    Backlogged,
    /// All kinds.
    Mixed,
}

/// A client's behaviour, at random.
fn behaviour_of(rng: &mut Rng, clients: Clients) -> Behaviour {
    let depth = rng.range(2, 6) as usize;
    let kind = match clients {
        Clients::Backlogged => 0,
        Clients::Mixed => rng.range(0, 10),
    };
    match kind {
        0..3 => Behaviour::Closed {
            depth,
            think: Think::None,
        },
        3 => Behaviour::Closed {
            depth: 1,
            think: Think::None,
        },
        4 => Behaviour::Closed {
            depth: 1,
            think: Think::Fixed(Nanos(rng.range(1, 30_000_000))),
        },
        5 => Behaviour::Closed {
            depth: 1,
            think: Think::Exponential(ms(rng.range(1, 60))),
        },
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

/// The sixth of the disk in which stream `index` lives.
pub fn zone(index: usize) -> (u64, u64) {
    let sixth = DISK_BYTES / 6 / 4096 * 4096;
    let start = index as u64 % 6 * sixth;
    (start, start + sixth)
}

fn random_client(rng: &mut Rng, index: usize, behaviour: Behaviour) -> ClientConfig {
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
        zone: zone(index),
        merge: rng.percent(50),
    }
}

/// A mix on a disk whose service times are an adversary's, with `used_ppm` reserved in all.
pub fn adverse(seed: u64, clients: Clients, used_ppm: u64, has_seeks: bool) -> World {
    adverse_with(seed, clients, used_ppm, has_seeks, false)
}

/// The same, with half of the reservations being those of groups if asked for.
pub fn adverse_with(
    seed: u64,
    clients: Clients,
    used_ppm: u64,
    has_seeks: bool,
    with_groups: bool,
) -> World {
    let mut rng = Rng::new(seed);
    let worst_case = rng.log_uniform(ms(2), ms(30));
    let mut config = plain_disk(worst_case);
    if has_seeks {
        config = SchedulerConfig {
            worst_case,
            ..toy_hdd(SwitchingAccount::Served)
        };
        config.merge_limit_bytes = 16 << 10;
    }
    let times = ServiceTimes::ALL[rng.range(0, 6) as usize];
    let device = Adversary {
        times,
        worst_case,
        rng: Rng::new(rng.next()),
    };
    let mut world = World::new(config, DISK_BYTES, device);
    world.answers_first = rng.percent(50);
    world.with_groups = with_groups;
    let count = rng.range(2, 21) as usize;
    let mut periods: Vec<Nanos> = (0..count)
        .map(|_| rng.log_uniform(ms(50), secs(5)))
        .collect();
    if rng.percent(30) {
        // Deadlines that coincide.
        periods.fill(ms(1000));
    }
    let shares = rng.shares(count, used_ppm);
    populate(&mut world, &mut rng, clients, &shares, &periods);
    world
}

/// A mix on the toy hard disk at the limit of admission.
pub fn on_toy_hdd(seed: u64, clients: Clients, switching: SwitchingAccount) -> World {
    let mut rng = Rng::new(seed);
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
    let shares = rng.shares(periods.len(), 1_000_000 - taken);
    let mut world = World::new(config, DISK_BYTES, ToyHdd::default());
    world.answers_first = rng.percent(50);
    populate(&mut world, &mut rng, clients, &shares, &periods);
    world
}

fn populate(world: &mut World, rng: &mut Rng, clients: Clients, shares: &[u32], periods: &[Nanos]) {
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
        if world.with_groups && rng.percent(50) {
            let group = world.add_group(config);
            for _ in 0..rng.range(1, 5) {
                let behaviour = behaviour_of(rng, clients);
                let client = random_client(rng, index, behaviour);
                let weight = rng.range(1, 200) as u32;
                world.add_member(group, weight, client, rng.next());
            }
            continue;
        }
        world.add(config, client, start, rng.next());
    }
    let greedy = rng.range(0, 3) as usize;
    for index in 0..greedy {
        let behaviour = Behaviour::Closed {
            depth: 4,
            think: Think::None,
        };
        let client = random_client(rng, shares.len() + index, behaviour);
        world.add(StreamConfig::BEST_EFFORT, client, Nanos::ZERO, rng.next());
    }
}
