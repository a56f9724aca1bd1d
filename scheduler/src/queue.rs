//! The queued requests of one stream, in the order in which the disk should see them.
//!
//! `Sweep` order is for disks with seeks: upwards from where the stream's own last request ended,
//! then again from its lowest (the stream's own C-LOOK). Starting each visit there, and not at the
//! head, is what keeps requests from waiting for minutes: a C-LOOK from the head begins each visit
//! at the stream's lowest offset, and a latency of 52 s was measured that way where the own sweep
//! has 4 s. A sweep that is fed just ahead of itself for ever would starve what lies behind it, so
//! the oldest request is taken out of turn once it has been passed over too often. `Arrival` order
//! is for everything else.
//!
//! Requests without data (discards, zeroings, flushes) can be held back while the others go on, so
//! they have a list of their own where there is a gate (`ledger/dataless.rs`). While it is open the
//! first of them goes when the next of the others came after it; a flush goes first where a sweep
//! has no place for it.
//!
//! Invariants: requests of equal offset leave in order of arrival; a sequential run leaves in
//! order; requests without an offset leave first, in order of arrival. No allocation once the
//! vectors have grown to the queue's bound, which the caller keeps.

use crate::ledger::{SoloPrice, is_shallow};
use crate::{Arrival, RequestId, RequestKind};
use disktime_units::Nanos;
use std::collections::VecDeque;

/// A request is taken out of turn when this many times the queue's length has been dispatched
/// since the oldest was last checked.
const PASSES: usize = 4;

/// So many requests on either side of the head are compared by positioning time.
const COMPARED: usize = 64;

/// In which order a stream's requests leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum QueueOrder {
    /// Upwards from where the stream's own last request ended, around.
    Sweep,
    /// As they came.
    Arrival,
    /// Upwards from where the policy says; no request goes out of turn.
    Elevator,
}

/// A queued request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Queued {
    arrival: Arrival,
    /// What it adds to private devices, where requests overlap.
    solo: SoloPrice,
    /// Order of arrival at the disk, over all streams.
    sequence: u64,
    /// Dispatches of this stream when it arrived.
    arrived_at_dispatch: u64,
}

impl Queued {
    pub(crate) fn id(&self) -> RequestId {
        self.arrival.id
    }

    pub(crate) fn offset_bytes(&self) -> Option<u64> {
        self.arrival.offset_bytes
    }

    pub(crate) fn len_bytes(&self) -> u64 {
        self.arrival.len_bytes
    }

    pub(crate) fn price(&self) -> Nanos {
        self.arrival.price
    }

    pub(crate) fn solo(&self) -> SoloPrice {
        self.solo
    }

    pub(crate) fn lone(&self) -> Nanos {
        self.arrival.lone
    }

    pub(crate) fn is_shallow(&self) -> bool {
        is_shallow(self.arrival.price, self.arrival.lone)
    }

    pub(crate) fn kind(&self) -> RequestKind {
        self.arrival.kind
    }

    pub(crate) fn merge_class(&self) -> Option<u8> {
        self.arrival.merge_class
    }

    pub(crate) fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Its key in the order by offset.
    fn key(&self) -> (u64, u64) {
        (self.offset_bytes().unwrap_or(0), self.sequence)
    }

    fn end_bytes(&self) -> Option<u64> {
        self.offset_bytes().map(|offset| offset + self.len_bytes())
    }
}

/// The queue of one stream.
#[derive(Debug)]
pub(crate) struct StreamQueue {
    order: QueueOrder,
    /// Requests without an offset, and in `Arrival` order all of them.
    in_order: VecDeque<Queued>,
    /// In `Sweep` order: by (offset, sequence).
    by_offset: Vec<Queued>,
    /// Where the sweep goes on: the end of the last dispatch.
    position_bytes: u64,
    dispatched: u64,
    next_age_check: u64,
    /// Requests without data, flushes first, then by age; `None`: they are among the others.
    dataless: Option<VecDeque<Queued>>,
    /// They may leave.
    is_open: bool,
}

impl StreamQueue {
    pub(crate) fn new(order: QueueOrder) -> StreamQueue {
        StreamQueue {
            dataless: None,
            is_open: true,
            order,
            in_order: VecDeque::with_capacity(16),
            by_offset: Vec::with_capacity(16),
            position_bytes: 0,
            dispatched: 0,
            next_age_check: 0,
        }
    }

