//! From the policy's choice to what goes to the disk: which of the stream's requests, merged with those
//! that it touches, and what is remembered until it is done.

use super::{Flight, MERGE_MAX, Scheduler, Served};
use crate::config::{FlightId, PolicyKind, RequestId};
use crate::ledger::{Account, Accruing};
use crate::positioning::RequestOrder;
use crate::queue::Queued;
use crate::stream::Stream;
use crate::stream_id::StreamId;
use disktime_units::Nanos;

impl Scheduler {
    pub(super) fn dispatch(
        &mut self,
        now: Nanos,
        id: StreamId,
        account: Account,
        batch: &mut Vec<RequestId>,
    ) -> FlightId {
        let limit_bytes = self.ledger.config.merge_limit_bytes;
        let payer = self.ledger.payer(id);
        self.ledger.roll(payer, now);
        self.ledger.changed(payer);
        if payer != id {
            self.ledger.member_served(payer, id);
        }
        let last = self.last_served;
        if last.is_some_and(|last| last.stream != id) {
            self.policy.returns_to(&mut self.ledger, now, id);
        }
        let last_end = self.ledger.stream(id).last_end_bytes;
        let first = self
            .take_next(now, id)
            .expect("a policy picks a stream with requests");
        let stream = self.ledger.stream_mut(id);
        let run = collect_run(stream, first, limit_bytes, batch);
        stream.in_flight += 1;
        if run.end_bytes.is_some() {
            stream.last_end_bytes = run.end_bytes;
        }
        stream.counters.requests += batch.len() as u64;
        stream.counters.dispatches += 1;
        let is_empty = stream.queue.is_empty();
        if payer != id {
            let group = self.ledger.stream_mut(payer);
            group.in_flight += 1;
            group.members_waiting -= u32::from(is_empty);
        }
        self.ledger.queued -= batch.len();
        let switched = last.is_some_and(|last| last.payer != payer);
        let moved = last.is_some_and(|last| last.stream != id);
        let spare = last.filter(|last| switched && last.account == Account::Spare);
        let after_spare_of = spare.map(|last| last.stream);
        self.ledger.counters.switches += u64::from(switched);
        self.ledger.counters.dispatches += 1;
        self.last_served = Some(Served {
            stream: id,
            payer,
            account,
        });
        self.policy
            .dispatched(&mut self.ledger, payer, account, run.end_bytes);
        if self.prices_apply() {
            self.ledger.debit(id, account, run.price);
        } else {
            self.ledger.accruing = Some(Accruing {
                stream: payer,
                account,
                since: now,
            });
        }
        let (alone, sequential) = self.alone(first, run, last_end);
        let distance_bytes = first.offset_bytes.map(|to| to.abs_diff(self.head_bytes));
        self.head_bytes = run.end_bytes.unwrap_or(self.head_bytes);
        let mark = self.meter.start(now, run.price);
        self.fly(Flight {
            stream: id,
            account,
            dispatched_at: now,
            mark,
            price: run.price,
            alone,
            sequential,
            switched,
            moved,
            after_spare_of,
            distance_bytes,
        })
    }

    /// The stream's next request, in the order that the disk is to see.
    fn take_next(&mut self, now: Nanos, id: StreamId) -> Option<Queued> {
        let head = self.head_bytes;
        let queue = &mut self.ledger.streams.get_mut(id).queue;
        let config = &self.ledger.config;
        let RequestOrder::LeastPositioning { map } = &config.order else {
            return queue.pop();
        };
        if config.policy != PolicyKind::Fahrrad || !config.has_seeks {
            return queue.pop();
        }
        match map {
            Some(map) => queue.pop_least(head, |to, write| map.estimate(now, head, to, write)),
            None => queue.pop_least(head, |to, _| {
                let distance = to.abs_diff(head);
                let learnt = self.learnt.expect(distance);
                learnt.unwrap_or_else(|| config.seek_curve.seek(distance))
            }),
        }
    }

    fn fly(&mut self, flight: Flight) -> FlightId {
        debug_assert!(self.flights.len() < self.ledger.config.max_in_flight);
        FlightId(self.flights.insert(flight) as u32)
    }

    /// What the run would cost had its stream been alone on the disk, and whether it continues the
    /// stream's last one.
    fn alone(&self, first: Queued, run: Run, last_end: Option<u64>) -> (Nanos, bool) {
        let Some(offset) = first.offset_bytes else {
            return (run.price, false);
        };
        match last_end {
            Some(end) if end == offset => (run.price, true),
            Some(end) => {
                let seek = self.ledger.config.seek_curve.seek(offset.abs_diff(end));
                (seek + self.half_turn + run.price, false)
            }
            None => (self.ledger.config.switch_cost + run.price, false),
        }
    }
}

/// A dispatch under construction.
#[derive(Debug, Clone, Copy)]
struct Run {
    price: Nanos,
    end_bytes: Option<u64>,
}

/// The request and those that continue it, up to the limit.
fn collect_run(
    stream: &mut Stream,
    first: Queued,
    limit_bytes: u64,
    batch: &mut Vec<RequestId>,
) -> Run {
    batch.push(first.id);
    let (mut price, mut len_bytes) = (first.price, first.len_bytes);
    let Some(offset) = first.offset_bytes else {
        return Run {
            price,
            end_bytes: None,
        };
    };
    if let Some(class) = first.merge_class {
        while batch.len() < MERGE_MAX && len_bytes < limit_bytes {
            let room = limit_bytes - len_bytes;
            let Some(next) = stream.queue.pop_adjacent(offset + len_bytes, class, room) else {
                break;
            };
            batch.push(next.id);
            len_bytes += next.len_bytes;
            price += next.price;
        }
    }
    Run {
        price,
        end_bytes: Some(offset + len_bytes),
    }
}
