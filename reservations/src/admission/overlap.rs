//! Admission on disks that overlap requests (docs/design/overlapping-devices.md).
//!
//! A stream that has the disk to itself first waits until it is empty, L at most, once for each of
//! its periods. So three rules hold there:
//!
//! - Σu ≤ 97 %, or the disk would go to one stream after the other for ever;
//! - Σ(u + L/p) ≤ 100 % is promised; what lies above was met in simulation only, and is a warning;
//! - u·p ≥ 2·max(W, L), or a period could be over before the disk is empty.
//!
//! Invariant: exact; L/p is rounded up for each stream.

use super::{Admission, share};
use crate::configuration::Disk;
use crate::demand::{Capacity, Demand, WHOLE_PPM, drain_ppm};
use crate::remedy::{self, MOST_PERIOD_MS};
use disktime_documents::Finding;
use disktime_units::{Nanos, Share};

/// The most that reservations may sum to.
pub(super) const MOST: Share = Share(970_000);

/// What admission needs to know of a disk that overlaps requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OverlapFacts {
    /// H: the work in the disk beyond which no request is sent to it.
    pub occupancy_bound: Nanos,
    /// How long the largest request takes alone.
    pub longest_alone: Nanos,
    /// σ: how long after the last write reads are as fast as on an idle disk.
    pub settle: Nanos,
}

impl OverlapFacts {
    /// L: the longest that the disk takes to run empty.
    pub fn longest_drain(&self) -> Nanos {
        self.occupancy_bound
            .saturating_add(self.longest_alone)
            .saturating_add(self.settle)
    }

    /// The least that a reservation has to bring in a period: twice the longer of W and L.
    pub(super) fn least_budget(&self, worst_case: Nanos) -> Nanos {
        let longer = worst_case.max(self.longest_drain());
        longer.saturating_add(longer)
    }
}

/// Judges the reservations by the rules of such disks, and adds what drains may cost.
pub(super) fn judge(
    admission: &mut Admission,
    disk: &Disk,
    demands: &[Demand],
    capacity: &Capacity,
    overlap: &OverlapFacts,
) {
    let (worst_case, drain) = (admission.facts.worst_case, overlap.longest_drain());
    let drains = demands
        .iter()
        .map(|demand| drain_ppm(drain, demand.period))
        .fold(0, u64::saturating_add);
    admission.drain_share = share(drains);
    for stream in &mut admission.streams {
        stream.drain = share(stream.period.map_or(0, |period| drain_ppm(drain, period)));
    }
    for demand in demands {
        if !capacity.is_enough(demand.reserve, demand.period) {
            let finding = too_little(demand, disk, capacity, worst_case, drain);
            admission.findings.push(finding);
        }
    }
    if admission.findings.is_empty() {
        admission
            .findings
            .extend(beyond_argument(admission, disk, demands, drain));
    } else if admission.remedies.is_empty() {
        admission.remedies = remedy::remedies(demands, capacity);
    }
}

/// A reservation that brings less in a period than the disk can keep.
fn too_little(
    demand: &Demand,
    disk: &Disk,
    capacity: &Capacity,
    worst_case: Nanos,
    drain: Nanos,
) -> Finding {
    let budget = demand.reserve.of(demand.period);
    let message = format!(
        "`{}` gets {budget} in each period of {}, but this disk keeps no reservation of less than \
            {}: twice the longer of W ({worst_case}, one request) and L ({drain}, until it is empty)",
        demand.name, demand.period, capacity.least_budget
    );
    let enough_ms = capacity.least_period_ms(demand.reserve);
    let help = if enough_ms <= MOST_PERIOD_MS {
        format!("use a period of at least {enough_ms}ms")
    } else {
        let longest = Nanos::from_millis(MOST_PERIOD_MS);
        let least = (u128::from(capacity.least_budget.0) * u128::from(WHOLE_PPM))
            .div_ceil(u128::from(longest.0));
        let least = share(u64::try_from(least).unwrap_or(u64::MAX));
        format!("reserve at least {least}, with a period of {longest}")
    };
    Finding::error(demand.span.unwrap_or(disk.name.span), message).help(help)
}

/// A warning when the argument for the promise does not cover the reservations.
fn beyond_argument(
    admission: &Admission,
    disk: &Disk,
    demands: &[Demand],
    drain: Nanos,
) -> Option<Finding> {
    let reserved = u64::from(admission.reserved.0);
    let sum = reserved.saturating_add(u64::from(admission.drain_share.0));
    if sum <= WHOLE_PPM {
        return None;
    }
    let message = format!(
        "the reservations on `{}` take {}, and {} more while the disk runs empty for each period \
            ({drain} a period): together {}",
        admission.disk,
        admission.reserved,
        admission.drain_share,
        share(sum)
    );
    let allowed = WHOLE_PPM - reserved;
    let longer = match remedy::least_period(demands, allowed, |period| drain_ppm(drain, period)) {
        Some(period) => format!(
            "; periods of {}ms or more are promised",
            period.0 / 1_000_000
        ),
        None => "; smaller shares fit".to_owned(),
    };
    let help = format!(
        "a sum of up to 100% is promised; above it reservations were kept in every simulation, but \
            that is no proof, and best effort gets little{longer}"
    );
    Some(Finding::warning(disk.name.span, message).help(help))
}
