//! The named kinds of generators: each a set of defaults, every one of which a client may change.
//!
//! A new kind is a variant of [`Kind`], its line in [`Kind::ALL`], its name and its defaults; the
//! language, the command line and their help read the list. docs/workloads.md describes each.

use crate::Pattern;
use crate::generated::{Blocks, Files, Generated, Pace, Rate, Requests, Times};
use crate::places::Popularity;
use crate::workload::{Client, OPEN_DEPTH, Source, TraceSource};
use disktime_units::{Nanos, Share};
use std::num::NonZeroU32;

/// A named kind of generator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Block after block, as fast as answers come.
    Sequential,
    /// Runs of 16 blocks at random places, as fast as answers come.
    SemiRandom,
    /// Blocks at uniformly random places, as fast as answers come.
    Random,
    /// Blocks by Zipf's law with θ = 0.99, as fast as answers come.
    Zipf,
    /// Bursts of random reads: periods of 0.1 to 1 s, 1 to 30 × period requests at once in each.
    Bursts,
    /// Random reads at random times, 50 per second on average.
    Poisson,
    /// Random reads at constant distance in time, 50 per second.
    Constant,
    /// A user who thinks for 10 ms on average between random reads.
    ClosedLoop,
    /// A player of media: 64 KiB of the next 40 times a second.
    MediaPlayer,
    /// Whole files as a web server reads them, as fast as answers come.
    WebServer,
    /// A database: random 8 KiB, 70 % reads, after ten requests a flush and 10 ms to think.
    Oltp,
    /// A log: 4 KiB after 4 KiB, each answered when it is durable.
    LogWriter,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Kind; 12] = [
        Kind::Sequential,
        Kind::SemiRandom,
        Kind::Random,
        Kind::Zipf,
        Kind::Bursts,
        Kind::Poisson,
        Kind::Constant,
        Kind::ClosedLoop,
        Kind::MediaPlayer,
        Kind::WebServer,
        Kind::Oltp,
        Kind::LogWriter,
    ];

    /// Its name in files and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Sequential => "sequential",
            Kind::SemiRandom => "semi-random",
            Kind::Random => "random",
            Kind::Zipf => "zipf",
            Kind::Bursts => "bursts",
            Kind::Poisson => "poisson",
            Kind::Constant => "constant",
            Kind::ClosedLoop => "closed-loop",
            Kind::MediaPlayer => "media-player",
            Kind::WebServer => "web-server",
            Kind::Oltp => "oltp",
            Kind::LogWriter => "log-writer",
        }
    }

    /// The kind of a name.
    pub fn from_name(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// What it does, in a line.
    pub const fn about(self) -> &'static str {
        match self {
            Kind::Sequential => "4 KiB after 4 KiB, as fast as answers come",
            Kind::SemiRandom => {
                "runs of 16 blocks of 4 KiB at random places, as fast as answers come"
            }
            Kind::Random => "4 KiB at uniformly random places, as fast as answers come",
            Kind::Zipf => "4 KiB at places by Zipf's law (theta 0.99), as fast as answers come",
            Kind::Bursts => {
                "periods of 0.1 to 1 s, at the start of each 1 to 30 x period random 4 KiB at once"
            }
            Kind::Poisson => "random 4 KiB at random times, 50 per second on average",
            Kind::Constant => "random 4 KiB at constant distance in time, 50 per second",
            Kind::ClosedLoop => {
                "a user who reads random 4 KiB and thinks 10 ms on average (exponential) after each"
            }
            Kind::MediaPlayer => "64 KiB after 64 KiB at a fixed 40 per second",
            Kind::WebServer => {
                "whole files, four classes from 4 KiB to 900 KB, directories by Zipf's law (theta 1)"
            }
            Kind::Oltp => {
                "transactions of 10 random 8 KiB, 70 % reads, then a flush, then 10 ms on average to think"
            }
            Kind::LogWriter => "writes 4 KiB after 4 KiB, each answered when it is durable (FUA)",
        }
    }

    /// What it asks for, and when, unless told otherwise.
    pub fn generated(self) -> Generated {
        let random = Blocks::RANDOM_READS;
        let of = |pattern, pace| Generated::blocks(Blocks { pattern, ..random }, pace);
        let thinks = Pace::Closed {
            think: Times::Exponential {
                mean: Nanos::from_millis(10),
            },
        };
        let rate = Rate::per_second(50);
        match self {
            Kind::Sequential => of(Pattern::Sequential, Pace::GREEDY),
            Kind::SemiRandom => of(Pattern::SemiRandom { run: 16 }, Pace::GREEDY),
            Kind::Random => of(Pattern::Random, Pace::GREEDY),
            Kind::Zipf => of(Pattern::Zipf(Popularity::scattered(990_000)), Pace::GREEDY),
            Kind::Bursts => of(
                Pattern::Random,
                Pace::Bursts {
                    period: Kind::BURST_PERIOD,
                    rate: Rate::per_second(30),
                },
            ),
            Kind::Poisson => of(Pattern::Random, Pace::Poisson { rate }),
            Kind::Constant => of(Pattern::Random, Pace::Constant { rate }),
            Kind::ClosedLoop => of(Pattern::Random, thinks),
            Kind::MediaPlayer => Generated::blocks(
                Blocks {
                    pattern: Pattern::Sequential,
                    block_bytes: 64 << 10,
                    ..random
                },
                Pace::Constant {
                    rate: Rate::per_second(40),
                },
            ),
            Kind::WebServer => Generated {
                requests: Requests::Files(Files {
                    directories: Popularity::scattered(1_000_000),
                    read: Share::WHOLE,
                }),
                commit_every: None,
                pace: Pace::GREEDY,
            },
            Kind::Oltp => Generated {
                requests: Requests::Blocks(Blocks {
                    block_bytes: 8 << 10,
                    read: Share::from_percent(70),
                    ..random
                }),
                commit_every: NonZeroU32::new(10),
                pace: thinks,
            },
            Kind::LogWriter => Generated::blocks(
                Blocks {
                    pattern: Pattern::Sequential,
                    read: Share::ZERO,
                    fua: true,
                    ..random
                },
                Pace::GREEDY,
            ),
        }
    }

    /// The period of bursts unless told otherwise: uniform from 0.1 to 1 s.
    pub const BURST_PERIOD: Times = Times::Uniform {
        least: Nanos::from_millis(100),
        most: Nanos::from_secs(1),
    };
}

