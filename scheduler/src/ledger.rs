//! The books that every policy keeps: who is active, when periods end, what was met and missed.
//!
//! Policies decide who is served; the books say what each is owed, in the same way for all of
//! them, so that their promises can be compared.
//!
//! Invariants: `active` holds exactly the streams whose presence is `Active`, `held` those that
//! are `IdleHeld`, `limited` those that are `Limited`; `idle_share_ppm` is the sum of the shares
//! of reserved `IdleFresh` streams. Period ends are worked off at their exact times, in order,
//! however late the call.

mod grace;
mod periods;

use crate::config::{PolicyKind, SchedulerConfig, StreamId, SwitchingAccount};
use crate::report::DiskCounters;
use crate::stream::{Presence, Stream, Virtual, scaled, unscaled};
use disktime_units::Nanos;

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
    pub(crate) streams: Vec<Stream>,
    pub(crate) active: Vec<StreamId>,
    pub(crate) held: Vec<StreamId>,
    pub(crate) limited: Vec<StreamId>,
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
    /// Streams that became active so far.
    pub(crate) wakes: u64,
    /// The time up to which the books are kept.
    now: Nanos,
    /// Nothing in the books changes by itself before this.
    next_event: Nanos,
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
            streams: Vec::new(),
            active: Vec::new(),
            held: Vec::new(),
            limited: Vec::new(),
            idle_share_ppm: 0,
            switching_share_ppm: 0,
            counters: DiskCounters::default(),
            queued: 0,
            accruing: None,
            outstanding: Nanos::ZERO,
            spare_clock: 0,
            yielded: Vec::new(),
            yielded_at: Nanos::ZERO,
            wakes: 0,
            now: Nanos::ZERO,
            next_event: Nanos::MAX,
            unspent_bound,
        }
    }

    pub(crate) fn stream(&self, id: StreamId) -> &Stream {
        &self.streams[id.0 as usize]
    }

    pub(crate) fn stream_mut(&mut self, id: StreamId) -> &mut Stream {
        &mut self.streams[id.0 as usize]
    }

    /// Whether a stream competes (it may be in grace, without requests).
    pub(crate) fn is_active(&self, id: StreamId) -> bool {
        self.stream(id).presence == Presence::Active
    }

    /// The bound on unspent budget that the account promises, in ns.
    pub(crate) fn unspent_bound(&self) -> i64 {
        unscaled(self.unspent_bound)
    }

    /// Adds a stream; it starts idle.
    pub(crate) fn add(&mut self, stream: Stream) -> StreamId {
        let id = StreamId(u32::try_from(self.streams.len()).expect("streams are counted in u32"));
        self.idle_share_ppm += stream.share_ppm();
        self.streams.push(stream);
        self.streams[id.0 as usize].tag = self.spare_clock;
        self.recompute_switching_share();
        id
    }

    fn recompute_switching_share(&mut self) {
        let SwitchingAccount::Reserved { factor_percent } = self.config.switching else {
            return;
        };
        let cost = self.config.switch_cost.0 * u64::from(factor_percent) / 100;
        self.switching_share_ppm = self
            .streams
            .iter()
            .filter(|stream| stream.is_reserved())
            .map(|stream| (cost * 1_000_000).div_ceil(stream.period().0) as i64)
            .sum();
    }

    /// A request came for a stream: wakes it if it was idle.
    pub(crate) fn wake(&mut self, id: StreamId, now: Nanos) {
        let worst_case = self.worst_case;
        match self.stream(id).presence {
            Presence::Active | Presence::Limited => return,
            Presence::IdleHeld => remove(&mut self.held, id),
            Presence::IdleFresh => self.idle_share_ppm -= self.stream(id).share_ppm(),
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

    fn limits_apply(&self) -> bool {
        self.config.policy != PolicyKind::Fifo
    }

    fn activate(&mut self, id: StreamId) {
        let stream = self.stream_mut(id);
        stream.presence = Presence::Active;
        stream.grace_until = Nanos::MAX;
        if stream.is_reserved() {
            let deadline = stream.deadline;
            self.next_event = self.next_event.min(deadline);
        }
        self.active.push(id);
        self.wakes += 1;
    }

    /// An active stream without requests goes idle as of `now`.
    fn go_idle(&mut self, id: StreamId, now: Nanos) {
        remove(&mut self.active, id);
        let worst_case = self.worst_case;
        let stream = self.stream_mut(id);
        stream.grace_until = Nanos::MAX;
        stream.yielded = 0;
        let fresh = !stream.is_reserved() || stream.if_woken(now, worst_case) == Virtual::Fresh;
        self.set_idle(id, fresh);
    }

    fn set_idle(&mut self, id: StreamId, fresh: bool) {
        if fresh {
            self.idle_share_ppm += self.stream(id).share_ppm();
            self.stream_mut(id).presence = Presence::IdleFresh;
        } else {
            self.held.push(id);
            self.stream_mut(id).presence = Presence::IdleHeld;
        }
    }

    /// An idle stream whose old budget has run out counts as fresh from now on.
    pub(crate) fn held_becomes_fresh(&mut self, index: usize) {
        let id = self.held.swap_remove(index);
        self.set_idle(id, true);
    }

    /// Takes a stream with requests out of the competition until its limit's period ends. It
    /// counts as fresh idle, the most that it could wake with. Its old deadline is not kept: what
    /// the limit holds back is not owed.
    fn limit(&mut self, id: StreamId) {
        self.idle_share_ppm += self.stream(id).share_ppm();
        let stream = self.stream_mut(id);
        stream.presence = Presence::Limited;
        let until = stream.limit_end;
        self.limited.push(id);
        self.next_event = self.next_event.min(until);
    }

    /// Limits a stream that has used up what its limit allows.
    pub(crate) fn enforce_limit(&mut self, id: StreamId, now: Nanos) {
        if !self.limits_apply() {
            return;
        }
        let stream = self.stream_mut(id);
        if stream.presence != Presence::Active || stream.config.limit.is_none() {
            return;
        }
        stream.roll_limit(now);
        if stream.is_at_limit() && stream.has_queue() {
            remove(&mut self.active, id);
            self.limit(id);
        }
    }

    fn unlimit_at(&mut self, id: StreamId, now: Nanos) {
        let stream = self.stream_mut(id);
        let at = stream.limit_release().min(now);
        stream.roll_limit(at);
        if stream.is_at_limit() {
            return;
        }
        remove(&mut self.limited, id);
        self.idle_share_ppm -= self.stream(id).share_ppm();
        let worst_case = self.worst_case;
        let stream = self.stream_mut(id);
        if stream.is_reserved() {
            if stream.deadline <= at {
                // These periods ended while its limit held it back: it had more than was promised.
                let passed = (at.0 - stream.deadline.0) / stream.period().0 + 1;
                stream.counters.deadlines_met += passed;
            }
            if let Virtual::Held { budget, deadline } = stream.if_woken(at, worst_case) {
                (stream.budget, stream.deadline) = (budget, deadline);
            } else {
                (stream.budget, stream.deadline) =
                    (stream.budget_per_period(), at + stream.period());
            }
        }
        self.activate(id);
    }

    /// Whether a stream that competes has requests waiting.
    pub(crate) fn has_requests(&self) -> bool {
        self.active.iter().any(|id| self.stream(*id).has_queue())
    }

    /// What its limit leaves a stream in this period, in ppm-nanoseconds.
    pub(crate) fn limit_left(&mut self, id: StreamId, now: Nanos) -> i128 {
        let stream = self.stream_mut(id);
        if stream.config.limit.is_none() {
            return i128::MAX;
        }
        stream.roll_limit(now);
        stream.limit_budget
    }

    /// When the next limited stream may go on.
    pub(crate) fn next_limit_end(&self) -> Option<Nanos> {
        self.limited
            .iter()
            .map(|id| self.stream(*id).limit_end)
            .min()
    }

    /// Debits the price of a request that goes to the disk, until its charge is known.
    pub(crate) fn debit(&mut self, id: StreamId, account: Account, price: Nanos) {
        self.outstanding += price;
        let stream = self.stream_mut(id);
        match account {
            Account::Own => stream.budget -= scaled(price),
            Account::Spare => stream.tag += spare_tag(price, stream.config.weight),
        }
    }

    /// Takes a debit back; the charge follows.
    pub(crate) fn undo_debit(&mut self, id: StreamId, account: Account, price: Nanos) {
        self.outstanding -= price;
        let stream = self.stream_mut(id);
        match account {
            Account::Own => stream.budget += scaled(price),
            Account::Spare => stream.tag -= spare_tag(price, stream.config.weight),
        }
    }

    /// Charges `used` to a stream's account.
    pub(crate) fn charge(&mut self, id: StreamId, account: Account, used: Nanos) {
        self.counters.charged += used;
        let now = self.now;
        let stream = self.stream_mut(id);
        match account {
            Account::Own => {
                stream.budget -= scaled(used);
                stream.counters.reserved += used;
            }
            Account::Spare => {
                stream.tag += spare_tag(used, stream.config.weight);
                stream.counters.spare += used;
            }
        }
        if stream.config.limit.is_some() {
            // First the refill that is due: what is used up to now counts against the period that
            // `now` is in, so that no unused rest of an older one pays for it.
            stream.roll_limit(now);
            stream.limit_budget -= scaled(used);
        }
    }
}

/// Spare service of length `used` in virtual time: the more weight, the less.
pub(crate) fn spare_tag(used: Nanos, weight: u32) -> u128 {
    u128::from(used.0) * 1_000_000 / u128::from(weight)
}

fn remove(list: &mut Vec<StreamId>, id: StreamId) {
    let index = list
        .iter()
        .position(|other| *other == id)
        .expect("the books list every stream once");
    list.swap_remove(index);
}
