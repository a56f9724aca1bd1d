//! `iocost`: weights over the price of requests, paid in a device time that runs faster or slower
//! as the device meets a target of latency. A likeness of the Linux kernel's block controller.
//!
//! Source: Linux, `block/blk-iocost.c` (its header and comments) and `io.cost.qos`,
//! `io.cost.model` in `Documentation/admin-guide/cgroup-v2.rst`; Heo et al., *IOCost: Block IO
//! Control for Containers in Datacenters*, ASPLOS 2022.
//!
//! - *Cost* (`model`): a base for random or sequential reads or writes, and so much per 4 KiB; a
//!   request is sequential within 16 MiB of the end of its stream's last. Flushes and discards are
//!   free.
//! - *Device time* (`clock`): passes at `vrate`, and a stream's own time by cost ÷ share. A request
//!   goes iff it does not bring its stream's time beyond the device's. vrate falls while more than
//!   the allowed part of requests is late, or requests wait for a place in the full queue, and
//!   rises while streams are short of time and the device is not.
//! - *Shares* (`shares`): a stream's weight over those of all active streams. What a stream does
//!   not use is lent to the others until it needs it, and what it had saved beyond half a period is
//!   taken from it.
//! - *Debt*: what is merged into a request goes with it, and is paid before the next.
//!
//! A share u is the weight; streams without a reservation divide what is not reserved by theirs.
//!
//! Simplified, beside the kernel: one level of weights, since reservations have no more (a group
//! pays as one); costs and latencies are those of dispatches, and from a latency the whole cost is
//! taken off, not the part for size; each stream's requests are taken to complete in order; the
//! wait for a place in the queue counts once, however many wait; debts are never forgiven, and no
//! issuer is delayed for them; parameters are given, not guessed from the class of device; timers
//! have no slack. When the queue has places for some of those within budget only, they go in order
//! of arrival.
//!
//! Where it fails, as a reservation: a share is one of the device's throughput, by cost. A client
//! that keeps one request outstanding pays for a fiftieth of a fast drive, whatever it has
//! reserved, and is never short of it; what it gets is decided by how long the device takes to
//! answer beside the others. Only the target of latency bounds that, for all streams at once, at
//! the expense of all: vrate is one number, and no client is waited for.

mod account;
mod clock;
mod model;
mod shares;

use super::{IocostConfig, serve, with_requests};
use crate::config::SchedulerConfig;
use crate::ledger::{Account, Ledger};
use crate::policy::{FinishedDispatch, Pick, Policy};
use crate::stream_id::StreamId;
use clock::{DeviceClock, Shortage};
use disktime_units::Nanos;
use shares::Shares;

/// The policy.
#[derive(Debug)]
pub(crate) struct Iocost {
    config: IocostConfig,
    clock: DeviceClock,
    shares: Shares,
    max_in_flight: usize,
    in_flight: usize,
    /// Of the last decision.
    now: Nanos,
    /// What it was about to send.
    chosen: Option<Chosen>,
}

/// The request that goes first in the next dispatch.
#[derive(Debug, Clone, Copy)]
struct Chosen {
    cost: Nanos,
    end_bytes: Option<u64>,
    writes: bool,
}

impl Iocost {
    pub(crate) fn new(own: IocostConfig, config: &SchedulerConfig) -> Iocost {
        Iocost {
            config: own,
            clock: DeviceClock::new(own.qos),
            shares: Shares::default(),
            max_in_flight: config.max_in_flight,
            in_flight: 0,
            now: Nanos::ZERO,
            chosen: None,
        }
    }

    /// Ends the period if it is over.
    fn advance(&mut self, ledger: &Ledger, now: Nanos) {
        self.now = self.now.max(now);
        let now = self.now;
        if !self.clock.is_over(now) {
            return;
        }
        let vnow = self.clock.vnow(now);
        let period = self.clock.period(now);
        let waits = |id| ledger.contains(id) && ledger.stream(id).has_queue();
        let (given_up, lagging) = self.shares.expire(&period, vnow, waits);
        self.clock.takes_back(given_up);
        let outcome = self.shares.divide(&period, vnow, waits);
        self.clock.takes_back(outcome.given_up);
        let shortage = Shortage {
            short: outcome.short,
            lagging,
        };
        self.clock.end_period(now, shortage, self.shares.any());
        self.shares.refresh_weights(ledger);
    }

