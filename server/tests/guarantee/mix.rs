//! A mix: some streams on one modelled hard disk, each with a client and a reservation, admitted
//! to the limit; and the two files that describe it to the program.
//!
//! What is not known here: what a mix is held to.

use disktime_lab::client_kind::{self, ClientKind, Pattern};
use disktime_random::Random;
use serde_json::{Value, json};
use std::fmt;

/// The whole disk.
pub(crate) const WHOLE_PPM: u64 = 1_000_000;
/// The least that a stream is given.
const SHARE_MIN_PPM: u64 = 30_000;

/// Periods from 100 ms to 5 s of which [`super::WINDOW_MS`] is a whole number.
pub(crate) const PERIODS_MS: [u64; 12] = [
    100, 150, 200, 250, 400, 500, 800, 1_000, 1_500, 2_000, 3_000, 5_000,
];
/// Requests in flight.
pub(crate) const DEPTHS: [u32; 6] = [1, 2, 4, 8, 16, 32];

/// All patterns.
pub(crate) const PATTERNS: [Pattern; 4] = [
    Pattern::Sequential,
    Pattern::Runs(16),
    Pattern::Runs(128),
    Pattern::Random,
];

/// A client in a closed loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Client {
    pub kind: ClientKind,
    /// Time between an answer and the next request. With any, the client is not always backlogged,
    /// and nothing is claimed for it.
    pub think_us: u64,
}

impl Client {
    fn to_json(self, vdisk: &str) -> Value {
        let mut client = self.kind.client(vdisk);
        client["think"] = json!(format!("{}us", self.think_us));
        client
    }
}

impl fmt::Display for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.kind)?;
        if self.think_us > 0 {
            write!(formatter, " think {} us", self.think_us)?;
        }
        Ok(())
    }
}

/// A virtual disk with its client.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stream {
    pub client: Client,
    pub share_ppm: u64,
    pub period_ms: u64,
}

/// Who pays for the seeks between streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Switching {
    /// The switching account (the default).
    Account,
    /// Each its own.
    Served,
}

/// What is known of the disk beforehand; times in ns unless their name says otherwise.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts {
    /// s: a mean seek and half a turn.
    pub switch_cost: u64,
    /// W.
    pub worst_case: u64,
    /// The share and period of the server's metadata stream.
    pub metadata_share_ppm: u64,
    pub metadata_period_ms: u64,
}

/// Streams on one disk.
#[derive(Debug, Clone)]
pub(crate) struct Mix {
    pub name: String,
    pub switching: Switching,
    pub streams: Vec<Stream>,
}

impl Mix {
    /// The clients, each with a period and a weight by which the disk is divided, down to the last
    /// part per million that admission allows.
    pub(crate) fn to_the_limit(
        name: String,
        switching: Switching,
        facts: Facts,
        clients: &[(Client, u64, u64)],
    ) -> Mix {
        let taken_by_switching = |period_ms: u64| match switching {
            Switching::Account => (facts.switch_cost * 3).div_ceil(period_ms * 2),
            Switching::Served => 0,
        };
        let switching_ppm: u64 = clients
            .iter()
            .map(|(_, period_ms, _)| taken_by_switching(*period_ms))
            .sum();
        let metadata = facts.metadata_share_ppm + taken_by_switching(facts.metadata_period_ms);
        let taken = metadata + switching_ppm;
        let floor = SHARE_MIN_PPM * clients.len() as u64;
        let free = WHOLE_PPM
            .checked_sub(taken + floor)
            .expect("switching leaves room");
        let weights: u64 = clients.iter().map(|(_, _, weight)| weight).sum();
        let mut streams: Vec<Stream> = clients
            .iter()
            .map(|(client, period_ms, weight)| Stream {
                client: *client,
                share_ppm: SHARE_MIN_PPM + free * weight / weights,
                period_ms: *period_ms,
            })
            .collect();
        let given: u64 = streams.iter().map(|stream| stream.share_ppm).sum();
        streams[0].share_ppm += WHOLE_PPM - taken - given;
        Mix {
            name,
            switching,
            streams,
        }
    }

