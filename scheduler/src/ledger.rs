//! The books that every policy keeps: who is active, when periods end, what was met and missed.
//!
//! Policies decide who is served; the books say what each is owed, in the same way for all of
//! them, so that their promises can be compared.
//!
//! Invariants: `active` holds exactly the streams whose presence is `Active`, `held` those that
//! are `IdleHeld`, `limited` those that are `Limited`, `in_grace` the active ones without requests;
//! `idle_share_ppm` is the sum of the shares of reserved `IdleFresh` and `Limited` streams. Every
//! stream whose books change by themselves has a timer that is not later than that.
//!
//! Period ends are counted at their exact times, but worked off only when the stream is next
//! touched: carrying budget into the next period moves neither its line nor its effective deadline, so
//! nobody else sees it. Hence no event costs more than the logarithm of the number of streams.

mod changes;
mod grace;
mod groups;
mod limits;
mod periods;
mod removal;

use crate::config::{SchedulerConfig, SwitchingAccount};
use crate::report::DiskCounters;
use crate::stream::{Presence, Stream, Virtual, scaled, unscaled};
use crate::stream_heap::StreamHeap;
use crate::stream_id::StreamId;
use crate::stream_table::StreamTable;
use disktime_units::Nanos;
use groups::Group;
use std::collections::BTreeMap;

/// How long an empty queue counts as backlogged at least, so that a client that issues its next
/// request when the last is answered keeps what it has left of its budget.
const GRACE: Nanos = Nanos::from_millis(20);
/// And at most.
pub(crate) const GRACE_MAX: Nanos = Nanos::from_millis(100);
/// The credit that the switching account can save.
pub(crate) const CREDIT_CAP: Nanos = Nanos::from_millis(50);

/// On which account a stream is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Account {
    /// Its reservation.
    Own,
    /// The disk's spare time.
    Spare,
}

/// Disk time that is being used right now and not yet charged: the request in service on a disk
/// that does one at a time, or a wait.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Accruing {
    pub(crate) stream: StreamId,
    pub(crate) account: Account,
    pub(crate) since: Nanos,
}

