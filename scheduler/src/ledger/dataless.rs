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
//! - Each has a patience, and does not wait for the others or for slack when that is over. A guest
//!   waits for its flush: that takes a second at most, whatever others do. For a discard or zeroing
//!   it is a hundred times what such requests take more than W, 1 to 10 s.
//!
//! Discards and zeroings are paid by that time as well. A flush is not: it can take long because of
//! what others wrote.
//!
//! Invariants: `waiting` holds exactly the streams with requests at their gates.

use super::Ledger;
use super::learnt_times::{LearntTime, LearntTimes};
use crate::config::{Arrival, RequestKind};
use crate::ppm_time::length;
use crate::stream_id::StreamId;
use disktime_units::Nanos;

/// How often slack is checked for a request that takes longer than W.
const CHECK_EVERY: Nanos = Nanos::from_millis(1);
/// The patience of a flush. All that a stream has at its gate may go then, and the next such a
/// second later: flushes in the disk at the same time do not add up.
const FLUSH_PATIENCE: Nanos = Nanos::from_secs(1);
/// That of others is so many times what they take more than W in the mean, so that they are done at
/// last and cost the reservations a hundredth of their time,
const PATIENCE: u64 = 100;
/// within these bounds: one that took long must not hold up the next for minutes.
const PATIENCE_RANGE: (Nanos, Nanos) = (Nanos::from_secs(1), Nanos::from_secs(10));

/// A request at a gate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AtGate {
    pub(crate) kind: RequestKind,
    /// How long it will keep the disk,
    pub(crate) takes: Nanos,
    /// by what was measured; else by its price.
    pub(crate) is_measured: bool,
    /// How long it waits at most for others and for slack.
    patience: Nanos,
}

/// A stream with requests at its gate.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    stream: StreamId,
    /// Its oldest flush waits since then, and its oldest other request, or since the last one went.
    flush_since: Nanos,
    other_since: Nanos,
    /// So many of its flushes have waited long enough.
    overdue_flushes: usize,
}

/// Those of one kind in the disk: flushes, or discards and zeroings.
#[derive(Debug, Clone, Copy, Default)]
struct InDisk {
    count: usize,
    /// The disk is expected to be done with them then.
    busy_until: Nanos,
    last_done: Nanos,
}

impl Waiting {
    fn since(&self, kind: RequestKind) -> Nanos {
        match kind {
            RequestKind::Flush => self.flush_since,
            _ => self.other_since,
        }
    }

    /// Another request came; how many there are now.
    fn arrived(&mut self, now: Nanos, kind: RequestKind, (flushes, others): (usize, usize)) {
        match kind {
            RequestKind::Flush if flushes == 1 => self.flush_since = now,
            RequestKind::Flush => {}
            _ if others == 1 => self.other_since = now,
            _ => {}
        }
    }

    /// One went to the disk; how many flushes are left. Those that are left may be as old, so only
    /// after the overdue ones they wait from now on.
    fn went(&mut self, now: Nanos, kind: RequestKind, flushes: usize) {
        if kind != RequestKind::Flush {
            self.other_since = now;
        } else if self.overdue_flushes > 0 {
            self.overdue_flushes = (self.overdue_flushes - 1).min(flushes);
            if self.overdue_flushes == 0 {
                self.flush_since = now;
            }
        }
    }
}

/// Requests without data at the gates and in the disk.
#[derive(Debug, Default)]
pub(super) struct Gate {
    times: LearntTimes,
    flushes: InDisk,
    others: InDisk,
    waiting: Vec<Waiting>,
    /// Something changed that the gates depend on.
    is_stale: bool,
    /// One waits for slack, which is to be checked again then.
    waits_for_slack: bool,
    check_at: Nanos,
    /// When the first of those that are held back is overdue.
    overdue_at: Option<Nanos>,
}

impl Gate {
    /// How long the disk is busy with those in flight.
    #[inline]
    pub(super) fn drain(&self, now: Nanos) -> Nanos {
        let busy_until = self.flushes.busy_until.max(self.others.busy_until);
        busy_until.saturating_sub(now)
    }

