//! The switching account: which account pays for the seeks between streams.
//!
//! A stream that is served on its reserved account after another stream pays what its request would
//! have cost had it been alone on the disk: the estimate of the seek curve from the end of its
//! *own* last request, corrected by the ratio of measured to estimated time that its own requests
//! show, one ratio for those that continue a run and one for the others. What the request took
//! longer is paid, in this order,
//!
//! 1. by the stream that used spare time before it, if that was begun with slack for the way back;
//! 2. by the credit of the switching account, which fills at the rate that admission set aside;
//! 3. by the stream itself. So the account never takes time that was not set aside for it.
//!
//! Numeric example: a request takes 18 ms after a switch. Alone it would have cost 0.3 ms (it
//! continues a run). The account has 12 ms: it pays 12, and the stream 6 (0.3 + 5.7).
//!
//! docs/design/switching-account.md compares this with other ways.

use crate::config::{SchedulerConfig, SwitchingAccount};
use crate::ledger::{Account, CREDIT_CAP, Ledger};
use crate::policy::FinishedDispatch;
use crate::ppm_time::{length, scaled};
use disktime_units::Nanos;

/// The account's credit.
#[derive(Debug)]
pub(super) struct SwitchingCredit {
    enabled: bool,
    /// In ppm-nanoseconds, from 0 to the cap.
    credit: i128,
    credited_at: Nanos,
    /// There was slack for the way back when the last spare dispatch was begun.
    spare_pays_return: bool,
}

impl SwitchingCredit {
    pub(super) fn new(config: &SchedulerConfig) -> SwitchingCredit {
        SwitchingCredit {
            enabled: matches!(config.switching, SwitchingAccount::Reserved { .. }),
            credit: scaled(CREDIT_CAP),
            credited_at: Nanos::ZERO,
            spare_pays_return: false,
        }
    }

    /// Spare service is begun. Its user pays the way back only if there is slack for it: what it
    /// pays comes from no stream's budget, so it must not be time that a stream counts on.
    pub(super) fn spare_begins(&mut self, slack_for_return: bool) {
        self.spare_pays_return = slack_for_return;
    }

    /// Charges a completed dispatch to its stream, to the user of spare time before it, and to the
    /// account; the three add up to what was measured.
    pub(super) fn settle(&mut self, ledger: &mut Ledger, now: Nanos, done: FinishedDispatch) {
        let extra = self.extra(ledger, done);
        let mut own = done.measured - extra;
        if extra > Nanos::ZERO {
            let spare_user = done.after_spare_of.filter(|_| self.spare_pays_return);
            if let Some(spare_user) = spare_user {
                ledger.charge_spare_user(spare_user, extra);
            } else {
                let paid = self.pay(ledger, now, extra);
                own += extra - paid;
            }
        }
        ledger.charge(done.stream, done.account, own);
        learn_service(ledger, done);
    }

    /// What a request cost because another stream was served before it.
    fn extra(&self, ledger: &Ledger, done: FinishedDispatch) -> Nanos {
        if !self.enabled || !done.switched || done.account == Account::Spare {
            return Nanos::ZERO;
        }
        let estimates = ledger.stream(done.stream).estimates();
        let alone = estimates.correct(done.alone, done.sequential);
        done.measured.saturating_sub(alone)
    }

    /// Takes up to `amount` out of the credit.
    fn pay(&mut self, ledger: &mut Ledger, now: Nanos, amount: Nanos) -> Nanos {
        let elapsed = i128::from(now.saturating_sub(self.credited_at).0);
        let earned = elapsed * i128::from(ledger.switching_share_ppm());
        self.credit = (self.credit + earned).min(scaled(CREDIT_CAP));
        self.credited_at = now;
        let paid = amount.min(length(self.credit));
        self.credit -= scaled(paid);
        ledger.charge_switching_account(paid);
        paid
    }
}

/// Learns from a request that followed its own stream's. Those that continue a run are learnt apart
/// from the others, because the linear model's price has an access in it that a continued run does
/// not pay. Without that, a sequential stream would be charged the whole way back to its run.
fn learn_service(ledger: &mut Ledger, done: FinishedDispatch) {
    if !done.moved && done.alone > Nanos::ZERO {
        let estimates = ledger.estimates_mut(done.stream);
        estimates.learn_service(done.alone, done.measured, done.sequential);
    }
}
