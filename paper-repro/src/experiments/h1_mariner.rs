//! H1: what logging every write costs: latency with and without, and log space against latency.

use super::history_bed::{BLOCK, Bed, LogPlace, VDISK_BYTES};
use crate::{Experiment, Finding, Origin, Real};
use disktime_lab::figure::{Axis, Figure, Panel, Series};
use disktime_lab::{Lab, LabResult, Table, cells, number};
use disktime_random::SplitMix64;
use disktime_units::Nanos;

/// The experiment.
pub(super) const EXPERIMENT: Experiment = Experiment {
    id: "H1",
    title: "writes with logging on and off, and log space against latency",
    origin: Origin::Paper,
    source: "Lu, Lin, Chiueh: Efficient Logging and Replication Techniques for Comprehensive Data \
             Protection (Mariner), MSST 2007, abstract",
    claim: "Every write can be undone at the speed of a disk without that: a write of 4 KiB takes \
            less than 1.2 ms with logging and replication on.",
    real: Real::No("histories are measured in virtual time"),
    run,
};

const PLACES: [LogPlace; 4] = [
    LogPlace::Nowhere,
    LogPlace::SameDisk,
    LogPlace::OwnHardDisk,
    LogPlace::Ssd,
];
const DEPTHS: [usize; 6] = [1, 2, 4, 8, 16, 32];
const WRITES: usize = 4000;
/// Mariner's figure, in milliseconds.
const MARINER_MS: f64 = 1.2;
/// Up to this ratio two latencies are the same.
const SAME: f64 = 1.05;

/// What writes took, in milliseconds, and what they took of the log.
struct Written {
    mean: f64,
    p50: f64,
    p99: f64,
    /// Bytes of the log for each byte written.
    space: f64,
}

fn write(place: LogPlace, depth: usize, writes: usize) -> LabResult<Written> {
    let mut bed = Bed::new(place)?;
    let mut random = SplitMix64::new(1);
    let used_before = bed.used_bytes();
    let place = || random.below(VDISK_BYTES / BLOCK) * BLOCK;
    let mut times = bed.write(writes, depth, 7, place)?;
    let used = bed.used_bytes() - used_before;
    bed.end();
    times.sort_unstable();
    let sum: f64 = times.iter().copied().map(Nanos::as_millis_f64).sum();
    let at = |part: usize| times[times.len() * part / 1000].as_millis_f64();
    Ok(Written {
        mean: sum / times.len() as f64,
        p50: at(500),
        p99: at(990),
        space: used as f64 / (writes as u64 * BLOCK) as f64,
    })
}

fn run(lab: &Lab<'_>) -> LabResult<Finding> {
    let writes = lab.count(WRITES);
    let mut finding = Finding::new(format!(
        "{writes} writes of 4 KiB at random places of a vdisk of 1 GiB on `desktop-7200-2008`, one after \
         the other; the history's log is on the same disk, on another one like it, or on `sata-870`."
    ));
    let found = PLACES.map(|place| write(place, 1, writes));
    let mut table = Table::headed("log | mean (ms) | p50 (ms) | p99 (ms) | log ÷ data")
        .with_title("A write of 4 KiB, one at a time");
    let mut means = Vec::new();
    for (place, written) in PLACES.iter().zip(found) {
        let Written {
            mean,
            p50,
            p99,
            space,
        } = written?;
        means.push(mean);
        let mut row = cells![place.name()];
        row.extend([mean, p50, p99, space].map(number));
        table.row(row);
    }
    finding.table(table);
    let [without, same, own, ssd] = means[..] else {
        unreachable!("four places");
    };
    finding
        .check("mean_ssd", "mean of a write, log on an SSD", ssd)
        .at_most(MARINER_MS, "ms")
        .decisive();
    finding
        .check(
            "own_disk_ratio",
            "mean with the log on its own hard disk ÷ without a history",
            own / without,
        )
        .at_most(SAME, "")
        .decisive();
    finding
        .check(
            "same_disk_ratio",
            "mean with the log on the same disk ÷ without a history",
            same / without,
        )
        .at_most(SAME, "");
    finding
        .check("mean_own", "mean of a write, log on its own hard disk", own)
        .at_most(MARINER_MS, "ms");
    let points = depths(lab, &mut finding)?;
    finding.figure(space_and_latency(points));
    finding.note(
        "Mariner was measured over iSCSI with two ATA disks and a replica; the clients of that figure, the \
         disks and their caches are not known, so only the bound compares. Nothing is replicated here.",
    );
    finding.note(
        "On a hard disk Mariner writes where the head is, and pays with space of the tracks that it \
         leaves. Our log is dense: a write waits for its place to come round, one turn of 8.3 ms, and \
         many at a time share that turn.",
    );
    Ok(finding)
}

/// Latency and log space by depth, with the log on its own hard disk.
fn depths(lab: &Lab<'_>, finding: &mut Finding) -> LabResult<[Vec<(f64, f64)>; 2]> {
    let writes = lab.count(WRITES);
    let mut points = [Vec::new(), Vec::new()];
    for depth in DEPTHS {
        let written = write(LogPlace::OwnHardDisk, depth, writes)?;
        points[0].push((depth as f64, written.p50));
        points[1].push((depth as f64, written.space));
    }
    let space_at = |points: &[(f64, f64)], depth: f64| {
        let found = points.iter().find(|(at, _)| *at == depth);
        found.map_or(f64::NAN, |(_, space)| *space)
    };
    for (key, depth, most) in [("space_1", 1.0, 2.1), ("space_16", 16.0, 1.15)] {
        let what = format!("bytes of the log for each byte written, {depth} at a time");
        let space = space_at(&points[1], depth);
        finding.check(key, what, space).at_most(most, "");
    }
    Ok(points)
}

fn space_and_latency([latency, space]: [Vec<(f64, f64)>; 2]) -> Figure {
    let depths = DEPTHS.map(|depth| depth as f64);
    let x = || Axis::logarithmic("writes in flight", 1.0, 32.0).with_ticks(&depths);
    let latency = Panel::new("latency", x(), Axis::linear("median (ms)", 0.0, 20.0))
        .with(Series::line("log on its own hard disk", latency))
        .level("Mariner's bound", MARINER_MS);
    let bytes = Axis::linear("bytes of the log for each byte written", 0.0, 2.5);
    let space =
        Panel::new("log space", x(), bytes).with(Series::line("log on its own hard disk", space));
    let title = "What a write of 4 KiB takes in time and in space of the log";
    Figure::new("h1-mariner", title, [latency, space])
}
