//! One client as a state machine without I/O: it says when its next request is due, returns the
//! request when it is polled, and is told of completions. The same machine runs in virtual and in
//! real time.
//!
//! Invariants: at most `depth` requests are in flight; positions and directions depend on the seed
//! and the client's name only, never on time; no request comes before `start`, or at or after
//! `stop`; nothing is allocated once it is created. A user of a closed loop thinks from the time of
//! the call of `completed`, whenever the disk completed the request. What is not known here: what
//! serves the requests, and how long that takes.

use crate::Operation;
use crate::WorkloadError;
use crate::arrivals::{Arrivals, DurationSampler};
use crate::closed_loop::{ClosedLoop, TransactionCounter};
use crate::generated::{Generated, Pace};
use crate::requests::{RequestGenerator, RequestSpec};
use crate::trace::{Replay, TraceRecord};
use crate::workload::{Client, RequestSource};
use disktime_random::Random;
use disktime_units::{Nanos, format_size};

/// One client.
#[derive(Debug)]
pub struct ClientMachine {
    base_bytes: u64,
    stop: Nanos,
    depth: u32,
    outstanding: u32,
    /// Until when the depth was reached: arrivals before this time are delayed.
    full_until: Nanos,
    delayed: u64,
    longest_delay: Nanos,
    stream: RequestStream,
}

#[derive(Debug)]
enum RequestStream {
    /// Users that wait for their replies.
    Closed(ClosedLoop),
    /// Requests come at their arrival times.
    Open {
        generator: RequestGenerator,
        arrivals: Arrivals,
        transactions: TransactionCounter,
    },
    /// Requests come from a trace; `next` is the next one.
    Trace {
        replay: Box<Replay>,
        next: Option<(Nanos, TraceRecord)>,
    },
}

impl RequestSpec {
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
    /// If its range or block does not fit the virtual disk, or its trace cannot be replayed on it.
    pub fn new(
        client: &Client,
        seed: u64,
        size_bytes: u64,
    ) -> Result<ClientMachine, WorkloadError> {
        ClientMachine::aligned(client, seed, size_bytes, 1)
    }

    /// The same for a server that accepts only multiples of `align_bytes`.
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
        let stream = match &client.source {
            RequestSource::Generated(generated) => {
                request_stream(client, generated, seed, range_bytes)?
            }
            RequestSource::Trace(source) => {
                let mut replay = Replay::new(source, range_bytes, align_bytes, client.start)
                    .map_err(|error| error.or_at(client.excerpts.trace.as_ref()))?;
                let next = replay.next()?;
                RequestStream::Trace {
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
            stream,
        })
    }

    /// When its next request is due, which may be in the past. `None` while it waits for replies,
    /// and when it is done.
    #[inline]
    pub fn next_event(&self) -> Option<Nanos> {
        if self.outstanding >= self.depth {
            return None;
        }
        self.next_arrival().filter(|at| *at < self.stop)
    }

    /// The next request that is due, if any. Call until `None`.
    ///
    /// # Errors
    /// If its trace cannot be read any further.
    #[inline]
    pub fn poll(&mut self, now: Nanos) -> Result<Option<Operation>, WorkloadError> {
        let Some(arrived_at) = self.next_event().filter(|at| *at <= now) else {
            return Ok(None);
        };
        let operation = match &mut self.stream {
            RequestStream::Closed(closed) => {
                let Some((user, spec)) = closed.next_request() else {
                    return Ok(None);
                };
                // A user of a closed loop starts when it is polled; a late poll is not latency.
                spec.by(user, now)
            }
            RequestStream::Open {
                generator,
                arrivals,
                transactions,
            } => {
                arrivals.advance();
                transactions.next(generator).by(0, arrived_at)
            }
            RequestStream::Trace { replay, next } => {
                let Some((_, record)) = next.take() else {
                    return Ok(None);
                };
                *next = replay.next()?;
                let since = if replay.is_closed() { now } else { arrived_at };
                record.spec(self.base_bytes).by(0, since)
            }
        };
        if self.is_open() && arrived_at < self.full_until {
            self.delayed += 1;
            self.longest_delay = self.longest_delay.max(now.saturating_sub(arrived_at));
        }
        self.outstanding += 1;
        Ok(Some(operation))
    }