impl Generated {
    /// Requests under way at most, unless told otherwise.
    pub fn default_depth(&self) -> u32 {
        match self.pace {
            Pace::Closed { .. } => 1,
            _ => OPEN_DEPTH,
        }
    }
}

/// Building a client in code: `Client::of_kind(Kind::Oltp, "db", "db", stop).depth(4)`.
impl Client {
    /// A client of a kind, from 0 to `stop`.
    pub fn of_kind(kind: Kind, name: &str, vdisk: &str, stop: Nanos) -> Client {
        Client::new(name, vdisk, stop).generating(kind.generated())
    }

    /// The same, asking for this; its depth becomes the usual one.
    pub fn generating(mut self, generated: Generated) -> Client {
        self.depth = generated.default_depth();
        self.source = Source::Generated(generated);
        self
    }

    /// The same, replaying a trace; its depth becomes the usual one.
    pub fn replaying(mut self, trace: TraceSource) -> Client {
        self.depth = OPEN_DEPTH;
        self.source = Source::Trace(trace);
        self
    }

    /// The same in a closed loop with these think times; the depth stays as it is.
    pub fn thinking(self, think: Times) -> Client {
        self.pace(Pace::Closed { think })
    }

    /// The same with so many requests under way at most.
    pub fn depth(mut self, depth: u32) -> Client {
        self.depth = depth;
        self
    }

    /// The same at another pace; a replayed client stays as it is, and so does the depth.
    pub fn pace(mut self, pace: Pace) -> Client {
        if let Source::Generated(generated) = &mut self.source {
            generated.pace = pace;
        }
        self
    }

    /// The same with its blocks changed: `client.blocks(|blocks| blocks.block_bytes = 65_536)`. A
    /// client that asks for no blocks of one size stays as it is.
    pub fn blocks(mut self, change: impl FnOnce(&mut Blocks)) -> Client {
        if let Source::Generated(Generated {
            requests: Requests::Blocks(blocks),
            ..
        }) = &mut self.source
        {
            change(blocks);
        }
        self
    }

    /// The same in a part of the virtual disk.
    pub fn within(mut self, offset_bytes: u64, span_bytes: u64) -> Client {
        self.offset_bytes = offset_bytes;
        self.span_bytes = Some(span_bytes);
        self
    }

    /// The same between two times.
    pub fn between(mut self, start: Nanos, stop: Nanos) -> Client {
        self.start = start;
        self.stop = stop;
        self
    }
}

#[cfg(test)]
mod tests;
