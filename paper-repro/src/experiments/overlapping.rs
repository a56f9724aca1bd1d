//! What the experiments on drives that overlap requests share: clients, runs, and how the peers are
//! set.

use crate::{Finding, Real};
use disktime_lab::Lab;
use disktime_lab::figure::Series;
use disktime_lab::overlap::{
    Case, CaseMeasure, Class, DEPTH, LabDrive, OverlapClient, Peer, PeerRun, SoloRuns, Span,
};
use disktime_units::Nanos;

/// What a client takes to answer an answer.
pub(super) const TURNAROUND: Nanos = Nanos::from_micros(10);
/// The usual period.
pub(super) const PERIOD: Nanos = Nanos::from_millis(100);

/// Why they are not run in real time.
pub(super) const NOT_REAL: Real = Real::No(
    "its drives are modelled SSDs and cloud volumes, known in every state; \
     docs/benchmarks/overlapping-devices.md says how a served disk is measured",
);

/// How the peers are set.
const PEERS: &str = "All four schedulers have as many places in the drive's queue and see the same \
    clients. mclock is told in I/Os what each reserved client does alone, and that u of it is \
    reserved: the best that a reservation in I/Os can be told. iocost-like is a likeness of the \
    kernel's blk-iocost, not its code: weights u and 1 − Σu, the linear model of the drive's own \
    prices, 95 % of requests within six lone latencies of a 4 KiB request, vrate 10 to 150 %: of \
    ten settings the one that isolated best at little cost of work.";

/// A best-effort client.
pub(super) fn client(name: &str, depth: u32, class: Class) -> OverlapClient {
    OverlapClient::new(name, depth, class)
}

/// A client with a reservation per usual period.
pub(super) fn reserved(name: &str, depth: u32, class: Class, percent: u32) -> OverlapClient {
    client(name, depth, class).reserved(percent * 10_000, PERIOD)
}

/// Clients on a drive.
pub(super) fn case(drive: LabDrive, clients: Vec<OverlapClient>) -> Case {
    Case {
        drive,
        clients,
        seed: 1,
    }
}

/// A finding, with a note of how the peers are set.
pub(super) fn finding(set_up: impl Into<String>) -> Finding {
    let mut finding = Finding::new(set_up);
    finding.note(PEERS);
    finding
}

/// So many milliseconds, fewer in a shortened run.
pub(super) fn millis(lab: &Lab<'_>, full: u64) -> Nanos {
    Nanos(lab.seconds(8).0 / 8 * full / 1000)
}

/// A case under a peer, with right prices and the usual places.
pub(super) fn run(case: &Case, peer: Peer, span: Span, alone: &SoloRuns) -> CaseMeasure {
    usual(case, peer, span).measure(alone)
}

/// The run of a case under a peer, with right prices and the usual places.
pub(super) fn usual(case: &Case, peer: Peer, span: Span) -> PeerRun<'_> {
    PeerRun {
        case,
        peer,
        depth: DEPTH,
        span,
        turnaround: TURNAROUND,
        prices_percent: 100,
    }
}

/// The value below which that part of them lies.
pub(super) fn quantile(values: &[f64], part: f64) -> f64 {
    let sorted = sorted(values);
    let index = (sorted.len() as f64 * part) as usize;
    let last = sorted.len().saturating_sub(1);
    sorted.get(index.min(last)).copied().unwrap_or(f64::NAN)
}

/// Their mean.
pub(super) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// A peer's values in ascending order, over the part of the cases that have less, within a picture
/// from `from` to `to`.
pub(super) fn ascending(peer: Peer, values: &[f64], (from, to): (f64, f64)) -> Series {
    let last = values.len().saturating_sub(1).max(1) as f64;
    let points = sorted(values).into_iter().enumerate();
    let points = points.map(|(index, value)| (100.0 * index as f64 / last, value.clamp(from, to)));
    Series::line(peer.name(), points)
}
