//! Generated requests as values: what is requested, and when.
//!
//! What is not known here: the generators that follow these values (`requests`, `arrivals`), and
//! how they are written in a file (`language`).

use crate::Pattern;
use crate::positions::{Popularity, common_divisor};
use disktime_units::{Nanos, Share};
use std::num::NonZeroU32;

/// Generated requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generated {
    /// What is requested, and where.
    pub requests: Requests,
    /// How many requests make a transaction, which ends with a flush; no flush if `None`. In a
    /// closed loop each user has its own transactions: it flushes when its requests are completed,
    /// and thinks after the flush, not before.
    pub commit_every: Option<NonZeroU32>,
    /// When.
    pub pace: Pace,
}

impl Generated {
    /// Whether a request may write.
    pub(crate) fn writes(&self) -> bool {
        self.requests.writes()
    }

    /// Blocks at a pace, without transactions.
    pub fn blocks(blocks: Blocks, pace: Pace) -> Generated {
        Generated {
            requests: Requests::Blocks(blocks),
            commit_every: None,
            pace,
        }
    }
}

/// What is requested, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Requests {
    /// Blocks of one size.
    Blocks(Blocks),
    /// Whole files of a web server.
    Files(Files),
    /// Several kinds of requests: for each request one part is drawn by its weight.
    Mix(Vec<MixPart>),
}

impl Requests {
    /// All positions and lengths are multiples of this, counted from the start of the client's
    /// range.
    pub(crate) fn grain_bytes(&self) -> u64 {
        match self {
            Requests::Blocks(blocks) => blocks.block_bytes,
            Requests::Files(_) => FILE_GRAIN_BYTES,
            Requests::Mix(parts) => parts.iter().fold(0, |grain, part| {
                let own = common_divisor(part.offset_bytes, part.requests.grain_bytes());
                common_divisor(grain, own)
            }),
        }
    }

    /// Whether a request may write.
    fn writes(&self) -> bool {
        match self {
            Requests::Blocks(blocks) => blocks.read != Share::WHOLE,
            Requests::Files(files) => files.read != Share::WHOLE,
            Requests::Mix(parts) => parts.iter().any(|part| part.requests.writes()),
        }
    }

    /// Whether a write may use FUA.
    pub(crate) fn uses_fua(&self) -> bool {
        match self {
            Requests::Blocks(blocks) => blocks.fua && blocks.read != Share::WHOLE,
            Requests::Files(_) => false,
            Requests::Mix(parts) => parts.iter().any(|part| part.requests.uses_fua()),
        }
    }
}

/// Blocks of one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blocks {
    /// The order of their positions.
    pub pattern: Pattern,
    /// The length of each.
    pub block_bytes: u64,
    /// The share that is read; the others are written.
    pub read: Share,
    /// Whether the reply to a write waits until the data are durable.
    pub fua: bool,
}

impl Blocks {
    /// Random reads of 4 KiB.
    pub const RANDOM_READS: Blocks = Blocks {
        pattern: Pattern::Random,
        block_bytes: 4096,
        read: Share::WHOLE,
        fua: false,
    };
}

/// What files of a web server are rounded up to.
pub(crate) const FILE_GRAIN_BYTES: u64 = 4096;

/// Whole files of a web server: directories of 36 files, nine in each of four classes of size, as
/// SPECweb96 and SPECweb99 have them. `requests` has the figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Files {
    /// How popular directories are.
    pub directories: Popularity,
    /// How many files are read; the others are written.
    pub read: Share,
}

/// A part of a mix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MixPart {
    /// How often, in relation to the other parts.
    pub weight: NonZeroU32,
    /// What is requested.
    pub requests: Requests,
    /// The start of its part of the client's range.
    pub offset_bytes: u64,
    /// The length of that part; the rest of the range if `None`.
    pub span_bytes: Option<u64>,
}

impl MixPart {
    /// A part that uses the client's whole range. A weight of 0 counts as 1.
    pub fn new(weight: u32, requests: Requests) -> MixPart {
        MixPart {
            weight: NonZeroU32::new(weight).unwrap_or(NonZeroU32::MIN),
            requests,
            offset_bytes: 0,
            span_bytes: None,
        }
    }
}

/// When generated requests come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Closed loop: each of `depth` users waits for its reply, thinks, and sends the next request.
    Closed {
        /// The time from a reply to the next request.
        think: Times,
    },
    /// Open loop: at constant intervals, whatever the replies do.
    Constant {
        /// How often.
        rate: Rate,
    },
    /// Open loop: at exponentially distributed intervals, so that arrivals are independent.
    Poisson {
        /// How often on average.
        rate: Rate,
    },
    /// Open loop: at the start of every period several requests at once.
    Bursts {
        /// The length of a period, drawn for each.
        period: Times,
        /// The largest rate of a period's requests: their count is uniform from 1 to `rate` ×
        /// period (rounded down, and at least 1).
        rate: Rate,
    },
}

impl Pace {
    /// A closed loop without think time.
    pub const GREEDY: Pace = Pace::Closed {
        think: Times::Constant(Nanos::ZERO),
    };
}

/// Lengths of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Times {
    /// Always the same.
    Constant(Nanos),
    /// Exponentially distributed.
    Exponential {
        /// The mean.
        mean: Nanos,
    },
    /// Any from `least` to `most`.
    Uniform {
        /// The shortest.
        least: Nanos,
        /// The longest, not less than `least`.
        most: Nanos,
    },
}

impl Times {
    /// The mean.
    pub fn mean(self) -> Nanos {
        match self {
            Times::Constant(time) => time,
            Times::Exponential { mean } => mean,
            Times::Uniform { least, most } => {
                Nanos(least.0 / 2 + most.0 / 2 + (least.0 & most.0 & 1))
            }
        }
    }
}

/// An exact rate: a number of events per length of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// The number of events, not zero.
    pub events: u64,
    /// The length of time, not zero.
    pub per: Nanos,
}

impl Rate {
    /// `events` per second.
    pub const fn per_second(events: u64) -> Rate {
        Rate {
            events,
            per: Nanos::from_secs(1),
        }
    }

    /// The time of event number `index`; the first (0) is at time zero.
    pub(crate) fn time_of(self, index: u64) -> Nanos {
        let time = u128::from(index) * u128::from(self.per.0) / u128::from(self.events);
        Nanos(u64::try_from(time).unwrap_or(u64::MAX))
    }

    /// The number of events in a length of time, rounded down.
    pub fn count_in(self, time: Nanos) -> u64 {
        let count = u128::from(time.0) * u128::from(self.events) / u128::from(self.per.0);
        u64::try_from(count).unwrap_or(u64::MAX)
    }

    /// The mean time between two events, in nanoseconds.
    pub(crate) fn mean_gap_ns(self) -> f64 {
        self.per.0 as f64 / self.events as f64
    }
}
