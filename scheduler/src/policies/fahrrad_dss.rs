//! `fahrrad-dss`: budgets, deadlines, and the papers' *disk scheduling set*.
//!
//! Source: Povzner, Kaldewey, Brandt, Golding, Wong, Maltzahn, *Efficient Guaranteed Disk Request
//! Scheduling with Fahrrad*, EuroSys 2008. A reservation (u, p) is a budget of disk time u·p and a
//! deadline in every period. Requests of a stream are *committed* to the set in order of arrival,
//! at most ⌊b/W⌋ of them, and such that the set may be served in any order whatever without
//! a deadline being missed if each takes W. Inside the set the disk policy reorders freely,
//! over all streams: here upwards from the head, and around. When a request completes, what it did
//! not use of W is there to commit more. (Reuther and Pohlack, RTSS 2003, have the same idea: the
//! *dynamic active subset*.)
//!
//! Not known of the paper, so chosen. *When the set may grow:* with c_i committed of stream i, and
//! slack(D) what is left until D after all budgets due by D, one more of k is committed iff
//! slack(D) − Σ_{d_i > D} c_i·W ≥ W for every deadline D before d_k. Idle streams are counted as if
//! they woke now: the set is served in any order, so all of it may lie before a waker.
//! *Remainders:* when the set is empty, of the streams with budget left the one due first goes, on
//! its own account. *Spare time:* after that, by weight. *The disk policy.* Limits of disk time are
//! kept. With several requests in flight they count at their price, and nothing is
//! promised.
//!
//! Where it fails (ours, in the same sets: at most W unspent at a period's end):
//! - *Remainders.* A budget below W commits nothing. With W = 10 ms and ten streams of 10 % in 95
//!   ms, each has 9.5 ms, the set is always empty, and what is left is EDF, request by request.
//! - *W is charged in advance.* With requests of 1 ms and W = 27 ms, u = 50 % and p = 250 ms commit
//!   4 requests at a time instead of 125, and the order of 4 is all that the disk policy has to
//!   choose from; a completion gives 26 ms back at once, but an idle stream of short period keeps
//!   the set small for all.
//! - *Pauses.* A stream that ran empty for a moment is owed what it was owed, and the set may not
//!   grow into that; but when the set is empty, others go by EDF all the same, one request per
//!   pause. In 200 random sets whose streams sleep until another's long request has just started
//!   up to 6.5 W were unspent; without such streams 1.0 W.
//! - *A stream that thinks* after each answer has nothing to commit when its turn comes, and is not
//!   waited for: half of the disk reserved for a sequential reader of depth 1 beside eight random
//!   requests comes to 4 % of what it should, and it misses every deadline.
//! - *Order by place across streams.* The next one ahead belongs to another stream: 13 changes of
//!   stream a second between two random streams where staying with one while that is safe has one.
//! - *Spare time comes last:* best effort waits until all reserved budgets are used, then gets
//!   everything until the next period begins.

use super::c_look::place_in_sweep;
use super::{due_or_spare, unlimited_with_requests};
use crate::ledger::{Account, Ledger, StreamState, WakeBudget};
use crate::policy::{Pick, Policy};
use crate::ppm_time::scaled;
use crate::stream_id::{StreamId, StreamMap};
use disktime_units::Nanos;

/// What is due at a deadline.
#[derive(Debug, Clone, Copy)]
struct Due {
    deadline: Nanos,
    /// What is still owed until then, in ppm-nanoseconds.
    budget: i128,
    share_ppm: i64,
    /// The stream, which may commit; `None` for an idle one.
    stream: Option<StreamId>,
}

/// The policy.
#[derive(Debug, Default)]
pub(crate) struct FahrradDss {
    /// How many of each stream's first requests are committed.
    committed: StreamMap<u32>,
    /// By deadline; kept for its memory.
    due: Vec<Due>,
    head_bytes: u64,
    /// Requests of each stream dispatched so far.
    count: super::RequestCount,
}

impl FahrradDss {
    fn committed(&self, id: StreamId) -> u32 {
        self.committed.get(id).copied().unwrap_or(0)
    }