    fn activate(&mut self, ledger: &Ledger, now: Nanos, id: StreamId) {
        self.clock.begin(now);
        let vnow = self.clock.vnow(now);
        let weight = shares::weight(ledger, id);
        let account = self.shares.activate(id, weight);
        account.begins(vnow - self.clock.target(), now, self.clock.number());
    }

    /// The next request of a stream, whose turn it is in a group.
    fn next_request(&self, ledger: &Ledger, id: StreamId) -> Option<(Chosen, u64)> {
        let stream = ledger.stream(ledger.next_of(id));
        let next = stream.queue().peek()?;
        let last_end = stream.last_end_bytes();
        let cost = self.config.model.cost(next, last_end);
        let end_bytes = next.offset_bytes().map(|start| start + next.len_bytes());
        let chosen = Chosen {
            cost,
            end_bytes,
            writes: next.kind().changes(),
        };
        Some((chosen, next.sequence()))
    }
}

impl Policy for Iocost {
    fn wants_arrivals(&self) -> bool {
        true
    }

    fn queued(&mut self, ledger: &Ledger, now: Nanos, id: StreamId) {
        self.advance(ledger, now);
        let payer = ledger.payer(id);
        if self.shares.is_active(payer) {
            self.shares.note_use(payer, self.clock.number());
        } else {
            self.activate(ledger, now, payer);
        }
    }

    fn pick(&mut self, ledger: &mut Ledger, now: Nanos) -> Pick {
        self.advance(ledger, now);
        let vnow = self.clock.vnow(now);
        let low = self.clock.low();
        let mut first: Option<(u64, StreamId, Chosen)> = None;
        let mut due_next: Option<i128> = None;
        for id in with_requests(ledger) {
            let Some((next, sequence)) = self.next_request(ledger, id) else {
                continue;
            };
            if !self.shares.is_active(id) {
                self.activate(ledger, now, id);
            }
            let due = self.shares.due(id, next.cost, vnow, low);
            if due > vnow {
                due_next = super::min_of(due_next, due);
            } else if first.is_none_or(|(other, ..)| sequence < other) {
                first = Some((sequence, id, next));
            }
        }
        if let Some((_, stream, next)) = first {
            self.chosen = Some(next);
            return serve(ledger, stream);
        }
        let wake = due_next.map(|due| self.clock.wall(now, due).min(self.clock.period_end()));
        Pick::Sleep { until: wake }
    }

    fn dispatched(&mut self, _: &mut Ledger, id: StreamId, _: Account, end: Option<u64>) {
        self.in_flight += 1;
        if self.in_flight == self.max_in_flight {
            self.clock.becomes_full(self.now);
        }
        let Some(chosen) = self.chosen.take() else {
            return;
        };
        let merged = end.zip(chosen.end_bytes);
        let merged = merged.map_or(0, |(end, first)| end.saturating_sub(first));
        let merged = self.config.model.size_cost(merged, chosen.writes);
        let vnow = self.clock.vnow(self.now);
        let number = self.clock.number();
        self.shares.pay(id, chosen.cost, merged, vnow, number);
    }

    fn settle(&mut self, ledger: &mut Ledger, now: Nanos, finished: FinishedDispatch) {
        self.in_flight -= 1;
        self.clock
            .note_completion(now, ledger.queued() > 0, &finished);
        self.shares.complete(ledger.payer(finished.stream));
        self.advance(ledger, now);
        ledger.charge(finished.stream, finished.account, finished.measured);
    }

    fn removed(&mut self, stream: StreamId) {
        self.shares.remove(stream);
    }
}
