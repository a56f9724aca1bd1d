//! What one account is charged where requests overlap, and what is learnt for it.
//!
//! - *Shared.* While others are in the disk as well, a request that is done is charged its price in
//!   solo time (`private_device.rs`), and never more than the real time that passed.
//! - *Alone.* If no other request was in the disk since the last charge, the time that passed is
//!   charged, whatever the price says: so a second alone is a second of budget, and a wrong price
//!   cannot break the promise. A write is acknowledged early and is charged its price at least.
//! - *Price correction.* The two are compared, and the ratio corrects the prices of the account
//!   (`price_correction.rs`).
//! - *Gaps.* An account with nothing outstanding is charged the time that passes up to what it is
//!   behind: its client would have thought alone as well, so it has received that time.
//!
//! Invariant: within a time in which the account had requests outstanding, it is charged no more
//! than that time, except for writes that were alone.
//!
//! What is not known here: budgets, periods, and the disk.

use super::price_correction::{PriceCorrection, Standing};
use super::private_device::PrivateDevice;
use crate::ppm_time::proportion;
use disktime_units::Nanos;

/// A new think time counts for one part in this many of the moving average,
const THINK_MEMORY: u64 = 8;
/// unless it is a pause,
const PAUSE: Nanos = Nanos::from_secs(1);
/// and this is the first estimate.
const THINK_AT_FIRST: Nanos = Nanos::from_micros(20);
/// An account is waited for this many mean think times,
const WAIT_FACTOR: u64 = 8;
/// at least so long,
const WAIT_MIN: Nanos = Nanos::from_micros(100);
/// and at most so long.
const WAIT_MAX: Nanos = Nanos::from_millis(20);

/// What a request that is done is charged by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Finished {
    /// What it adds to the private device.
    pub(super) solo: Nanos,
    /// Its corrected price, taken at dispatch.
    pub(super) debit: Nanos,
    pub(super) is_read: bool,
    pub(super) is_write: bool,
    /// The account had the disk to itself since its last charge.
    pub(super) was_alone: bool,
}

/// The solo time of one account. Ordered as a stream is: what each request needs comes first.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct SoloAccount {
    /// Up to then its time in the disk is charged.
    charged_until: Nanos,
    /// When it last began to have requests outstanding, and what it was charged since.
    busy_since: Nanos,
    charged_since_busy: Nanos,
    /// What was taken from the budget for requests in flight.
    debited: Nanos,
    device: PrivateDevice,
    correction: PriceCorrection,
    /// Its gap is charged up to then; `None`: it has requests, or is waited for.
    gap_since: Option<Nanos>,
    /// When it last ran out of requests.
    emptied_at: Nanos,
    think: Nanos,
    /// When it was last let go: behind, without requests, and not waited for any more.
    let_go_at: Option<Nanos>,
    /// Time with requests outstanding, up to the last that was done.
    backlogged: Nanos,
}

impl Default for SoloAccount {
    fn default() -> SoloAccount {
        SoloAccount {
            device: PrivateDevice::default(),
            correction: PriceCorrection::NONE,
            charged_until: Nanos::ZERO,
            busy_since: Nanos::ZERO,
            charged_since_busy: Nanos::ZERO,
            debited: Nanos::ZERO,
            emptied_at: Nanos::ZERO,
            gap_since: None,
            let_go_at: None,
            think: THINK_AT_FIRST,
            backlogged: Nanos::ZERO,
        }
    }
}

impl SoloAccount {
    /// A request arrives. What it adds to the private device.
    #[inline]
    pub(super) fn admit(&mut self, occupancy: Nanos, lone: Nanos) -> Nanos {
        self.correction.note_lone(lone);
        self.device.admit(occupancy, lone)
    }

    /// Requests arrive after a gap. Whether it was let go in that gap.
    pub(super) fn becomes_busy(&mut self, now: Nanos) -> bool {
        let think = now.saturating_sub(self.emptied_at);
        let had_requests = self.received() > Nanos::ZERO;
        if had_requests && think < PAUSE {
            self.think = Nanos((self.think.0 * (THINK_MEMORY - 1) + think.0) / THINK_MEMORY);
        }
        self.gap_since = None;
        self.busy_since = now;
        self.charged_since_busy = Nanos::ZERO;
        self.charged_until = self.charged_until.max(now);
        let let_go_at = self.let_go_at.take();
        let_go_at.is_some_and(|at| at >= self.emptied_at)
    }

    /// A request of it is done whose account is its group's.
    pub(super) fn receive(&mut self, solo: Nanos) {
        self.device.receive(solo);
    }

    /// Its last request is done.
    pub(super) fn becomes_empty(&mut self, now: Nanos) {
        self.backlogged += now.saturating_sub(self.busy_since);
        self.emptied_at = now;
        self.gap_since = Some(now);
    }

