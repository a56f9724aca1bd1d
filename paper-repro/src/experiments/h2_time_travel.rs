//! H2: going back in time costs the same whatever the distance, and can be undone.

use super::history_bed::{BLOCK, Bed, LogPlace, VDISK_BYTES};
use crate::{Experiment, Finding, Origin, Real};
use disktime_lab::figure::{Axis, Figure, Panel, Series};
use disktime_lab::{Lab, LabResult, Table, cells, number};
use disktime_random::SplitMix64;

/// The experiment.
pub(super) const EXPERIMENT: Experiment = Experiment {
    id: "H2",
    title: "reverts at any distance, and their undo",
    origin: Origin::Paper,
    source: "Ta-Shma, Laden, Ben-Yehuda, Factor: Virtual Machine Time Travel Using Continuous Data \
             Protection and Checkpointing, SIGOPS OSR 42(1), 2008",
    claim: "With a branched-temporal data structure the storage state is reverted to a past point \
            efficiently, whatever its distance, and a revert can be undone.",
    real: Real::No("histories are measured in virtual time"),
    run,
};

/// Parts of the history, with a mark behind each.
const STAGES: u8 = 8;
const WRITES: usize = 4000;
/// The block that says which stage it is.
const PROBE: u64 = 0;
const LIMIT_MS: f64 = 100.0;

/// A vdisk with [`STAGES`] parts of so many writes.
fn lived(writes: usize) -> LabResult<Bed> {
    let mut bed = Bed::new(LogPlace::SameDisk)?;
    let mut random = SplitMix64::new(1);
    for stage in 1..=STAGES {
        let place = || (1 + random.below(VDISK_BYTES / BLOCK - 1)) * BLOCK;
        bed.write(writes, 16, stage, place)?;
        bed.write(1, 1, stage, || PROBE)?;
        bed.mark(&name(stage))?;
    }
    Ok(bed)
}

fn name(stage: u8) -> String {
    format!("stage-{stage}")
}

fn run(lab: &Lab<'_>) -> LabResult<Finding> {
    let writes = lab.count(WRITES);
    let mut finding = Finding::new(format!(
        "A vdisk of 1 GiB on `desktop-7200-2008` with its log on the same disk: eight times {writes} random \
         writes of 4 KiB and a mark. Each mark is reverted to and the revert undone, and a block is read \
         after both; the first time counts by itself."
    ));
    let mut bed = lived(writes)?;
    let mut table = Table::headed("writes undone | revert (ms) | undo (ms)");
    let (mut reverts, mut undos) = (Vec::new(), Vec::new());
    let (first_revert, first_undo, mut wrong) = back_and_forth(&mut bed, 1)?;
    let mut row = cells![format!("{writes}, the first time")];
    row.extend([first_revert, first_undo].map(number));
    table.row(row);
    for distance in 1..STAGES {
        let (revert, undo, more_wrong) = back_and_forth(&mut bed, distance)?;
        wrong += more_wrong;
        let undone = usize::from(distance) * writes;
        let mut row = cells![undone];
        row.extend([revert, undo].map(number));
        table.row(row);
        reverts.push((undone as f64, revert));
        undos.push((undone as f64, undo));
    }
    wrong += branches(&mut bed)?;
    bed.end();
    finding.table(table);
    let longest = |points: &[(f64, f64)]| points.iter().map(|point| point.1).fold(0.0, f64::max);
    let what = "reads that found another content than that of the moment";
    finding
        .check("wrong", what, f64::from(wrong))
        .at_most(0.0, "")
        .decisive();
    let growth = reverts[reverts.len() - 1].1 / reverts[0].1;
    let what = "time of a revert to the farthest moment ÷ to the nearest";
    finding
        .check("growth", what, growth)
        .at_most(2.0, "")
        .decisive();
    let what = "the first revert and its undo, the longer of them";
    finding
        .check("first", what, first_revert.max(first_undo))
        .at_most(LIMIT_MS, "ms");
    let what = "longest revert";
    finding
        .check("revert", what, longest(&reverts))
        .at_most(LIMIT_MS, "ms");
    let what = "longest undo";
    finding
        .check("undo", what, longest(&undos))
        .at_most(LIMIT_MS, "ms");
    let far = f64::from(STAGES) * writes as f64;
    let most = 1.2 * longest(&reverts).max(longest(&undos)).max(LIMIT_MS);
    let x = Axis::linear("writes that are undone", 0.0, far);
    let panel = Panel::new("", x, Axis::linear("time (ms)", 0.0, most))
        .with(Series::line("revert", reverts))
        .with(Series::line("undo of the revert", undos))
        .level("our limit", LIMIT_MS);
    let title = "What a revert and its undo take, by distance";
    finding.figure(Figure::new("h2-time-travel", title, [panel]));
    finding.note(
        "The paper's set-up (iSCSI targets, their disks and the sizes of its volumes) is not known to us, so \
         times do not compare; that they do not grow with distance does.",
    );
    finding.note(
        "A revert writes one record; no data moves. What is written after it is a branch of its own. Blocks \
         of its moment are found in the log when they are read, and all of them in the background: an undo \
         waits for what is in flight of that.",
    );
    Ok(finding)
}

/// A revert over so many stages and its undo: how long both took (ms), and how many reads were
/// wrong.
fn back_and_forth(bed: &mut Bed, distance: u8) -> LabResult<(f64, f64, u32)> {
    let to = STAGES - distance;
    let revert = bed.revert(&name(to))?.as_millis_f64();
    let mut wrong = u32::from(bed.read(PROBE)? != to);
    let undo = bed.undo()?.as_millis_f64();
    wrong += u32::from(bed.read(PROBE)? != STAGES);
    Ok((revert, undo, wrong))
}

/// A revert, a write on the new branch, another revert, and its undo; how many reads were wrong.
fn branches(bed: &mut Bed) -> LabResult<u32> {
    bed.revert(&name(3))?;
    bed.write(1, 1, 100, || PROBE)?;
    bed.revert(&name(6))?;
    let mut wrong = u32::from(bed.read(PROBE)? != 6);
    bed.undo()?;
    wrong += u32::from(bed.read(PROBE)? != 100);
    Ok(wrong)
}
