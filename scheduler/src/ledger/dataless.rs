//! The gate of requests without data: discards, zeroings and flushes.
//!
//! They cost little to send and may keep the disk for tens of milliseconds each: a file system
//! commits its journal for a hole that it punches, and no read of that file goes on meanwhile. A
//! queue full of them would keep a stream from its reservation for seconds, and no price that is
//! assumed says so. So each waits at its stream's gate, apart from the stream's reads and writes,
//! until the policy opens it (`fahrrad/gate.rs`):
//!
//! - One at a time goes to the disk beside streams with reservations.
//! - What it will take is what such requests were measured to take (`learnt_times.rs`), and never
//!   less. The disk counts as busy for so long: it is part of the drain that slack subtracts.
//! - One that takes longer than W waits until slack has space for what is more than W.
//!
//! Discards and zeroings are paid by that time as well. A flush is not: it can take long because of
//! what others wrote.
//!
//! Invariants: `waiting` holds exactly the streams with requests at their gates.

use super::Ledger;
use super::learnt_times::{LearntTime, LearntTimes};
use crate::config::{Arrival, RequestKind};
use crate::ppm_time::scaled;
use crate::stream_id::StreamId;
use disktime_units::Nanos;

/// How often slack is checked for a request that takes longer than W.
const LOOK_EVERY: Nanos = Nanos::from_millis(1);
/// One that found no space goes all the same when it has waited so many times what it takes more
/// than W, so that it is done at last and costs the reservations a hundredth of their time.
const PATIENCE: u64 = 100;

/// A request at a gate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AtGate {
    pub(crate) kind: RequestKind,
    /// How long it will keep the disk,
    pub(crate) takes: Nanos,
    /// by what was measured; else by its price.
    pub(crate) is_measured: bool,
}

/// Requests without data at the gates and in the disk.
#[derive(Debug, Default)]
pub(super) struct Gate {
    times: LearntTimes,
    in_flight: usize,
    /// The disk is expected to be done with those in flight then.
    busy_until: Nanos,
    last_done: Nanos,
    waiting: Vec<StreamId>,
    /// Something changed that the gates depend on.
    is_stale: bool,
    /// Since when one waits for slack, and when slack is to be checked again.
    held_since: Option<Nanos>,
    look_at: Nanos,
}

impl Gate {
    /// How long the disk is busy with those in flight.
    #[inline]
    pub(super) fn drain(&self, now: Nanos) -> Nanos {
        self.busy_until.saturating_sub(now)
    }

    pub(super) fn reserve(&mut self, slots: usize) {
        self.waiting
            .reserve(slots.saturating_sub(self.waiting.len()));
    }
}

/// What the policy decides by.
impl Ledger {
    /// Whether gates have to be set before the next decision.
    #[inline]
    pub(crate) fn gates_are_due(&self) -> bool {
        self.gate.is_stale
    }

    /// Whether a request at a gate waits for slack, which is to be checked now.
    pub(crate) fn slack_is_wanted(&mut self, now: Nanos) -> bool {
        if self.gate.held_since.is_none() || now < self.gate.look_at {
            return false;
        }
        self.gate.look_at = now.saturating_add(LOOK_EVERY);
        true
    }

    /// When slack is to be checked for a request that waits for it.
    pub(crate) fn next_look(&self) -> Option<Nanos> {
        self.gate.held_since.map(|_| self.gate.look_at)
    }

    /// How many streams have requests at their gates.
    pub(crate) fn gate_count(&self) -> usize {
        self.gate.waiting.len()
    }

    /// One of them.
    pub(crate) fn at_gate(&self, index: usize) -> StreamId {
        self.gate.waiting[index]
    }

    /// The gates were set, and are right until something changes; with a request at one of them
    /// that takes more than W, until slack does.
    pub(crate) fn gates_are_set(&mut self, depend_on_slack: bool) {
        self.gate.is_stale = depend_on_slack;
        if !depend_on_slack {
            self.gate.held_since = None;
        }
    }

    /// The next request at a stream's gate.
    pub(crate) fn next_at_gate(&self, id: StreamId) -> Option<AtGate> {
        let queued = self.stream(id).queue().next_dataless()?;
        let learnt = self.gate.times.expect(queued.kind(), queued.len_bytes());
        let most = learnt.map_or(Nanos::ZERO, |time| time.most);
        Some(AtGate {
            kind: queued.kind(),
            takes: most.max(queued.lone()),
            is_measured: learnt.is_some(),
        })
    }

