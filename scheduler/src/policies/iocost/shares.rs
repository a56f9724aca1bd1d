//! Who has which share of the device's time, what is lent, and what it costs to send.
//!
//! Invariants: the sums are those of the active accounts; no stream lends unless another is short.
//!
//! What is not known here: the wall clock, and what a request costs.

use super::account::{Account, Due, absolute};
use super::clock::{Period, time_of};
use crate::ledger::Ledger;
use crate::stream_id::{StreamId, StreamMap};
use disktime_units::Nanos;

/// A share of all, in division.
const WHOLE: i128 = 1 << 24;
/// Weights are kept so much finer than parts per million, so that little can be lent.
const FINER: i128 = 1 << 16;
/// A stream that lent and is short takes so much of its weight back at a time.
const STEP_PERCENT: i128 = 25;
/// Requests in flight for longer than so many periods do not count as lagging.
const LAGGING_PERIODS: i128 = 10;
/// Lenders keep less than this of all.
const LENDERS_MOST: i128 = WHOLE - WHOLE / 100;

/// What dividing came to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Division {
    /// Some streams are short of time.
    pub(super) short: bool,
    /// Time of the device that was saved beyond what may be.
    pub(super) given_up: i128,
}

/// The accounts.
#[derive(Debug, Default)]
pub(super) struct Shares {
    accounts: StreamMap<Account>,
    active: Vec<StreamId>,
    active_sum: i128,
    inuse_sum: i128,
    /// Counts changes of the sums.
    division: u64,
    /// Who lends, and what it keeps; a scratch list.
    lenders: Vec<(StreamId, i128)>,
}

/// The weight of a stream: its share, or its part of what is not reserved.
pub(super) fn weight(ledger: &Ledger, id: StreamId) -> i128 {
    Unreserved::of(ledger).weight(ledger, id)
}

/// What streams without a reservation divide.
#[derive(Debug, Clone, Copy)]
struct Unreserved {
    ppm: i128,
    weights: i128,
}

impl Unreserved {
    fn of(ledger: &Ledger) -> Unreserved {
        let (mut reserved, mut weights) = (0, 0);
        for (_, stream) in ledger.streams().filter(|(_, one)| one.group().is_none()) {
            if stream.is_reserved() {
                reserved += i128::from(stream.share_ppm());
            } else {
                weights += i128::from(stream.weight());
            }
        }
        Unreserved {
            ppm: (1_000_000 - reserved).max(0),
            weights,
        }
    }

    fn weight(self, ledger: &Ledger, id: StreamId) -> i128 {
        let stream = ledger.stream(id);
        let weight = if stream.is_reserved() {
            i128::from(stream.share_ppm()) * FINER
        } else {
            self.ppm * FINER * i128::from(stream.weight()) / self.weights.max(1)
        };
        weight.max(FINER)
    }
}

impl Shares {
    pub(super) fn any(&self) -> bool {
        !self.active.is_empty()
    }

    pub(super) fn is_active(&self, id: StreamId) -> bool {
        self.accounts.get(id).is_some_and(|one| one.active > 0)
    }

    /// It had a request in that period.
    pub(super) fn note_use(&mut self, id: StreamId, period: u64) {
        if let Some(account) = self.accounts.get_mut(id) {
            account.active_in = period;
        }
    }

    /// It takes part from now on, with what it had not lent before.
    pub(super) fn activate(&mut self, id: StreamId, weight: i128) -> &mut Account {
        let last = self.account(id).last_inuse;
        self.active.push(id);
        self.set(id, weight, if last > 0 { last } else { weight });
        self.account(id)
    }

    fn account(&mut self, id: StreamId) -> &mut Account {
        self.accounts.get_or_insert_with(id, Account::default)
    }

    fn set(&mut self, id: StreamId, active: i128, inuse: i128) {
        let inuse = if active > 0 {
            inuse.clamp(1, active)
        } else {
            0
        };
        let account = self.account(id);
        let (was_active, was_inuse) = (account.active, account.inuse);
        if (was_active, was_inuse) == (active, inuse) {
            return;
        }
        (account.active, account.inuse) = (active, inuse);
        self.active_sum += active - was_active;
        self.inuse_sum += inuse - was_inuse;
        self.division += 1;
    }

