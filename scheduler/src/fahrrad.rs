//! `fahrrad`: slack-stealing EDF over disk time.
//!
//! Each stream with a reservation (u, p) has a budget u·p of disk time per period and a deadline
//! at the period's end. Plain EDF would always serve the earliest deadline, and on a disk with
//! seeks lose a third of the time to them. Here the disk goes to whoever is *cheapest* among those
//! whose service endangers nobody: the slack test ([`agenda`]) says who that is. While a
//! stream is among them it stays, in the order of its own sweep; when it has to leave, the next is
//! the one whose next request is nearest by the seek curve. Time that nobody has reserved, or that
//! its owner does not use, is spare: it goes by weight, and using it never costs reservation.
//!
//! A numeric example, W = 25 ms, two streams of 45 % with p = 1 s, both always backlogged, the
//! switching account having 10 %: at 0 both have 450 ms and deadline 1 s. slack(1 s) = 1000·0.9 −
//! 900 = 0, so both are eligible; A is nearer and stays until its budget is spent (450 ms). Its
//! deadline, postponed with the next budget, is then 2 s; B (e = 1 s) is eligible. At 950 ms with
//! two switches B is spent as well. In the next period B goes first: one switch per period, not two.
//!
//! The promise: with Σu + u_sw ≤ 1 and W a true bound, at most W is unspent at the end of any
//! period in which the stream was backlogged (with the switching account W + its credit's cap + one
//! return seek). ARCHITECTURE.md has the argument; `tests/` repeats it by brute force.
//!
//! On a disk without seeks nothing is gained by staying, so every request is decided on its own:
//! the stream most behind its fluid share goes first, spare time fills what is left.

mod agenda;
mod anticipation;
mod blocks;
mod candidates;
mod places;
mod standing;
mod switching;

use crate::config::SchedulerConfig;
use crate::ledger::{Account, Ledger};
use crate::policy::{Finished, Pick, Policy};
use crate::stream::{length, scaled};
use crate::stream_id::StreamId;
use agenda::{Look, Terms};
use disktime_units::Nanos;
use standing::Standing;
use switching::Switching;

/// In a shortage on a disk with seeks, a look is used again while so many may go.
const MANY: usize = 32;

/// While a stream stays, the slack before its effective deadline falls no faster than time passes:
/// until then nobody else need be looked at, unless a stream wakes: its deadline may lie before all
/// those that were looked at, where slack was less than in any of them. (With several requests in flight it falls by their prices instead,
/// so there is no allowance.)
#[derive(Debug, Clone, Copy)]
struct Allowance {
    stream: StreamId,
    deadline: Nanos,
    until: Nanos,
}

/// The policy.
#[derive(Debug)]
pub(crate) struct Fahrrad {
    standing: Standing,
    /// As of the last decision that looked at everybody.
    look: Look,
    /// At least the slack that there is for spare time now; negative: there is none.
    spare_slack: i128,
    /// Nothing but time and requests since then.
    look_holds: bool,
    /// It was made for this very decision.
    is_fresh: bool,
    switching: Switching,
    /// Who was served last.
    current: Option<StreamId>,
    /// Where the last dispatch ended.
    head_bytes: u64,
    allowance: Option<Allowance>,
    waiting_for: Option<StreamId>,
}

impl Fahrrad {
    pub(crate) fn new(config: &SchedulerConfig) -> Fahrrad {
        Fahrrad {
            standing: Standing::default(),
            look: Look::NOTHING,
            spare_slack: -1,
            look_holds: false,
            is_fresh: false,
            switching: Switching::new(config),
            current: None,
            head_bytes: 0,
            allowance: None,
            waiting_for: None,
        }
    }

    /// The current stream, if the last look still vouches for it.
    fn stays_unseen(&self, ledger: &Ledger, now: Nanos) -> Option<Pick> {
        let allowance = self.allowance.filter(|allowance| {
            now <= allowance.until && ledger.woken_since_allowance >= allowance.deadline
        })?;
        let stream = ledger.stream(allowance.stream);
        let vouched = self.current == Some(allowance.stream)
            && can_use_own(ledger, allowance.stream)
            // A member of a group that is thinking may be worth a wait.
            && !(ledger.is_group(allowance.stream)
                && ledger.may_come_back(allowance.stream).is_some())
            && stream.current_demand(ledger.worst_case).deadline == allowance.deadline;
        vouched.then_some(Pick::Serve {
            stream: allowance.stream,
            account: Account::Own,
        })
    }

