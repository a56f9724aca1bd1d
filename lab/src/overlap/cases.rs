//! Random cases: a drive, clients with reservations and others that fill it.
//!
//! Two families, each a function of its seed and an index: `pairs`, one of eight readers beside one
//! of eight loads, and `mixed`, with bursts, writers, flushes, discards, clients that take 0 to 20
//! ms to answer, and a second reservation.
//!
//! What is not known here: what becomes of them.

use super::client::{Class, OverlapClient};
use super::drives::LabDrive;
use disktime_random::SplitMix64;
use disktime_units::Nanos;

/// Random reads of 4 KiB,
pub const R4: Class = Class::random_read(4096);
/// of 64 KiB,
pub const R64: Class = Class::random_read(64 << 10);
/// sequential reads of 128 KiB,
pub const Q128: Class = Class::sequential_read(128 << 10);
/// random writes of 4 KiB,
pub const W4: Class = Class::random_write(4096);
/// sequential writes of 64 KiB,
pub const W64: Class = Class::write(64 << 10);
/// and discards of 1 MiB.
pub const T1M: Class = Class::discard(1 << 20);

/// A case. The first client is the one that is measured.
#[derive(Debug, Clone)]
pub struct Case {
    /// Where.
    pub drive: LabDrive,
    /// Who.
    pub clients: Vec<OverlapClient>,
    /// The scheduler's seed and the drive's.
    pub seed: u64,
}

impl Case {
    /// The longest period.
    pub fn longest_period(&self) -> Nanos {
        let reservations = self.clients.iter().filter_map(|one| one.config.reservation);
        let periods = reservations.map(|reservation| reservation.period);
        periods.max().unwrap_or(Nanos::ZERO)
    }

    /// Whether any client changes the disk.
    pub fn has_writers(&self) -> bool {
        self.clients.iter().any(OverlapClient::changes)
    }

    /// Whether the promise is made for it: Σ(u + L/p) ≤ 1, and each budget u·p at least twice W and
    /// twice L.
    pub fn is_admitted(&self) -> bool {
        let cost = self.drive.change_cost(self.has_writers());
        let least = 2 * cost.max(self.drive.worst_case()).0;
        let mut load = 0.0;
        for client in &self.clients {
            let Some(reservation) = client.config.reservation else {
                continue;
            };
            let period = reservation.period.0 as f64;
            if client.share() * period < least as f64 {
                return false;
            }
            load += client.share() + cost.0 as f64 / period;
        }
        load <= 1.0
    }
}

impl std::fmt::Display for Case {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}:", self.drive.name())?;
        for client in &self.clients {
            write!(formatter, " {}", client.name)?;
            if let Some(reservation) = client.config.reservation {
                let millis = reservation.period.as_millis_f64();
                write!(formatter, "/{:.3}/{millis}", client.share())?;
            }
        }
        Ok(())
    }
}

fn us(micros: u64) -> Nanos {
    Nanos::from_micros(micros)
}

fn ms(millis: u64) -> Nanos {
    Nanos::from_millis(millis)
}

pub(super) fn client(name: &str, depth: u32, class: Class) -> OverlapClient {
    OverlapClient::new(name, depth, class)
}

pub(super) fn one_of<T: Copy>(rng: &mut SplitMix64, all: &[T]) -> T {
    all[rng.below(all.len() as u64) as usize]
}

pub(super) fn generator(seed: u64, index: u64) -> SplitMix64 {
    let mut outer = SplitMix64::new(seed.wrapping_add(index.wrapping_mul(0x1_0000_0001)));
    SplitMix64::new(outer.next_u64())
}

