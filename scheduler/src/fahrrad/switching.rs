//! The switching account (variant b5): who pays for the seeks between streams.
//!
//! A stream that is served on its own account after somebody else pays what its request would have
//! cost had it been alone: the estimate of the seek curve from its *own* last place, corrected by
//! the ratio of measured to estimated time that its own requests show, one for those that continue
//! a run and one for the others. What the request took
//! longer is paid by whoever used spare time before it (spare time that was begun with slack for it
//! pays its way back), else by
//! the account's saved credit, and what the credit does not cover by the stream itself: the
//! account can therefore never take time that admission did not set aside for it.
//!
//! Numeric example: a request takes 18 ms after a switch. Alone it would have cost 0.3 ms (it
//! continues a run). The account has 12 ms: it pays 12, and the stream 6 (0.3 + 5.7).

use crate::config::{SchedulerConfig, SwitchingAccount};
use crate::ledger::{Account, CREDIT_CAP, Ledger};
use crate::policy::Finished;
use crate::stream::{length, scaled};
use disktime_units::Nanos;

/// A new measurement counts for one part in this many of the ratio's moving average.
const RATIO_MEMORY: u64 = 16;
/// Bounds of one measured ratio, in ppm: beyond them something else happened (an error, a hiccup).
const RATIO_RANGE_PPM: (u64, u64) = (100_000, 4_000_000);
/// The same for requests that continue a run, which the drive may have read ahead.
const SEQUENTIAL_RATIO_RANGE_PPM: (u64, u64) = (1_000, 4_000_000);

/// The account's credit.
#[derive(Debug)]
pub(crate) struct Switching {
    enabled: bool,
    /// In ppm-nanoseconds, from 0 to the cap.
    credit: i128,
    credited_at: Nanos,
    /// There was slack for the way back when the last spare dispatch was begun.
    spare_pays_return: bool,
}

impl Switching {
    pub(crate) fn new(config: &SchedulerConfig) -> Switching {
        Switching {
            enabled: matches!(config.switching, SwitchingAccount::Reserved { .. }),
            credit: scaled(CREDIT_CAP),
            credited_at: Nanos::ZERO,
            spare_pays_return: false,
        }
    }

    /// Spare service is begun. Its user pays the way back only if there is slack for it: what he
    /// pays is not taken from anybody's budget, so it must not be anybody's time.
    pub(crate) fn spare_begins(&mut self, slack_for_return: bool) {
        self.spare_pays_return = slack_for_return;
    }

    /// Charges a completed dispatch to its stream, to the user of spare time before it, and to the
    /// account; the three add up to what was measured.
    pub(crate) fn settle(&mut self, ledger: &mut Ledger, now: Nanos, done: Finished) {
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
        learn_ratio(ledger, done);
    }

    /// What a request cost because somebody else was served before it.
    fn extra(&self, ledger: &Ledger, done: Finished) -> Nanos {
        if !self.enabled || !done.switched || done.account == Account::Spare {
            return Nanos::ZERO;
        }
        let habits = &ledger.stream(done.stream).habits;
        let ratio = if done.sequential {
            habits.sequential_ratio_ppm
        } else {
            habits.estimate_ratio_ppm
        };
        let alone = u128::from(done.alone.0) * u128::from(ratio) / 1_000_000;
        let alone = Nanos(u64::try_from(alone).unwrap_or(u64::MAX));
        done.measured.saturating_sub(alone)
    }

    /// Takes up to `amount` out of the credit.
    fn pay(&mut self, ledger: &mut Ledger, now: Nanos, amount: Nanos) -> Nanos {
        let elapsed = i128::from(now.saturating_sub(self.credited_at).0);
        let earned = elapsed * i128::from(ledger.switching_share_ppm);
        self.credit = (self.credit + earned).min(scaled(CREDIT_CAP));
        self.credited_at = now;
        let paid = amount.min(length(self.credit));
        self.credit -= scaled(paid);
        ledger.counters.switching += paid;
        paid
    }
}

/// Learns from a request that followed its own stream: apart for those that continue a run and
/// those that do not, as the linear model's price has an access in it that a continued run does not
/// pay. Without that, a sequential stream would be charged the whole way back to its run.
fn learn_ratio(ledger: &mut Ledger, done: Finished) {
    if done.moved || done.alone == Nanos::ZERO {
        return;
    }
    let habits = &mut ledger.stream_mut(done.stream).habits;
    let (known, (least, most)) = if done.sequential {
        (&mut habits.sequential_ratio_ppm, SEQUENTIAL_RATIO_RANGE_PPM)
    } else {
        (&mut habits.estimate_ratio_ppm, RATIO_RANGE_PPM)
    };
    let ratio = u128::from(done.measured.0) * 1_000_000 / u128::from(done.alone.0);
    let ratio = u64::try_from(ratio).unwrap_or(most).clamp(least, most);
    *known = (*known * (RATIO_MEMORY - 1) + ratio) / RATIO_MEMORY;
}
