//! One client as a state machine without I/O: it says when it wants to act, what it asks for when
//! it is polled, and is told of answers. The same machine runs in virtual and in real time.
//!
//! Invariants: at most `depth` requests are under way; places and directions depend on the seed
//! and the client's name alone, never on time; nothing is asked for before `start` or at or after
//! `stop`; nothing is allocated once it is made. A user of a closed loop thinks from the moment at
//! which its answer was handed out (`completed`), whenever the disk was done with it. What is not
//! known here: who answers, and how long that takes.

use crate::WorkloadError;
use crate::arrivals::{Arrivals, Clockwork};
use crate::closed_loop::{Closed, Commits};
use crate::generated::{Generated, Pace};
use crate::requests::{Chooser, Wanted};
use crate::trace::{Replay, TraceRecord};
use crate::workload::{Client, Source};
use disktime_engine::RequestKind;
use disktime_random::Random;
use disktime_units::{Nanos, format_size};

/// What a client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operation {
    /// What to do.
    pub kind: RequestKind,
    /// Start of the range in the virtual disk.
    pub offset_bytes: u64,
    /// Length of the range.
    pub len_bytes: u64,
    /// Whether it is answered only when it is durable.
    pub fua: bool,
    /// Which user of a closed loop asks, from 0 to the depth; 0 in an open loop.
    pub user: u32,
    /// Since when it wants it: latency counts from here. In an open loop and in a trace this may
    /// lie before the time of the poll, when the depth held it back.
    pub arrived_at: Nanos,
}

/// One client.
#[derive(Debug)]
pub struct ClientMachine {
    base_bytes: u64,
    stop: Nanos,
    depth: u32,
    outstanding: u32,
    /// When the depth last held arrivals back: those before this moment came too early.
    full_until: Nanos,
    delayed: u64,
    longest_delay: Nanos,
    asker: Asker,
}

#[derive(Debug)]
enum Asker {
    /// Users that wait for their answers.
    Closed(Closed),
    /// Requests come by the clock.
    Open {
        chooser: Chooser,
        arrivals: Arrivals,
        commits: Commits,
    },
    /// The next line.
    Trace {
        replay: Box<Replay>,
        next: Option<(Nanos, TraceRecord)>,
    },
}

impl Wanted {
    #[inline]
    fn by(self, user: u32, arrived_at: Nanos) -> Operation {
        Operation {
            kind: self.kind,
            offset_bytes: self.offset_bytes,
            len_bytes: self.len_bytes,
            fua: self.fua,
            user,
            arrived_at,
        }
    }
}

impl ClientMachine {
    /// A client of a virtual disk of `size_bytes`.
    ///
    /// # Errors
    /// If its range or block does not fit the virtual disk, or its trace cannot be replayed there.
    pub fn new(
        client: &Client,
        seed: u64,
        size_bytes: u64,
    ) -> Result<ClientMachine, WorkloadError> {
        ClientMachine::aligned(client, seed, size_bytes, 1)
    }

    /// The same for a server that takes multiples of `align_bytes` only.
    ///
    /// # Errors
    /// As for [`ClientMachine::new`], and if a request would not be such a multiple.
    pub fn aligned(
        client: &Client,
        seed: u64,
        size_bytes: u64,
        align_bytes: u64,
    ) -> Result<ClientMachine, WorkloadError> {
        let align_bytes = align_bytes.max(1);
        let range_bytes = range_of(client, size_bytes)?;
        check_alignment(client, align_bytes)?;
        let asker = match &client.source {
            Source::Generated(generated) => asker_of(client, generated, seed, range_bytes)?,
            Source::Trace(source) => {
                let mut replay = Replay::new(source, range_bytes, align_bytes, client.start)
                    .map_err(|error| error.or_at(client.places.trace.as_ref()))?;
                let next = replay.next()?;
                Asker::Trace {
                    replay: Box::new(replay),
                    next,
                }
            }
        };
        Ok(ClientMachine {
            base_bytes: client.offset_bytes,
            stop: client.stop,
            depth: client.depth,
            outstanding: 0,
            full_until: Nanos::ZERO,
            delayed: 0,
            longest_delay: Nanos::ZERO,
            asker,
        })
    }

    /// When it is to be polled next, if only time passes: perhaps a time that has passed already.
    /// `None` while it waits for answers, and when it is done.
    #[inline]
    pub fn next_event(&self) -> Option<Nanos> {
        if self.outstanding >= self.depth {
            return None;
        }
        self.next_arrival().filter(|at| *at < self.stop)
    }

