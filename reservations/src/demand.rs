//! The share of a disk's time that a reservation takes, with what each of its periods costs. Exact:
//! integers in parts per million, costs rounded up.

use disktime_documents::Span;
use disktime_units::{Nanos, Share};

/// The whole disk, in parts per million.
pub(crate) const WHOLE_PPM: u64 = Share::WHOLE.0 as u64;

/// A stream with a reservation.
#[derive(Debug, Clone)]
pub(crate) struct Demand {
    pub name: String,
    pub reserve: Share,
    pub period: Nanos,
    /// Where the share stands; `None` for the default of background work.
    pub span: Option<Span>,
    pub is_background: bool,
}

/// What the demands on a disk have to fit into.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Capacity {
    /// The most that shares and switching may sum to.
    pub most_ppm: u64,
    /// s, where an account pays for switches; else zero.
    pub switch_cost: Nanos,
    /// The least that a reservation brings in a period, on disks that overlap requests; else zero.
    pub least_budget: Nanos,
}

impl Capacity {
    /// Whether a share of a period is enough for what the disk can keep.
    pub(crate) fn is_enough(&self, reserve: Share, period: Nanos) -> bool {
        let budget = u128::from(reserve.0) * u128::from(period.0);
        budget >= u128::from(self.least_budget.0) * u128::from(WHOLE_PPM)
    }

    /// The smallest whole number of milliseconds of which the share is enough.
    pub(crate) fn least_period_ms(&self, reserve: Share) -> u64 {
        // B · 10⁶ ppm ÷ (u ppm · 10⁶ ns a millisecond).
        self.least_budget.0.div_ceil(u64::from(reserve.0.max(1)))
    }
}

impl Demand {
    pub(crate) fn switching_ppm(&self, cost: Nanos) -> u64 {
        switching_ppm(cost, self.period)
    }
}

/// 1.5·s/p in parts per million, rounded up.
pub(crate) fn switching_ppm(cost: Nanos, period: Nanos) -> u64 {
    let ppm = (u128::from(cost.0) * 3 * u128::from(WHOLE_PPM)).div_ceil(u128::from(period.0) * 2);
    u64::try_from(ppm).unwrap_or(u64::MAX)
}

/// L/p in parts per million, rounded up.
pub(crate) fn drain_ppm(drain: Nanos, period: Nanos) -> u64 {
    let ppm = (u128::from(drain.0) * u128::from(WHOLE_PPM)).div_ceil(u128::from(period.0));
    u64::try_from(ppm).unwrap_or(u64::MAX)
}

/// Σ reserve and Σ switching, in parts per million.
pub(crate) fn sums_ppm(demands: &[Demand], cost: Nanos) -> (u64, u64) {
    demands
        .iter()
        .fold((0u64, 0u64), |(reserved, switching), demand| {
            (
                reserved.saturating_add(u64::from(demand.reserve.0)),
                switching.saturating_add(demand.switching_ppm(cost)),
            )
        })
}
