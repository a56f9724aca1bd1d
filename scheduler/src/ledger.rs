//! The ledger that every policy shares: which streams compete, what each is owed, when periods end,
//! what was met and missed.
//!
//! Policies decide which stream is served; the ledger says what each is owed, in the same way for
//! all policies, so that their promises can be compared. It changes by methods only, each named for
//! what happens.
//!
//! Invariants: `active` holds exactly the streams whose state is `Active`, `held` those that are
//! `IdleHeld`, `limited` those that are `Limited`, `in_grace` the active ones without requests;
//! `idle_share_ppm` is the sum of the shares of reserved `IdleFresh` and `Limited` streams;
//! `queued` is the number of requests in all queues. Each stream whose account changes by itself
//! has a timer that is not later than that.
//!
//! Period ends are counted at their exact times, but worked off only when the stream is next
//! touched: carrying budget into the next period moves neither its line nor its effective deadline,
//! so no other stream sees it. Hence no event costs more than the logarithm of the number of
//! streams.
//!
//! - `states.rs`: waking, going idle, the lists and timers
//! - `charges.rs`: requests and disk time
//! - `periods.rs`, `grace.rs`, `limits.rs`: what time alone changes
//! - `occupancy.rs`, `write_hold.rs`, `private_device.rs`, `price_correction.rs`,
//!   `solo_account.rs`, `solo.rs`, `device_speed.rs`: a disk that overlaps requests
//! - `dataless.rs`, `learnt_times.rs`: the gate of discards, zeroings and flushes
//! - `groups.rs`, `changes.rs`, `removal.rs`: members of groups, new entitlements, leaving
//! - `stream.rs`: one stream's account

mod changes;
mod charges;
mod dataless;
mod device_speed;
mod exact_slack;
mod grace;
mod groups;
mod learnt_times;
mod limits;
mod occupancy;
mod periods;
mod price_correction;
mod private_device;
mod removal;
mod solo;
mod solo_account;
mod states;
mod stream;
mod stream_table;
mod write_hold;

pub(crate) use dataless::AtGate;
pub(crate) use occupancy::Occupancy;
pub(crate) use solo::{SoloDispatch, SoloPrice, SoloSent, is_shallow};
pub(crate) use stream::{Stream, StreamState, WakeBudget, spare_tag};

use crate::client_estimates::ClientEstimates;
use crate::config::{SchedulerConfig, SwitchingAccount};
use crate::ppm_time::{scaled, unscaled};
use crate::queue::StreamQueue;
use crate::report::DiskCounters;
use crate::stream_heap::StreamHeap;
use crate::stream_id::StreamId;
use charges::OpenCharge;
use dataless::Gate;
use disktime_units::Nanos;
use groups::StreamGroup;
use solo::Reservations;
use std::collections::BTreeMap;
use stream_table::StreamTable;

/// How long an empty queue counts as backlogged at least, so that a client that issues its next
/// request when the last is answered keeps what it has left of its budget.
const GRACE: Nanos = Nanos::from_millis(20);
/// And at most.
pub(crate) const GRACE_MAX: Nanos = Nanos::from_millis(100);
/// The credit that the switching account can save.
pub(crate) const CREDIT_CAP: Nanos = Nanos::from_millis(50);

/// On which of its two accounts a stream is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Account {
    /// Its reservation.
    Reserved,
    /// The disk's spare time.
    Spare,
}

/// The ledger of one disk.
#[derive(Debug)]
pub(crate) struct Ledger {
    config: SchedulerConfig,
    /// W, in ppm-nanoseconds.
    worst_case: i128,
    /// Unspent budget beyond which a deadline counts as missed, in ppm-nanoseconds.
    unspent_bound: i128,
    streams: StreamTable,
    active: Vec<StreamId>,
    held: Vec<StreamId>,
    limited: Vec<StreamId>,
    /// Active streams that have nothing to do for the moment.
    in_grace: Vec<StreamId>,
    /// Streams whose reservations are to grow, and by how much together.
    pending: Vec<StreamId>,
    pending_share_ppm: i64,
    /// Streams that others share the account of.
    groups: BTreeMap<StreamId, StreamGroup>,
    /// A stream has, or had, a limit that is kept.
    has_limits: bool,
    /// Streams that changed since the policy last read this list.
    changed: Vec<StreamId>,
    /// Not later than when each stream's account changes by itself.
    timers: StreamHeap<Nanos>,
    /// Σ u of idle reserved streams that would wake fresh.
    idle_share_ppm: i64,
    /// When an account with a reservation wrote last, where requests overlap.
    reserved_write_at: Option<Nanos>,
    /// Rate of the switching account in ppm.
    switching_share_ppm: i64,
    counters: DiskCounters,
    /// Requests queued, in all streams.
    queued: usize,
    /// Dispatches in flight, in all streams.
    in_flight: usize,
    /// Queued requests of which a few at a time fill the disk.
    shallow: usize,
    /// What the reservations are together; `None`: to be computed.
    reservations: Option<Reservations>,
    /// Order of arrival of the next request.
    sequence: u64,
    open_charge: Option<OpenCharge>,
    /// Prices of what is in flight on a disk that does several at a time.
    outstanding: Nanos,
    /// How full the disk is, where requests overlap.
    occupancy: Option<Occupancy>,
    /// Requests without data, at the gates and in the disk.
    gate: Gate,
    /// What budgets got back beyond their charges, in all, in ppm-nanoseconds.
    refunded: i128,
    /// v: the virtual time of spare service.
    spare_clock: u128,
    /// Streams in grace whose lag is set aside, and since when.
    yielded: Vec<StreamId>,
    yielded_at: Nanos,
    /// The earliest effective deadline of a stream that woke since the last scan of all demands.
    woken_since_scan: Nanos,
    /// And since a stream was last allowed to stay.
    woken_since_allowance: Nanos,
    /// The time up to which the ledger is kept.
    now: Nanos,
}

