//! All streams in the orders that decisions need: by effective deadline, by lag, by spare tag, by
//! the offset of the next request.
//!
//! The ledger notes which streams changed; before a decision those, and only those, are put where
//! they belong now, and their demands only when slack is to be computed anew. So a decision costs
//! the logarithm of the number of streams, and a stream that is served again and again costs
//! nothing until another is to be considered.
//!
//! Invariant after [`StreamIndex::refresh_demands`]: everything here is what a pass over all
//! streams would give.

use super::next_requests::{NextPlace, NextRequests};
use super::slack_index::{SlackIndex, SlackScan, SlackTerms, StreamDemand};
use crate::ledger::{Ledger, Stream, StreamState};
use crate::stream_heap::StreamHeap;
use crate::stream_id::StreamId;
use disktime_units::Nanos;
use std::cmp::Reverse;

/// Where a stream is in these orders.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct IndexEntry {
    demand: Option<Nanos>,
    next: Option<NextPlace>,
    is_active_reserved: bool,
    /// Its demand is to be computed anew.
    is_stale: bool,
}

/// All streams, in order.
#[derive(Debug, Default)]
pub(super) struct StreamIndex {
    slack: SlackIndex,
    /// Streams with requests and budget, the one most behind its fluid share first.
    reserved: StreamHeap<Reverse<i64>>,
    /// Streams with requests that live on spare time: best effort, or without budget.
    spare: StreamHeap<u128>,
    next_requests: NextRequests,
    entries: Vec<IndexEntry>,
    stale: Vec<StreamId>,
    /// Streams with requests are in the order of spare tags even while they have budget.
    all_use_spare: bool,
    /// Streams with reservations that are active.
    active_reserved: usize,
}

impl StreamIndex {
    /// The index for a disk that overlaps requests: there a stream that is ahead of its fluid share
    /// uses spare time even while it has budget.
    pub(super) fn for_overlap() -> StreamIndex {
        StreamIndex {
            all_use_spare: true,
            ..StreamIndex::default()
        }
    }

    /// How many streams with a reservation are active.
    pub(super) fn active_reserved(&self) -> usize {
        self.active_reserved
    }

    /// How many streams with a reservation other than this are active.
    pub(super) fn other_active_reserved(&self, id: StreamId) -> usize {
        let entry = self.entries.get(id.index());
        let counts = entry.is_some_and(|entry| entry.is_active_reserved);
        self.active_reserved - usize::from(counts)
    }

    /// Puts the streams that changed where they belong, except by their demands.
    pub(super) fn refresh(&mut self, ledger: &mut Ledger) {
        let slots = ledger.slots();
        if self.entries.len() < slots {
            self.entries.resize(slots, IndexEntry::default());
            self.stale.reserve(slots);
        }
        while let Some(id) = ledger.next_change() {
            self.place(ledger, id);
        }
    }

    fn place(&mut self, ledger: &Ledger, id: StreamId) {
        let stream = ledger.stream(id);
        let waits = stream.competes();
        let has_reserved = waits && stream.has_budget();
        if has_reserved {
            let lag = Reverse(stream.lag());
            if self.reserved.key(id) != Some(lag) {
                self.reserved.set(id, lag);
            }
        } else {
            self.reserved.remove(id);
        }
        if !waits || (has_reserved && !self.all_use_spare) {
            self.spare.remove(id);
        } else if self.spare.key(id) != Some(stream.tag()) {
            self.spare.set(id, stream.tag());
        }
        let is_active_reserved = stream.is_active() && stream.is_reserved();
        let entry = &mut self.entries[id.index()];
        if entry.is_active_reserved != is_active_reserved {
            entry.is_active_reserved = is_active_reserved;
            self.active_reserved = if is_active_reserved {
                self.active_reserved + 1
            } else {
                self.active_reserved - 1
            };
        }
        if ledger.config().has_seeks {
            let next = if waits { next(ledger, id) } else { None };
            self.next_requests.set(id, entry.next, next);
            entry.next = next;
        }
        if !entry.is_stale && (stream.is_reserved() || entry.demand.is_some()) {
            entry.is_stale = true;
            self.stale.push(id);
        }
    }