    fn set_inuse(&mut self, id: StreamId, inuse: i128, vnow: i128) {
        let active = self.account(id).active;
        self.set(id, active, inuse);
        let account = self.account(id);
        account.saved_margin = vnow - account.vtime;
    }

    /// When a request may go that costs so much. It pays debts, and takes back what it lent, as far
    /// as it can and has to.
    pub(super) fn due(&mut self, id: StreamId, cost: Nanos, vnow: i128, low: i128) -> i128 {
        let division = self.division;
        let account = self.account(id);
        let known = account.due.filter(|due| due.division == division);
        if let Some(due) = known.filter(|due| due.cost == cost && account.debt == 0) {
            return due.at;
        }
        self.pay_debt(id, vnow);
        let mut at = self.end_of(id, cost);
        let account = self.account(id);
        let margin = vnow - at;
        if account.debt == 0 && margin < account.saved_margin && margin < low {
            at = self.take_back(id, cost, vnow);
        }
        let division = self.division;
        let account = self.account(id);
        account.due = Some(Due { at, cost, division });
        at
    }

    /// The stream's time when it has sent that and paid its debt.
    fn end_of(&mut self, id: StreamId, cost: Nanos) -> i128 {
        let (all, whole) = (self.inuse_sum, self.active_sum);
        let account = self.account(id);
        let debt = account.debt * whole / account.active.max(1);
        account.vtime + debt + time_of(cost, account.inuse, all)
    }

    /// Takes back what it lent, step by step until the request may go.
    fn take_back(&mut self, id: StreamId, cost: Nanos, vnow: i128) -> i128 {
        loop {
            let at = self.end_of(id, cost);
            let account = self.account(id);
            if account.inuse == account.active {
                return at;
            }
            let step = (account.active * STEP_PERCENT + 99) / 100;
            let inuse = account.inuse + step;
            self.set_inuse(id, inuse, vnow);
            let at = self.end_of(id, cost);
            if at <= vnow {
                return at;
            }
        }
    }

    fn pay_debt(&mut self, id: StreamId, vnow: i128) {
        let all = self.active_sum;
        let account = self.account(id);
        let budget = vnow - account.vtime;
        if account.debt == 0 || budget <= 0 {
            return;
        }
        let (active, all) = (account.active.max(1), all.max(1));
        let paid = account.debt.min(budget * active / all);
        account.debt -= paid;
        account.gives_up((paid * all + active - 1) / active);
        if account.debt == 0 {
            self.set_inuse(id, active, vnow);
        }
    }

    /// A dispatch goes: its first request costs so much, and what is merged into it that.
    pub(super) fn pay(
        &mut self,
        id: StreamId,
        cost: Nanos,
        merged: Nanos,
        vnow: i128,
        period: u64,
    ) {
        let all = self.inuse_sum;
        let account = self.account(id);
        account.active_in = period;
        let time = time_of(cost + merged, account.inuse, all);
        if merged == Nanos::ZERO || account.vtime + time <= vnow {
            account.sends(time, absolute(cost + merged));
            return;
        }
        account.sends(time_of(cost, account.inuse, all), absolute(cost + merged));
        account.debt += absolute(merged);
        // It lends all of its share while it has debts.
        self.set_inuse(id, 1, vnow);
    }

    /// A dispatch of a stream is done.
    pub(super) fn complete(&mut self, id: StreamId) {
        self.account(id).completes();
    }

    pub(super) fn remove(&mut self, id: StreamId) {
        if self.is_active(id) {
            self.set(id, 0, 0);
            self.active.retain(|other| *other != id);
        }
        self.accounts.remove(id);
    }

