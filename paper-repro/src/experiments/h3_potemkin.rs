//! H3: what a clone takes in time and space, however much its parent holds.

use super::history_bed::{BLOCK, Bed, LogPlace, VDISK_BYTES};
use crate::{Experiment, Finding, Origin, Real};
use disktime_engine::VdiskId;
use disktime_lab::figure::{Axis, Figure, Panel, Series};
use disktime_lab::measures::{greatest, mean};
use disktime_lab::{Lab, LabResult, Table, cells, number};
use disktime_random::SplitMix64;

/// The experiment.
pub(super) const EXPERIMENT: Experiment = Experiment {
    id: "H3",
    title: "clones of one golden disk: how fast, and how large before they are written",
    origin: Origin::Paper,
    source: "Vrable, Ma, Chen, Moore, Vandekieft, Snoeren, Voelker, Savage: Scalability, Fidelity, and \
             Containment in the Potemkin Virtual Honeyfarm, SOSP 2005",
    claim: "A machine is cloned from a reference image on demand, in about half a second altogether and \
            without a copy: a clone takes space for what it changes, and none sees what another changes.",
    real: Real::No("histories are measured in virtual time"),
    run,
};

/// What the parent holds: so many random blocks, and four times as many.
const WRITES: usize = 4000;
const LARGER: usize = 4;
/// Clones of one moment that are made one after the other,
const CLONES: usize = 48;
/// and those that are made at once.
const TOGETHER: usize = 100;
/// The space that a clone may take when it is written.
const MAX_BYTES: u64 = 64 << 20;
/// Potemkin's time for a whole virtual machine, in milliseconds.
const POTEMKIN_MS: f64 = 521.0;
/// What we want of a clone before its first write, in KiB.
const SPACE_KIB: f64 = 64.0;
/// The block that a clone changes.
const PROBE: u64 = 0;

/// What clones took.
struct Cloned {
    /// Each, in milliseconds.
    times: Vec<f64>,
    /// Drops, in milliseconds.
    drops: Vec<f64>,
    /// The first write to each, in milliseconds.
    first_writes: Vec<f64>,
    /// Many at once, in milliseconds for all.
    together: f64,
    /// Of the disk for each before its first write, in KiB.
    space_kib: f64,
    /// Reads that found what is not theirs.
    wrong: u32,
}

fn clone_many(place: LogPlace, writes: usize) -> LabResult<Cloned> {
    let mut bed = Bed::new(place)?;
    let vdisk = bed.vdisk;
    let mut random = SplitMix64::new(1);
    bed.write(writes, 16, 7, || {
        (1 + random.below(VDISK_BYTES / BLOCK - 1)) * BLOCK
    })?;
    bed.write(1, 1, 1, || PROBE)?;
    let golden = bed.newest(vdisk)?;
    bed.write(1, 1, 2, || PROBE)?;
    let free = bed.free_bytes();
    let (mut clones, mut times) = (Vec::new(), Vec::new());
    for at in 0..CLONES {
        let (made, took) = bed.clones_at(vdisk, golden, [format!("c{at}")], MAX_BYTES)?;
        times.push(took.as_millis_f64());
        clones.extend(made);
    }
    let names = (0..TOGETHER).map(|at| format!("t{at}"));
    let (_, together) = bed.clones_at(vdisk, golden, names, MAX_BYTES)?;
    let all = (CLONES + TOGETHER) as f64;
    let space_kib = (free - bed.free_bytes()) as f64 / all / 1024.0;
    let (wrong, first_writes) = wrong_reads(&mut bed, vdisk, &clones)?;
    let drops = clones
        .iter()
        .map(|clone| Ok(bed.drop_clone(*clone)?.as_millis_f64()));
    let drops = drops.collect::<LabResult<Vec<f64>>>()?;
    bed.end();
    Ok(Cloned {
        times,
        drops,
        first_writes,
        together: together.as_millis_f64(),
        space_kib,
        wrong,
    })
}

/// Each clone is read, changed, and read again with its parent when all are changed: how many reads
/// were wrong, and how long the first writes took.
fn wrong_reads(bed: &mut Bed, vdisk: VdiskId, clones: &[VdiskId]) -> LabResult<(u32, Vec<f64>)> {
    let (mut wrong, mut first_writes) = (0, Vec::new());
    let mut expect = |bed: &mut Bed, of: VdiskId, byte: u8| -> LabResult {
        let block = bed.read_of(of, PROBE, BLOCK)?;
        wrong += u32::from(block.iter().any(|found| *found != byte));
        Ok(())
    };
    for (at, clone) in (10..).zip(clones) {
        expect(bed, *clone, 1)?;
        let began = bed.now;
        bed.write_to(*clone, PROBE, &[at; BLOCK as usize])?;
        first_writes.push((bed.now - began).as_millis_f64());
    }
    for (at, clone) in (10..).zip(clones) {
        expect(bed, *clone, at)?;
    }
    expect(bed, vdisk, 2)?;
    Ok((wrong, first_writes))
}

