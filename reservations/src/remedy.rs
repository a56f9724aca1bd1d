//! What would fit, when reservations do not. Every suggestion is computed exactly, and admission
//! accepts it (a property test checks that).
//!
//! Kinds: one common period (raise every shorter period to it; the smallest whole millisecond that
//! fits), the largest share for the vdisk that does not fit, or smaller shares for all vdisks,
//! with a longer period where shares alone are not enough. On disks that overlap requests a
//! reservation has to bring enough in each period, so there the period is that of the vdisks with
//! too little. What is not known here: the file.

use crate::demand::{Capacity, Demand, sums_ppm, switching_ppm};
use disktime_units::{Nanos, Share};
use std::fmt;

/// The longest period that the file accepts.
pub(crate) const MOST_PERIOD_MS: u64 = 600_000;

/// A smaller share is not worth suggesting.
const LEAST_SHARE: u64 = 10_000;

/// With switching above this, smaller shares alone are not suggested.
const MUCH_SWITCHING: u64 = 200_000;

/// A change after which the reservations fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remedy {
    /// Raise the periods of these vdisks (groups, background work), which are shorter, to `period`.
    LongerPeriod {
        /// The smallest whole number of milliseconds that fits.
        period: Nanos,
        /// The vdisks with a shorter period.
        vdisks: Vec<String>,
    },
    /// Reserve less for one vdisk.
    SmallerShare {
        /// The vdisk.
        vdisk: String,
        /// The largest share that fits.
        reserve: Share,
    },
    /// Reserve less for every vdisk, in proportion; with a longer period where that is needed.
    SmallerShares {
        /// The shares by vdisk.
        reserves: Vec<(String, Share)>,
        /// Raise shorter periods to this, where smaller shares alone are not enough.
        period: Option<Nanos>,
    },
}

/// The vdisk whose reservation is the first that does not fit, counting in file order after the
/// background work.
pub(crate) fn offender<'d>(demands: &'d [Demand], capacity: &Capacity) -> Option<&'d Demand> {
    let of = |demand: &Demand| {
        let switching = demand.switching_ppm(capacity.switch_cost);
        u64::from(demand.reserve.0).saturating_add(switching)
    };
    let mut used: u64 = demands
        .iter()
        .filter(|demand| demand.is_background)
        .map(of)
        .sum();
    demands
        .iter()
        .filter(|demand| !demand.is_background)
        .find(|demand| {
            used = used.saturating_add(of(demand));
            used > capacity.most_ppm
        })
}

/// What would fit, the best suggestion first; empty when no period and no share does.
pub(crate) fn remedies(demands: &[Demand], capacity: &Capacity) -> Vec<Remedy> {
    let too_small = |demand: &Demand| !capacity.is_enough(demand.reserve, demand.period);
    if demands.iter().any(too_small) {
        let longer = period_that_is_enough(demands, capacity);
        return longer
            .or_else(|| smaller_shares(demands, capacity))
            .into_iter()
            .collect();
    }
    let mut remedies: Vec<_> = longer_period(demands, capacity)
        .into_iter()
        .chain(smaller_share(demands, capacity))
        .collect();
    if remedies.is_empty() {
        remedies.extend(smaller_shares(demands, capacity));
    }
    remedies
}

/// Σ of what each period costs when every vdisk's is at least `period`.
fn costs_with(demands: &[Demand], period: Nanos, cost_ppm: impl Fn(Nanos) -> u64) -> u64 {
    demands
        .iter()
        .map(|demand| match demand.is_background {
            true => cost_ppm(demand.period),
            false => cost_ppm(demand.period.max(period)),
        })
        .fold(0, u64::saturating_add)
}

/// The smallest common least period, in whole milliseconds, with which periods cost at most
/// `allowed`. Costs never grow with the period, so halving the range finds it.
pub(crate) fn least_period(
    demands: &[Demand],
    allowed: u64,
    cost_ppm: impl Fn(Nanos) -> u64,
) -> Option<Nanos> {
    let fits = |ms: u64| costs_with(demands, Nanos::from_millis(ms), &cost_ppm) <= allowed;
    if !fits(MOST_PERIOD_MS) {
        return None;
    }
    let (mut below, mut enough) = (0, MOST_PERIOD_MS);
    while enough - below > 1 {
        let middle = (below + enough) / 2;
        if fits(middle) {
            enough = middle;
        } else {
            below = middle;
        }
    }
    Some(Nanos::from_millis(enough))
}

fn longer_period(demands: &[Demand], capacity: &Capacity) -> Option<Remedy> {
    let (reserved, _) = sums_ppm(demands, capacity.switch_cost);
    let allowed = capacity.most_ppm.checked_sub(reserved)?;
    let switching = |period| switching_ppm(capacity.switch_cost, period);
    let period = least_period(demands, allowed, switching)?;
    let vdisks = demands
        .iter()
        .filter(|demand| !demand.is_background && demand.period < period)
        .map(|demand| demand.name.clone())
        .collect();
    Some(Remedy::LongerPeriod { period, vdisks })
}

