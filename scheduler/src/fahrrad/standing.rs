//! Where every stream stands: its demand, its spare tag, the place of its next request, in the order that
//! each decision needs.
//!
//! The books note which streams changed; before a decision those, and only those, are put where they
//! belong now. So a decision costs the logarithm of the number of streams, and a stream that is served again and
//! again costs nothing until somebody else is to be considered.
//!
//! Invariant after [`Standing::refresh`]: everything here is what one would get by looking at all
//! streams (checked against that by a test).

use super::agenda::{Agenda, Demanded};
use super::places::{Next, Places};
use crate::config::StreamId;
use crate::ledger::Ledger;
use crate::stream::{Presence, Stream};
use crate::stream_heap::StreamHeap;
use disktime_units::Nanos;

/// Where a stream stands now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Entry {
    demand: Option<Nanos>,
    next: Option<Next>,
}

/// Where all streams stand.
#[derive(Debug, Default)]
pub(super) struct Standing {
    pub(super) agenda: Agenda,
    /// Streams with requests that live on spare time: best effort, or without budget.
    pub(super) spare: StreamHeap<u128>,
    pub(super) places: Places,
    entries: Vec<Entry>,
}

impl Standing {
    /// Takes note of all streams that changed.
    pub(super) fn refresh(&mut self, ledger: &mut Ledger) {
        if self.entries.len() < ledger.streams.len() {
            self.entries.resize(ledger.streams.len(), Entry::default());
        }
        while let Some(id) = ledger.changed.pop() {
            ledger.stream_mut(id).is_noted = false;
            self.place(ledger, id);
        }
    }

    fn place(&mut self, ledger: &Ledger, id: StreamId) {
        let stream = ledger.stream(id);
        let entry = self.entries[id.0 as usize];
        let demand = demanded(stream, id, ledger.worst_case);
        match (entry.demand, demand) {
            (old, Some(demand)) => self.agenda.set(old, demand),
            (Some(old), None) => self.agenda.remove(old, id),
            (None, None) => {}
        }
        if lives_on_spare(stream) && stream.has_queue() {
            if self.spare.key(id) != Some(stream.tag) {
                self.spare.set(id, stream.tag);
            }
        } else {
            self.spare.remove(id);
        }
        let next = next(ledger, stream);
        self.places.set(id, entry.next, next);
        self.entries[id.0 as usize] = Entry {
            demand: demand.map(|demand| demand.deadline),
            next,
        };
    }

    /// The effective deadline of a stream that has a demand.
    pub(super) fn deadline(&self, id: StreamId) -> Option<Nanos> {
        self.entries.get(id.0 as usize)?.demand
    }

    /// Whether a stream is somebody to serve if it were not for deadlines and turns.
    pub(super) fn has_candidates(&self) -> bool {
        self.agenda.candidates() + self.spare.len() > 0
    }
}

/// A stream's demand, if it has a reservation that counts by itself.
fn demanded(stream: &Stream, id: StreamId, worst_case: i128) -> Option<Demanded> {
    let counts = matches!(stream.presence, Presence::Active | Presence::IdleHeld);
    if !counts || !stream.is_reserved() {
        return None;
    }
    let demand = stream.current_demand(worst_case);
    let can_go = stream.presence == Presence::Active && stream.has_queue() && stream.budget > 0;
    Some(Demanded {
        deadline: demand.deadline,
        stream: id,
        share_ppm: stream.share_ppm(),
        budget: demand.budget,
        lag: can_go.then(|| stream.lag()),
    })
}

/// Whether spare time is what the stream would have to use.
pub(super) fn lives_on_spare(stream: &Stream) -> bool {
    stream.presence == Presence::Active && (!stream.is_reserved() || stream.budget <= 0)
}

fn next(ledger: &Ledger, stream: &Stream) -> Option<Next> {
    if !ledger.config.has_seeks || stream.presence != Presence::Active {
        return None;
    }
    let queued = stream.queue.peek()?;
    Some(queued.offset_bytes.map_or(Next::Anywhere, Next::At))
}