    /// Sees to it that what is known of slack is true now, looking at everybody if need be.
    fn look(&mut self, ledger: &mut Ledger, now: Nanos) {
        self.standing.refresh(ledger);
        self.is_fresh = false;
        let enough = scaled(ledger.config.worst_seek);
        let left = self.look.slack - scaled(now - self.look.at) - scaled(ledger.outstanding);
        let holds = self.look_holds && ledger.woken_deadline >= self.look.first;
        let is_short = self.look.short_at < Nanos::MAX;
        if holds && !is_short && left >= enough {
            self.spare_slack = left;
            self.look.candidates = self.standing.own.len();
            return;
        }
        // In a shortage those who may go are known as well; but it may be over before that.
        let recent = now - self.look.at <= length(ledger.worst_case);
        let many = !ledger.config.has_seeks || self.look.candidates >= MANY;
        if holds && is_short && left >= 0 && recent && many {
            return;
        }
        self.look_at_all(ledger, now);
        if self.spare_slack < enough && ledger.refine_held(now) {
            self.look_at_all(ledger, now);
        }
        // What somebody in grace put aside is owed to him still.
        if !ledger.pending.is_empty() && self.spare_slack >= 0 && !ledger.has_yielded() {
            ledger.apply_pending(now);
            self.look_at_all(ledger, now);
        }
    }

    /// Looks at everybody.
    fn look_at_all(&mut self, ledger: &mut Ledger, now: Nanos) {
        self.standing.refresh_demands(ledger);
        ledger.woken_deadline = Nanos::MAX;
        self.look = self.standing.agenda.look(terms(ledger, now));
        (self.look_holds, self.is_fresh) = (true, true);
        self.spare_slack = self.look.spare();
    }

    fn pick_with_seeks(&mut self, ledger: &mut Ledger, now: Nanos) -> Pick {
        if let Some(pick) = self.stays_unseen(ledger, now) {
            return pick;
        }
        self.allowance = None;
        self.look(ledger, now);
        if let Some(pick) = self.choose(ledger, now) {
            return pick;
        }
        if !self.is_fresh {
            self.look_at_all(ledger, now);
            if let Some(pick) = self.choose(ledger, now) {
                return pick;
            }
        }
        // Somebody in grace holds the others up: a stream without requests may not.
        while self.yield_blockers(ledger, now) {
            self.look(ledger, now);
            if let Some(pick) = self.choose(ledger, now) {
                return pick;
            }
        }
        self.last_resort(ledger)
    }

    /// Makes the eligible streams in grace let the disk go; whether there were any.
    fn yield_blockers(&mut self, ledger: &mut Ledger, now: Nanos) -> bool {
        let mut any = false;
        for index in 0..ledger.in_grace.len() {
            let id = ledger.in_grace[index];
            if self.is_eligible(ledger, id) {
                any |= ledger.yield_grace(id, now);
            }
        }
        self.look_holds &= !any;
        any
    }

    /// With an admitted set only limits can leave requests without a candidate. A set that was
    /// never admitted may get here with requests that nobody may start: the most urgent goes.
    fn last_resort(&mut self, ledger: &Ledger) -> Pick {
        let urgent = ledger
            .active
            .iter()
            .filter(|id| ledger.stream(**id).has_queue())
            .min_by_key(|id| (ledger.stream(**id).deadline, **id));
        match urgent {
            Some(stream) if ledger.outstanding == Nanos::ZERO => {
                let account = if can_use_own(ledger, *stream) {
                    Account::Own
                } else {
                    Account::Spare
                };
                Pick::Serve {
                    stream: *stream,
                    account,
                }
            }
            _ => Pick::Sleep {
                until: ledger.next_limit_end(),
            },
        }
    }

    /// Stay, wait, or go to the nearest.
    fn choose(&mut self, ledger: &mut Ledger, now: Nanos) -> Option<Pick> {
        let spare = self.spare_window(ledger);
        if let Some(current) = self.current
            && let Some(account) = self.account_for(ledger, current, spare)
        {
            if ledger.stream(current).has_queue() {
                // Within a group the member that was served last may be worth waiting for, too.
                if ledger.is_group(current)
                    && let Some(wait) = self.wait_for(ledger, now, current, account)
                {
                    return Some(wait);
                }
                return Some(self.serve(ledger, now, (current, account)));
            }
            if let Some(wait) = self.wait_for(ledger, now, current, account) {
                return Some(wait);
            }
        }
        let nearest = self.nearest(ledger, spare)?;
        Some(self.serve(ledger, now, nearest))
    }

