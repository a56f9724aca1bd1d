//! What asks for service: patterns of places, and behaviours in time.

use super::random::Rng;
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
    Closed { depth: usize, think: Think },
    /// So many at once; when all are answered, a pause, exponential.
    Bursts { burst: usize, pause: Nanos },
    /// Sleeps until another's request that is long has just been started, then so many at once,
    /// then a pause.
    Waker { burst: usize, pause: Nanos },
    /// By the clock, one each time, as long as no more than `most` are outstanding.
    Clock { every: Nanos, most: usize },
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
}

/// A client.
#[derive(Debug, Clone, Copy)]
pub struct ClientConfig {
    pub behaviour: Behaviour,
    pub pattern: Pattern,
    pub len: u64,
    /// What a request costs by the linear model.
    pub price: Nanos,
    /// Its part of the disk.
    pub zone: (u64, u64),
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
            zone: super::mixes::zone(index),
            merge: false,
        }
    }
}

/// Its state.
#[derive(Debug)]
pub struct Client {
    pub config: ClientConfig,
    pub rng: Rng,
    next_offset: u64,
    run_left: u64,
    /// Issued and not answered.
    pub outstanding: usize,
    /// Ready to be woken.
    pub armed: bool,
    pub completed: u64,
    pub bytes: u64,
    pub longest_latency: Nanos,
}

impl Client {
    pub fn new(config: ClientConfig, rng: Rng) -> Client {
        Client {
            config,
            rng,
            next_offset: config.zone.0,
            run_left: 0,
            outstanding: 0,
            armed: false,
            completed: 0,
            bytes: 0,
            longest_latency: Nanos::ZERO,
        }
    }

    /// The place of the next request.
    pub fn place(&mut self) -> u64 {
        let (low, high) = self.config.zone;
        let len = self.config.len;
        let random = |rng: &mut Rng| low + rng.range(0, (high - low) / len) * len;
        let offset = match self.config.pattern {
            Pattern::Random => random(&mut self.rng),
            Pattern::Sequential => self.next_offset,
            Pattern::Runs(run) => {
                if self.run_left == 0 {
                    self.run_left = run;
                    self.next_offset = random(&mut self.rng);
                }
                self.run_left -= 1;
                self.next_offset
            }
        };
        let offset = if offset + len > high { low } else { offset };
        self.next_offset = offset + len;
        offset
    }

    /// The pause before the next request.
    pub fn think(&mut self, think: Think) -> Nanos {
        match think {
            Think::None => Nanos::ZERO,
            Think::Fixed(time) => time,
            Think::Exponential(mean) => self.rng.exponential(mean),
        }
    }
}
