//! The share of a disk's time that a reservation takes, its switching included. Exact: integers in
//! parts per million, switching rounded up.

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
