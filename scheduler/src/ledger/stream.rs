//! One stream's account and requests: what it is entitled to, what it has left, what it has queued.
//!
//! `budget.rs` has the arithmetic of budgets and deadlines, `limit.rs` that of limits, `periods.rs`
//! what the end of a period changes. Invariants: a stream without a reservation has the budget 0;
//! `set_aside` is not part of `budget`; `members_waiting` is 0 except for groups. Which list of the
//! ledger a stream is on is the ledger's to know; the stream only keeps its place in it.

mod budget;
mod limit;
mod periods;

pub(crate) use budget::WakeBudget;
pub(super) use budget::share_ppm;
pub(super) use periods::{PeriodBooks, PeriodTerms};

use super::Account;
use super::solo_account::SoloAccount;
use crate::client_estimates::ClientEstimates;
use crate::config::{Arrival, RequestId, StreamConfig};
use crate::ledger::solo::SoloPrice;
use crate::ppm_time::scaled;
use crate::queue::{QueueOrder, StreamQueue};
use crate::report::StreamCounters;
use crate::stream_id::StreamId;
use disktime_units::Nanos;
use limit::LimitBudget;

/// Whether a stream competes for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StreamState {
    /// Nothing to do, and it would wake with a fresh budget: counted as a slower disk.
    IdleFresh,
    /// Nothing to do, but it would wake with what it left with.
    IdleHeld,
    /// Backlogged, or in the grace time after its queue ran empty.
    Active,
    /// It has requests, but its limit is used up: counted as idle until the limit's period ends.
    Limited,
}

/// A stream.
///
/// The fields lie in this order, what each request needs first: with thousands of streams the cost
/// of a decision is that of the memory it has to fetch.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Stream {
    /// b, in ppm-nanoseconds; negative is a debt.
    budget: i128,
    /// Virtual time of spare service received: ppm-nanoseconds per unit of weight.
    tag: u128,
    config: StreamConfig,
    /// d: the end of the current period.
    deadline: Nanos,
    /// The empty queue counts as backlogged until then; `MAX`: it is not in grace.
    grace_until: Nanos,
    /// The group whose account pays for it.
    group: Option<StreamId>,
    in_flight: usize,
    /// Of a group: members with requests, and those of them that have none that may go.
    members_waiting: u32,
    members_held: u32,
    state: StreamState,
    /// It is on the list of streams that changed since the policy last read it.
    is_noted: bool,
    /// It is being removed: it takes no new requests, and is gone when it has none left.
    is_leaving: bool,
    queue: StreamQueue,
    last_completion: Nanos,
    last_arrival: Nanos,
    /// Where its last dispatch ended; `None` before the first.
    last_end_bytes: Option<u64>,
    /// Its solo time, where requests overlap.
    solo: SoloAccount,
    counters: StreamCounters,
    estimates: ClientEstimates,
    limit: LimitBudget,
    /// The part of b that does not count while others are served in its grace time.
    set_aside: i128,
    /// Its index in the ledger's list of its state, if there is one.
    list_index: u32,
    /// Its index among those in grace.
    grace_index: u32,
    /// What it will be entitled to as soon as that harms no other stream.
    pending: Option<StreamConfig>,
}

impl Stream {
    pub(crate) fn new(config: StreamConfig, order: QueueOrder) -> Stream {
        assert!(config.weight >= 1, "a weight is at least 1");
        Stream {
            config,
            pending: None,
            group: None,
            members_waiting: 0,
            members_held: 0,
            is_leaving: false,
            queue: StreamQueue::new(order),
            in_flight: 0,
            state: StreamState::IdleFresh,
            budget: 0,
            set_aside: 0,
            deadline: Nanos::ZERO,
            grace_until: Nanos::ZERO,
            tag: 0,
            limit: LimitBudget::default(),
            last_end_bytes: None,
            last_completion: Nanos::ZERO,
            last_arrival: Nanos::ZERO,
            estimates: ClientEstimates::default(),
            solo: SoloAccount::default(),
            counters: StreamCounters::default(),
            list_index: 0,
            grace_index: 0,
            is_noted: false,
        }
    }

    /// The same, whose requests without data wait at the gate.
    pub(crate) fn with_gate(self) -> Stream {
        Stream {
            queue: self.queue.with_gate(),
            ..self
        }
    }

    /// A stream whose service a group's account pays for.
    pub(super) fn member_of(self, group: StreamId) -> Stream {
        Stream {
            group: Some(group),
            ..self
        }
    }

    pub(crate) fn config(&self) -> &StreamConfig {
        &self.config
    }

    /// w: the weight by which spare time, or the time of its group, is divided.
    pub(crate) fn weight(&self) -> u32 {
        self.config.weight
    }

