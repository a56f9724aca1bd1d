//! What asks for service: patterns of places, and behaviours in time.

use super::disks::region;
use super::rng::SharedRng;
use disktime_units::Nanos;

/// Time between an answer and the next request.
#[derive(Debug, Clone, Copy)]
pub enum Think {
    /// None: the next request comes with the answer.
    None,
    /// Always as long.
    Fixed(Nanos),
    /// Exponential.
    Exponential(Nanos),
}

/// When requests come.
#[derive(Debug, Clone, Copy)]
pub enum Behaviour {
    /// So many outstanding; each answer is followed by the next request.
    Closed {
        /// How many.
        depth: usize,
        /// After how long.
        think: Think,
    },
    /// So many at once; when all are answered, a pause, exponential.
    Bursts {
        /// How many.
        burst: usize,
        /// The mean pause.
        pause: Nanos,
    },
    /// Sleeps until another stream's long request has just been started, then sends so many at
    /// once. How long it has to have slept is drawn at each such request anew, exponential.
    Waker {
        /// How many.
        burst: usize,
        /// The mean of the shortest sleep.
        pause: Nanos,
    },
    /// The same, but how long it has to sleep is drawn once, when it goes to sleep.
    ArmedWaker {
        /// How many.
        burst: usize,
        /// The mean of the shortest sleep.
        pause: Nanos,
    },
    /// By the clock, one each time, as long as no more than `most` are outstanding.
    Clock {
        /// From one to the next.
        every: Nanos,
        /// How many may be outstanding.
        most: usize,
    },
}

impl Behaviour {
    /// How many it sends when it begins or wakes.
    pub(super) fn burst(self) -> usize {
        match self {
            Behaviour::Closed { depth, .. } => depth,
            Behaviour::Bursts { burst, .. }
            | Behaviour::Waker { burst, .. }
            | Behaviour::ArmedWaker { burst, .. } => burst,
            Behaviour::Clock { .. } => 1,
        }
    }

    /// Whether an answer is followed by the next request at the same time.
    pub(super) fn asks_at_once(self) -> bool {
        matches!(
            self,
            Behaviour::Closed {
                think: Think::None,
                ..
            }
        )
    }
}

/// Where requests go.
#[derive(Debug, Clone, Copy)]
pub enum Pattern {
    /// One after the other.
    Sequential,
    /// Runs of so many.
    Runs(u64),
    /// Anywhere.
    Random,
    /// Where the last one ended with that chance in per cent, else anywhere.
    Following(u64),
}

/// A client.
#[derive(Debug, Clone, Copy)]
pub struct ClientConfig {
    /// When its requests come.
    pub behaviour: Behaviour,
    /// Where they go.
    pub pattern: Pattern,
    /// Length of a request.
    pub len: u64,
    /// What a request costs by the linear model.
    pub price: Nanos,
    /// Its part of the disk.
    pub zone: (u64, u64),
    /// Whether its requests may be merged.
    pub merge: bool,
}

impl ClientConfig {
    /// So many outstanding without thinking, 4 KiB each, in the part of the disk of that number,
    /// none merged.
    pub fn closed(index: usize, depth: usize, pattern: Pattern, price: Nanos) -> ClientConfig {
        ClientConfig {
            behaviour: Behaviour::Closed {
                depth,
                think: Think::None,
            },
            pattern,
            len: 4096,
            price,
            zone: region(index),
            merge: false,
        }
    }

    /// The client of a group, which asks for nothing.
    pub(super) fn none() -> ClientConfig {
        ClientConfig {
            zone: (0, 4096),
            ..ClientConfig::closed(0, 0, Pattern::Sequential, Nanos(1))
        }
    }
}

/// When a stream and its client are there.
#[derive(Debug, Clone, Copy)]
pub struct Presence {
    /// When the scheduler first hears of the stream.
    pub joins: Nanos,
    /// When its client starts.
    pub starts: Nanos,
    /// When the client asks no more.
    pub leaves: Nanos,
}

/// A client's state.
#[derive(Debug)]
pub struct Client {
    pub(super) config: ClientConfig,
    pub(super) rng: SharedRng,
    pub(super) presence: Presence,
    next_offset: u64,
    run_left: u64,
    /// Issued and not answered, and those of them that wait in the scheduler.
    pub(super) outstanding: usize,
    pub(super) queued: usize,
    /// A waker that is ready to be woken.
    pub(super) armed: bool,
    pub(super) completed: u64,
    pub(super) bytes: u64,
}

impl Client {
    pub(super) fn new(config: ClientConfig, presence: Presence, rng: SharedRng) -> Client {
        Client {
            config,
            rng,
            presence,
            next_offset: config.zone.0,
            run_left: 0,
            outstanding: 0,
            queued: 0,
            armed: false,
            completed: 0,
            bytes: 0,
        }
    }

    /// What it is.
    pub fn config(&self) -> &ClientConfig {
        &self.config
    }

    /// Requests answered.
    pub fn completed(&self) -> u64 {
        self.completed
    }

    /// Their bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Where the next request lies.
    pub(super) fn next_offset(&mut self) -> u64 {
        let (low, high) = self.config.zone;
        let len = self.config.len;
        let rng = &self.rng;
        let random = || low + rng.range(0, (high - low) / len) * len;
        let offset = match self.config.pattern {
            Pattern::Random | Pattern::Following(0) => random(),
            Pattern::Sequential => self.next_offset,
            Pattern::Runs(run) => {
                if self.run_left == 0 {
                    self.run_left = run;
                    self.next_offset = random();
                }
                self.run_left -= 1;
                self.next_offset
            }
            Pattern::Following(percent) => {
                let follows = percent == 100 || rng.percent(percent);
                if follows && self.next_offset + len <= high {
                    self.next_offset
                } else {
                    random()
                }
            }
        };
        let offset = if offset + len > high { low } else { offset };
        self.next_offset = offset + len;
        offset
    }

    /// The pause before the next request.
    pub(super) fn think(&self, think: Think) -> Nanos {
        match think {
            Think::None => Nanos::ZERO,
            Think::Fixed(time) => time,
            Think::Exponential(mean) => self.rng.exponential(mean),
        }
    }
}
