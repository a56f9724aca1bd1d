//! Where every stream stands: its demand, its turn, the place of its next request, in the order that
//! each decision needs.
//!
//! The books note which streams changed; before a decision those, and only those, are put where they
//! belong now, and their demands only when slack is to be computed anew. So a decision costs the
//! logarithm of the number of streams, and a stream that is served again and again costs nothing
//! until somebody else is to be considered.
//!
//! Invariant after [`Standing::refresh_demands`]: everything here is what one would get by looking at
//! all streams.

use super::agenda::{Agenda, Demanded};
use super::places::{Next, Places};
use crate::ledger::Ledger;
use crate::stream::{Presence, Stream};
use crate::stream_heap::StreamHeap;
use crate::stream_id::StreamId;
use disktime_units::Nanos;
use std::cmp::Reverse;

/// Where a stream stood when it was last looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Entry {
    demand: Option<Nanos>,
    next: Option<Next>,
    /// Its demand is to be looked at.
    is_stale: bool,
}

/// Where all streams stand.
#[derive(Debug, Default)]
pub(super) struct Standing {
    pub(super) agenda: Agenda,
    /// Streams with requests and budget, the one most behind its fluid share first.
    pub(super) own: StreamHeap<Reverse<i64>>,
    /// Streams with requests that live on spare time: best effort, or without budget.
    pub(super) spare: StreamHeap<u128>,
    pub(super) places: Places,
    entries: Vec<Entry>,
    stale: Vec<StreamId>,
}

impl Standing {
    /// Takes note of all streams that changed, but for their demands.
    pub(super) fn refresh(&mut self, ledger: &mut Ledger) {
        let slots = ledger.streams.slots();
        if self.entries.len() < slots {
            self.entries.resize(slots, Entry::default());
            self.stale.reserve(slots);
        }
        while let Some(id) = ledger.changed.pop() {
            ledger.stream_mut(id).is_noted = false;
            self.place(ledger, id);
        }
    }

    fn place(&mut self, ledger: &Ledger, id: StreamId) {
        let stream = ledger.stream(id);
        let waits = stream.presence == Presence::Active && stream.has_queue();
        if waits && can_pay(stream) {
            self.spare.remove(id);
            let lag = Reverse(stream.lag());
            if self.own.key(id) != Some(lag) {
                self.own.set(id, lag);
            }
        } else {
            self.own.remove(id);
            if !waits {
                self.spare.remove(id);
            } else if self.spare.key(id) != Some(stream.tag) {
                self.spare.set(id, stream.tag);
            }
        }
        let entry = &mut self.entries[id.index()];
        if ledger.config.has_seeks {
            let next = if waits { next(ledger, id) } else { None };
            self.places.set(id, entry.next, next);
            entry.next = next;
        }
        if !entry.is_stale && (stream.is_reserved() || entry.demand.is_some()) {
            entry.is_stale = true;
            self.stale.push(id);
        }
    }

    /// Brings the demands to date.
    pub(super) fn refresh_demands(&mut self, ledger: &mut Ledger) {
        self.refresh(ledger);
        while let Some(id) = self.stale.pop() {
            let entry = &mut self.entries[id.index()];
            let demand = demanded(ledger.stream(id), id, ledger.worst_case);
            match (entry.demand, demand) {
                (old, Some(demand)) => self.agenda.set(old, demand),
                (Some(old), None) => self.agenda.remove(old, id),
                (None, None) => {}
            }
            entry.demand = demand.map(|demand| demand.deadline);
            entry.is_stale = false;
        }
    }

    /// A stream is about to be removed: nothing of it stays here.
    pub(super) fn forget(&mut self, id: StreamId) {
        self.own.remove(id);
        self.spare.remove(id);
        let Some(entry) = self.entries.get_mut(id.index()) else {
            return;
        };
        let known = std::mem::take(entry);
        self.places.set(id, known.next, None);
        if let Some(deadline) = known.demand {
            self.agenda.remove(deadline, id);
        }
        self.stale.retain(|other| *other != id);
    }

    /// Whether there is somebody to serve if it were not for deadlines and turns.
    pub(super) fn has_candidates(&self) -> bool {
        self.own.len() + self.spare.len() > 0
    }
}

/// A stream's demand, if it has a reservation that counts by itself.
fn demanded(stream: &Stream, id: StreamId, worst_case: i128) -> Option<Demanded> {
    let counts = matches!(stream.presence, Presence::Active | Presence::IdleHeld);
    if !counts || !stream.is_reserved() {
        return None;
    }
    let demand = stream.current_demand(worst_case);
    let can_go = stream.presence == Presence::Active && stream.has_queue() && can_pay(stream);
    let lag = can_go.then(|| stream.lag());
    let share_ppm = stream.share_ppm();
    Some(Demanded::new(
        id,
        share_ppm,
        demand.deadline,
        demand.budget,
        lag,
    ))
}

/// Whether a stream has budget of its own.
pub(super) fn can_pay(stream: &Stream) -> bool {
    stream.is_reserved() && stream.budget > 0
}

fn next(ledger: &Ledger, id: StreamId) -> Option<Next> {
    let queued = ledger.stream(ledger.next_of(id)).queue.peek()?;
    Some(queued.offset_bytes.map_or(Next::Anywhere, Next::At))
}