    fn in_disk(&mut self, kind: RequestKind) -> &mut InDisk {
        match kind {
            RequestKind::Flush => &mut self.flushes,
            _ => &mut self.others,
        }
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
    pub(crate) fn gates_are_due(&self, now: Nanos) -> bool {
        self.gate.is_stale || self.gate.overdue_at.is_some_and(|at| at <= now)
    }

    /// Whether a request at a gate waits for slack, which is to be checked now.
    pub(crate) fn slack_is_wanted(&mut self, now: Nanos) -> bool {
        if !self.gate.waits_for_slack || now < self.gate.check_at {
            return false;
        }
        self.gate.check_at = now.saturating_add(CHECK_EVERY);
        true
    }

    /// When the gates are to be set again though nothing happens.
    pub(crate) fn next_gate_check(&self) -> Option<Nanos> {
        let check_at = self.gate.waits_for_slack.then_some(self.gate.check_at);
        [check_at, self.gate.overdue_at].into_iter().flatten().min()
    }

    /// How many streams have requests at their gates.
    pub(crate) fn gate_count(&self) -> usize {
        self.gate.waiting.len()
    }

    /// One of them.
    pub(crate) fn at_gate(&self, index: usize) -> StreamId {
        self.gate.waiting[index].stream
    }

    /// The gates are being set, and are right then until something changes.
    pub(crate) fn gate_setting_begins(&mut self) {
        self.gate.is_stale = false;
        self.gate.waits_for_slack = false;
        self.gate.overdue_at = None;
    }

    /// A request does not go: it waits for slack, or for others. Call after
    /// [`Ledger::is_overdue`].
    pub(crate) fn note_closed(&mut self, now: Nanos, index: usize, next: AtGate, for_slack: bool) {
        if for_slack {
            self.gate.waits_for_slack = true;
            self.gate.is_stale = true;
        }
        let overdue_at = self.gate.waiting[index].since(next.kind) + next.patience;
        // One that is overdue waits for what is in the disk.
        if overdue_at > now {
            let first = self.gate.overdue_at.unwrap_or(Nanos::MAX);
            self.gate.overdue_at = Some(first.min(overdue_at));
        }
    }

    /// The next request at a stream's gate.
    pub(crate) fn next_at_gate(&self, id: StreamId) -> Option<AtGate> {
        let queued = self.stream(id).queue().next_dataless()?;
        let learnt = self.gate.times.expect(queued.kind(), queued.len_bytes());
        let takes = learnt.map_or(Nanos::ZERO, |time| time.counted(queued.kind()));
        let mean = learnt
            .map_or(Nanos::ZERO, |time| time.mean)
            .max(queued.lone());
        let excess = mean.saturating_sub(length(self.worst_case));
        let (least, most) = PATIENCE_RANGE;
        Some(AtGate {
            kind: queued.kind(),
            takes: takes.max(queued.lone()),
            is_measured: learnt.is_some(),
            patience: match queued.kind() {
                RequestKind::Flush => FLUSH_PATIENCE,
                _ => Nanos(excess.0.saturating_mul(PATIENCE)).clamp(least, most),
            },
        })
    }

    /// Whether the disk has none of them in flight, or how long it is busy with those.
    pub(crate) fn gate_busy(&self, now: Nanos) -> Option<Nanos> {
        let any = self.gate.flushes.count + self.gate.others.count > 0;
        any.then(|| self.gate.drain(now))
    }

    /// Whether a discard or zeroing is in the disk.
    pub(crate) fn has_discards_in_flight(&self) -> bool {
        self.gate.others.count > 0
    }

    /// Whether the next request at a gate has waited longer than its patience. Of flushes all that
    /// wait with it have then.
    pub(crate) fn is_overdue(&mut self, now: Nanos, index: usize, next: AtGate) -> bool {
        let waiting = self.gate.waiting[index];
        let is_over = now >= waiting.since(next.kind).saturating_add(next.patience);
        if next.kind != RequestKind::Flush {
            return is_over;
        }
        if waiting.overdue_flushes == 0 && is_over {
            let (flushes, _) = self.stream(waiting.stream).queue().count_dataless();
            self.gate.waiting[index].overdue_flushes = flushes;
        }
        self.gate.waiting[index].overdue_flushes > 0
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
    pub(super) fn gate_arrival(
        &mut self,
        now: Nanos,
        id: StreamId,
        kind: RequestKind,
        was_held: bool,
    ) {
        if kind.is_dataless() && self.config.has_gate() {
            self.gate.is_stale = true;
            let count = self.stream(id).queue().count_dataless();
            let mut all = self.gate.waiting.iter_mut();
            match all.find(|waiting| waiting.stream == id) {
                Some(waiting) => waiting.arrived(now, kind, count),
                None => self.gate.waiting.push(Waiting {
                    stream: id,
                    flush_since: now,
                    other_since: now,
                    overdue_flushes: 0,
                }),
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
    /// first. When the disk begins with it at the latest: it has to do what is in it before.
    pub(crate) fn gate_dispatch(
        &mut self,
        now: Nanos,
        id: StreamId,
        (kind, len_bytes, lone): (RequestKind, u64, Nanos),
    ) -> Nanos {
        self.note_held(id, false);
        if !kind.is_dataless() || !self.config.has_gate() {
            return now;
        }
        let device = self.occupancy.as_ref();
        let ahead = device.map_or(Nanos::ZERO, |device| device.drain(now));
        let learnt = self.gate.times.expect(kind, len_bytes);
        let takes = learnt.map_or(Nanos::ZERO, |time| time.counted(kind));
        let takes = takes.max(lone);
        let in_disk = self.gate.in_disk(kind);
        in_disk.count += 1;
        // Flushes at the same time do not add up.
        in_disk.busy_until = match kind {
            RequestKind::Flush => in_disk.busy_until.max(now.saturating_add(takes)),
            _ => in_disk.busy_until.max(now).saturating_add(takes),
        };
        self.gate.is_stale = true;
        let (flushes, others) = self.stream(id).queue().count_dataless();
        if flushes + others == 0 {
            self.gate.waiting.retain(|other| other.stream != id);
        }
        let mut all = self.gate.waiting.iter_mut();
        if let Some(waiting) = all.find(|waiting| waiting.stream == id) {
            waiting.went(now, kind, flushes);
        }
        now.saturating_add(ahead)
    }

    /// One is done that went to the disk and that the disk began at those times.
    pub(crate) fn gate_complete(
        &mut self,
        now: Nanos,
        kind: RequestKind,
        len_bytes: u64,
        (dispatched_at, begins_at): (Nanos, Nanos),
    ) {
        if !kind.is_dataless() || !self.config.has_gate() {
            return;
        }
        let in_disk = self.gate.in_disk(kind);
        // Of several discards in the disk each takes the time since the one before, and none takes
        // that of the reads and writes before it: its stream would pay for its neighbours. A flush
        // that is done beside them says nothing of them, nor of another flush.
        let since = match kind {
            RequestKind::Flush => dispatched_at,
            _ => begins_at.max(in_disk.last_done),
        };
        in_disk.last_done = now;
        in_disk.count -= 1;
        if in_disk.count == 0 {
            in_disk.busy_until = now;
        }
        let took = now.saturating_sub(since);
        self.gate.times.learn(kind, len_bytes, took);
        self.gate.is_stale = true;
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
