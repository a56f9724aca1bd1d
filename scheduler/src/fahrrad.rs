//! `fahrrad`: slack-stealing EDF over disk time.
//!
//! # Why
//!
//! Virtual disks that share a disk are to be isolated: each gets the part of the disk that it has
//! reserved, whatever the others do. Operations per second and bytes per second cannot be divided
//! so, because what a disk does of them in a second differs 60-fold with the mix. A second of disk
//! time is always a second. So disk time is what is reserved, charged and reported.
//!
//! Plain EDF over budgets of disk time would always serve the earliest deadline. On a disk with
//! seeks it loses a third of the time to them, and as a request cannot be interrupted, n streams
//! together miss their deadlines by up to (n − 1)·W, where W is the longest that a request takes.
//! Here the disk goes to the stream that is *cheapest to serve* among those whose service endangers
//! no deadline.
//!
//! # Model
//!
//! A stream with a reservation (u, p) has a budget b of disk time, of which it gets u·p per period,
//! and a deadline d at the period's end. Remainder and debt are carried into the next period. A
//! budget below W competes one period later, together with the next: its *effective deadline* is e,
//! its demand there β. A stream without a reservation lives on spare time. What a stream uses is
//! measured, not estimated: with one request in flight the time from dispatch to completion, with
//! several the busy time divided by what the requests cost by a linear model.
//!
//! `slack(D) = (D − now)·(1 − U_idle − u_sw) − outstanding − Σ_{e ≤ D} (β + u·(D − e))` is what is
//! left of the time until D when all that is promised by then has been delivered. U_idle is the sum
//! of the shares of idle streams, which count as a slower disk, and u_sw that of the switching
//! account (`slack_index.rs`).
//!
//! # Rules
//!
//! 1. *Reserved account.* A stream may start a request on its reserved account iff b > 0 and
//!    slack(D) ≥ 0 for every D before its e. One request of lateness is the price of requests that
//!    cannot be interrupted.
//! 2. *Spare time*, which is not reserved or which its owner does not use, may be used iff slack is
//!    ≥ 0 everywhere. It goes by weight, and using it never costs reservation (`candidates.rs`).
//! 3. *Stay.* While a stream is eligible it stays, in the order of its own sweep. When it has to
//!    leave, the next is the one whose next request is nearest by the seek curve. Each switch costs
//!    10 to 13 ms, and nothing else is lost.
//! 4. *Wait.* When the queue of the stream that is served runs empty, the disk waits for its next
//!    request if that has paid before (`anticipation.rs`).
//! 5. *Charge.* The stream that is served pays its time. With the switching account it pays after a
//!    switch only what its request would have cost alone (`switching.rs`).
//!
//! Example, W = 25 ms, two streams of 45 % with p = 1 s, both always backlogged, the switching
//! account having 10 %:
//!
//! | time | A: b, e | B: b, e | what happens |
//! |---|---|---|---|
//! | 0 ms | 450 ms, 1 s | 450 ms, 1 s | slack(1 s) = 1000·0.9 − 900 = 0: both are eligible; A is nearer and is served |
//! | 450 ms | 0, 2 s | 450 ms, 1 s | A's budget competes with the next one, at 2 s; B is served |
//! | 950 ms | 0, 2 s | 0, 2 s | both have what was promised, with two switches in 50 ms |
//! | 1 s | 450 ms, 2 s | 450 ms, 2 s | B goes on first: one switch per period, not two |
//!
//! # The promise, and what feeds back
//!
//! With Σu + u_sw ≤ 1 and W a true bound, at most W is unspent at the end of any period in which
//! the stream was backlogged; with the switching account W + the cap of its credit + one return
//! seek. The argument is in docs/design/scheduler.md, and `tests/` repeats it by brute force. Three
//! things are learnt of each stream's client (`client_estimates.rs`): how long it thinks, whether
//! waiting for it paid, and how its requests compare with their estimates. A wrong estimate costs
//! efficiency and moves charges between the accounts; it never breaks the promise.
//!
//! # How to monitor it
//!
//! `StreamCounters` has the time received on both accounts, deadlines met and missed, and the most
//! that was unspent at a period's end. A missed deadline means that W is not true
//! (`DiskCounters::overruns` and `longest` show it), that more was reserved than admission allows,
//! or an error here. `switches` times the switch cost, against `busy`, is what is lost to sharing;
//! `waiting` is what was spent on waits.
//!
//! On a disk without seeks nothing is gained by staying, so each request is decided on its own: the
//! stream most behind its fluid share goes first, spare time fills what is left.

mod anticipation;
mod blocks;
mod candidates;
mod gate;
mod next_requests;
mod overlapping;
mod price_probes;
mod slack_index;
mod stream_index;
mod switching;

use crate::config::SchedulerConfig;
use crate::ledger::{Account, Ledger};
use crate::policy::{FinishedDispatch, Pick, Policy};
use crate::ppm_time::{length, scaled};
use crate::stream_id::StreamId;
use disktime_units::Nanos;
pub(crate) use overlapping::Overlapping;
use slack_index::{SlackScan, SlackTerms};
use stream_index::StreamIndex;
use switching::SwitchingCredit;

