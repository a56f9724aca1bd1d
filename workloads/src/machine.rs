//! One client as a state machine without I/O: it says when it wants to act, what it asks for when
//! it is polled, and is told of answers. The same machine runs in virtual and in real time.
//!
//! Invariants: at most `depth` requests are under way; places and directions depend on the seed
//! and the client's name alone, never on time; nothing is asked for before `start` or at or after
//! `stop`. What is not known here: who answers, and how long that takes.

use crate::places::Places;
use crate::trace::{Replay, TraceRecord};
use crate::workload::{Client, Generated, Pace, Rate, Source};
use crate::{Random, WorkloadError};
use disktime_engine::RequestKind;
use disktime_units::{Nanos, Share, format_size};
use std::collections::VecDeque;

/// A user whose request failed waits so long before the next one: a disk that fails at once
/// would otherwise be asked without end, and virtual time would stand still.
const PAUSE_AFTER_ERROR: Nanos = Nanos::from_millis(1);

/// What a client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operation {
    /// What to do.
    pub kind: RequestKind,
    /// Start of the range in the virtual disk.
    pub offset_bytes: u64,
    /// Length of the range.
    pub len_bytes: u64,
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
    arrivals: Arrivals,
}

#[derive(Debug)]
enum Arrivals {
    /// Users that are ready to ask, each at its time, ascending.
    Closed {
        shape: Shape,
        think: Nanos,
        ready: VecDeque<Nanos>,
    },
    /// The next arrival by the clock.
    Constant {
        shape: Shape,
        rate: Rate,
        start: Nanos,
        index: u64,
    },
    /// The next line.
    Trace {
        replay: Box<Replay>,
        next: Option<(Nanos, TraceRecord)>,
    },
}

/// Made-up requests without their time.
#[derive(Debug)]
struct Shape {
    places: Places,
    block_bytes: u64,
    read: Share,
    directions: Random,
}

impl Shape {
    fn next(&mut self, base_bytes: u64, arrived_at: Nanos) -> Operation {
        let read = match self.read {
            Share::WHOLE => true,
            Share(0) => false,
            Share(ppm) => self.directions.below(1_000_000) < u64::from(ppm),
        };
        Operation {
            kind: if read {
                RequestKind::Read
            } else {
                RequestKind::Write
            },
            offset_bytes: base_bytes + self.places.next_block() * self.block_bytes,
            len_bytes: self.block_bytes,
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
        let range_bytes = range_of(client, size_bytes)?;
        let arrivals = match &client.source {
            Source::Generated(generated) => {
                generated_arrivals(client, generated, seed, range_bytes)?
            }
            Source::Trace(source) => {
                let mut replay = Replay::new(source, range_bytes, client.start)
                    .map_err(|error| error.or_at(client.places.trace.as_ref()))?;
                let next = replay.next()?;
                Arrivals::Trace {
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
            arrivals,
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
        let operation = match &mut self.arrivals {
            Arrivals::Closed { shape, ready, .. } => {
                ready.pop_front();
                // A user of a closed loop asks when it is woken; a late clock is not latency.
                shape.next(self.base_bytes, now)
            }
            Arrivals::Constant { shape, index, .. } => {
                *index += 1;
                shape.next(self.base_bytes, arrived_at)
            }
            Arrivals::Trace { replay, next } => {
                let Some((_, record)) = next.take() else {
                    return Ok(None);
                };
                *next = replay.next()?;
                Operation {
                    kind: if record.write {
                        RequestKind::Write
                    } else {
                        RequestKind::Read
                    },
                    offset_bytes: self.base_bytes + record.offset_bytes,
                    len_bytes: record.len_bytes,
                    arrived_at,
                }
            }
        };
        if !matches!(self.arrivals, Arrivals::Closed { .. }) && arrived_at < self.full_until {
            self.delayed += 1;
        }
        self.outstanding += 1;
        Ok(Some(operation))
    }

    /// One of its requests was answered.
    #[inline]
    pub fn completed(&mut self, now: Nanos, success: bool) {
        assert!(self.outstanding > 0, "an answer without a request");
        if self.outstanding == self.depth {
            self.full_until = now;
        }
        self.outstanding -= 1;
        if let Arrivals::Closed { think, ready, .. } = &mut self.arrivals {
            let pause = if success {
                *think
            } else {
                (*think).max(PAUSE_AFTER_ERROR)
            };
            let at = now.saturating_add(pause);
            let later = ready.iter().rev().take_while(|other| **other > at).count();
            ready.insert(ready.len() - later, at);
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

    /// Whether it will never ask again.
    pub fn is_done(&self, now: Nanos) -> bool {
        now >= self.stop || (self.outstanding == 0 && self.next_event().is_none())
    }

    #[inline]
    fn next_arrival(&self) -> Option<Nanos> {
        match &self.arrivals {
            Arrivals::Closed { ready, .. } => ready.front().copied(),
            Arrivals::Constant {
                rate, start, index, ..
            } => Some(start.saturating_add(rate.time_of(*index))),
            Arrivals::Trace { next, .. } => next.map(|(at, _)| at),
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

fn generated_arrivals(
    client: &Client,
    generated: &Generated,
    seed: u64,
    range_bytes: u64,
) -> Result<Arrivals, WorkloadError> {
    let blocks = range_bytes / generated.block_bytes;
    if blocks == 0 {
        return Err(WorkloadError::at(
            client.places.range.as_ref(),
            format!(
                "client `{}` asks for blocks of {}, but the range that it uses has {} only",
                client.name,
                format_size(generated.block_bytes),
                format_size(range_bytes)
            ),
        ));
    }
    // Two sequences, so that changing the share of reads does not change the places.
    let places = Random::labelled(seed, &client.name);
    let directions = Random::labelled(seed, &format!("{} directions", client.name));
    let shape = Shape {
        places: Places::new(generated.pattern, blocks, places),
        block_bytes: generated.block_bytes,
        read: generated.read,
        directions,
    };
    Ok(match generated.pace {
        Pace::Closed { think } => Arrivals::Closed {
            shape,
            think,
            ready: std::iter::repeat_n(client.start, client.depth as usize).collect(),
        },
        Pace::Constant { rate } => Arrivals::Constant {
            shape,
            rate,
            start: client.start,
            index: 0,
        },
    })
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