    /// The reservation file.
    pub(crate) fn configuration(&self) -> Value {
        let streams = self.streams.iter();
        let reserved = streams.map(|stream| Some((stream.share_ppm, stream.period_ms)));
        client_kind::configuration(self.switching == Switching::Served, reserved)
    }

    /// The workload file: all clients stop at `stop_ms`, the run ends at `duration_ms`.
    pub(crate) fn workload(&self, stop_ms: u64, duration_ms: u64) -> Value {
        let clients = self.streams.iter().enumerate().map(|(index, stream)| {
            let mut client = stream.client.to_json(&format!("v{index}"));
            client["stop"] = json!(format!("{stop_ms}ms"));
            (format!("c{index}"), client)
        });
        let clients: serde_json::Map<_, _> = clients.collect();
        json!({ "duration": format!("{duration_ms}ms"), "seed": 1, "clients": clients })
    }
}

impl fmt::Display for Mix {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({:?}):", self.name, self.switching)?;
        for stream in &self.streams {
            let percent = stream.share_ppm as f64 / 1e4;
            write!(
                formatter,
                " [{} {percent:.2} % p {} ms]",
                stream.client, stream.period_ms
            )?;
        }
        Ok(())
    }
}

/// Every pair of kinds of clients: patterns × reads and writes, with depths and periods going round
/// so that each meets each.
pub(crate) fn pairs(switching: Switching, facts: Facts, periods: &[u64]) -> Vec<Mix> {
    let kinds: Vec<(Pattern, bool)> = PATTERNS
        .into_iter()
        .flat_map(|pattern| [(pattern, false), (pattern, true)])
        .collect();
    let mut mixes = Vec::new();
    for (first, (pattern_a, writes_a)) in kinds.iter().enumerate() {
        for (pattern_b, writes_b) in &kinds[first..] {
            let turn = mixes.len();
            let client = |pattern: &Pattern, writes: &bool, depth| Client {
                kind: ClientKind {
                    pattern: *pattern,
                    writes: *writes,
                    depth,
                },
                think_us: 0,
            };
            let a = client(pattern_a, writes_a, DEPTHS[turn % 6]);
            let b = client(pattern_b, writes_b, DEPTHS[(turn / 6 + turn * 5) % 6]);
            let period =
                |step: usize| periods[(turn * step + turn / periods.len()) % periods.len()];
            let clients = [(a, period(1), 1 + turn as u64 % 4), (b, period(5), 1)];
            mixes.push(Mix::to_the_limit(
                format!("pair {turn}"),
                switching,
                facts,
                &clients,
            ));
        }
    }
    mixes
}

/// Two to five streams of any kind. `thinking` lets some of them pause between requests.
pub(crate) fn random(
    seed: u64,
    switching: Switching,
    facts: Facts,
    periods: &[u64],
    thinking: bool,
) -> Mix {
    let mut random = Random::new(seed);
    let count = 2 + random.below(4);
    let clients: Vec<(Client, u64, u64)> = (0..count)
        .map(|index| {
            let client = Client {
                kind: ClientKind {
                    pattern: PATTERNS[random.below(4) as usize],
                    writes: random.below(2) == 1,
                    depth: DEPTHS[random.below(6) as usize],
                },
                // The first never pauses, so that there is a stream to claim something for.
                think_us: if thinking && index > 0 && random.below(2) == 0 {
                    [100, 1_000, 10_000, 150_000][random.below(4) as usize]
                } else {
                    0
                },
            };
            let period = periods[random.below(periods.len() as u64) as usize];
            (client, period, 1 + random.below(8))
        })
        .collect();
    Mix::to_the_limit(format!("seed {seed}"), switching, facts, &clients)
}