    /// The same with a list of its own for requests without data.
    pub(crate) fn with_gate(self) -> StreamQueue {
        StreamQueue {
            dataless: Some(VecDeque::new()),
            ..self
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.next_dataless().is_none() && !self.has_data()
    }

    fn has_data(&self) -> bool {
        !self.in_order.is_empty() || !self.by_offset.is_empty()
    }

    /// Whether a request may leave.
    #[inline]
    pub(crate) fn has_ready(&self) -> bool {
        self.has_data() || (self.is_open && self.next_dataless().is_some())
    }

    /// The next request without data that the gate knows of.
    #[inline]
    pub(crate) fn next_dataless(&self) -> Option<&Queued> {
        self.dataless.as_ref()?.front()
    }

    /// How many flushes there are among the requests without data that the gate knows of, and how
    /// many others.
    pub(crate) fn count_dataless(&self) -> (usize, usize) {
        let Some(dataless) = &self.dataless else {
            return (0, 0);
        };
        let flushes = dataless.partition_point(|queued| queued.kind() == RequestKind::Flush);
        (flushes, dataless.len() - flushes)
    }

    /// Whether requests without data may leave.
    pub(crate) fn is_open(&self) -> bool {
        self.is_open
    }

    /// From now on requests without data may leave, or not.
    pub(crate) fn set_open(&mut self, is_open: bool) {
        self.is_open = is_open;
    }

    pub(crate) fn push(&mut self, arrival: Arrival, solo: SoloPrice, sequence: u64) {
        let queued = Queued {
            arrival,
            solo,
            sequence,
            arrived_at_dispatch: self.dispatched,
        };
        if let Some(dataless) = &mut self.dataless
            && arrival.kind.is_dataless()
        {
            // A flush is waited for, and says nothing of discards that are not done.
            let at = match arrival.kind {
                RequestKind::Flush => {
                    dataless.partition_point(|queued| queued.kind() == RequestKind::Flush)
                }
                _ => dataless.len(),
            };
            dataless.insert(at, queued);
        } else if self.order == QueueOrder::Arrival || queued.offset_bytes().is_none() {
            self.in_order.push_back(queued);
        } else {
            let index = self
                .by_offset
                .partition_point(|other| other.key() < queued.key());
            self.by_offset.insert(index, queued);
        }
    }

    /// The request that would leave next, if one may.
    #[inline]
    pub(crate) fn peek(&self) -> Option<&Queued> {
        self.leaving_dataless().or_else(|| self.peek_data())
    }

    #[inline]
    fn peek_data(&self) -> Option<&Queued> {
        self.in_order
            .front()
            .or_else(|| self.by_offset.get(self.sweep_index()))
    }

    /// The request without data that leaves next, if it is its turn.
    #[inline]
    fn leaving_dataless(&self) -> Option<&Queued> {
        let dataless = self.next_dataless().filter(|_| self.is_open)?;
        let is_first = self.order != QueueOrder::Arrival && dataless.offset_bytes().is_none();
        let data = if is_first { None } else { self.peek_data() };
        let is_older = data.is_none_or(|data| dataless.sequence < data.sequence);
        is_older.then_some(dataless)
    }

    fn pop_dataless(&mut self) -> Option<Queued> {
        self.leaving_dataless()?;
        self.dispatched += 1;
        self.dataless.as_mut()?.pop_front()
    }

    /// How many requests are queued.
    pub(crate) fn len(&self) -> usize {
        let dataless = self.dataless.as_ref().map_or(0, VecDeque::len);
        self.in_order.len() + self.by_offset.len() + dataless
    }

    /// The request that would leave next if the sweep went on from there.
    pub(crate) fn peek_from(&self, position_bytes: u64) -> Option<&Queued> {
        self.in_order
            .front()
            .or_else(|| self.by_offset.get(self.index_from(position_bytes)))
    }

    /// Lets the sweep go on from there.
    pub(crate) fn go_on_from(&mut self, position_bytes: u64) {
        self.position_bytes = position_bytes;
    }

    /// In `Arrival` order: the requests, oldest first.
    pub(crate) fn in_order(&self) -> impl Iterator<Item = &Queued> {
        self.in_order.iter()
    }

    /// In `Arrival` order: lets that request go before the older ones.
    pub(crate) fn bring_forward(&mut self, index: usize) {
        if index > 0
            && let Some(queued) = self.in_order.remove(index)
        {
            self.in_order.push_front(queued);
        }
    }

    /// The smallest arrival sequence among those that could leave next in order of arrival.
    pub(crate) fn front_sequence(&self) -> Option<u64> {
        self.in_order.front().map(|queued| queued.sequence)
    }

    /// Takes the next request out.
    pub(crate) fn pop(&mut self) -> Option<Queued> {
        if let Some(queued) = self.pop_dataless() {
            return Some(queued);
        }
        let queued = match self.in_order.pop_front() {
            Some(queued) => queued,
            None if self.by_offset.is_empty() => return None,
            None => {
                let index = self.overdue_index().unwrap_or_else(|| self.sweep_index());
                self.by_offset.remove(index)
            }
        };
        self.dispatched += 1;
        if let Some(end) = queued.end_bytes() {
            self.position_bytes = end;
        }
        Some(queued)
    }

    /// Takes out the request with the least estimate. One without an offset, one that was passed
    /// over too often and one that continues the last go before it. A request that continues
    /// another waits for that one, so that runs stay in order. Those nearest to the head are
    /// compared.
    pub(crate) fn pop_least(
        &mut self,
        head_bytes: u64,
        estimate: impl Fn(u64, bool) -> Nanos,
    ) -> Option<Queued> {
        let is_dataless = self.leaving_dataless().is_some();
        if is_dataless || !self.in_order.is_empty() || self.by_offset.len() < 2 {
            return self.pop();
        }
        let next = self.sweep_index();
        let continues = self.by_offset[next].offset_bytes() == Some(self.position_bytes)
            && self.position_bytes == head_bytes;
        let index = match self.overdue_index() {
            Some(overdue) => overdue,
            None if continues => next,
            None => self.least_index(head_bytes, estimate),
        };
        let queued = self.by_offset.remove(index);
        self.dispatched += 1;
        if let Some(end) = queued.end_bytes() {
            self.position_bytes = end;
        }
        Some(queued)
    }

    fn least_index(&self, head_bytes: u64, estimate: impl Fn(u64, bool) -> Nanos) -> usize {
        let here = self
            .by_offset
            .partition_point(|queued| queued.key() < (head_bytes, 0));
        let from = here.saturating_sub(COMPARED);
        let to = (here + COMPARED).min(self.by_offset.len());
        let heads_run = |index: &usize| {
            let before = index.checked_sub(1).map(|before| &self.by_offset[before]);
            let run = before.and_then(Queued::end_bytes);
            run.is_none() || run != self.by_offset[*index].offset_bytes()
        };
        let estimates = (from..to).filter(heads_run).map(|index| {
            let queued = &self.by_offset[index];
            let offset = queued.offset_bytes().unwrap_or(head_bytes);
            let distance = offset.abs_diff(head_bytes);
            (
                estimate(offset, queued.arrival.kind.changes()),
                distance,
                queued.sequence,
                index,
            )
        });
        let least = estimates.min();
        least.map_or_else(|| self.sweep_index(), |(.., index)| index)
    }

    /// Takes the next request out if it continues `end_bytes` with the same class and fits.
    pub(crate) fn pop_adjacent(
        &mut self,
        end_bytes: u64,
        class: u8,
        room_bytes: u64,
    ) -> Option<Queued> {
        let fits = |queued: &Queued| {
            queued.offset_bytes() == Some(end_bytes)
                && queued.merge_class() == Some(class)
                && queued.len_bytes() <= room_bytes
        };
        let queued = match self.in_order.front() {
            Some(front) if fits(front) => self.in_order.pop_front()?,
            Some(_) => return None,
            None => {
                let index = self.sweep_index();
                if !self.by_offset.get(index).is_some_and(fits) {
                    return None;
                }
                self.by_offset.remove(index)
            }
        };
        self.dispatched += 1;
        self.position_bytes = queued.end_bytes()?;
        Some(queued)
    }

    /// First request at or above the sweep's position, or the lowest.
    fn sweep_index(&self) -> usize {
        self.index_from(self.position_bytes)
    }

    fn index_from(&self, position_bytes: u64) -> usize {
        let position = (position_bytes, 0);
        let index = self
            .by_offset
            .partition_point(|queued| queued.key() < position);
        if index == self.by_offset.len() {
            0
        } else {
            index
        }
    }

    /// The oldest request, if it has been passed over too often. It is searched for only now and
    /// then, so that the cost per dispatch stays constant.
    fn overdue_index(&mut self) -> Option<usize> {
        if self.order == QueueOrder::Elevator || self.dispatched < self.next_age_check {
            return None;
        }
        let bound = (PASSES * self.by_offset.len()).max(64) as u64;
        let (index, oldest) = self
            .by_offset
            .iter()
            .enumerate()
            .min_by_key(|(_, queued)| queued.sequence)?;
        let is_overdue = self.dispatched - oldest.arrived_at_dispatch > bound;
        // Where one is overdue, others may be.
        let pause = if is_overdue { 1 } else { bound / 2 };
        self.next_age_check = self.dispatched + pause;
        is_overdue.then_some(index)
    }
}

#[cfg(test)]
mod tests;
