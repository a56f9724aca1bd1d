//! What asks for service.

use disktime_drive_models::Operation;
use disktime_scheduler::{Limit, Reservation, StreamConfig};
use disktime_units::{Nanos, Share};

/// A kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Class {
    /// What it does.
    pub operation: Operation,
    /// Whether it follows the one before.
    pub sequential: bool,
    /// How long it is.
    pub len_bytes: u32,
}

impl Class {
    /// Random reads.
    pub const fn random_read(len_bytes: u32) -> Class {
        Class {
            operation: Operation::Read,
            sequential: false,
            len_bytes,
        }
    }

    /// Sequential reads.
    pub const fn sequential_read(len_bytes: u32) -> Class {
        Class {
            operation: Operation::Read,
            sequential: true,
            len_bytes,
        }
    }

    /// Sequential writes.
    pub const fn write(len_bytes: u32) -> Class {
        Class {
            operation: Operation::Write,
            sequential: true,
            len_bytes,
        }
    }

    /// Discards, one after the other.
    pub const fn discard(len_bytes: u32) -> Class {
        Class {
            operation: Operation::Discard,
            ..Class::write(len_bytes)
        }
    }

    /// Random writes.
    pub const fn random_write(len_bytes: u32) -> Class {
        Class {
            sequential: false,
            ..Class::write(len_bytes)
        }
    }
}

/// One stream's client and what the stream is entitled to.
#[derive(Debug, Clone)]
pub struct OverlapClient {
    /// How it is called in reports.
    pub name: String,
    /// What the stream is entitled to.
    pub config: StreamConfig,
    /// So many outstanding.
    pub depth: u32,
    /// It answers an answer after so long; `None`: after what the run's clients take.
    pub turnaround: Option<Nanos>,
    /// Mean of the time that it thinks besides the turnaround, exponential.
    pub think: Nanos,
    /// What it asks for,
    pub class: Class,
    /// and with that chance in per cent this instead.
    pub other: Option<(Class, u32)>,
    /// Every request is followed by a flush (one outstanding).
    pub flushes: bool,
    /// It sleeps, and wakes after about so long to send so many requests at its depth.
    pub wakes: Option<(Nanos, u32)>,
    /// After so many per cent of the answers that leave it without requests, it comes back just
    /// after the scheduler has stopped to wait for it.
    pub lingers_percent: u32,
    /// The group that it is a member of. The first member's `config` is the group's; the others
    /// have the weight of theirs.
    pub group: Option<u32>,
}

impl OverlapClient {
    /// A best-effort client without think time.
    pub fn new(name: &str, depth: u32, class: Class) -> OverlapClient {
        OverlapClient {
            name: name.to_owned(),
            config: StreamConfig::BEST_EFFORT,
            depth,
            turnaround: None,
            think: Nanos::ZERO,
            class,
            other: None,
            flushes: false,
            wakes: None,
            lingers_percent: 0,
            group: None,
        }
    }

    /// The same with a reservation.
    #[must_use]
    pub fn reserved(mut self, share_ppm: u32, period: Nanos) -> OverlapClient {
        self.config.reservation = Some(Reservation {
            share: Share(share_ppm),
            period,
        });
        self
    }

    /// The same with a limit.
    #[must_use]
    pub fn limited(mut self, share_ppm: u32, period: Nanos) -> OverlapClient {
        self.config.limit = Some(Limit {
            share: Share(share_ppm),
            period,
        });
        self
    }

    /// The same with a mean think time.
    #[must_use]
    pub fn thinking(self, think: Nanos) -> OverlapClient {
        OverlapClient { think, ..self }
    }

    /// The same that answers an answer after so long.
    #[must_use]
    pub fn answering(self, turnaround: Nanos) -> OverlapClient {
        OverlapClient {
            turnaround: Some(turnaround),
            ..self
        }
    }

    /// The same client without reservation, limit and name: what its rate alone depends on.
    #[must_use]
    pub fn alone(&self) -> OverlapClient {
        OverlapClient {
            name: "alone".to_owned(),
            group: None,
            config: StreamConfig::BEST_EFFORT,
            ..self.clone()
        }
    }

    /// Whether it asks for anything that changes the disk.
    pub fn changes(&self) -> bool {
        let changes = |class: Class| class.operation != Operation::Read;
        changes(self.class) || self.other.is_some_and(|(class, _)| changes(class))
    }

    /// The same with so many per cent of another class.
    #[must_use]
    pub fn mixed(self, other: Class, percent: u32) -> OverlapClient {
        OverlapClient {
            other: Some((other, percent)),
            ..self
        }
    }

    /// The same that wakes after about `every` to send `count` requests.
    #[must_use]
    pub fn waking(self, every: Nanos, count: u32) -> OverlapClient {
        OverlapClient {
            wakes: Some((every, count)),
            ..self
        }
    }

    /// The same that comes back just too late so often.
    #[must_use]
    pub fn lingering(self, lingers_percent: u32) -> OverlapClient {
        OverlapClient {
            lingers_percent,
            ..self
        }
    }

    /// The same that flushes after each request.
    #[must_use]
    pub fn flushing(self) -> OverlapClient {
        OverlapClient {
            flushes: true,
            ..self
        }
    }

    /// u, 0 without a reservation.
    pub fn share(&self) -> f64 {
        self.config
            .reservation
            .map_or(0.0, |reservation| f64::from(reservation.share.0) / 1e6)
    }
}