    /// What it asks for now, if anything. Call until `None`.
    ///
    /// # Errors
    /// If its trace cannot be read on.
    #[inline]
    pub fn poll(&mut self, now: Nanos) -> Result<Option<Operation>, WorkloadError> {
        let Some(arrived_at) = self.next_event().filter(|at| *at <= now) else {
            return Ok(None);
        };
        let operation = match &mut self.asker {
            Asker::Closed(closed) => {
                let Some((user, wanted)) = closed.ask() else {
                    return Ok(None);
                };
                // A user of a closed loop asks when it is woken; a late clock is not latency.
                wanted.by(user, now)
            }
            Asker::Open {
                chooser,
                arrivals,
                commits,
            } => {
                arrivals.advance();
                commits.next(chooser).by(0, arrived_at)
            }
            Asker::Trace { replay, next } => {
                let Some((_, record)) = next.take() else {
                    return Ok(None);
                };
                *next = replay.next()?;
                let since = if replay.is_closed() { now } else { arrived_at };
                record.wanted(self.base_bytes).by(0, since)
            }
        };
        if self.is_open() && arrived_at < self.full_until {
            self.delayed += 1;
            self.longest_delay = self.longest_delay.max(now.saturating_sub(arrived_at));
        }
        self.outstanding += 1;
        Ok(Some(operation))
    }

    /// One of its requests was answered, and the answer is handed out now.
    #[inline]
    pub fn completed(&mut self, now: Nanos, operation: &Operation, success: bool) {
        assert!(self.outstanding > 0, "an answer without a request");
        if self.outstanding == self.depth {
            self.full_until = now;
        }
        self.outstanding -= 1;
        if let Asker::Closed(closed) = &mut self.asker {
            closed.answered(now, operation, success);
        }
    }

    /// Requests under way.
    pub fn outstanding(&self) -> u32 {
        self.outstanding
    }

    /// Arrivals of an open loop or trace that the depth held back.
    pub fn delayed(&self) -> u64 {
        self.delayed
    }

    /// The longest that the depth held an arrival back.
    pub fn longest_delay(&self) -> Nanos {
        self.longest_delay
    }

    /// Whether it will never ask again.
    pub fn is_done(&self, now: Nanos) -> bool {
        now >= self.stop || (self.outstanding == 0 && self.next_event().is_none())
    }

    #[inline]
    fn is_open(&self) -> bool {
        match &self.asker {
            Asker::Closed(_) => false,
            Asker::Open { .. } => true,
            Asker::Trace { replay, .. } => !replay.is_closed(),
        }
    }

    #[inline]
    fn next_arrival(&self) -> Option<Nanos> {
        match &self.asker {
            Asker::Closed(closed) => closed.next(),
            Asker::Open { arrivals, .. } => Some(arrivals.next()),
            Asker::Trace { next, .. } => next.map(|(at, _)| at),
        }
    }
}

/// The length of the part of a virtual disk that a client uses.
fn range_of(client: &Client, size_bytes: u64) -> Result<u64, WorkloadError> {
    let left = size_bytes.saturating_sub(client.offset_bytes);
    let range = client.span_bytes.unwrap_or(left);
    if range > left || range == 0 {
        return Err(WorkloadError::at(
            client.places.range.as_ref(),
            format!(
                "client `{}` goes beyond the end of virtual disk `{}`, which has {}; \
                 `offset` + `span` may be that at most",
                client.name,
                client.vdisk,
                format_size(size_bytes)
            ),
        ));
    }
    Ok(range)
}

/// Refuses what a server would refuse that takes whole blocks only.
fn check_alignment(client: &Client, align_bytes: u64) -> Result<(), WorkloadError> {
    let grain = match &client.source {
        Source::Generated(generated) => generated.requests.grain_bytes(),
        // Its lines are looked at one by one.
        Source::Trace(_) => 0,
    };
    if [client.offset_bytes, grain]
        .iter()
        .all(|bytes| bytes.is_multiple_of(align_bytes))
    {
        return Ok(());
    }
    Err(WorkloadError::at(
        client.places.client.as_ref(),
        format!(
            "client `{}` asks for other than multiples of {align_bytes} bytes, which are all that \
             the server takes; change its `block` or `offset`",
            client.name
        ),
    ))
}

fn asker_of(
    client: &Client,
    generated: &Generated,
    seed: u64,
    range_bytes: u64,
) -> Result<Asker, WorkloadError> {
    let chooser = Chooser::new(
        &generated.requests,
        client.offset_bytes,
        range_bytes,
        seed,
        &client.name,
    )
    .map_err(|error| error.or_at(client.places.range.as_ref()))?;
    let random = |purpose: &str| Random::labelled(seed, &format!("{} {purpose}", client.name));
    let commits = Commits::new(generated.commit_every);
    if let Some(arrivals) = Arrivals::new(generated.pace, client.start, random("arrivals")) {
        return Ok(Asker::Open {
            chooser,
            arrivals,
            commits,
        });
    }
    let Pace::Closed { think } = generated.pace else {
        return Err(WorkloadError::new("this pace is neither open nor closed"));
    };
    let think = Clockwork::new(think, random("think times"));
    Ok(Asker::Closed(Closed::new(
        client.depth,
        client.start,
        chooser,
        think,
        generated.commit_every,
    )))
}

#[cfg(test)]
mod tests;