    /// A request goes to the disk; `is_first`: none of the account was in it, and its time there
    /// begins at `now`. What it is debited.
    /// The correction is one of reads: a write keeps the disk for its price at the sustained rate,
    /// however fast the account's reads are.
    #[inline]
    pub(super) fn debit(
        &mut self,
        now: Nanos,
        solo: Nanos,
        is_first: bool,
        is_write: bool,
    ) -> Nanos {
        if is_first {
            self.charged_until = self.charged_until.max(now);
        }
        if is_write {
            return solo;
        }
        times_ppm(solo, self.correction_ppm())
    }

    /// A debit was taken from the budget.
    #[inline]
    pub(super) fn take_debit(&mut self, debit: Nanos) {
        self.debited += debit;
    }

    /// It is given back.
    #[inline]
    pub(super) fn return_debit(&mut self, debit: Nanos) {
        self.debited -= debit;
    }

    /// What was taken from the budget for requests in flight, and may come back.
    #[inline]
    pub(super) fn debited(&self) -> Nanos {
        self.debited
    }

    /// Up to when its time in the disk is charged.
    pub(super) fn charged_until(&self) -> Nanos {
        self.charged_until
    }

    /// A request is done. What it is charged.
    #[inline]
    pub(super) fn charge(&mut self, now: Nanos, finished: Finished) -> Nanos {
        let elapsed = now.saturating_sub(self.charged_until);
        let charge = if !finished.was_alone {
            let passed = now.saturating_sub(self.busy_since);
            let left = passed.saturating_sub(self.charged_since_busy);
            finished.debit.min(left)
        } else if finished.is_write {
            elapsed.max(finished.debit)
        } else {
            if finished.is_read {
                self.correction.learn(now, elapsed, finished.solo);
            }
            elapsed
        };
        self.charged_until = now;
        self.charged_since_busy += charge;
        self.device.receive(finished.solo);
        charge
    }

    /// The gap since it was last charged for one, up to `now`; it is charged from now on.
    pub(super) fn take_gap(&mut self, now: Nanos) -> Nanos {
        let Some(since) = &mut self.gap_since else {
            return Nanos::ZERO;
        };
        let gap = now.saturating_sub(*since);
        *since = now.max(*since);
        gap
    }

    /// The gap that is not charged yet.
    pub(super) fn gap(&self, now: Nanos) -> Nanos {
        self.gap_since
            .map_or(Nanos::ZERO, |since| now.saturating_sub(since))
    }

    /// Its gap is not charged: it is waited for, which is, or it is idle.
    pub(super) fn close_gap(&mut self) {
        self.gap_since = None;
    }

    /// Its gap is charged from now on: it is waited for no longer.
    pub(super) fn open_gap(&mut self, now: Nanos) {
        self.gap_since = Some(now);
    }

    /// Until when it is waited for after it ran out of requests.
    pub(crate) fn wait_until(&self) -> Nanos {
        let wait = Nanos(self.think.0.saturating_mul(WAIT_FACTOR)).clamp(WAIT_MIN, WAIT_MAX);
        self.emptied_at.saturating_add(wait)
    }

    /// It is behind and has no requests, and is not waited for any more.
    pub(super) fn let_go(&mut self, now: Nanos) {
        self.let_go_at = Some(now);
    }

    /// V: solo time received, all accounts of it together.
    pub(crate) fn received(&self) -> Nanos {
        self.device.received()
    }

    /// Time with requests outstanding; `is_busy`: it has some now.
    pub(crate) fn backlogged(&self, now: Nanos, is_busy: bool) -> Nanos {
        let open = if is_busy {
            now.saturating_sub(self.busy_since)
        } else {
            Nanos::ZERO
        };
        self.backlogged + open
    }

    /// κ: what its requests take compared with their prices, in ppm.
    pub(crate) fn correction_ppm(&self) -> u64 {
        self.correction.factor_ppm()
    }

    /// Whether its prices are to be confirmed by reads alone.
    #[inline]
    pub(crate) fn is_doubtful(&self, now: Nanos) -> bool {
        self.correction.is_doubtful(now)
    }

    /// How long it has to be alone until its prices are confirmed, and what a request takes alone.
    pub(crate) fn to_confirm(&self) -> (Nanos, Nanos) {
        (self.correction.missing(), self.correction.lone())
    }

    /// A read of an account with that share took so long, and should take so long alone.
    #[inline]
    pub(super) fn note_read(
        &mut self,
        now: Nanos,
        (service, expected): (Nanos, Nanos),
        share_ppm: u64,
    ) {
        let standing = Standing {
            share_ppm,
            received: self.received(),
            backlogged: self.backlogged(now, true),
        };
        self.correction.note_read(service, expected, standing);
    }

    /// The disk's speed changed: what was learnt of prices is not true any more.
    pub(super) fn forget_corrections(&mut self) {
        self.correction.forget();
    }
}

fn times_ppm(time: Nanos, factor_ppm: u64) -> Nanos {
    if factor_ppm == 1_000_000 {
        return time;
    }
    Nanos(proportion(time.0, factor_ppm, 1_000_000))
}

#[cfg(test)]
mod tests;