    /// One of its requests is completed.
    #[inline]
    pub fn completed(&mut self, now: Nanos, operation: &Operation, success: bool) {
        assert!(self.outstanding > 0, "a completion without a request");
        if self.outstanding == self.depth {
            self.full_until = now;
        }
        self.outstanding -= 1;
        if let RequestStream::Closed(closed) = &mut self.stream {
            closed.completed(now, operation, success);
        }
    }

    /// The number of requests in flight.
    pub fn outstanding(&self) -> u32 {
        self.outstanding
    }

    /// The number of arrivals of an open loop or trace that the depth delayed.
    pub fn delayed(&self) -> u64 {
        self.delayed
    }

    /// The longest such delay.
    pub fn longest_delay(&self) -> Nanos {
        self.longest_delay
    }

    /// Whether it sends no more requests.
    pub fn is_done(&self, now: Nanos) -> bool {
        now >= self.stop || (self.outstanding == 0 && self.next_event().is_none())
    }

    #[inline]
    fn is_open(&self) -> bool {
        match &self.stream {
            RequestStream::Closed(_) => false,
            RequestStream::Open { .. } => true,
            RequestStream::Trace { replay, .. } => !replay.is_closed(),
        }
    }

    #[inline]
    fn next_arrival(&self) -> Option<Nanos> {
        match &self.stream {
            RequestStream::Closed(closed) => closed.next(),
            RequestStream::Open { arrivals, .. } => Some(arrivals.next()),
            RequestStream::Trace { next, .. } => next.map(|(at, _)| at),
        }
    }
}

/// The length of the part of a virtual disk that a client uses.
fn range_of(client: &Client, size_bytes: u64) -> Result<u64, WorkloadError> {
    let left = size_bytes.saturating_sub(client.offset_bytes);
    let range = client.span_bytes.unwrap_or(left);
    if range > left || range == 0 {
        return Err(WorkloadError::at(
            client.excerpts.range.as_ref(),
            format!(
                "client `{}` goes beyond the end of virtual disk `{}`; its `offset` + `span` may \
                    be \
                 at most {}",
                client.name,
                client.vdisk,
                format_size(size_bytes)
            ),
        ));
    }
    Ok(range)
}

/// Refuses a client whose requests are not multiples of what the server accepts.
fn check_alignment(client: &Client, align_bytes: u64) -> Result<(), WorkloadError> {
    let grain = match &client.source {
        RequestSource::Generated(generated) => generated.requests.grain_bytes(),
        // The lines of a trace are checked one by one.
        RequestSource::Trace(_) => 0,
    };
    if [client.offset_bytes, grain]
        .iter()
        .all(|bytes| bytes.is_multiple_of(align_bytes))
    {
        return Ok(());
    }
    Err(WorkloadError::at(
        client.excerpts.client.as_ref(),
        format!(
            "the server accepts only multiples of {align_bytes} bytes, but client `{}` sends \
                others; \
             change its `block` or `offset`",
            client.name
        ),
    ))
}

fn request_stream(
    client: &Client,
    generated: &Generated,
    seed: u64,
    range_bytes: u64,
) -> Result<RequestStream, WorkloadError> {
    let generator = RequestGenerator::new(
        &generated.requests,
        client.offset_bytes,
        range_bytes,
        seed,
        &client.name,
    )
    .map_err(|error| error.or_at(client.excerpts.range.as_ref()))?;
    let random = |purpose: &str| Random::labelled(seed, &format!("{} {purpose}", client.name));
    let transactions = TransactionCounter::new(generated.commit_every);
    if let Some(arrivals) = Arrivals::new(generated.pace, client.start, random("arrivals")) {
        return Ok(RequestStream::Open {
            generator,
            arrivals,
            transactions,
        });
    }
    let Pace::Closed { think } = generated.pace else {
        return Err(WorkloadError::new(
            "this pace is neither open nor closed; this is a bug",
        ));
    };
    let think = DurationSampler::new(think, random("think times"));
    Ok(RequestStream::Closed(ClosedLoop::new(
        client.depth,
        client.start,
        generator,
        think,
        generated.commit_every,
    )))
}

#[cfg(test)]
mod tests;
