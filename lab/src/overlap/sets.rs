//! Sets of two to eight reserved streams at the limit of admission, of every kind of client.
//!
//! What is not known here: what becomes of them.

use super::cases::{Case, Q128, R4, R64, W4, W64, client, generator, one_of};
use super::client::OverlapClient;
use super::drives::LabDrive;
use disktime_random::SplitMix64;
use disktime_units::Nanos;

/// What the clients of a set do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetFamily {
    /// Readers that never stop.
    Steady,
    /// Half of them come in bursts,
    Bursty,
    /// a third of them write,
    Writers,
    /// all of them sleep for long.
    Sleepy,
}

impl SetFamily {
    /// All.
    pub const ALL: [SetFamily; 4] = [
        SetFamily::Steady,
        SetFamily::Bursty,
        SetFamily::Writers,
        SetFamily::Sleepy,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            SetFamily::Steady => "steady",
            SetFamily::Bursty => "bursty",
            SetFamily::Writers => "writers",
            SetFamily::Sleepy => "sleepy",
        }
    }

    /// Σu at most, in ppm.
    pub fn most_share(self) -> u64 {
        match self {
            SetFamily::Writers => 850_000,
            _ => 930_000,
        }
    }
}

/// How much is reserved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Σ(u + L/p) ≤ 1 and Σu at most the family's.
    Promised,
    /// Σu is so many ppm, whatever L/p is.
    Total(u64),
}

/// A set. Streams with small budgets are in it as well: their debts are bounded all the same.
pub fn set(
    family: SetFamily,
    drive: &LabDrive,
    admission: Admission,
    seed: u64,
    index: u64,
) -> Case {
    let mut rng = generator(seed ^ ((family as u64) << 40), index);
    loop {
        if let Some(clients) = draw(&mut rng, family, drive, admission) {
            return Case {
                drive: drive.clone(),
                clients,
                seed: index + 1,
            };
        }
    }
}

fn draw(
    rng: &mut SplitMix64,
    family: SetFamily,
    drive: &LabDrive,
    admission: Admission,
) -> Option<Vec<OverlapClient>> {
    let cost = drive.change_cost(family == SetFamily::Writers);
    let count = 2 + rng.below(7);
    let mut clients: Vec<(OverlapClient, Nanos, f64)> = Vec::new();
    let (mut weights, mut changes) = (0.0, 0);
    for _ in 0..count {
        let client = kind(rng, family);
        let longest = if family == SetFamily::Sleepy { 3 } else { 5 };
        let periods = [20, 50, 100, 250, 500].map(Nanos::from_millis);
        let period = one_of(rng, &periods[..longest]);
        let weight = 0.05 - (1.0 - rng.unit()).ln();
        weights += weight;
        changes += (cost.0 * 1_000_000).div_ceil(period.0);
        clients.push((client, period, weight));
    }
    let total = match admission {
        Admission::Promised => family
            .most_share()
            .min(1_000_000u64.saturating_sub(changes)),
        Admission::Total(total) => total,
    };
    if total < 400_000 {
        return None;
    }
    let reserved = clients.into_iter().map(|(client, period, weight)| {
        let share = (weight / weights * total as f64) as u32;
        client.reserved(share.max(1), period)
    });
    let mut clients: Vec<OverlapClient> = reserved.collect();
    if rng.percent(50) {
        let class = one_of(rng, &[R4, Q128]);
        clients.push(client("BE", 128, class));
    }
    Some(clients)
}

fn kind(rng: &mut SplitMix64, family: SetFamily) -> OverlapClient {
    let think = Nanos::from_micros(rng.range(20, 100));
    let steady = match rng.below(8) {
        0 => client("R4d1", 1, R4),
        1 => client("R4d1t", 1, R4).thinking(think),
        2 => client("R4d4", 4, R4),
        3 => client("R4d32", 32, R4),
        4 => client("Q128d4", 4, Q128),
        5 => client("R64d7", 7, R64),
        6 => client("R4d256", 256, R4),
        _ => client("R64d2", 2, R64),
    };
    match family {
        SetFamily::Steady => steady,
        SetFamily::Writers if rng.below(3) == 0 => match rng.below(3) {
            0 => client("W4d4", 4, W4),
            1 => client("W64d2", 2, W64),
            _ => client("W64d16", 16, W64),
        },
        SetFamily::Writers => steady,
        SetFamily::Bursty if rng.percent(50) => {
            let every = rng.log_uniform(Nanos::from_millis(2), Nanos::from_millis(297));
            let count = steady.depth * (1 + rng.below(40) as u32);
            named(steady.waking(every, count), '~')
        }
        SetFamily::Bursty => steady,
        SetFamily::Sleepy => {
            let every = rng.log_uniform(Nanos::from_millis(25), Nanos::from_millis(112));
            let count = steady.depth * (1 + rng.below(200) as u32);
            named(steady.waking(every, count), 'z')
        }
    }
}

fn named(mut client: OverlapClient, suffix: char) -> OverlapClient {
    client.name.push(suffix);
    client
}
