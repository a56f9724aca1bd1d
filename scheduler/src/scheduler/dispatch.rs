//! From the policy's choice to what goes to the disk: which of the stream's requests, merged with
//! those that it touches, and what is remembered until it is done.

use super::{Flight, MERGE_MAX, Scheduler, Served};
use crate::config::{FlightId, PolicyKind, RequestId, RequestKind, SwitchingAccount};
use crate::ledger::{Account, SoloPrice, SoloSent};
use crate::positioning::RequestOrder;
use crate::queue::{Queued, StreamQueue};
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
        let payer = self.ledger.payer(id);
        self.ledger.turn_begins(now, id, payer);
        let last = self.last_served;
        let moved = last.is_some_and(|last| last.stream != id);
        if moved {
            self.policy.returns_to(&mut self.ledger, now, id);
        }
        let last_end = self.ledger.stream(id).last_end_bytes();
        let first = self
            .take_next(now, id)
            .expect("a policy picks a stream with requests");
        let (queue, config) = self.ledger.queue_mut(id);
        let run = collect_run(queue, first, config.merge_limit_bytes, batch);
        let switched = last.is_some_and(|last| last.payer != payer);
        let spare = last.filter(|last| switched && last.account == Account::Spare);
        let after_spare_of = spare.map(|last| last.stream);
        self.ledger
            .dispatch((id, payer), batch, run.end_bytes, switched, run.shallow);
        let first_is = (first.kind(), first.len_bytes(), first.lone());
        let begins_at = self.ledger.gate_dispatch(now, id, first_is);
        self.last_served = Some(Served {
            stream: id,
            payer,
            account,
        });
        self.policy
            .dispatched(&mut self.ledger, payer, account, run.end_bytes);
        let debit = self.debit(now, (id, payer), account, run, first.kind());
        let (alone, sequential) = self.alone(&first, run, last_end);
        let offset = first.offset_bytes().filter(|_| self.learns_positioning);
        let distance_bytes = offset.map(|to| to.abs_diff(self.head_bytes));
        self.head_bytes = run.end_bytes.unwrap_or(self.head_bytes);
        let mark = self.meter.start(now, run.price);
        self.fly(Flight {
            stream: id,
            payer,
            account,
            dispatched_at: now,
            begins_at,
            mark,
            price: run.price,
            debit,
            solo: run.solo,
            lone: if batch.len() == 1 {
                first.lone()
            } else {
                Nanos::ZERO
            },
            kind: first.kind(),
            len_bytes: first.len_bytes(),
            alone,
            sequential,
            switched,
            moved,
            after_spare_of,
            distance_bytes,
        })
    }

    /// Takes what the run costs as far as it is known before it is done.
    fn debit(
        &mut self,
        now: Nanos,
        (id, payer): (StreamId, StreamId),
        account: Account,
        run: RequestRun,
        kind: RequestKind,
    ) -> Nanos {
        if self.ledger.overlaps() {
            let sent = SoloSent {
                occupancy: run.price,
                price: run.solo,
                is_write: kind.writes(),
            };
            return self.ledger.solo_debit(now, (id, payer), account, sent);
        }
        if self.prices_apply() {
            self.ledger.debit(payer, account, run.price);
        } else {
            self.ledger.begin_charge(now, payer, account);
        }
        run.price
    }

    /// The stream's next request, in the order that the disk is to see.
    fn take_next(&mut self, now: Nanos, id: StreamId) -> Option<Queued> {
        let head = self.head_bytes;
        let own_map = self.positioned.get(id);
        let (queue, config) = self.ledger.queue_mut(id);
        let map = match (own_map, &config.order) {
            (Some(map), _) => Some(map),
            (None, RequestOrder::LeastPositioning { map }) => map.as_ref(),
            (None, RequestOrder::Sweep) => return queue.pop(),
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
        debug_assert!(self.flights.len() < self.ledger.config().max_in_flight);
        FlightId(self.flights.insert(flight) as u32)
    }

    /// What the run would cost had its stream been alone on the disk, and whether it continues the
    /// stream's last one. Only the switching account asks for it: without one, zero.
    fn alone(&self, first: &Queued, run: RequestRun, last_end: Option<u64>) -> (Nanos, bool) {
        if self.ledger.config().switching == SwitchingAccount::Served {
            return (Nanos::ZERO, false);
        }
        let Some(offset) = first.offset_bytes() else {
            return (run.price, false);
        };
        let config = self.ledger.config();
        match last_end {
            Some(end) if end == offset => (run.price, true),
            Some(end) => {
                let seek = config.seek_curve.seek(offset.abs_diff(end));
                (seek + self.half_turn + run.price, false)
            }
            None => (config.switch_cost + run.price, false),
        }
    }
}

/// Adjacent requests that go as one dispatch.
#[derive(Debug, Clone, Copy)]
struct RequestRun {
    price: Nanos,
    solo: SoloPrice,
    /// Requests of which a few at a time fill the disk.
    shallow: usize,
    end_bytes: Option<u64>,
}

/// The request and those that continue it, up to the limit.
fn collect_run(
    queue: &mut StreamQueue,
    first: Queued,
    limit_bytes: u64,
    batch: &mut Vec<RequestId>,
) -> RequestRun {
    batch.push(first.id());
    let (mut price, mut len_bytes) = (first.price(), first.len_bytes());
    let (mut solo, mut shallow) = (first.solo(), usize::from(first.is_shallow()));
    let Some(offset) = first.offset_bytes() else {
        return RequestRun {
            price,
            solo,
            shallow,
            end_bytes: None,
        };
    };
    if let Some(class) = first.merge_class() {
        while batch.len() < MERGE_MAX && len_bytes < limit_bytes {
            let room = limit_bytes - len_bytes;
            let Some(next) = queue.pop_adjacent(offset + len_bytes, class, room) else {
                break;
            };
            batch.push(next.id());
            len_bytes += next.len_bytes();
            price += next.price();
            solo += next.solo();
            shallow += usize::from(next.is_shallow());
        }
    }
    RequestRun {
        price,
        solo,
        shallow,
        end_bytes: Some(offset + len_bytes),
    }
}