    /// Whether the disk has none of them in flight, or how long it is busy with those.
    pub(crate) fn gate_busy(&self, now: Nanos) -> Option<Nanos> {
        (self.gate.in_flight > 0).then(|| self.gate.drain(now))
    }

    /// One waits for slack that takes `excess` more than W. Whether it has waited long enough.
    pub(crate) fn has_waited_for_slack(&mut self, now: Nanos, excess: Nanos) -> bool {
        let since = *self.gate.held_since.get_or_insert(now);
        now.saturating_sub(since).0 >= excess.0.saturating_mul(PATIENCE)
    }

    /// Opens a stream's gate, or closes it. Whether that is a change.
    pub(crate) fn set_gate(&mut self, id: StreamId, is_open: bool) -> bool {
        let stream = self.stream_mut(id);
        if stream.queue().is_open() == is_open {
            return false;
        }
        let was_held = stream.is_held();
        stream.queue_mut().set_open(is_open);
        self.note_held(id, was_held);
        let payer = self.payer(id);
        self.note_change(payer);
        true
    }
}

/// On their way.
impl Ledger {
    /// A stream got a request; `was_held`: none of those before it might go.
    pub(super) fn gate_arrival(&mut self, id: StreamId, kind: RequestKind, was_held: bool) {
        if kind.is_dataless() && self.config.has_gate() {
            self.gate.is_stale = true;
            if !self.gate.waiting.contains(&id) {
                self.gate.waiting.push(id);
            }
        }
        self.note_held(id, was_held);
    }

    /// A member of a group has become one of which no request may go, or was one.
    fn note_held(&mut self, id: StreamId, was_held: bool) {
        let is_held = self.stream(id).is_held();
        let payer = self.payer(id);
        if payer != id && is_held != was_held {
            self.stream_mut(payer).member_held(is_held);
        }
    }

    /// A stream's requests went to the disk: of the kind, length and expected lone latency of the
    /// first.
    pub(crate) fn gate_dispatch(
        &mut self,
        now: Nanos,
        id: StreamId,
        (kind, len_bytes, lone): (RequestKind, u64, Nanos),
    ) {
        self.note_held(id, false);
        if !kind.is_dataless() || !self.config.has_gate() {
            return;
        }
        let learnt = self.gate.times.expect(kind, len_bytes);
        let most = learnt.map_or(Nanos::ZERO, |time| time.most).max(lone);
        self.gate.in_flight += 1;
        self.gate.busy_until = self.gate.busy_until.max(now).saturating_add(most);
        self.gate.is_stale = true;
        if scaled(most) > self.worst_case {
            self.gate.held_since = None;
        }
        if self.stream(id).queue().next_dataless().is_none() {
            self.gate.waiting.retain(|other| *other != id);
        }
    }

    /// One is done.
    pub(crate) fn gate_complete(
        &mut self,
        now: Nanos,
        kind: RequestKind,
        len_bytes: u64,
        dispatched_at: Nanos,
    ) {
        if !kind.is_dataless() || !self.config.has_gate() {
            return;
        }
        // Of several in the disk each takes the time since the one before.
        let took = now.saturating_sub(dispatched_at.max(self.gate.last_done));
        self.gate.times.learn(kind, len_bytes, took);
        self.gate.last_done = now;
        self.gate.in_flight -= 1;
        self.gate.is_stale = true;
        if self.gate.in_flight == 0 {
            self.gate.busy_until = now;
        }
    }

    /// What a discard or zeroing that arrives will take by what was measured.
    pub(super) fn learnt_price(&self, arrival: &Arrival) -> Option<Nanos> {
        let is_paid = matches!(arrival.kind, RequestKind::Discard | RequestKind::Zero);
        let learnt = is_paid.then(|| self.learnt_time(arrival.kind, arrival.len_bytes));
        learnt.flatten().map(|time| time.mean)
    }

    /// What such a request was measured to take.
    pub(crate) fn learnt_time(&self, kind: RequestKind, len_bytes: u64) -> Option<LearntTime> {
        self.gate.times.expect(kind, len_bytes)
    }

    /// How long pieces of a discard or zeroing should be.
    pub(crate) fn piece_bytes(&self, kind: RequestKind, range: (u64, u64)) -> u64 {
        let target = Nanos(self.config.worst_case.0 / 2);
        self.gate.times.piece_bytes(kind, range, target)
    }
}
