//! The named kinds of generators: each a set of defaults, every one of which a client may change.
//!
//! A new kind is a variant of [`GeneratorKind`], its line in [`GeneratorKind::ALL`], its name and
//! its defaults; the language, the command line and their help read the list. docs/workloads.md
//! describes each.

use crate::Pattern;
use crate::generated::{Blocks, Files, Generated, Pace, Rate, Requests, Times};
use crate::positions::Popularity;
use crate::trace::TraceSource;
use crate::workload::{Client, OPEN_DEPTH, RequestSource};
use disktime_units::{Nanos, Share};
use std::num::NonZeroU32;

/// A named kind of generator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GeneratorKind {
    /// Block after block, without think time.
    Sequential,
    /// Runs of 16 blocks at random positions, without think time.
    SemiRandom,
    /// Blocks at uniformly random positions, without think time.
    Random,
    /// Blocks by Zipf's law with θ = 0.99, without think time.
    Zipf,
    /// Bursts of random reads: periods of 0.1 to 1 s, 1 to 30 × period requests at once in each.
    Bursts,
    /// Random reads at random times, 50 per second on average.
    Poisson,
    /// Random reads at constant intervals, 50 per second.
    Constant,
    /// A user that thinks for 10 ms on average between random reads.
    ClosedLoop,
    /// A media player: 64 KiB after 64 KiB, 40 times a second.
    MediaPlayer,
    /// Whole files as a web server reads them, without think time.
    WebServer,
    /// A database: random 8 KiB, 70 % reads, a flush after ten requests, then 10 ms think time.
    Oltp,
    /// A log: writes of 4 KiB after 4 KiB, each with FUA.
    LogWriter,
}

impl GeneratorKind {
    /// All kinds.
    pub const ALL: [GeneratorKind; 12] = [
        GeneratorKind::Sequential,
        GeneratorKind::SemiRandom,
        GeneratorKind::Random,
        GeneratorKind::Zipf,
        GeneratorKind::Bursts,
        GeneratorKind::Poisson,
        GeneratorKind::Constant,
        GeneratorKind::ClosedLoop,
        GeneratorKind::MediaPlayer,
        GeneratorKind::WebServer,
        GeneratorKind::Oltp,
        GeneratorKind::LogWriter,
    ];

    /// The names of all kinds, in the same order.
    pub(crate) const NAMES: [&'static str; GeneratorKind::ALL.len()] = {
        let mut names = [""; GeneratorKind::ALL.len()];
        let mut at = 0;
        while at < names.len() {
            names[at] = GeneratorKind::ALL[at].name();
            at += 1;
        }
        names
    };