/// A reader, one of eight, beside a load, one of eight.
pub fn pair(seed: u64, index: u64) -> Case {
    let mut rng = generator(seed, index);
    let drives = [
        "nvme-970pro",
        "nvme-970pro",
        "sata-870",
        "cheap-qlc",
        "cloud-16k",
        "cheap-qlc-gc",
    ];
    let drive = LabDrive::find(one_of(&mut rng, &drives));
    let share = one_of(&mut rng, &[500_000, 500_000, 200_000, 50_000, 800_000]);
    let mut period = one_of(&mut rng, &[ms(20), ms(100), ms(1000)]);
    if drive.name() == "cheap-qlc-gc" {
        period = period.max(ms(100));
    }
    let think = us(rng.range(20, 100));
    let victim = match rng.below(8) {
        0 => client("R4d1", 1, R4),
        1 => client(&format!("R4d1t{}", think.0 / 1000), 1, R4).thinking(think),
        2 => client("R4d4", 4, R4),
        3 => client("R4d32", 32, R4),
        4 => client("Q128d1", 1, Q128),
        5 => client("Q128d4", 4, Q128),
        6 => client("R64d2", 2, R64),
        _ => client("R4+R64d4t30", 4, R4).thinking(us(30)).mixed(R64, 30),
    };
    let mut clients = vec![victim.reserved(share, period)];
    match rng.below(8) {
        0 => clients.push(client("R4d64", 64, R4)),
        1 => clients.push(client("R4d256", 256, R4)),
        2 => clients.push(client("Q128d128", 128, Q128)),
        3 => clients.push(client("W64d32", 32, W64)),
        4 => clients.push(client("R4+W64d32", 32, R4).mixed(W64, 30)),
        5 => clients.push(client("R64d7", 7, R64)),
        6 => {
            clients.push(client("R4d64", 64, R4));
            clients.push(client("W64d4", 4, W64));
        }
        _ => clients.push(client("W4d16", 16, W4)),
    }
    Case {
        drive,
        clients,
        seed: index + 1,
    }
}

/// More kinds of clients, admitted.
pub fn mixed(seed: u64, index: u64) -> Case {
    let mut rng = generator(seed ^ 0x6d69_7865_6400, index);
    let drive = LabDrive::find(one_of(&mut rng, &LabDrive::NAMES));
    loop {
        let mut clients = vec![reserved(&mut rng, 900)];
        if rng.percent(30) {
            let left = 900 - (clients[0].share() * 1000.0) as u64;
            clients.push(reserved(&mut rng, left.max(51)));
        }
        for _ in 0..1 + rng.below(2) {
            clients.push(load(&mut rng));
        }
        // A writer's rate alone is that of a drive in the same state.
        let case = Case {
            drive: drive.clone().used_up(),
            clients,
            seed: index + 1,
        };
        if case.is_admitted() {
            return case;
        }
    }
}

/// A client with a reservation of at most so many thousandths.
fn reserved(rng: &mut SplitMix64, most: u64) -> OverlapClient {
    let share = rng.range(50, most + 1) as u32 * 1000;
    let period = one_of(rng, &[ms(20), ms(50), ms(100), ms(250), ms(1000)]);
    let answer = one_of(rng, &[Nanos(0), us(1), us(10), us(100), ms(20)]);
    let depth = one_of(rng, &[1, 2, 4, 8, 32]);
    let named = |kind: &str| {
        let micros = answer.0 / 1000;
        (format!("{kind}d{depth}a{micros}"), answer)
    };
    let simple = |kind: &str, class| {
        let (name, answer) = named(kind);
        client(&name, depth, class).answering(answer)
    };
    let client = match rng.below(10) {
        0 | 1 => simple("R4", R4),
        2 => simple("R64", R64),
        3 => simple("Q128", Q128),
        4 => simple("W4", W4),
        5 => simple("W64", W64),
        6 => {
            let every = rng.log_uniform(ms(2), ms(200));
            let count = depth * (1 + rng.below(40) as u32);
            let name = format!("R4d{depth}~{count}/{}us", every.0 / 1000);
            client(&name, depth, R4).waking(every, count)
        }
        7 => client("W4+flush", 1, W4).answering(answer).flushing(),
        8 => simple("T1M", T1M),
        _ => simple("R4+W4", R4).mixed(W4, 50),
    };
    client.reserved(share, period)
}

/// A load without a reservation.
fn load(rng: &mut SplitMix64) -> OverlapClient {
    match rng.below(10) {
        0 => client("R4d64", 64, R4),
        1 => client("R4d256", 256, R4),
        2 => client("Q128d128", 128, Q128),
        3 => client("W64d32", 32, W64),
        4 => client("W4d64", 64, W4),
        5 => client("R4+W64d32", 32, R4).mixed(W64, 30),
        6 => client("T1Md32", 32, T1M),
        7 => client("W4d16+flush", 16, W4).flushing(),
        8 => client("R4d64~500/5ms", 64, R4).waking(ms(5), 500),
        _ => client("R64d7", 7, R64),
    }
}