/// The books.
#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) config: SchedulerConfig,
    pub(crate) worst_case: i128,
    pub(crate) streams: StreamTable,
    pub(crate) active: Vec<StreamId>,
    pub(crate) held: Vec<StreamId>,
    pub(crate) limited: Vec<StreamId>,
    /// Streams whose reservations are to grow, and by how much together.
    pub(crate) pending: Vec<StreamId>,
    pub(crate) pending_share_ppm: i64,
    /// Streams that others share the account of.
    groups: BTreeMap<StreamId, Group>,
    /// Active streams that have nothing to do for the moment.
    pub(crate) in_grace: Vec<StreamId>,
    /// Streams whose standing changed since the policy last looked.
    pub(crate) changed: Vec<StreamId>,
    /// Not later than when each stream's books change by themselves.
    timers: StreamHeap<Nanos>,
    /// Σ u of idle reserved streams that would wake fresh.
    pub(crate) idle_share_ppm: i64,
    /// Rate of the switching account in ppm.
    pub(crate) switching_share_ppm: i64,
    pub(crate) counters: DiskCounters,
    /// Requests queued, in all streams.
    pub(crate) queued: usize,
    pub(crate) accruing: Option<Accruing>,
    /// Prices of what is in flight on a disk that does several at a time.
    pub(crate) outstanding: Nanos,
    /// v: the virtual time of spare service.
    pub(crate) spare_clock: u128,
    /// Streams that yielded the disk while in grace, and when.
    yielded: Vec<StreamId>,
    yielded_at: Nanos,
    /// The earliest effective deadline of a stream that woke since the policy last looked at all.
    pub(crate) woken_deadline: Nanos,
    /// And since it last let a stream stay.
    pub(crate) woken_since_allowance: Nanos,
    /// The time up to which the books are kept.
    now: Nanos,
    /// Unspent budget beyond which a deadline counts as missed.
    unspent_bound: i128,
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
        Ledger {
            config,
            worst_case,
            streams: StreamTable::default(),
            active: Vec::new(),
            held: Vec::new(),
            limited: Vec::new(),
            pending: Vec::new(),
            pending_share_ppm: 0,
            groups: BTreeMap::new(),
            in_grace: Vec::new(),
            changed: Vec::new(),
            timers: StreamHeap::default(),
            idle_share_ppm: 0,
            switching_share_ppm: 0,
            counters: DiskCounters::default(),
            queued: 0,
            accruing: None,
            outstanding: Nanos::ZERO,
            spare_clock: 0,
            yielded: Vec::new(),
            yielded_at: Nanos::ZERO,
            woken_deadline: Nanos::MAX,
            woken_since_allowance: Nanos::MAX,
            now: Nanos::ZERO,
            unspent_bound,
        }
    }

    pub(crate) fn stream(&self, id: StreamId) -> &Stream {
        self.streams.get(id)
    }

    pub(crate) fn stream_mut(&mut self, id: StreamId) -> &mut Stream {
        self.streams.get_mut(id)
    }

    /// Whether a stream competes (it may be in grace, without requests).
    pub(crate) fn is_active(&self, id: StreamId) -> bool {
        self.stream(id).presence == Presence::Active
    }

    /// Whether the stream is there: it has not been removed.
    pub(crate) fn contains(&self, id: StreamId) -> bool {
        self.streams.contains(id)
    }

    /// The bound on unspent budget that the account promises, in ns.
    pub(crate) fn unspent_bound(&self) -> i64 {
        unscaled(self.unspent_bound)
    }

    /// Adds a stream; it starts idle.
    pub(crate) fn add(&mut self, stream: Stream) -> StreamId {
        self.idle_share_ppm += stream.share_ppm();
        let id = self.streams.insert(stream);
        self.stream_mut(id).tag = self.spare_clock;
        self.recompute_switching_share();
        id
    }

    fn recompute_switching_share(&mut self) {
        let SwitchingAccount::Reserved { factor_percent } = self.config.switching else {
            return;
        };
        let cost = self.config.switch_cost.0 * u64::from(factor_percent) / 100;
        // What is pending is set aside already.
        let reserved = self.streams.iter().filter_map(|(_, stream)| {
            let pending = stream.pending.and_then(|config| config.reservation);
            pending.or(stream.config.reservation)
        });
        self.switching_share_ppm = reserved
            .filter(|reservation| reservation.share.0 > 0)
            .map(|reservation| (cost * 1_000_000).div_ceil(reservation.period.0) as i64)
            .sum();
    }

    /// A request came for a stream: wakes it if it was idle.
    pub(crate) fn wake(&mut self, id: StreamId, now: Nanos) {
        let worst_case = self.worst_case;
        match self.stream(id).presence {
            Presence::Active | Presence::Limited => return,
            Presence::IdleHeld | Presence::IdleFresh => self.leave(id),
        }
        let spare_clock = self.spare_clock;
        let stream = self.stream_mut(id);
        let woken = stream.if_woken(now, worst_case);
        if stream.is_reserved() {
            (stream.budget, stream.deadline) = match woken {
                Virtual::Fresh => (stream.budget_per_period(), now + stream.period()),
                Virtual::Held { budget, deadline } => (budget, deadline),
            };
        }
        stream.tag = stream.tag.max(spare_clock);
        if stream.config.limit.is_some() && stream.limit_end == Nanos::ZERO {
            stream.limit_end = now;
        }
        stream.roll_limit(now);
        if stream.is_at_limit() && self.limits_apply() {
            self.limit(id);
        } else {
            self.activate(id);
        }
    }

    /// The list of a presence.
    fn list(&mut self, presence: Presence) -> Option<&mut Vec<StreamId>> {
        match presence {
            Presence::IdleFresh => None,
            Presence::IdleHeld => Some(&mut self.held),
            Presence::Active => Some(&mut self.active),
            Presence::Limited => Some(&mut self.limited),
        }
    }

    /// Takes a stream out of the presence that it has.
    fn leave(&mut self, id: StreamId) {
        let (presence, slot) = (self.stream(id).presence, self.stream(id).slot);
        if matches!(presence, Presence::IdleFresh | Presence::Limited) {
            self.idle_share_ppm -= self.stream(id).share_ppm();
        }
        let Some(list) = self.list(presence) else {
            return;
        };
        list.swap_remove(slot as usize);
        if let Some(moved) = list.get(slot as usize).copied() {
            self.stream_mut(moved).slot = slot;
        }
    }

    /// Gives a stream that left its presence another.
    fn enter(&mut self, id: StreamId, presence: Presence) {
        if matches!(presence, Presence::IdleFresh | Presence::Limited) {
            self.idle_share_ppm += self.stream(id).share_ppm();
        }
        let slot = self.list(presence).map_or(0, |list| {
            list.push(id);
            list.len() - 1
        });
        let stream = self.stream_mut(id);
        stream.presence = presence;
        stream.slot = slot as u32;
        self.changed(id);
        self.set_timer(id);
    }

    fn activate(&mut self, id: StreamId) {
        let worst_case = self.worst_case;
        let stream = self.stream_mut(id);
        stream.grace_until = Nanos::MAX;
        if stream.is_reserved() {
            let deadline = stream.current_demand(worst_case).deadline;
            self.woken_deadline = self.woken_deadline.min(deadline);
            self.woken_since_allowance = self.woken_since_allowance.min(deadline);
        }
        self.enter(id, Presence::Active);
    }

    /// An active stream without requests goes idle as of `now`.
    fn go_idle(&mut self, id: StreamId, now: Nanos) {
        self.end_grace(id);
        self.leave(id);
        let worst_case = self.worst_case;
        let stream = self.stream_mut(id);
        stream.yielded = 0;
        let fresh = !stream.is_reserved() || stream.if_woken(now, worst_case) == Virtual::Fresh;
        self.enter(
            id,
            if fresh {
                Presence::IdleFresh
            } else {
                Presence::IdleHeld
            },
        );
    }

    /// Brings idle streams that hold a remainder or a debt to what they would wake with now: less and
    /// less. A debt that is repaid in the middle of a period makes a stream fresh before its timer says
    /// so; counted with the whole period's budget it could keep everybody from the disk.
    /// Whether that is less than was counted for any.
    pub(crate) fn refine_held(&mut self, now: Nanos) -> bool {
        let worst_case = self.worst_case;
        let mut any = false;
        for index in (0..self.held.len()).rev() {
            let id = self.held[index];
            let stream = self.stream_mut(id);
            match stream.if_woken(now, worst_case) {
                Virtual::Held { budget, deadline }
                    if (budget, deadline) != (stream.budget, stream.deadline) =>
                {
                    (stream.budget, stream.deadline) = (budget, deadline);
                    self.changed(id);
                    any = true;
                }
                Virtual::Held { .. } => {}
                Virtual::Fresh => {
                    self.leave(id);
                    self.enter(id, Presence::IdleFresh);
                    any = true;
                }
            }
        }
        any
    }

    /// Notes that a stream stands differently now.
    pub(crate) fn changed(&mut self, id: StreamId) {
        let stream = self.stream_mut(id);
        if !stream.is_noted {
            stream.is_noted = true;
            self.changed.push(id);
        }
    }

    /// The budget of an active stream changed: its timer may have to be earlier.
    fn budget_changed(&mut self, id: StreamId) {
        self.changed(id);
        let stream = self.streams.get(id);
        // A timer that is too early does no harm.
        if self.timers.key(id).is_none_or(|set| set > stream.deadline) {
            self.set_timer(id);
        }
    }

    /// Sets a stream's timer to when its books change by themselves.
    fn set_timer(&mut self, id: StreamId) {
        let stream = self.streams.get(id);
        let at = match stream.presence {
            Presence::IdleFresh => Nanos::MAX,
            Presence::IdleHeld => stream.held_until(self.worst_case),
            Presence::Active => stream.active_until(self.worst_case),
            Presence::Limited => stream.limit_release(),
        };
        if at == Nanos::MAX {
            self.timers.remove(id);
        } else {
            self.timers.set(id, at);
        }
    }

    /// On which account a stream is served if it may go at all: its own while it has budget.
    pub(crate) fn account(&self, id: StreamId) -> Account {
        let stream = self.stream(id);
        if stream.is_reserved() && stream.budget > 0 {
            Account::Own
        } else {
            Account::Spare
        }
    }

    /// Debits the price of a request that goes to the disk, until its charge is known.
    pub(crate) fn debit(&mut self, id: StreamId, account: Account, price: Nanos) {
        self.outstanding += price;
        let payer = self.payer(id);
        let stream = self.stream_mut(payer);
        match account {
            Account::Own => stream.budget -= scaled(price),
            Account::Spare => stream.tag += spare_tag(price, stream.config.weight),
        }
        self.budget_changed(payer);
    }

    /// Takes a debit back; the charge follows.
    pub(crate) fn undo_debit(&mut self, id: StreamId, account: Account, price: Nanos) {
        self.outstanding -= price;
        let payer = self.payer(id);
        let stream = self.stream_mut(payer);
        match account {
            Account::Own => stream.budget += scaled(price),
            Account::Spare => stream.tag -= spare_tag(price, stream.config.weight),
        }
        self.changed(payer);
    }

    /// Charges the way back from spare service to the stream that used it. Where that has been
    /// removed since, its time is counted all the same: spare time is no budget of anybody's.
    pub(crate) fn charge_spare_user(&mut self, id: StreamId, used: Nanos) {
        if self.contains(id) {
            self.charge(id, Account::Spare, used);
        } else {
            self.counters.charged += used;
            self.counters.charged_to_removed += used;
        }
    }

    /// Charges `used` to the account of a stream, which may be its group's.
    pub(crate) fn charge(&mut self, id: StreamId, account: Account, used: Nanos) {
        self.counters.charged += used;
        self.count(id, account, used);
        self.charge_member(id, used);
        let now = self.now;
        let payer = self.payer(id);
        let stream = self.stream_mut(payer);
        match account {
            Account::Own => stream.budget -= scaled(used),
            Account::Spare => stream.tag += spare_tag(used, stream.config.weight),
        }
        if stream.config.limit.is_some() {
            // First the refill that is due: what is used up to now counts against the period that
            // `now` is in, so that no unused rest of an older one pays for it.
            stream.roll_limit(now);
            stream.limit_budget -= scaled(used);
        }
        self.budget_changed(payer);
    }
}

/// Spare service of length `used` in virtual time: the more weight, the less.
pub(crate) fn spare_tag(used: Nanos, weight: u32) -> u128 {
    u128::from(used.0) * 1_000_000 / u128::from(weight)
}
