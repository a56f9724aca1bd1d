//! Loads on a model in virtual time, as a benchmark would put them on a drive: clients that keep so
//! many requests in flight, sent to the drive in the order in which they arrive.
//!
//! Invariant: one model, one set of loads and one seed give one result.
//!
//! What is not known here: schedulers. What the drive cannot take yet waits in one queue.

use crate::{ModelRequest, Operation, OverlapModel};
use disktime_random::SplitMix64;
use disktime_units::Nanos;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// Where a client's next request lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pattern {
    /// At any multiple of its length.
    Random,
    /// Behind the one before it.
    Sequential,
}

/// One client: it keeps `depth` requests in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// What it asks for.
    pub operation: Operation,
    /// Length of each request.
    pub len_bytes: u64,
    /// Where they lie.
    pub pattern: Pattern,
    /// Requests in flight.
    pub depth: u32,
    /// Each request is followed by a flush, and the flush is what is measured.
    pub flushes: bool,
}

impl Load {
    /// Requests of that length at random places, `depth` in flight.
    pub fn random(operation: Operation, len_bytes: u64, depth: u32) -> Load {
        Load {
            operation,
            len_bytes,
            pattern: Pattern::Random,
            depth,
            flushes: false,
        }
    }

    /// Requests of that length, one behind the other, `depth` in flight.
    pub fn sequential(operation: Operation, len_bytes: u64, depth: u32) -> Load {
        Load {
            pattern: Pattern::Sequential,
            ..Load::random(operation, len_bytes, depth)
        }
    }
}

/// How loads are put on a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probe {
    /// Bytes of the drive that the loads use.
    pub span_bytes: u64,
    /// Requests that the drive takes at once.
    pub queue_depth: u32,
    /// Time between a completion and the client's next request.
    pub turnaround: Nanos,
    /// Time that is not measured.
    pub warm_up: Nanos,
    /// Time that is measured.
    pub duration: Nanos,
    /// Seed of the places.
    pub seed: u64,
}

/// What one load got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measured {
    /// Requests that ended in the measured time.
    pub requests: u64,
    /// The measured time.
    pub elapsed: Nanos,
    /// Latency of each request that ended in it, from its arrival, ascending.
    pub latencies: Vec<Nanos>,
}

impl Measured {
    /// Time for each request, if they follow each other.
    pub fn time_per_request(&self) -> Nanos {
        Nanos(self.elapsed.0 / self.requests.max(1))
    }

    /// Requests each second.
    pub fn per_second(&self) -> u64 {
        let requests = u128::from(self.requests) * 1_000_000_000;
        u64::try_from(requests / u128::from(self.elapsed.0.max(1))).unwrap_or(u64::MAX)
    }

    /// Mean latency; 0 without requests.
    pub fn mean(&self) -> Nanos {
        let sum: u128 = self.latencies.iter().map(|one| u128::from(one.0)).sum();
        let mean = sum / self.latencies.len().max(1) as u128;
        Nanos(u64::try_from(mean).unwrap_or(u64::MAX))
    }

    /// The latency that so many per mille of the requests do not exceed; 0 without requests.
    pub fn quantile(&self, per_mille: usize) -> Nanos {
        let last = self.latencies.len().saturating_sub(1);
        let index = (self.latencies.len() * per_mille / 1000).min(last);
        self.latencies.get(index).copied().unwrap_or(Nanos::ZERO)
    }

    /// The longest latency; 0 without requests.
    pub fn max(&self) -> Nanos {
        self.latencies.last().copied().unwrap_or(Nanos::ZERO)
    }
}

/// A request that arrived.
#[derive(Debug, Clone, Copy)]
struct Sent {
    load: usize,
    operation: Operation,
    arrived_at: Nanos,
    /// It ends a cycle: it is counted, and the client goes on with its next one.
    counts: bool,
}

impl Probe {
    /// A probe of a drive: `duration` after a `warm_up`, with clients that take 10 µs for their
    /// next request.
    pub fn new(queue_depth: u32, warm_up: Nanos, duration: Nanos) -> Probe {
        Probe {
            span_bytes: 256 << 30,
            queue_depth,
            turnaround: Nanos::from_micros(10),
            warm_up,
            duration,
            seed: 1,
        }
    }

    /// Runs the loads on a model, each from the beginning to the end.
    pub fn run<M: OverlapModel>(&self, model: &mut M, loads: &[Load]) -> Vec<Measured> {
        Run::new(*self, loads).finish(model)
    }
}