/// In a shortage on a disk with seeks, a scan is used again while so many streams may go.
const MANY: usize = 32;

/// While a stream stays, the slack before its effective deadline falls no faster than time passes:
/// until then no other stream need be scanned, unless one wakes whose deadline lies before all
/// those that were scanned, where slack was less than in any of them. (With several requests in
/// flight slack falls by their prices instead, so there is no allowance.)
#[derive(Debug, Clone, Copy)]
struct Allowance {
    stream: StreamId,
    deadline: Nanos,
    until: Nanos,
}

/// The policy.
#[derive(Debug)]
pub(crate) struct Fahrrad {
    index: StreamIndex,
    /// As of the last decision that scanned all demands.
    scan: SlackScan,
    /// At least the slack that there is for spare time now; negative: there is none.
    spare_slack: i128,
    /// Since the last scan nothing happened but time and requests.
    scan_holds: bool,
    /// The scan was made for this very decision.
    is_fresh: bool,
    switching: SwitchingCredit,
    /// The account that was served last.
    current: Option<StreamId>,
    /// Where the last dispatch ended.
    head_bytes: u64,
    allowance: Option<Allowance>,
    waiting_for: Option<StreamId>,
}

impl Fahrrad {
    pub(crate) fn new(config: &SchedulerConfig) -> Fahrrad {
        Fahrrad {
            index: StreamIndex::default(),
            scan: SlackScan::NOTHING,
            spare_slack: -1,
            scan_holds: false,
            is_fresh: false,
            switching: SwitchingCredit::new(config),
            current: None,
            head_bytes: 0,
            allowance: None,
            waiting_for: None,
        }
    }

    /// The current stream, if the last scan still allows it to stay.
    fn stays_unscanned(&self, ledger: &Ledger, now: Nanos) -> Option<Pick> {
        let allowance = self.allowance.filter(|allowance| {
            now <= allowance.until && ledger.woken_since_allowance() >= allowance.deadline
        })?;
        let stream = ledger.stream(allowance.stream);
        let stays = self.current == Some(allowance.stream)
            && ledger.can_use_reserved(allowance.stream)
            // A member of a group that is thinking may be worth a wait.
            && !(ledger.is_group(allowance.stream)
                && ledger.may_come_back(allowance.stream).is_some())
            && stream.current_demand(ledger.worst_case()).deadline == allowance.deadline;
        stays.then_some(Pick::Serve {
            stream: allowance.stream,
            account: Account::Reserved,
        })
    }

    /// Makes what is known of slack true as of now, with a scan of all demands if need be.
    fn update_slack(&mut self, ledger: &mut Ledger, now: Nanos) {
        self.index.refresh(ledger);
        self.is_fresh = false;
        let enough = scaled(ledger.config().worst_seek);
        let left = self.scan.slack - scaled(now - self.scan.at) - scaled(ledger.outstanding());
        let holds = self.scan_holds && ledger.woken_since_scan() >= self.scan.first;
        let is_short = self.scan.short_at < Nanos::MAX;
        if holds && !is_short && left >= enough {
            self.spare_slack = left;
            self.scan.candidates = self.index.reserved_count();
            return;
        }
        // In a shortage the streams that may go are known as well; but it may be over before that.
        let recent = now - self.scan.at <= length(ledger.worst_case());
        let many = !ledger.config().has_seeks || self.scan.candidates >= MANY;
        if holds && is_short && left >= 0 && recent && many {
            return;
        }
        self.scan_all(ledger, now);
        if self.spare_slack < enough && ledger.refine_held(now) {
            self.scan_all(ledger, now);
        }
        // What a stream in grace set aside is owed to it still.
        if ledger.has_pending() && self.spare_slack >= 0 && !ledger.has_yielded() {
            ledger.apply_pending(now);
            self.scan_all(ledger, now);
        }
    }

    /// Scans all demands.
    fn scan_all(&mut self, ledger: &mut Ledger, now: Nanos) {
        ledger.scan_begins();
        let terms = terms(ledger, now);
        self.scan = self.index.scan(ledger, terms);
        (self.scan_holds, self.is_fresh) = (true, true);
        self.spare_slack = self.scan.spare();
    }

    /// Lets requests without data go, or not.
    fn open_gates(&mut self, ledger: &mut Ledger, now: Nanos) {
        self.update_slack(ledger, now);
        if ledger.slack_is_wanted(now) {
            self.scan_all(ledger, now);
        }
        let terms = terms(ledger, now);
        if gate::set_gates(&mut self.index, ledger, terms, self.spare_slack) {
            // Who may go has changed.
            (self.scan_holds, self.is_fresh) = (false, false);
            self.allowance = None;
        }
    }