fn run(lab: &Lab<'_>) -> LabResult<Finding> {
    let writes = lab.count(WRITES);
    let mut finding = Finding::new(format!(
        "{CLONES} clones of one moment of a vdisk of 1 GiB with {writes} and with {} random blocks of 4 KiB in its \
         history, one after the other, on `desktop-7200-2008` and on `sata-870`, and {TOGETHER} more at once. Each of the {CLONES} \
         is read, changed and read again; in the end each of these is dropped.",
        LARGER * writes
    ));
    let headed = "disk | blocks written before | mean (ms) | longest (ms) | a second | 100 at once (ms) | KiB before its first write | first write (ms) | drop (ms)";
    let mut table = Table::headed(headed).with_title("A clone");
    let (mut means, mut lines, mut wrong) = (Vec::new(), Vec::new(), 0);
    let (mut space_kib, mut together) = (0.0f64, 0.0f64);
    for (name, place) in [
        ("hard disk", LogPlace::SameDisk),
        ("SSD", LogPlace::AllOnSsd),
    ] {
        for blocks in [writes, LARGER * writes] {
            let cloned = clone_many(place, blocks)?;
            let each = mean(&cloned.times);
            let longest = greatest(&cloned.times);
            let mut row = cells![name, blocks];
            let drop = mean(&cloned.drops);
            row.extend([each, longest, 1000.0 / each, cloned.together].map(number));
            let first_write = mean(&cloned.first_writes);
            row.extend([cloned.space_kib, first_write, drop].map(number));
            table.row(row);
            means.push(each);
            wrong += cloned.wrong;
            space_kib = space_kib.max(cloned.space_kib);
            together = together.max(cloned.together);
            lines.push((format!("{name}, {blocks} blocks"), cloned.times));
        }
    }
    finding.table(table);
    let [disk_small, disk_large, ssd_small, ssd_large] = means[..] else {
        unreachable!("two disks, two sizes");
    };
    let what = "reads that found what another one wrote";
    finding
        .check("wrong", what, f64::from(wrong))
        .at_most(0.0, "")
        .decisive();
    let what = "mean time of a clone on a hard disk (Potemkin: a whole machine)";
    finding
        .check("disk", what, disk_large.max(disk_small))
        .at_most(POTEMKIN_MS, "ms")
        .decisive();
    let what = "mean time of a clone on an SSD";
    finding
        .check("ssd", what, ssd_large.max(ssd_small))
        .at_most(10.0, "ms");
    let growth = (disk_large / disk_small).max(ssd_large / ssd_small);
    let what = "time of a clone of four times as much ÷ of as much";
    finding
        .check("growth", what, growth)
        .at_most(1.2, "")
        .decisive();
    let what = "space of a clone before its first write";
    finding
        .check("space", what, space_kib)
        .at_most(SPACE_KIB, "KiB");
    let what = "100 clones at once, on the slower disk";
    finding
        .check("together", what, together)
        .at_most(500.0, "ms");
    finding.figure(figure(&lines));
    finding.note(
        "Potemkin's figure is that of a whole machine with memory, devices and network, of which a disk is a \
         part; its machine and its disks are known only roughly. So it is a bound, not a comparison.",
    );
    finding.note(
        "Potemkin's disks lie in memory. Here each clone is durable before it is answered: it is there after a \
         power failure.",
    );
    Ok(finding)
}

fn figure(lines: &[(String, Vec<f64>)]) -> Figure {
    let longest = greatest(lines.iter().flat_map(|(_, times)| times));
    let x = Axis::linear("clones that are there", 0.0, CLONES as f64);
    let mut panel = Panel::new(
        "",
        x,
        Axis::linear("time of a clone (ms)", 0.0, 1.1 * longest),
    );
    for (name, times) in lines {
        let line = times
            .iter()
            .enumerate()
            .map(|(at, time)| (at as f64, *time));
        panel = panel.with(Series::line(name, line));
    }
    let title = "What a clone takes, by how many there are already";
    Figure::new("h3-potemkin", title, [panel])
}
