//! The shortest periods: a stream with 50 % in every 50 ms, which is about one request's worth,
//! reads one random block every 60 ms beside a greedy sequential writer.

use crate::Outcome;
use disktime_engine::{PolicyKind, StreamConfig, SwitchingAccount};
use disktime_lab::mixes::ACCOUNT;
use disktime_lab::setup::{reader, reserved, share, writing};
use disktime_lab::{Setup, simulate};
use disktime_units::Nanos;
use disktime_workloads::{Latencies, Pace, Pattern, Rate};
use serde_json::{Value, json};

/// Its period.
pub const PERIOD: Nanos = Nanos::from_millis(50);
/// Between two requests.
const EVERY: Nanos = Nanos::from_millis(60);

/// What the stream saw.
#[derive(Debug, Clone, Copy)]
pub struct Cell {
    /// Who pays for switches.
    pub switching: SwitchingAccount,
    /// W.
    pub worst_case: Nanos,
    /// Its latencies.
    pub latency: Latencies,
    /// What the writer got, in bytes per second.
    pub writer_bytes_per_second: f64,
}

/// The accounts to look at.
pub const ACCOUNTS: [SwitchingAccount; 2] = [SwitchingAccount::Served, ACCOUNT];

/// Runs it for that long.
///
/// # Errors
/// If the drive cannot be modelled.
pub fn run(switching: SwitchingAccount, duration: Nanos) -> Outcome<Cell> {
    let rate = Rate {
        events: 1,
        per: EVERY,
    };
    let client = reader(Pattern::Random, 4096, 1)
        .pace(Pace::Constant { rate })
        .depth(16);
    let writer = writing(reader(Pattern::Sequential, 64 << 10, 32));
    let mut setup = Setup::new(PolicyKind::Fahrrad, duration)
        .stream("short", reserved(share(0.5), PERIOD), client)
        .stream("writer", StreamConfig::BEST_EFFORT, writer);
    setup.switching = switching;
    let run = simulate(&setup)?;
    let latency = run.latency(0).ok_or("the short stream was never served")?;
    Ok(Cell {
        switching,
        worst_case: run.facts.worst_case,
        latency,
        writer_bytes_per_second: run.bytes_per_second(1),
    })
}

impl Cell {
    /// What is asked for: the period and one request in the way.
    pub fn bound(&self) -> Nanos {
        PERIOD + self.worst_case
    }

    /// The account's name.
    pub fn account(&self) -> &'static str {
        match self.switching {
            SwitchingAccount::Served => "the served pays",
            SwitchingAccount::Reserved { .. } => "switching account",
        }
    }

    /// As JSON.
    pub fn json(&self) -> Value {
        json!({
            "account": self.account(),
            "p50_ms": self.latency.p50.as_millis_f64(),
            "p99_ms": self.latency.p99.as_millis_f64(),
            "p99_9_ms": self.latency.p99_9.as_millis_f64(),
            "max_ms": self.latency.max.as_millis_f64(),
            "bound_ms": self.bound().as_millis_f64(),
            "writer_mb_per_s": self.writer_bytes_per_second / 1e6,
        })
    }
}
