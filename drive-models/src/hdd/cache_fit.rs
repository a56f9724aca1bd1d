//! Finds in a measured trace what a drive's cache does: when it reads ahead, how far, what it keeps
//! and what a write makes stale.
//!
//! A read that the cache serves takes the time of the electronics and of the bus, always the same,
//! and less than any read that waits for the platter. So the measured times show which reads the
//! cache served, and a modelled cache is right when it serves the same reads. This depends neither
//! on the platter's phase nor on how well the overheads are known.

use super::bus_fit::{SPREAD_PARTS, cluster_ms, turn_ms};
use super::model::{HddModel, Served};
use super::parameters::{
    DEFAULT_BUS_MB_PER_S, HddError, HddParameters, ReadAheadPolicy, ReadBefore, WriteInvalidation,
};
use super::trace::{MeasuredRequest, replay_served};
use crate::Operation;

/// A measured time less its bus time, in ms.
pub(super) fn rest_ms(request: &MeasuredRequest, parameters: &HddParameters) -> f64 {
    let rate = parameters.bus_mb_per_s.unwrap_or(DEFAULT_BUS_MB_PER_S);
    request.service.as_millis_f64() - request.len_bytes as f64 / rate / 1e3
}

/// Which requests of the trace are reads that the real drive's cache served.
pub(super) fn measured_hits(parameters: &HddParameters, trace: &[MeasuredRequest]) -> Vec<bool> {
    let turn_ms = turn_ms(parameters);
    let is_read = |request: &&MeasuredRequest| request.operation == Operation::Read;
    let mut rests: Vec<f64> = trace
        .iter()
        .filter(is_read)
        .map(|request| rest_ms(request, parameters))
        .collect();
    let limit = match cluster_ms(&mut rests, turn_ms) {
        Some(middle) => middle + turn_ms / SPREAD_PARTS,
        None => f64::NEG_INFINITY,
    };
    let hit =
        |request: &MeasuredRequest| is_read(&request) && rest_ms(request, parameters) <= limit;
    trace.iter().map(hit).collect()
}

/// Chooses the modelled cache that serves the reads that the drive's cache served. The parameters'
/// cache is kept unless another is clearly better.
pub(super) fn fit_cache(
    parameters: &mut HddParameters,
    trace: &[MeasuredRequest],
) -> Result<(), HddError> {
    let hits = measured_hits(parameters, trace);
    let reads = trace
        .iter()
        .filter(|request| request.operation == Operation::Read);
    // A change must correct more reads than chance would.
    let margin = 2 + reads.count() / 1000;
    let mut least = wrong(parameters, trace, &hits)?;
    let given = parameters.clone();
    // These are chosen together: what is kept shows only in a segment that is large enough.
    for basic in lengths(&given, &given).iter().flat_map(basic_caches) {
        let count = wrong(&basic, trace, &hits)?;
        if count + margin <= least {
            (least, *parameters) = (count, basic);
        }
    }
    loop {
        let before = least;
        for candidate in changed_caches(parameters, &given) {
            let count = wrong(&candidate, trace, &hits)?;
            if count + margin <= least {
                (least, *parameters) = (count, candidate);
            }
        }
        if least == before {
            return Ok(());
        }
    }
}

/// The number of reads that only one of the model's and the drive's cache serves, plus half of the
/// difference of their totals. The ends of tracks are known only approximately (defects shift
/// them), so a right cache may serve other reads than the drive's, but as many.
fn wrong(
    parameters: &HddParameters,
    trace: &[MeasuredRequest],
    hits: &[bool],
) -> Result<usize, HddError> {
    let served = replay_served(&mut HddModel::new(parameters)?, trace, None)?;
    let (mut too_many, mut too_few) = (0usize, 0usize);
    for ((request, (_, served)), hit) in trace.iter().zip(&served).zip(hits) {
        let cached = request.operation == Operation::Read && *served == Served::FromCache;
        too_many += usize::from(cached && !hit);
        too_few += usize::from(*hit && !cached);
    }
    Ok(too_many + too_few + too_many.abs_diff(too_few) / 2)
}

/// Every combination of the policies that are chosen together.
fn basic_caches(given: &HddParameters) -> Vec<HddParameters> {
    let mut caches = Vec::new();
    for read_ahead in [
        ReadAheadPolicy::Always,
        ReadAheadPolicy::Sequential,
        ReadAheadPolicy::Never,
    ] {
        for read_before in [ReadBefore::Nothing, ReadBefore::Passing, ReadBefore::Track] {
            for read_ahead_keeps in [false, true] {
                caches.push(HddParameters {
                    read_ahead,
                    read_ahead_keeps,
                    read_before,
                    ..given.clone()
                });
            }
        }
    }
    caches
}

/// Segments of other lengths than those given: drives can divide their memory in several ways, and
/// the published parameters show one of them.
fn lengths(now: &HddParameters, given: &HddParameters) -> Vec<HddParameters> {
    [(1, 4), (1, 2), (1, 1), (2, 1), (4, 1), (8, 1)]
        .into_iter()
        .map(|(times, parts)| HddParameters {
            seg_sectors: (given.seg_sectors.saturating_mul(times) / parts).clamp(1, 1 << 20),
            ..now.clone()
        })
        .collect()
}

/// The cache with one thing changed.
fn changed_caches(now: &HddParameters, given: &HddParameters) -> Vec<HddParameters> {
    let mut caches = basic_caches(now);
    for write_invalidates in [
        WriteInvalidation::Overlap,
        WriteInvalidation::Segment,
        WriteInvalidation::All,
    ] {
        caches.push(HddParameters {
            write_invalidates,
            ..now.clone()
        });
    }
    for reads_hit_writes in [false, true] {
        caches.push(HddParameters {
            reads_hit_writes,
            ..now.clone()
        });
    }
    caches.extend(lengths(now, given));
    for reach in [
        None,
        Some(8),
        Some(16),
        Some(32),
        Some(64),
        Some(128),
        Some(256),
    ] {
        caches.push(HddParameters {
            read_ahead_sectors: reach,
            ..now.clone()
        });
    }
    caches
}