    /// What it was given last, in effect or pending.
    pub(crate) fn asked_config(&self) -> StreamConfig {
        self.pending.unwrap_or(self.config)
    }

    pub(crate) fn is_pending(&self) -> bool {
        self.pending.is_some()
    }

    pub(super) fn set_pending(&mut self, config: StreamConfig) {
        self.pending = Some(config);
    }

    pub(super) fn take_pending(&mut self) -> Option<StreamConfig> {
        self.pending.take()
    }

    pub(crate) fn group(&self) -> Option<StreamId> {
        self.group
    }

    pub(crate) fn is_leaving(&self) -> bool {
        self.is_leaving
    }

    /// It takes no new requests, or a group no new members.
    pub(super) fn leave(&mut self) {
        self.is_leaving = true;
    }

    pub(crate) fn state(&self) -> StreamState {
        self.state
    }

    pub(crate) fn is_active(&self) -> bool {
        self.state == StreamState::Active
    }

    /// Whether it is active and has requests that may go.
    pub(crate) fn competes(&self) -> bool {
        self.is_active() && self.has_ready()
    }

    /// Enters a state, with its place in that state's list.
    pub(super) fn enter(&mut self, state: StreamState, list_index: u32) {
        self.state = state;
        self.list_index = list_index;
    }

    pub(super) fn list_index(&self) -> u32 {
        self.list_index
    }

    /// Another stream left the list, and this one took its place there.
    pub(super) fn moves_in_list(&mut self, list_index: u32) {
        self.list_index = list_index;
    }

    /// Notes that it changed; false if that is noted already.
    pub(super) fn note(&mut self) -> bool {
        !std::mem::replace(&mut self.is_noted, true)
    }

    /// The policy has read the change.
    pub(super) fn change_is_read(&mut self) {
        self.is_noted = false;
    }

    pub(crate) fn counters(&self) -> &StreamCounters {
        &self.counters
    }

    pub(crate) fn estimates(&self) -> &ClientEstimates {
        &self.estimates
    }

    pub(super) fn estimates_mut(&mut self) -> &mut ClientEstimates {
        &mut self.estimates
    }

    pub(crate) fn solo(&self) -> &SoloAccount {
        &self.solo
    }

    pub(super) fn solo_mut(&mut self) -> &mut SoloAccount {
        &mut self.solo
    }

    pub(crate) fn queue(&self) -> &StreamQueue {
        &self.queue
    }

    pub(super) fn queue_mut(&mut self) -> &mut StreamQueue {
        &mut self.queue
    }

    /// Dispatches in flight: its own, or of a group those of its members.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Whether it has requests queued or in flight.
    pub(crate) fn is_busy(&self) -> bool {
        self.has_queue() || self.in_flight > 0
    }

    /// Whether it, or a member of it, has requests queued.
    pub(crate) fn has_queue(&self) -> bool {
        self.members_waiting > 0 || !self.queue.is_empty()
    }

    /// Whether it, or a member of it, has requests queued that may go.
    pub(crate) fn has_ready(&self) -> bool {
        self.members_waiting > self.members_held || self.queue.has_ready()
    }

    /// Whether it has requests queued of which none may go.
    pub(super) fn is_held(&self) -> bool {
        !self.queue.is_empty() && !self.queue.has_ready()
    }

    pub(crate) fn last_end_bytes(&self) -> Option<u64> {
        self.last_end_bytes
    }

    pub(crate) fn last_completion(&self) -> Nanos {
        self.last_completion
    }

    pub(crate) fn last_arrival(&self) -> Nanos {
        self.last_arrival
    }

    /// A request is queued.
    pub(super) fn enqueue(&mut self, now: Nanos, arrival: Arrival, solo: SoloPrice, sequence: u64) {
        self.last_arrival = now;
        self.queue.push(arrival, solo, sequence);
    }

    /// Requests of it went to the disk as one dispatch that ends there.
    pub(super) fn dispatch(&mut self, requests: &[RequestId], end_bytes: Option<u64>) {
        self.in_flight += 1;
        self.last_end_bytes = end_bytes.or(self.last_end_bytes);
        self.counters.requests += requests.len() as u64;
        self.counters.dispatches += 1;
    }

    /// A dispatch of it is done.
    pub(super) fn complete(&mut self, now: Nanos) {
        self.in_flight -= 1;
        self.last_completion = now;
        self.estimates.request_completed();
    }

    /// Of a group: a member has requests again.
    pub(super) fn member_waits(&mut self) {
        self.members_waiting += 1;
    }

    /// Of a group: a dispatch of a member went to the disk.
    pub(super) fn member_dispatch(&mut self, queue_is_empty: bool) {
        self.in_flight += 1;
        self.members_waiting -= u32::from(queue_is_empty);
    }

