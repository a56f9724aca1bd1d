//! The books that every policy keeps: who is active, when periods end, what was met and missed.
//!
//! Policies decide who is served; the books say what each is owed, in the same way for all of
//! them, so that their promises can be compared.
//!
//! Invariants: `active` holds exactly the streams whose presence is `Active`, `held` those that
//! are `IdleHeld`, `limited` those that are `Limited`; `idle_share_ppm` is the sum of the shares
//! of reserved `IdleFresh` streams. Period ends are worked off at their exact times, in order,
//! however late the call.

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

    /// The queue of a stream ran empty, nothing of it is in flight: its grace time begins.
    pub(crate) fn begin_grace(&mut self, id: StreamId, now: Nanos) {
        let stream = self.stream_mut(id);
        debug_assert!(!stream.is_busy());
        let expected = Nanos(stream.habits.think.0.saturating_mul(8));
        stream.grace_until = now + expected.clamp(GRACE, GRACE_MAX);
        let until = stream.grace_until;
        self.next_event = self.next_event.min(until);
    }

    /// A stream in grace has a request again.
    pub(crate) fn end_grace(&mut self, id: StreamId) {
        self.stream_mut(id).grace_until = Nanos::MAX;
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

    /// Lets the disk go from a stream in grace to those that have requests: what it is behind its
    /// line does not count until [`Ledger::end_yield`]. Whether there was anything.
    pub(crate) fn yield_grace(&mut self, id: StreamId, now: Nanos) -> bool {
        let stream = self.stream_mut(id);
        if !stream.is_reserved() || stream.is_busy() {
            return false;
        }
        let behind = stream.budget - stream.fluid_budget(now);
        if behind <= 0 {
            return false;
        }
        stream.budget -= behind;
        stream.yielded += behind;
        self.yielded.push(id);
        self.yielded_at = now;
        true
    }

    /// What was put aside counts again, less the time that others had meanwhile: a stream in grace
    /// loses no more of what it is owed than its pause cost, and nobody else makes up for it.
    pub(crate) fn end_yield(&mut self, now: Nanos) {
        let used = scaled(now.saturating_sub(self.yielded_at));
        while let Some(id) = self.yielded.pop() {
            let stream = self.stream_mut(id);
            stream.budget += (stream.yielded - used).max(0);
            stream.yielded = 0;
        }
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

    /// Brings the books to `now`: ends of periods, of grace times and of limits, in order of time.
    pub(crate) fn advance(&mut self, now: Nanos) {
        self.now = now;
        if now < self.next_event {
            return;
        }
        let mut index = 0;
        while index < self.active.len() {
            let id = self.active[index];
            if self.advance_stream(id, now) {
                index += 1;
            }
        }
        let mut index = 0;
        while index < self.limited.len() {
            let id = self.limited[index];
            while self.stream(id).presence == Presence::Limited && self.stream(id).limit_end <= now
            {
                self.unlimit_at(id, now);
            }
            if self.stream(id).presence == Presence::Limited {
                index += 1;
            } else {
                self.advance_stream(id, now);
            }
        }
        self.next_event = self.find_next_event();
    }

    fn find_next_event(&self) -> Nanos {
        let active = self.active.iter().map(|id| {
            let stream = self.stream(*id);
            let deadline = if stream.is_reserved() {
                stream.deadline
            } else {
                Nanos::MAX
            };
            deadline.min(stream.grace_until)
        });
        let limited = self.limited.iter().map(|id| self.stream(*id).limit_end);
        active.chain(limited).min().unwrap_or(Nanos::MAX)
    }

    /// Period ends and grace end of one active stream up to `now`; whether it is still active.
    fn advance_stream(&mut self, id: StreamId, now: Nanos) -> bool {
        loop {
            let stream = self.stream(id);
            let deadline = if stream.is_reserved() {
                stream.deadline
            } else {
                Nanos::MAX
            };
            let is_waited_for = self.accruing.is_some_and(|used| used.stream == id);
            if stream.grace_until < deadline && stream.grace_until <= now && !is_waited_for {
                let at = stream.grace_until;
                self.go_idle(id, at);
                return false;
            }
            if deadline > now {
                return true;
            }
            let until = now.min(stream.grace_until);
            let more = (until.0 - deadline.0) / stream.period().0;
            self.end_period(id);
            self.end_unserved_periods(id, more);
        }
    }

    /// Many periods passed in one go, in which nothing completed: a request that hung, a clock that
    /// jumped. The same as `count` single ends, without a loop that could take for ever.
    fn end_unserved_periods(&mut self, id: StreamId, count: u64) {
        if count == 0 {
            return;
        }
        let bound = self.unspent_bound;
        let is_served = self
            .accruing
            .is_some_and(|used| used.stream == id && used.account == Account::Own);
        let stream = self.stream_mut(id);
        let (budget, per_period) = (stream.budget, stream.budget_per_period());
        let periods = i128::from(count);
        stream.deadline += Nanos(stream.period().0 * count);
        if is_served {
            // It uses all of the disk, so what is unspent falls from one end to the next.
            stream.budget += per_period * periods;
            stream.counters.deadlines_met += count;
            return;
        }
        // Unspent at the ends: b, b + u·p, … until more than the bound.
        let within = ((bound - budget).div_euclid(per_period) + 1).clamp(0, periods);
        let last = (budget + per_period * (periods - 1)).min(bound + per_period);
        stream.budget = last.min(bound) + per_period;
        let waiting = stream.is_busy();
        let met = if waiting {
            u64::try_from(within).unwrap_or(0)
        } else {
            count
        };
        stream.counters.deadlines_met += met;
        stream.counters.deadlines_missed += count - met;
        if waiting {
            stream.counters.note_unspent(unscaled(last));
        }
    }

    /// One period of an active stream ends: remainder and debt are carried into the next.
    fn end_period(&mut self, id: StreamId) {
        let bound = self.unspent_bound;
        let accruing = self
            .accruing
            .filter(|used| used.stream == id && used.account == Account::Own);
        let stream = self.stream_mut(id);
        let using = accruing.map_or(0, |used| scaled(stream.deadline.saturating_sub(used.since)));
        let unspent = stream.budget - using;
        let waiting = stream.is_busy();
        let counters = &mut stream.counters;
        if waiting {
            counters.note_unspent(unscaled(unspent));
        }
        if waiting && unspent > bound {
            counters.deadlines_missed += 1;
        } else {
            counters.deadlines_met += 1;
        }
        // With an admitted set this never bites. Where the disk could not do what was promised
        // (W untrue, a set that was never admitted), what was missed is not owed for ever.
        stream.budget -= (unspent - bound).max(0);
        stream.budget += stream.budget_per_period();
        stream.deadline += stream.period();
    }

    /// The disk did nothing for `idle`, because nothing was asked of it. Streams in grace count as
    /// backlogged, but it was they who left the disk idle: each loses what it is behind its line,
    /// up to that time, and so nobody else will have to make up for it.
    pub(crate) fn forfeit(&mut self, idle: Nanos) {
        let now = self.now;
        for id in &self.active {
            let stream = &mut self.streams[id.0 as usize];
            if stream.is_reserved() && !stream.is_busy() {
                let behind = stream.budget - stream.fluid_budget(now);
                stream.budget -= behind.clamp(0, scaled(idle));
            }
        }
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
