//! Requests and disk time: what arrives, what goes to the disk, which account pays.
//!
//! Invariant (I2 of the house): `charged` is the sum of what was charged to streams, removed ones
//! included; what is charged to a stream is counted there once, at the stream that used it, and
//! taken from the account that pays, which can be its group's.

use super::{Account, Ledger, SoloPrice, is_shallow};
use crate::config::{Arrival, RequestId};
use crate::stream_id::StreamId;
use disktime_units::Nanos;

/// Disk time that is being used and is not charged yet: the request in service on a disk that does
/// one at a time, or a wait.
#[derive(Debug, Clone, Copy)]
pub(super) struct OpenCharge {
    pub(super) payer: StreamId,
    pub(super) account: Account,
    pub(super) since: Nanos,
}

impl Ledger {
    /// A request is queued. Whether its stream had nothing queued or in flight.
    #[inline]
    pub(crate) fn enqueue(&mut self, now: Nanos, id: StreamId, mut arrival: Arrival) -> bool {
        let payer = self.payer(id);
        let payer_was_busy = self.stream(payer).is_busy();
        if !payer_was_busy {
            self.roll(payer, now);
        }
        let stream = self.stream(id);
        let (was_idle, was_empty) = (!stream.is_busy(), stream.queue().is_empty());
        let was_held = stream.is_held();
        if was_empty && payer != id {
            self.member_waits(payer, id);
        }
        let solo = if self.overlaps() {
            self.solo_arrival(now, (id, payer), &arrival, payer_was_busy)
        } else {
            let learnt = self.learnt_price(&arrival);
            arrival.price = arrival.price.max(learnt.unwrap_or_default());
            SoloPrice::default()
        };
        let sequence = self.sequence;
        self.stream_mut(id).enqueue(now, arrival, solo, sequence);
        self.gate_arrival(now, id, arrival.kind, was_held);
        self.note_change(payer);
        self.sequence += 1;
        self.queued += 1;
        self.shallow += usize::from(is_shallow(arrival.price, arrival.lone));
        was_idle
    }

    /// The account of a stream with a new request competes.
    #[inline]
    pub(crate) fn compete(&mut self, now: Nanos, id: StreamId) {
        let payer = self.payer(id);
        let stream = self.stream(payer);
        if !stream.is_active() || stream.is_in_grace() {
            self.end_grace(payer);
            self.wake(payer, now);
        }
        self.enforce_limit(payer, now);
    }

    /// A stream's turn begins: brings the account that pays for it to `now`.
    #[inline]
    pub(crate) fn turn_begins(&mut self, now: Nanos, id: StreamId, payer: StreamId) {
        self.roll(payer, now);
        self.note_change(payer);
        if payer != id {
            self.member_served(payer, id);
        }
    }

    /// Requests of a stream, which `payer` pays for, went to the disk as one dispatch that ends
    /// there, after another account's or not.
    #[inline]
    pub(crate) fn dispatch(
        &mut self,
        (id, payer): (StreamId, StreamId),
        requests: &[RequestId],
        end_bytes: Option<u64>,
        switched: bool,
        shallow: usize,
    ) {
        let stream = self.stream_mut(id);
        stream.dispatch(requests, end_bytes);
        let is_empty = stream.queue().is_empty();
        if payer != id {
            self.stream_mut(payer).member_dispatch(is_empty);
        }
        self.queued -= requests.len();
        self.in_flight += 1;
        self.shallow -= shallow;
        self.counters.switches += u64::from(switched);
        self.counters.dispatches += 1;
    }

    /// A dispatch of a stream is done and charged.
    pub(crate) fn complete(&mut self, now: Nanos, id: StreamId, payer: StreamId) {
        self.in_flight -= 1;
        self.stream_mut(id).complete(now);
        if payer != id {
            self.stream_mut(payer).member_complete();
        }
        if self.stream(payer).is_busy() {
            self.enforce_limit(payer, now);
        } else {
            if self.overlaps() {
                self.stream_mut(payer).solo_mut().becomes_empty(now);
            }
            self.begin_grace(payer, id, now);
        }
    }

    /// A dispatch took so long.
    pub(crate) fn note_service(&mut self, service: Nanos) {
        // Where requests overlap, one can come behind all that the disk is filled with.
        let ahead = self
            .occupancy
            .as_ref()
            .map_or(Nanos::ZERO, |device| device.most_ahead());
        let counters = &mut self.counters;
        let bound = self.config.worst_case.saturating_add(ahead);
        counters.overruns += u64::from(service > bound);
        counters.longest = counters.longest.max(service);
    }

    /// From now on the disk's time is an account's, to be charged when it is known how much it was.
    #[inline]
    pub(crate) fn begin_charge(&mut self, now: Nanos, payer: StreamId, account: Account) {
        self.open_charge = Some(OpenCharge {
            payer,
            account,
            since: now,
        });
    }

    /// A dispatch is done: the ends of its account's periods are counted with the time that it had
    /// since, which is about to be charged.
    #[inline]
    pub(crate) fn end_charge(&mut self, now: Nanos, payer: StreamId) {
        self.open_charge = None;
        self.roll(payer, now);
    }

    /// Takes the price of a request that goes to the disk, until its charge is known.
    pub(crate) fn debit(&mut self, payer: StreamId, account: Account, price: Nanos) {
        self.outstanding += price;
        self.stream_mut(payer).use_time(account, price);
        self.budget_changed(payer);
    }

    /// Gives a debit back; the charge follows.
    pub(crate) fn undo_debit(&mut self, payer: StreamId, account: Account, price: Nanos) {
        self.outstanding -= price;
        self.stream_mut(payer).return_time(account, price);
        self.note_change(payer);
    }

    /// Charges `used` to the account of a stream, which may be its group's.
    pub(crate) fn charge(&mut self, id: StreamId, account: Account, used: Nanos) {
        self.counters.charged += used;
        // Where requests overlap, a member's turn was paid at dispatch, by its own private device.
        let counts_for_turn = !self.overlaps();
        let stream = self.stream_mut(id);
        stream.count(account, used);
        if counts_for_turn && stream.group().is_some() {
            stream.advance_tag(used);
        }
        let now = self.now;
        let payer = self.payer(id);
        let stream = self.stream_mut(payer);
        stream.use_time(account, used);
        stream.use_limit(used, now);
        self.budget_changed(payer);
    }

    /// Charges the way back from spare service to the stream that used it. If that has been removed
    /// since, its time is counted all the same: spare time comes from no stream's budget.
    pub(crate) fn charge_spare_user(&mut self, id: StreamId, used: Nanos) {
        if self.contains(id) {
            self.charge(id, Account::Spare, used);
        } else {
            self.counters.charged += used;
            self.counters.charged_to_removed += used;
        }
    }

    /// Charges a wait for a stream's next request, which is over.
    pub(crate) fn charge_wait(&mut self, id: StreamId, account: Account, waited: Nanos) {
        self.open_charge = None;
        self.charge(id, account, waited);
        // Its timer runs again.
        self.set_timer(self.payer(id));
        if self.overlaps() {
            self.solo_wait_ends(self.now, id);
        }
        self.stream_mut(id).count_wait(waited);
        self.counters.waiting += waited;
    }

    /// Time that the switching account paid.
    pub(crate) fn charge_switching_account(&mut self, paid: Nanos) {
        self.counters.switching += paid;
    }
}