    fn serve(
        &mut self,
        ledger: &mut Ledger,
        now: Nanos,
        (stream, account): (StreamId, Account),
    ) -> Pick {
        if account == Account::Own && ledger.outstanding == Nanos::ZERO {
            let demand = ledger.stream(stream).current_demand(ledger.worst_case);
            let slack = self.slack_before(ledger, now, demand.deadline);
            ledger.woken_since_allowance = Nanos::MAX;
            self.allowance = Some(Allowance {
                stream,
                deadline: demand.deadline,
                until: now.saturating_add(length(slack)),
            });
        }
        Pick::Serve { stream, account }
    }

    /// At least the slack before a deadline.
    fn slack_before(&mut self, ledger: &Ledger, now: Nanos, deadline: Nanos) -> i128 {
        if !self.is_fresh {
            return self.look.slack - scaled(now - self.look.at) - scaled(ledger.outstanding);
        }
        let terms = terms(ledger, now);
        self.standing.agenda.slack_before(terms, deadline)
    }

    fn wait_for(
        &mut self,
        ledger: &mut Ledger,
        now: Nanos,
        stream: StreamId,
        account: Account,
    ) -> Option<Pick> {
        // While something is in flight the disk is not idle; with nobody else's request to hold
        // back, its idleness costs nobody anything.
        if ledger.outstanding > Nanos::ZERO || !self.standing.has_candidates() {
            return None;
        }
        let bound = match account {
            Account::Own => {
                if !self.is_fresh && !self.is_eligible(ledger, stream) {
                    self.look_at_all(ledger, now);
                }
                if !self.is_eligible(ledger, stream) {
                    return None;
                }
                let demand = ledger.stream(stream).current_demand(ledger.worst_case);
                let slack = self.slack_before(ledger, now, demand.deadline);
                ledger.stream(stream).budget.min(slack)
            }
            Account::Spare => self.spare_slack,
        };
        let bound = length(bound.min(ledger.limit_left(stream, now)));
        let bound = now.saturating_add(bound);
        let switch_cost = ledger.config.switch_cost;
        let who = ledger.may_come_back(stream)?;
        let until = anticipation::wait_until(ledger.stream_mut(who), account, now, switch_cost)?;
        let until = until.min(bound);
        if until <= now {
            return None;
        }
        self.waiting_for = Some(who);
        Some(Pick::Wait {
            stream: who,
            account,
            until,
        })
    }
}

/// What slack depends on besides the demands.
fn terms(ledger: &Ledger, now: Nanos) -> Terms {
    Terms {
        now,
        rate_ppm: 1_000_000
            - ledger.idle_share_ppm
            - ledger.switching_share_ppm
            - ledger.pending_share_ppm,
        outstanding: scaled(ledger.outstanding),
    }
}

/// Whether a stream has a request and a budget of its own for it.
fn can_use_own(ledger: &Ledger, id: StreamId) -> bool {
    let stream = ledger.stream(id);
    ledger.is_active(id) && stream.is_reserved() && stream.budget > 0 && stream.has_queue()
}

impl Policy for Fahrrad {
    fn pick(&mut self, ledger: &mut Ledger, now: Nanos) -> Pick {
        self.waiting_for = None;
        if ledger.config.has_seeks {
            self.pick_with_seeks(ledger, now)
        } else {
            self.pick_without_seeks(ledger, now)
        }
    }

    fn dispatched(
        &mut self,
        ledger: &mut Ledger,
        stream: StreamId,
        account: Account,
        end_bytes: Option<u64>,
    ) {
        if account == Account::Spare {
            let has_slack = self.spare_slack >= scaled(ledger.config.worst_seek);
            self.switching
                .spare_begins(has_slack && !ledger.has_yielded());
        }
        self.current = Some(stream);
        if let Some(end) = end_bytes {
            self.head_bytes = end;
        }
    }

    fn returns_to(&mut self, ledger: &mut Ledger, now: Nanos, stream: StreamId) {
        anticipation::returned_to(ledger.stream_mut(stream), now);
    }

    fn removed(&mut self, stream: StreamId) {
        self.standing.forget(stream);
        self.current = self.current.filter(|current| *current != stream);
        self.waiting_for = self.waiting_for.filter(|waiting| *waiting != stream);
        let others = |allowance: &Allowance| allowance.stream != stream;
        self.allowance = self.allowance.filter(others);
        // What was seen last holds still (there is only more slack), but names the stream.
        (self.look_holds, self.is_fresh) = (false, false);
    }

    fn settle(&mut self, ledger: &mut Ledger, now: Nanos, finished: Finished) {
        self.switching.settle(ledger, now, finished);
    }

    fn arrived(&mut self, ledger: &mut Ledger, now: Nanos, stream: StreamId, _was_empty: bool) {
        let was_waited_for = self.waiting_for == Some(stream);
        anticipation::arrived(ledger.stream_mut(stream), now, was_waited_for);
    }
}