    /// Lists what is owed, by deadline. Streams that are held back have nothing committed.
    fn list(&mut self, ledger: &Ledger, now: Nanos) {
        for id in ledger.limited() {
            self.committed.insert(*id, 0);
        }
        self.due.clear();
        for (id, stream) in ledger.streams() {
            if !stream.is_reserved() {
                continue;
            }
            let fresh = (stream.budget_per_period(), now + stream.period());
            let (budget, deadline) = match stream.state() {
                StreamState::Active => (stream.budget(), stream.deadline()),
                StreamState::IdleFresh | StreamState::Limited => fresh,
                StreamState::IdleHeld => match stream.if_woken(now, ledger.worst_case()) {
                    WakeBudget::Held { budget, deadline } => (budget, deadline),
                    WakeBudget::Fresh => fresh,
                },
            };
            self.due.push(Due {
                deadline,
                budget,
                share_ppm: stream.share_ppm(),
                stream: stream.is_active().then_some(id),
            });
        }
        self.due
            .sort_unstable_by_key(|due| (due.deadline, due.stream));
    }

    /// Commits what may be committed, in order of deadlines; one pass.
    fn commit(&mut self, ledger: &Ledger, now: Nanos) {
        self.list(ledger, now);
        let worst_case = ledger.worst_case().max(1);
        // Of streams due later than what has been passed.
        let mut later: i128 = self
            .due
            .iter()
            .filter_map(|due| due.stream)
            .map(|id| i128::from(self.committed(id)))
            .sum();
        // Demand until D is `owed + shares · D`.
        let (mut owed, mut shares) = (scaled(ledger.outstanding()), 0i128);
        let mut least_slack = i128::MAX;
        let mut index = 0;
        while index < self.due.len() {
            let deadline = self.due[index].deadline;
            let time = i128::from(deadline.0);
            let first = index;
            while index < self.due.len() && self.due[index].deadline == deadline {
                let due = self.due[index];
                owed += due.budget - i128::from(due.share_ppm) * time;
                shares += i128::from(due.share_ppm);
                if let Some(id) = due.stream {
                    later -= i128::from(self.committed(id));
                }
                index += 1;
            }
            for due in first..index {
                let (budget, stream) = (self.due[due].budget, self.due[due].stream);
                if let Some(id) = stream {
                    let more = self.may_commit(ledger, id, budget, least_slack);
                    *self.committed.get_or_insert_with(id, || 0) += more;
                    if least_slack != i128::MAX {
                        least_slack -= i128::from(more) * worst_case;
                    }
                }
            }
            let capacity = (time - i128::from(now.0)) * 1_000_000;
            let slack = capacity - (owed + shares * time) - later * worst_case;
            least_slack = least_slack.min(slack);
        }
    }

    /// How many more requests of a stream may join, with that slack at all earlier deadlines.
    fn may_commit(&self, ledger: &Ledger, id: StreamId, budget: i128, slack: i128) -> u32 {
        let stream = ledger.stream(id);
        let worst_case = ledger.worst_case().max(1);
        let committed = self.committed(id);
        let waiting = stream.queue().len();
        let covered = (budget.max(0) / worst_case).min(i128::from(u32::MAX / 2));
        let wanted = i128::try_from(waiting).map_or(covered, |waiting| covered.min(waiting));
        let wanted = wanted - i128::from(committed);
        let more = wanted.min(slack.max(0) / worst_case).max(0);
        u32::try_from(more).unwrap_or(0)
    }

    /// The committed request that is next by place, and where in its stream's queue it is.
    fn next_by_place(&self, ledger: &Ledger) -> Option<(StreamId, usize)> {
        let head_bytes = self.head_bytes;
        unlimited_with_requests(ledger)
            .flat_map(|id| {
                let committed = self.committed(id) as usize;
                let first = ledger.stream(id).queue().in_order().take(committed);
                first.enumerate().map(move |(index, queued)| {
                    let place = place_in_sweep(head_bytes, queued.offset_bytes());
                    (place, queued.sequence(), id, index)
                })
            })
            .min()
            .map(|(_, _, id, index)| (id, index))
    }
}

impl Policy for FahrradDss {
    fn pick(&mut self, ledger: &mut Ledger, now: Nanos) -> Pick {
        self.commit(ledger, now);
        if let Some((stream, index)) = self.next_by_place(ledger) {
            ledger.queue_mut(stream).0.bring_forward(index);
            let account = Account::Reserved;
            return Pick::Serve { stream, account };
        }
        due_or_spare(ledger)
    }

    fn dispatched(&mut self, ledger: &mut Ledger, id: StreamId, _: Account, end: Option<u64>) {
        let requests = self.count.of_dispatch(ledger, id);
        let gone = u32::try_from(requests).unwrap_or(u32::MAX);
        let committed = self.committed.get_or_insert_with(id, || 0);
        *committed = committed.saturating_sub(gone);
        self.head_bytes = end.unwrap_or(self.head_bytes);
    }
}
