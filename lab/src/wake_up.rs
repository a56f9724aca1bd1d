//! A stream with a period about as long as one request: it has 50 % of every 50 ms and reads one
//! random 4 KiB block every 60 ms, beside a greedy sequential writer.

use crate::setup::{Setup, reader, reserved, writing};
use disktime_engine::StreamConfig;
use disktime_units::Nanos;
use disktime_workloads::{OPEN_DEPTH, Pace, Pattern, Rate};

/// The stream's period.
pub const SHORT_PERIOD: Nanos = Nanos::from_millis(50);
/// Between two of its requests.
const EVERY: Nanos = Nanos::from_millis(60);

/// Adds both to a run: the short stream, then the writer.
pub fn add_short_and_writer(setup: Setup) -> Setup {
    let rate = Rate {
        events: 1,
        per: EVERY,
    };
    let short = reader(Pattern::Random, 4096, 1)
        .pace(Pace::Constant { rate })
        .depth(OPEN_DEPTH);
    let writer = writing(reader(Pattern::Sequential, 64 << 10, 32));
    setup
        .stream("short", reserved(0.5, SHORT_PERIOD), short)
        .stream("writer", StreamConfig::BEST_EFFORT, writer)
}