/// The period of which the shares of all that bring too little are enough.
fn period_that_is_enough(demands: &[Demand], capacity: &Capacity) -> Option<Remedy> {
    let (reserved, switching) = sums_ppm(demands, capacity.switch_cost);
    if reserved.saturating_add(switching) > capacity.most_ppm {
        return None;
    }
    let too_small = |demand: &&Demand| !capacity.is_enough(demand.reserve, demand.period);
    let small: Vec<&Demand> = demands.iter().filter(too_small).collect();
    let periods = small
        .iter()
        .map(|demand| capacity.least_period_ms(demand.reserve));
    let period = periods.max().filter(|ms| *ms <= MOST_PERIOD_MS)?;
    Some(Remedy::LongerPeriod {
        period: Nanos::from_millis(period),
        vdisks: small.iter().map(|demand| demand.name.clone()).collect(),
    })
}

fn smaller_share(demands: &[Demand], capacity: &Capacity) -> Option<Remedy> {
    let (reserved, switching) = sums_ppm(demands, capacity.switch_cost);
    let demand = offender(demands, capacity)?;
    let others = reserved.saturating_add(switching) - u64::from(demand.reserve.0);
    let rest = capacity
        .most_ppm
        .checked_sub(others)
        .filter(|rest| *rest >= LEAST_SHARE)?;
    let reserve = Share(u32::try_from(rest).ok()?);
    capacity
        .is_enough(reserve, demand.period)
        .then(|| Remedy::SmallerShare {
            vdisk: demand.name.clone(),
            reserve,
        })
}

fn smaller_shares(demands: &[Demand], capacity: &Capacity) -> Option<Remedy> {
    let (_, switching) = sums_ppm(demands, capacity.switch_cost);
    let (background, vdisks): (Vec<_>, Vec<_>) =
        demands.iter().partition(|demand| demand.is_background);
    let is_enough = |demand: &&&Demand| capacity.is_enough(demand.reserve, demand.period);
    if !background.iter().all(|demand| is_enough(&demand)) {
        return None;
    }
    let taken: u64 = background.iter().map(|d| u64::from(d.reserve.0)).sum();
    let rest = capacity.most_ppm.checked_sub(taken)?;
    let most_switching = MUCH_SWITCHING.min(rest);
    let (mut period, switching) = if switching <= most_switching {
        (None, switching)
    } else {
        let of = |period| switching_ppm(capacity.switch_cost, period);
        let period = least_period(demands, most_switching, of)?;
        (Some(period), costs_with(demands, period, of))
    };
    let rest = u128::from(rest - switching);
    let asked: u128 = vdisks.iter().map(|d| u128::from(d.reserve.0)).sum();
    let mut reserves = Vec::with_capacity(vdisks.len());
    for demand in vdisks {
        let part = (u128::from(demand.reserve.0) * rest).checked_div(asked)?;
        // Not more than the file reserves: the sum may be too large because of the period alone.
        let part = Share(u32::try_from(part).ok()?.min(demand.reserve.0));
        if part == Share::ZERO {
            return None;
        }
        if !capacity.is_enough(part, demand.period.max(period.unwrap_or_default())) {
            let ms = capacity.least_period_ms(part);
            if ms > MOST_PERIOD_MS {
                return None;
            }
            period = period.max(Some(Nanos::from_millis(ms)));
        }
        reserves.push((demand.name.clone(), part));
    }
    (!reserves.is_empty()).then_some(Remedy::SmallerShares { reserves, period })
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Remedy::LongerPeriod { period, vdisks } => {
                write!(
                    f,
                    "a period of {}ms for {}",
                    period.0 / 1_000_000,
                    list(vdisks)
                )
            }
            Remedy::SmallerShare { vdisk, reserve } => write!(f, "at most {reserve} for `{vdisk}`"),
            Remedy::SmallerShares { reserves, period } => {
                for (index, (vdisk, reserve)) in reserves.iter().take(MOST_LISTED).enumerate() {
                    let comma = if index > 0 { ", " } else { "" };
                    write!(f, "{comma}{reserve} for `{vdisk}`")?;
                }
                if reserves.len() > MOST_LISTED {
                    write!(
                        f,
                        ", and {} more in proportion",
                        reserves.len() - MOST_LISTED
                    )?;
                }
                match period {
                    Some(period) => {
                        write!(f, ", with periods of {}ms or more", period.0 / 1_000_000)
                    }
                    None => Ok(()),
                }
            }
        }
    }
}

const MOST_LISTED: usize = 8;

fn list(names: &[String]) -> String {
    let quoted: Vec<_> = names
        .iter()
        .take(MOST_LISTED)
        .map(|name| format!("`{name}`"))
        .collect();
    match names.len() {
        0..=MOST_LISTED => quoted.join(", "),
        more => format!("{} and {} more", quoted.join(", "), more - MOST_LISTED),
    }
}