    /// Its name in files and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            GeneratorKind::Sequential => "sequential",
            GeneratorKind::SemiRandom => "semi-random",
            GeneratorKind::Random => "random",
            GeneratorKind::Zipf => "zipf",
            GeneratorKind::Bursts => "bursts",
            GeneratorKind::Poisson => "poisson",
            GeneratorKind::Constant => "constant",
            GeneratorKind::ClosedLoop => "closed-loop",
            GeneratorKind::MediaPlayer => "media-player",
            GeneratorKind::WebServer => "web-server",
            GeneratorKind::Oltp => "oltp",
            GeneratorKind::LogWriter => "log-writer",
        }
    }

    /// The kind of a name.
    pub fn from_name(name: &str) -> Option<GeneratorKind> {
        GeneratorKind::ALL
            .into_iter()
            .find(|kind| kind.name() == name)
    }

    /// What it does, in a line.
    pub const fn about(self) -> &'static str {
        match self {
            GeneratorKind::Sequential => "4 KiB after 4 KiB, without think time",
            GeneratorKind::SemiRandom => {
                "runs of 16 blocks of 4 KiB at random positions, without think time"
            }
            GeneratorKind::Random => "4 KiB at uniformly random positions, without think time",
            GeneratorKind::Zipf => {
                "4 KiB at positions by Zipf's law (theta 0.99), without think time"
            }
            GeneratorKind::Bursts => {
                "periods of 0.1 to 1 s, at the start of each 1 to 30 x period random 4 KiB at once"
            }
            GeneratorKind::Poisson => "random 4 KiB at random times, 50 per second on average",
            GeneratorKind::Constant => "random 4 KiB at constant intervals, 50 per second",
            GeneratorKind::ClosedLoop => {
                "a user that reads random 4 KiB and thinks 10 ms on average (exponential) after \
                    each"
            }
            GeneratorKind::MediaPlayer => "64 KiB after 64 KiB at a fixed 40 per second",
            GeneratorKind::WebServer => {
                "whole files, four classes from 4 KiB to 900 KB, directories by Zipf's law (theta \
                    1)"
            }
            GeneratorKind::Oltp => {
                "transactions of 10 random 8 KiB, 70 % reads, then a flush, then a think time of \
                    10 ms on average"
            }
            GeneratorKind::LogWriter => "writes of 4 KiB after 4 KiB, each with FUA",
        }
    }

    /// Its requests and their times, before any key changes them.
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
            GeneratorKind::Sequential => of(Pattern::Sequential, Pace::GREEDY),
            GeneratorKind::SemiRandom => of(Pattern::SemiRandom { run: 16 }, Pace::GREEDY),
            GeneratorKind::Random => of(Pattern::Random, Pace::GREEDY),
            GeneratorKind::Zipf => of(Pattern::Zipf(Popularity::scattered(990_000)), Pace::GREEDY),
            GeneratorKind::Bursts => of(
                Pattern::Random,
                Pace::Bursts {
                    period: GeneratorKind::BURST_PERIOD,
                    rate: Rate::per_second(30),
                },
            ),
            GeneratorKind::Poisson => of(Pattern::Random, Pace::Poisson { rate }),
            GeneratorKind::Constant => of(Pattern::Random, Pace::Constant { rate }),
            GeneratorKind::ClosedLoop => of(Pattern::Random, thinks),
            GeneratorKind::MediaPlayer => Generated::blocks(
                Blocks {
                    pattern: Pattern::Sequential,
                    block_bytes: 64 << 10,
                    ..random
                },
                Pace::Constant {
                    rate: Rate::per_second(40),
                },
            ),
            GeneratorKind::WebServer => Generated {
                requests: Requests::Files(Files {
                    directories: Popularity::scattered(1_000_000),
                    read: Share::WHOLE,
                }),
                commit_every: None,
                pace: Pace::GREEDY,
            },
            GeneratorKind::Oltp => Generated {
                requests: Requests::Blocks(Blocks {
                    block_bytes: 8 << 10,
                    read: Share::from_percent(70),
                    ..random
                }),
                commit_every: NonZeroU32::new(10),
                pace: thinks,
            },
            GeneratorKind::LogWriter => Generated::blocks(
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

    /// The default period of bursts: uniform from 0.1 to 1 s.
    pub const BURST_PERIOD: Times = Times::Uniform {
        least: Nanos::from_millis(100),
        most: Nanos::from_secs(1),
    };
}

impl Generated {
    /// The default depth.
    pub(crate) fn default_depth(&self) -> u32 {
        match self.pace {
            Pace::Closed { .. } => 1,
            _ => OPEN_DEPTH,
        }
    }
}

/// Building a client in code: `Client::of_kind(GeneratorKind::Oltp, "db", "db", stop).depth(4)`.
impl Client {
    /// A client of a kind, from 0 to `stop`.
    pub fn of_kind(kind: GeneratorKind, name: &str, vdisk: &str, stop: Nanos) -> Client {
        Client::new(name, vdisk, stop).generating(kind.generated())
    }

    /// The same with these requests; its depth becomes the default.
    pub fn generating(mut self, generated: Generated) -> Client {
        self.depth = generated.default_depth();
        self.source = RequestSource::Generated(generated);
        self
    }

    /// The same, replaying a trace; its depth becomes the default.
    pub fn replaying(mut self, trace: TraceSource) -> Client {
        self.depth = OPEN_DEPTH;
        self.source = RequestSource::Trace(trace);
        self
    }

    /// The same in a closed loop with these think times; the depth stays as it is.
    pub fn thinking(self, think: Times) -> Client {
        self.pace(Pace::Closed { think })
    }

    /// The same with at most `depth` requests in flight.
    pub fn depth(mut self, depth: u32) -> Client {
        self.depth = depth;
        self
    }

    /// The same at another pace; a replayed client stays as it is, and so does the depth.
    pub fn pace(mut self, pace: Pace) -> Client {
        if let RequestSource::Generated(generated) = &mut self.source {
            generated.pace = pace;
        }
        self
    }

    /// The same with its blocks changed: `client.blocks(|blocks| blocks.block_bytes = 65_536)`. A
    /// client without blocks of one size stays as it is.
    pub fn blocks(mut self, change: impl FnOnce(&mut Blocks)) -> Client {
        if let RequestSource::Generated(Generated {
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