    /// Streams without a request for a whole period take no part any more. What they had saved, and
    /// whether others have requests in flight from before the period.
    pub(super) fn expire(
        &mut self,
        period: &Period,
        vnow: i128,
        waits: impl Fn(StreamId) -> bool,
    ) -> (i128, bool) {
        let (mut given_up, mut lagging) = (0, false);
        let mut index = 0;
        while let Some(id) = self.active.get(index).copied() {
            let (all, whole) = (self.inuse_sum.max(1), period.length);
            let account = self.account(id);
            let idle = account.active_in < period.number
                && !account.has_in_flight()
                && account.debt == 0
                && !waits(id);
            if idle {
                let excess = vnow - account.vtime - period.target;
                given_up += excess.max(0) * account.inuse / all;
                account.last_inuse = account.inuse;
                self.set(id, 0, 0);
                self.active.swap_remove(index);
                continue;
            }
            lagging |= account.has_in_flight()
                && account.vtime > vnow - LAGGING_PERIODS * whole
                && account.done() < vnow - whole;
            index += 1;
        }
        (given_up, lagging)
    }

    /// Divides the next period: who has more than it used lends the rest to those that are short.
    pub(super) fn divide(
        &mut self,
        period: &Period,
        vnow: i128,
        waits: impl Fn(StreamId) -> bool,
    ) -> Division {
        let mut result = Division {
            short: false,
            given_up: 0,
        };
        self.lenders.clear();
        for index in 0..self.active.len() {
            let id = self.active[index];
            let (inuse_sum, active_sum) = (self.inuse_sum.max(1), self.active_sum.max(1));
            let account = self.account(id);
            let (inuse, active) = (account.inuse, account.active);
            let lends = inuse * active_sum < active * inuse_sum;
            let saved = vnow - account.vtime;
            let kept = if lends || (!waits(id) && saved > period.low) {
                let most = WHOLE * active / (inuse_sum - inuse + active);
                let (kept, excess) = keeps(account, period, vnow, waits(id), inuse_sum);
                result.given_up += excess * inuse / inuse_sum;
                (kept < most).then_some(kept)
            } else {
                None
            };
            match kept {
                Some(kept) => self.lenders.push((id, kept)),
                None => {
                    result.short = true;
                    if account.debt == 0 {
                        self.set_inuse(id, active, vnow);
                    }
                }
            }
            self.account(id).used = 0;
        }
        if result.short {
            self.lend(vnow);
        }
        result
    }

    /// Gives lenders what they keep of all, and the others the rest by weight.
    fn lend(&mut self, vnow: i128) {
        let lenders = std::mem::take(&mut self.lenders);
        let lent: i128 = lenders.iter().map(|(id, _)| self.account(*id).active).sum();
        let rest = self.active_sum - lent;
        let kept: i128 = lenders.iter().map(|(_, kept)| kept).sum();
        let kept_most = kept.min(LENDERS_MOST);
        for (id, own) in &lenders {
            let own = own * kept_most / kept.max(1);
            self.set_inuse(*id, own * rest / (WHOLE - kept_most), vnow);
        }
        self.lenders = lenders;
    }

    /// Reads weights again, which can have changed.
    pub(super) fn refresh_weights(&mut self, ledger: &Ledger) {
        let unreserved = Unreserved::of(ledger);
        for index in 0..self.active.len() {
            let id = self.active[index];
            if !ledger.contains(id) {
                continue;
            }
            let weight = unreserved.weight(ledger, id);
            let account = self.account(id);
            let (active, inuse) = (account.active, account.inuse);
            if weight != active {
                self.set(id, weight, inuse * weight / active.max(1));
            }
        }
    }
}

/// What part of all a stream needs in the next period to do what it did in this one, and the saved
/// time beyond the target, which it gives up.
fn keeps(
    account: &mut Account,
    period: &Period,
    vnow: i128,
    waits: bool,
    inuse_sum: i128,
) -> (i128, i128) {
    if account.debt > 0 {
        return (1, 0);
    }
    if waits || vnow - account.vtime < period.min {
        return (WHOLE, 0);
    }
    let excess = (vnow - account.vtime - period.target).max(0);
    account.gives_up(excess);
    let in_flight = account.in_flight() * account.inuse / inuse_sum;
    let used = account.used.max(in_flight) / period.rate;
    let since = period.began.max(account.activated_at);
    let passed = i128::from(period.now.saturating_sub(since).0).max(1);
    let usage = (used * WHOLE / passed).clamp(1, WHOLE);
    let saved = WHOLE * (vnow - account.vtime) / period.length;
    let target = WHOLE / 2;
    ((usage * WHOLE / (WHOLE - target + saved)).max(1), excess)
}

#[cfg(test)]
mod tests;