    fn pick_with_seeks(&mut self, ledger: &mut Ledger, now: Nanos) -> Pick {
        if let Some(pick) = self.stays_unscanned(ledger, now) {
            return pick;
        }
        self.allowance = None;
        self.update_slack(ledger, now);
        if let Some(pick) = self.choose(ledger, now) {
            return pick;
        }
        if !self.is_fresh {
            self.scan_all(ledger, now);
            if let Some(pick) = self.choose(ledger, now) {
                return pick;
            }
        }
        // A stream in grace holds the others back: a stream without requests may not.
        while self.yield_blockers(ledger, now) {
            self.update_slack(ledger, now);
            if let Some(pick) = self.choose(ledger, now) {
                return pick;
            }
        }
        self.last_resort(ledger)
    }

    /// Makes the eligible streams in grace leave the disk to others; whether there were any.
    fn yield_blockers(&mut self, ledger: &mut Ledger, now: Nanos) -> bool {
        let mut any = false;
        for index in 0..ledger.in_grace().len() {
            let id = ledger.in_grace()[index];
            if self.is_eligible(ledger, id) {
                any |= ledger.yield_grace(id, now);
            }
        }
        self.scan_holds &= !any;
        any
    }

    /// With an admitted set only limits can leave requests without a candidate. A set that was
    /// never admitted may get here with requests that no stream may start: the most urgent goes.
    fn last_resort(&mut self, ledger: &Ledger) -> Pick {
        let urgent = ledger
            .active()
            .iter()
            .filter(|id| ledger.stream(**id).has_ready())
            .min_by_key(|id| (ledger.stream(**id).deadline(), **id));
        match urgent {
            Some(stream) if ledger.outstanding() == Nanos::ZERO => {
                let account = if ledger.can_use_reserved(*stream) {
                    Account::Reserved
                } else {
                    Account::Spare
                };
                Pick::Serve {
                    stream: *stream,
                    account,
                }
            }
            _ => Pick::Sleep {
                until: [ledger.next_limit_end(), ledger.next_gate_check()]
                    .into_iter()
                    .flatten()
                    .min(),
            },
        }
    }

    /// Stay, wait, or go to the nearest.
    fn choose(&mut self, ledger: &mut Ledger, now: Nanos) -> Option<Pick> {
        let spare = self.spare_window(ledger);
        if let Some(current) = self.current
            && let Some(account) = self.account_for(ledger, current, spare)
        {
            if ledger.stream(current).has_ready() {
                // Within a group the member that was served last may be worth waiting for, too.
                if ledger.is_group(current)
                    && let Some(wait) = self.wait_for(ledger, now, current, account)
                {
                    return Some(wait);
                }
                return Some(self.serve(ledger, now, (current, account)));
            }
            if !ledger.stream(current).has_queue()
                && let Some(wait) = self.wait_for(ledger, now, current, account)
            {
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
        if account == Account::Reserved && ledger.outstanding() == Nanos::ZERO {
            let demand = ledger.stream(stream).current_demand(ledger.worst_case());
            let slack = self.slack_before(ledger, now, demand.deadline);
            ledger.allowance_begins();
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
            return self.scan.slack - scaled(now - self.scan.at) - scaled(ledger.outstanding());
        }
        let terms = terms(ledger, now);
        self.index.slack_before(terms, deadline)
    }
}

/// What slack depends on besides the demands.
fn terms(ledger: &Ledger, now: Nanos) -> SlackTerms {
    SlackTerms {
        now,
        rate_ppm: ledger.rate_left_ppm(),
        outstanding: scaled(ledger.outstanding()),
    }
}

impl Policy for Fahrrad {
    fn pick(&mut self, ledger: &mut Ledger, now: Nanos) -> Pick {
        self.waiting_for = None;
        if ledger.gates_are_due(now) {
            self.open_gates(ledger, now);
        }
        if ledger.config().has_seeks {
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
            let has_slack = self.spare_slack >= scaled(ledger.config().worst_seek);
            self.switching
                .spare_begins(has_slack && !ledger.has_yielded());
        }
        self.current = Some(stream);
        if let Some(end) = end_bytes {
            self.head_bytes = end;
        }
    }

    fn returns_to(&mut self, ledger: &mut Ledger, now: Nanos, stream: StreamId) {
        anticipation::returned_to(ledger, stream, now);
    }

    fn settle(&mut self, ledger: &mut Ledger, now: Nanos, finished: FinishedDispatch) {
        self.switching.settle(ledger, now, finished);
    }

    fn arrived(&mut self, ledger: &mut Ledger, now: Nanos, stream: StreamId) {
        let was_waited_for = self.waiting_for == Some(stream);
        anticipation::arrived(ledger, stream, now, was_waited_for);
    }

    fn removed(&mut self, stream: StreamId) {
        self.index.forget(stream);
        self.current = self.current.filter(|current| *current != stream);
        self.waiting_for = self.waiting_for.filter(|waiting| *waiting != stream);
        let others = |allowance: &Allowance| allowance.stream != stream;
        self.allowance = self.allowance.filter(others);
        // The slack that was found is still there (a removal only adds to it), but the scan may
        // name the stream.
        (self.scan_holds, self.is_fresh) = (false, false);
    }
}