impl Ledger {
    pub(crate) fn new(config: SchedulerConfig) -> Ledger {
        assert!(
            config.max_in_flight >= 1,
            "a disk serves at least one request at a time"
        );
        let worst_case = scaled(config.worst_case);
        let unspent_bound = match config.switching {
            SwitchingAccount::Served => worst_case,
            SwitchingAccount::Reserved { .. } => {
                worst_case + scaled(CREDIT_CAP) + scaled(config.worst_seek)
            }
        };
        let overlaps = config.overlaps();
        Ledger {
            occupancy: overlaps.then(|| Occupancy::new(config.overlap, config.max_in_flight)),
            refunded: 0,
            config,
            worst_case,
            unspent_bound,
            streams: StreamTable::default(),
            active: Vec::new(),
            held: Vec::new(),
            limited: Vec::new(),
            in_grace: Vec::new(),
            pending: Vec::new(),
            pending_share_ppm: 0,
            groups: BTreeMap::new(),
            has_limits: false,
            changed: Vec::new(),
            timers: StreamHeap::default(),
            idle_share_ppm: 0,
            reserved_write_at: None,
            switching_share_ppm: 0,
            counters: DiskCounters::default(),
            queued: 0,
            in_flight: 0,
            shallow: 0,
            reservations: None,
            sequence: 0,
            open_charge: None,
            outstanding: Nanos::ZERO,
            gate: Gate::default(),
            spare_clock: 0,
            yielded: Vec::new(),
            yielded_at: Nanos::ZERO,
            woken_since_scan: Nanos::MAX,
            woken_since_allowance: Nanos::MAX,
            now: Nanos::ZERO,
        }
    }

    #[inline]
    pub(crate) fn config(&self) -> &SchedulerConfig {
        &self.config
    }

    /// W, in ppm-nanoseconds.
    pub(crate) fn worst_case(&self) -> i128 {
        self.worst_case
    }

    /// The bound on unspent budget that the account promises, in ns.
    pub(crate) fn unspent_bound(&self) -> i64 {
        unscaled(self.unspent_bound)
    }

    pub(crate) fn counters(&self) -> &DiskCounters {
        &self.counters
    }

    /// Requests queued, in all streams.
    pub(crate) fn queued(&self) -> usize {
        self.queued
    }

    /// Dispatches in flight, in all streams.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Prices of what is in flight on a disk that does several at a time.
    pub(crate) fn outstanding(&self) -> Nanos {
        self.outstanding
    }

    /// How full the disk is, where requests overlap.
    pub(crate) fn occupancy(&self) -> Option<&Occupancy> {
        self.occupancy.as_ref()
    }

    pub(crate) fn occupancy_mut(&mut self) -> Option<&mut Occupancy> {
        self.occupancy.as_mut()
    }

    /// When the next stream's account changes by itself, or earlier.
    pub(crate) fn next_timer(&self) -> Option<Nanos> {
        self.timers.first().map(|(at, _)| at)
    }

    /// Rate of the switching account in ppm.
    pub(crate) fn switching_share_ppm(&self) -> i64 {
        self.switching_share_ppm
    }

    /// The rate at which disk time is left for streams that count by their demands: 1 − U_idle −
    /// u_sw − what is pending, in ppm.
    pub(crate) fn rate_left_ppm(&self) -> i64 {
        1_000_000 - self.idle_share_ppm - self.switching_share_ppm - self.pending_share_ppm
    }

    #[inline]
    pub(crate) fn stream(&self, id: StreamId) -> &Stream {
        self.streams.get(id)
    }

    #[inline]
    fn stream_mut(&mut self, id: StreamId) -> &mut Stream {
        self.streams.get_mut(id)
    }

