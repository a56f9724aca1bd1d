//! What would fit, when reservations do not. Every suggestion is computed exactly, and admission
//! accepts it (a property test checks that).
//!
//! Kinds: one common period (raise every shorter period to it; the smallest whole millisecond that
//! fits), the largest share for the vdisk that does not fit, or smaller shares for all vdisks,
//! with a longer period where shares alone are not enough. What is not known here: the file.

use crate::demand::{Demand, WHOLE_PPM, sums_ppm, switching_ppm};
use disktime_units::{Nanos, Share};
use std::fmt;

/// The longest period that the file accepts.
const MOST_PERIOD_MS: u64 = 600_000;

/// A smaller share is not worth suggesting.
const LEAST_SHARE: u64 = 10_000;

/// With switching above this, smaller shares alone are not suggested.
const MUCH_SWITCHING: u64 = 200_000;

/// A change after which the reservations fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remedy {
    /// Raise the periods of these vdisks, which are shorter, to `period`.
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
pub(crate) fn offender(demands: &[Demand], cost: Nanos) -> Option<&Demand> {
    let of =
        |demand: &Demand| u64::from(demand.reserve.0).saturating_add(demand.switching_ppm(cost));
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
            used > WHOLE_PPM
        })
}

/// What would fit, the best suggestion first; empty when no period and no share does.
pub(crate) fn remedies(demands: &[Demand], cost: Nanos) -> Vec<Remedy> {
    let mut remedies: Vec<_> = longer_period(demands, cost)
        .into_iter()
        .chain(smaller_share(demands, cost))
        .collect();
    if remedies.is_empty() {
        remedies.extend(smaller_shares(demands, cost));
    }
    remedies
}

/// Σ switching when every vdisk's period is at least `period`.
fn switching_with(demands: &[Demand], cost: Nanos, period: Nanos) -> u64 {
    demands
        .iter()
        .map(|demand| match demand.is_background {
            true => demand.switching_ppm(cost),
            false => switching_ppm(cost, demand.period.max(period)),
        })
        .fold(0, u64::saturating_add)
}

/// The smallest common least period, in whole milliseconds, with which switching takes at most
/// `allowed`. Switching never grows with the period, so halving the range finds it.
fn least_period(demands: &[Demand], cost: Nanos, allowed: u64) -> Option<Nanos> {
    let fits = |ms: u64| switching_with(demands, cost, Nanos::from_millis(ms)) <= allowed;
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

fn longer_period(demands: &[Demand], cost: Nanos) -> Option<Remedy> {
    let (reserved, _) = sums_ppm(demands, cost);
    let allowed = WHOLE_PPM.checked_sub(reserved)?;
    let period = least_period(demands, cost, allowed)?;
    let vdisks = demands
        .iter()
        .filter(|demand| !demand.is_background && demand.period < period)
        .map(|demand| demand.name.clone())
        .collect();
    Some(Remedy::LongerPeriod { period, vdisks })
}

fn smaller_share(demands: &[Demand], cost: Nanos) -> Option<Remedy> {
    let (reserved, switching) = sums_ppm(demands, cost);
    let demand = offender(demands, cost)?;
    let others = reserved.saturating_add(switching) - u64::from(demand.reserve.0);
    let rest = WHOLE_PPM
        .checked_sub(others)
        .filter(|rest| *rest >= LEAST_SHARE)?;
    let reserve = Share(u32::try_from(rest).ok()?);
    Some(Remedy::SmallerShare {
        vdisk: demand.name.clone(),
        reserve,
    })
}

fn smaller_shares(demands: &[Demand], cost: Nanos) -> Option<Remedy> {
    let (_, switching) = sums_ppm(demands, cost);
    let background: u64 = demands
        .iter()
        .filter(|d| d.is_background)
        .map(|d| u64::from(d.reserve.0))
        .sum();
    let rest = WHOLE_PPM.checked_sub(background)?;
    let (period, switching) = if switching <= MUCH_SWITCHING.min(rest) {
        (None, switching)
    } else {
        let period = least_period(demands, cost, MUCH_SWITCHING.min(rest))?;
        (Some(period), switching_with(demands, cost, period))
    };
    let rest = u128::from(rest - switching);
    let vdisks = || demands.iter().filter(|demand| !demand.is_background);
    let asked: u128 = vdisks().map(|demand| u128::from(demand.reserve.0)).sum();
    let scaled = |demand: &Demand| {
        let part = (u128::from(demand.reserve.0) * rest).checked_div(asked)?;
        // Not more than the file reserves: the sum may be too large because of the period alone.
        let part = u32::try_from(part).ok()?.min(demand.reserve.0);
        (part > 0).then(|| (demand.name.clone(), Share(part)))
    };
    let reserves: Vec<_> = vdisks().map(scaled).collect::<Option<_>>()?;
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