/// The state of a run.
struct Run<'a> {
    probe: Probe,
    loads: &'a [Load],
    random: SplitMix64,
    next_offset: Vec<u64>,
    /// Arrivals to come: when, in which order, of which load.
    arrivals: BinaryHeap<Reverse<(Nanos, u64, usize)>>,
    made: u64,
    sent: Vec<Sent>,
    free: Vec<usize>,
    queued: VecDeque<(usize, u64)>,
    in_flight: u32,
    measured: Vec<Measured>,
}

impl<'a> Run<'a> {
    fn new(probe: Probe, loads: &'a [Load]) -> Run<'a> {
        let part = probe.span_bytes / loads.len().max(1) as u64;
        let mut run = Run {
            random: SplitMix64::new(probe.seed),
            next_offset: (0..loads.len() as u64).map(|load| load * part).collect(),
            arrivals: BinaryHeap::new(),
            made: 0,
            sent: Vec::new(),
            free: Vec::new(),
            queued: VecDeque::new(),
            in_flight: 0,
            measured: vec![
                Measured {
                    requests: 0,
                    elapsed: probe.duration,
                    latencies: Vec::new(),
                };
                loads.len()
            ],
            probe,
            loads,
        };
        for (index, load) in loads.iter().enumerate() {
            for _ in 0..load.depth {
                let start = Nanos(run.random.below(5000));
                run.arrive_at(start, index);
            }
        }
        run
    }

    fn arrive_at(&mut self, at: Nanos, load: usize) {
        self.made += 1;
        self.arrivals.push(Reverse((at, self.made, load)));
    }

    fn finish<M: OverlapModel>(mut self, model: &mut M) -> Vec<Measured> {
        let end = self.probe.warm_up + self.probe.duration;
        loop {
            let arrival = self.arrivals.peek().map(|Reverse((at, ..))| *at);
            let until = arrival.unwrap_or(end).min(end);
            if let Some(done) = model.pop_completion(until) {
                self.complete(model, done.at, done.tag as usize);
            } else if until == end {
                break;
            } else if let Some(Reverse((at, _, load))) = self.arrivals.pop() {
                let flushes = self.loads[load].flushes;
                self.send(model, at, load, self.loads[load].operation, !flushes);
            }
        }
        for measured in &mut self.measured {
            measured.latencies.sort_unstable();
        }
        self.measured
    }

    fn complete<M: OverlapModel>(&mut self, model: &mut M, at: Nanos, tag: usize) {
        let sent = self.sent[tag];
        self.free.push(tag);
        self.in_flight -= 1;
        if let Some((tag, offset)) = self.queued.pop_front() {
            self.submit(model, at, tag, offset);
        }
        if !sent.counts {
            self.send(model, at, sent.load, Operation::Flush, true);
            return;
        }
        if at >= self.probe.warm_up {
            let measured = &mut self.measured[sent.load];
            measured.requests += 1;
            measured.latencies.push(at - sent.arrived_at);
        }
        self.arrive_at(at + self.probe.turnaround, sent.load);
    }

    fn send<M: OverlapModel>(
        &mut self,
        model: &mut M,
        now: Nanos,
        load: usize,
        operation: Operation,
        counts: bool,
    ) {
        let offset = match operation {
            Operation::Flush => 0,
            _ => self.place(load),
        };
        let sent = Sent {
            load,
            operation,
            arrived_at: now,
            counts,
        };
        let tag = match self.free.pop() {
            Some(tag) => {
                self.sent[tag] = sent;
                tag
            }
            None => {
                self.sent.push(sent);
                self.sent.len() - 1
            }
        };
        if self.in_flight < self.probe.queue_depth {
            self.submit(model, now, tag, offset);
        } else {
            self.queued.push_back((tag, offset));
        }
    }

    fn submit<M: OverlapModel>(&mut self, model: &mut M, now: Nanos, tag: usize, offset: u64) {
        self.in_flight += 1;
        let Sent {
            load, operation, ..
        } = self.sent[tag];
        let len_bytes = match operation {
            Operation::Flush => 0,
            _ => self.loads[load].len_bytes,
        };
        let request = ModelRequest {
            tag: tag as u64,
            operation,
            offset_bytes: offset,
            len_bytes,
            durable: false,
        };
        model.submit(now, request);
    }

    fn place(&mut self, load: usize) -> u64 {
        let len = self.loads[load].len_bytes.max(1);
        match self.loads[load].pattern {
            Pattern::Random => self.random.below(self.probe.span_bytes / len) * len,
            Pattern::Sequential => {
                let offset = self.next_offset[load];
                self.next_offset[load] = (offset + len) % self.probe.span_bytes;
                offset
            }
        }
    }
}