    /// Of a group: a member has only requests that may not go, or not any more.
    pub(super) fn member_held(&mut self, is_held: bool) {
        if is_held {
            self.members_held += 1;
        } else {
            self.members_held -= 1;
        }
    }

    /// Of a group: a dispatch of a member is done.
    pub(super) fn member_complete(&mut self) {
        self.in_flight -= 1;
    }

    pub(crate) fn tag(&self) -> u128 {
        self.tag
    }

    /// A new stream starts where the others are.
    pub(super) fn start_tag(&mut self, clock: u128) {
        self.tag = clock;
    }

    /// A stream that comes back starts where the others are, if it is not ahead of them.
    pub(super) fn tag_at_least(&mut self, clock: u128) {
        self.tag = self.tag.max(clock);
    }

    /// Time that it used of its group's counts against its turn there.
    pub(super) fn advance_tag(&mut self, used: Nanos) {
        self.tag += spare_tag(used, self.weight());
    }

    /// Takes time from an account: from the budget, or as spare service.
    pub(super) fn use_time(&mut self, account: Account, used: Nanos) {
        match account {
            Account::Reserved => self.budget -= scaled(used),
            Account::Spare => self.advance_tag(used),
        }
    }

    /// Gives time back that was taken before it was known how much it would be.
    pub(super) fn return_time(&mut self, account: Account, unused: Nanos) {
        match account {
            Account::Reserved => self.budget += scaled(unused),
            Account::Spare => self.tag -= spare_tag(unused, self.weight()),
        }
    }

    /// Counts time that it received.
    pub(super) fn count(&mut self, account: Account, used: Nanos) {
        match account {
            Account::Reserved => self.counters.reserved += used,
            Account::Spare => self.counters.spare += used,
        }
    }

    /// Counts time for which the disk waited for its next request.
    pub(super) fn count_wait(&mut self, waited: Nanos) {
        self.counters.waited += waited;
    }

    pub(super) fn is_in_grace(&self) -> bool {
        self.grace_until != Nanos::MAX && self.state == StreamState::Active
    }

    pub(super) fn grace_until(&self) -> Nanos {
        self.grace_until
    }

    /// Its place among the streams in grace.
    pub(super) fn grace_index(&self) -> u32 {
        self.grace_index
    }

    pub(super) fn moves_in_grace(&mut self, grace_index: u32) {
        self.grace_index = grace_index;
    }

    /// Its empty queue counts as backlogged until then.
    pub(super) fn begin_grace(&mut self, until: Nanos, grace_index: u32) {
        debug_assert!(!self.is_busy() && self.state == StreamState::Active);
        self.grace_until = until;
        self.grace_index = grace_index;
    }

    pub(super) fn end_grace(&mut self) {
        self.grace_until = Nanos::MAX;
    }

    /// Loses what it is behind its line, up to `idle`: it left the disk idle for so long. Whether
    /// it lost anything.
    pub(super) fn forfeit(&mut self, idle: Nanos, now: Nanos) -> bool {
        let behind = self.budget - self.fluid_budget(now);
        let lost = behind.clamp(0, scaled(idle));
        self.budget -= lost;
        lost > 0
    }

    /// Counts the ends of its periods that fall into a pause after `now` as missed, if it has
    /// requests.
    pub(super) fn count_pause(&mut self, now: Nanos, pause: Nanos) {
        let period = self.period().0;
        let until_end = self.deadline.saturating_sub(now).0;
        if self.is_busy() && self.is_reserved() && period > 0 && pause.0 >= until_end {
            let count = (pause.0 - until_end) / period + 1;
            self.counters.deadlines_missed += count;
        }
    }

    /// Sets aside what it is behind its line. Whether there was anything.
    pub(super) fn set_lag_aside(&mut self, now: Nanos) -> bool {
        let behind = self.budget - self.fluid_budget(now);
        if behind <= 0 {
            return false;
        }
        self.budget -= behind;
        self.set_aside += behind;
        true
    }

    /// What was set aside counts again, less the time that others used meanwhile.
    pub(super) fn restore_lag(&mut self, used: i128) {
        self.budget += (self.set_aside - used).max(0);
        self.set_aside = 0;
    }

    /// Gives up what was set aside: it goes idle.
    pub(super) fn drop_lag(&mut self) {
        self.set_aside = 0;
    }
}

/// Spare service of length `used` in virtual time: the more weight, the less.
pub(crate) fn spare_tag(used: Nanos, weight: u32) -> u128 {
    match used.0.checked_mul(1_000_000) {
        Some(scaled) => u128::from(scaled / u64::from(weight)),
        None => u128::from(used.0) * 1_000_000 / u128::from(weight),
    }
}

#[cfg(test)]
mod tests;