    pub(crate) fn estimates_mut(&mut self, id: StreamId) -> &mut ClientEstimates {
        self.stream_mut(id).estimates_mut()
    }

    /// A stream's queue, for a policy that reorders it, with the disk's configuration.
    pub(crate) fn queue_mut(&mut self, id: StreamId) -> (&mut StreamQueue, &SchedulerConfig) {
        (self.streams.get_mut(id).queue_mut(), &self.config)
    }

    /// All streams, in the order of their slots.
    pub(crate) fn streams(&self) -> impl Iterator<Item = (StreamId, &Stream)> {
        self.streams.iter()
    }

    pub(crate) fn stream_count(&self) -> usize {
        self.streams.len()
    }

    /// How many slots for streams there are, free ones included.
    pub(crate) fn slots(&self) -> usize {
        self.streams.slots()
    }

    /// The stream that has this slot.
    pub(crate) fn stream_at(&self, slot: usize) -> Option<StreamId> {
        self.streams.at(slot)
    }

    /// Whether the stream is there: it has not been removed.
    pub(crate) fn contains(&self, id: StreamId) -> bool {
        self.streams.contains(id)
    }

    /// # Panics
    /// If the stream has been removed.
    pub(crate) fn check(&self, id: StreamId) {
        self.streams.check(id);
    }

    /// Streams that compete, those in grace included.
    pub(crate) fn active(&self) -> &[StreamId] {
        &self.active
    }

    /// Streams with requests that their limits hold back.
    pub(crate) fn limited(&self) -> &[StreamId] {
        &self.limited
    }

    /// Active streams without requests.
    pub(crate) fn in_grace(&self) -> &[StreamId] {
        &self.in_grace
    }

    /// Adds a stream; it starts idle.
    pub(crate) fn add(&mut self, stream: Stream) -> StreamId {
        self.idle_share_ppm += stream.share_ppm();
        let id = self.streams.insert(stream);
        self.note_limit(id);
        // So that no change of state allocates.
        let slots = self.streams.slots();
        for list in [
            &mut self.active,
            &mut self.held,
            &mut self.limited,
            &mut self.in_grace,
            &mut self.changed,
        ] {
            list.reserve(slots.saturating_sub(list.len()));
        }
        self.gate.reserve(slots);
        let clock = self.spare_clock;
        self.stream_mut(id).start_tag(clock);
        self.recompute_switching_share();
        self.reservations = None;
        id
    }

    fn recompute_switching_share(&mut self) {
        let SwitchingAccount::Reserved { factor_percent } = self.config.switching else {
            return;
        };
        let cost = self.config.switch_cost.0 * u64::from(factor_percent) / 100;
        // For what is pending the account is filled already.
        let reserved = self.streams.iter().filter_map(|(_, stream)| {
            let asked = stream.asked_config().reservation;
            asked.or(stream.config().reservation)
        });
        self.switching_share_ppm = reserved
            .filter(|reservation| reservation.share.0 > 0)
            .map(|reservation| (cost * 1_000_000).div_ceil(reservation.period.0) as i64)
            .sum();
    }

    /// On which account a stream is served if it may go at all: its reserved one while it has
    /// budget.
    #[inline]
    pub(crate) fn account(&self, id: StreamId) -> Account {
        if self.stream(id).has_budget() {
            Account::Reserved
        } else {
            Account::Spare
        }
    }

    /// The virtual time of spare service is at least `tag` from now on.
    pub(crate) fn advance_spare_clock(&mut self, tag: u128) {
        self.spare_clock = self.spare_clock.max(tag);
    }

    /// Notes that a stream changed.
    fn note_change(&mut self, id: StreamId) {
        if self.stream_mut(id).note() {
            self.changed.push(id);
        }
    }

    /// A stream that changed since this was last asked.
    pub(crate) fn next_change(&mut self) -> Option<StreamId> {
        let id = self.changed.pop()?;
        self.stream_mut(id).change_is_read();
        Some(id)
    }

    /// The policy is about to scan all demands.
    pub(crate) fn scan_begins(&mut self) {
        self.woken_since_scan = Nanos::MAX;
    }

    /// The policy lets a stream stay without further scans.
    pub(crate) fn allowance_begins(&mut self) {
        self.woken_since_allowance = Nanos::MAX;
    }

    /// The earliest effective deadline of a stream that woke since the last scan.
    pub(crate) fn woken_since_scan(&self) -> Nanos {
        self.woken_since_scan
    }

    /// The earliest effective deadline of a stream that woke since the last allowance.
    pub(crate) fn woken_since_allowance(&self) -> Nanos {
        self.woken_since_allowance
    }

    /// What the policy knows of slack is no longer true.
    fn void_scans(&mut self) {
        self.woken_since_scan = Nanos::ZERO;
        self.woken_since_allowance = Nanos::ZERO;
    }
}