    /// Scans all demands, brought to date.
    pub(super) fn scan(&mut self, ledger: &mut Ledger, terms: SlackTerms) -> SlackScan {
        self.refresh_demands(ledger);
        self.slack.scan(terms)
    }

    /// The least slack over all D before `deadline`.
    pub(super) fn slack_before(&mut self, terms: SlackTerms, deadline: Nanos) -> i128 {
        self.slack.slack_before(terms, deadline)
    }

    /// How many streams have requests and budget.
    pub(super) fn reserved_count(&self) -> usize {
        self.reserved.len()
    }

    /// The stream with requests and budget that is most behind its fluid share, with its lag.
    pub(super) fn most_behind(&self) -> Option<(i64, StreamId)> {
        let (lag, stream) = self.reserved.first()?;
        Some((lag.0, stream))
    }

    /// Of the streams that live on spare time, the one that has had least of it, with its tag.
    pub(super) fn least_spare(&self) -> Option<(u128, StreamId)> {
        self.spare.first()
    }

    /// Streams with requests and budget whose deadline is not beyond `until`, most urgent first.
    pub(super) fn candidates_until(&self, until: Nanos) -> impl Iterator<Item = &StreamDemand> {
        self.slack.candidates_until(until)
    }

    /// All demands that are due by `until`, most urgent first.
    pub(super) fn demands_until(&self, until: Nanos) -> impl Iterator<Item = &StreamDemand> {
        self.slack.demands_until(until)
    }

    /// The most urgent stream with requests and budget, as of the last scan.
    pub(super) fn first_candidate(&self) -> Option<StreamId> {
        let first = self.slack.candidates_until(Nanos::MAX).next();
        first.map(|demand| demand.stream)
    }

    /// The stream with the request nearest to the head among those that `rank` gives a rank.
    pub(super) fn nearest<R: Ord + Copy>(
        &self,
        head_bytes: u64,
        rank: impl Fn(StreamId) -> Option<R>,
    ) -> Option<StreamId> {
        self.next_requests.nearest(head_bytes, rank)
    }

    /// Brings the demands to date.
    fn refresh_demands(&mut self, ledger: &mut Ledger) {
        self.refresh(ledger);
        while let Some(id) = self.stale.pop() {
            let entry = &mut self.entries[id.index()];
            let demand = demanded(ledger.stream(id), id, ledger.worst_case());
            match (entry.demand, demand) {
                (old, Some(demand)) => self.slack.set(old, demand),
                (Some(old), None) => self.slack.remove(old, id),
                (None, None) => {}
            }
            entry.demand = demand.map(|demand| demand.deadline);
            entry.is_stale = false;
        }
    }

    /// A stream is about to be removed: nothing of it stays here.
    pub(super) fn forget(&mut self, id: StreamId) {
        self.reserved.remove(id);
        self.spare.remove(id);
        let Some(entry) = self.entries.get_mut(id.index()) else {
            return;
        };
        let known = std::mem::take(entry);
        self.active_reserved -= usize::from(known.is_active_reserved);
        self.next_requests.set(id, known.next, None);
        if let Some(deadline) = known.demand {
            self.slack.remove(deadline, id);
        }
        self.stale.retain(|other| *other != id);
    }

    /// Whether any stream could be served but for deadlines and turns.
    pub(super) fn has_candidates(&self) -> bool {
        self.reserved.len() + self.spare.len() > 0
    }
}

/// A stream's demand, if it has a reservation that counts by itself.
fn demanded(stream: &Stream, id: StreamId, worst_case: i128) -> Option<StreamDemand> {
    let counts = matches!(stream.state(), StreamState::Active | StreamState::IdleHeld);
    if !counts || !stream.is_reserved() {
        return None;
    }
    let demand = stream.current_demand(worst_case);
    let can_go = stream.competes() && stream.has_budget();
    let lag = can_go.then(|| stream.lag());
    let share_ppm = stream.share_ppm();
    Some(StreamDemand::new(
        id,
        share_ppm,
        demand.deadline,
        demand.budget,
        lag,
    ))
}

fn next(ledger: &Ledger, id: StreamId) -> Option<NextPlace> {
    let queued = ledger.stream(ledger.next_of(id)).queue().peek()?;
    Some(
        queued
            .offset_bytes()
            .map_or(NextPlace::Anywhere, NextPlace::At),
    )
}
