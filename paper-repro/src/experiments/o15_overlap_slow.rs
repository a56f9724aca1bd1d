//! O15: a drive that becomes slower for a while.

use super::overlapping::{NOT_REAL, TURNAROUND, client, finding, reserved};
use crate::{Experiment, Finding, Origin};
use disktime_lab::figure::{Axis, Figure, Panel, Series};
use disktime_lab::measures::least;
use disktime_lab::overlap::cases::R4;
use disktime_lab::overlap::{
    DEPTH, LabDrive, OverlapClient, OverlapRun, Peer, Slice, Slowdown, SoloRuns, in_slices,
};
use disktime_lab::{Lab, LabResult, Table, cells, number};
use disktime_units::Nanos;

/// The experiment.
pub(super) const EXPERIMENT: Experiment = Experiment {
    id: "O15",
    title: "a drive that is three times as slow for ten seconds",
    origin: Origin::Own,
    source: "our own",
    claim: "Reserved streams keep u of what they would do alone on the slowed drive, best effort a \
            tenth; the slowness is noticed within a second, and all is as before two seconds after \
            its end.",
    real: NOT_REAL,
    run,
};

const DRIVES: [&str; 2] = ["nvme-970pro", "cloud-16k"];
const SLICE: Nanos = Nanos::from_millis(50);
const SLICES_A_SECOND: usize = 20;
const SLOW_FROM: usize = 3 * SLICES_A_SECOND;
const SLOW_UNTIL: usize = 13 * SLICES_A_SECOND;
const END: usize = 17 * SLICES_A_SECOND;
/// Half a second in which the slowness is learnt, and two in which its end is.
const LEARNT: usize = SLICES_A_SECOND / 2;
const BACK: usize = 2 * SLICES_A_SECOND;
const PERCENT: u32 = 300;
const RESERVED_PERCENT: u32 = 40;
const SEED: u64 = 3;

/// The clients; the last is best effort.
fn clients() -> Vec<OverlapClient> {
    vec![
        reserved("R4d1 40 %", 1, R4, RESERVED_PERCENT),
        reserved("R4d32 40 %", 32, R4, RESERVED_PERCENT),
        client("R4d128", 128, R4),
    ]
}

/// Slices of a run, and what the clients do alone in one: usually, and while the drive is slow.
struct Shown {
    slices: Vec<Slice>,
    alone: [Vec<f64>; 2],
}

impl Shown {
    /// A client's part of what it does alone on the drive as it is, in these slices.
    fn part(&self, client: usize, from: usize, until: usize) -> f64 {
        let done: u64 = self.slices[from..until]
            .iter()
            .map(|one| one.requests[client])
            .sum();
        let is_slow = usize::from((SLOW_FROM..SLOW_UNTIL).contains(&from));
        done as f64 / ((until - from) as f64 * self.alone[is_slow][client])
    }

    /// Seconds from a slice on until the scheduler says so.
    fn seconds_until(&self, from: usize, is_slow: bool) -> f64 {
        let later = self.slices[from..].iter();
        let others = later.take_while(|one| one.is_slow != is_slow).count();
        (others + 1) as f64 * SLICE.as_secs_f64()
    }
}

fn shown(name: &str, peer: Peer, runs: &SoloRuns) -> Shown {
    let drive = LabDrive::find(name);
    let slowed = |from, until| {
        let slowdown = Slowdown {
            from,
            until,
            percent: PERCENT,
        };
        drive.clone().with_slowdown(slowdown)
    };
    let rates = |drive: &LabDrive| -> Vec<f64> {
        let clients = clients();
        let of = |one| runs.of(drive, one, TURNAROUND, Nanos::from_millis(100));
        clients.iter().map(|one| of(one).rate).collect()
    };
    let (usual, slow) = (rates(&drive), rates(&slowed(Nanos::ZERO, Nanos::MAX)));
    let at = |slice: usize| Nanos(SLICE.0 * slice as u64);
    let device = slowed(at(SLOW_FROM), at(SLOW_UNTIL)).device(SEED);
    let (config, clients) = peer.set_up(&drive, DEPTH, &clients(), &usual);
    let mut run = OverlapRun::new(config, device, drive.cost(), clients, TURNAROUND, SEED);
    let slices = in_slices(&mut run, SLICE, END);
    let in_a_slice = |rates: Vec<f64>| rates.iter().map(|one| one * SLICE.as_secs_f64()).collect();
    Shown {
        slices,
        alone: [usual, slow].map(in_a_slice),
    }
}

fn run(lab: &Lab<'_>) -> LabResult<Finding> {
    let runs = SoloRuns::default();
    let drives = &DRIVES[..lab.count(DRIVES.len())];
    let of_drive = |name: &&str| Peer::ALL.map(|peer| shown(name, peer, &runs));
    let all: Vec<[Shown; 4]> = drives.iter().map(of_drive).collect();
    let mut finding = finding(format!(
        "R4d1 and R4d32 with {RESERVED_PERCENT} % per 100 ms each, and best effort R4d128 (random \
         reads of 4 KiB; outstanding requests). After 3 s the drive takes three times as long for \
         everything, for 10 s. At most {DEPTH} requests in the drive. The part that each gets of what \
         it does alone on the drive as it is; left out are the first half second of slowness, in which \
         nothing is promised, and the first two after it."
    ));
    check(&mut finding, &all);
    finding.table(table(drives, &all));
    finding.figure(figure(drives, &all));
    finding.note(
        "The end is learnt more slowly than the beginning: on cloud-16k the reader of depth 1 has less \
         than its share until then (the column of the first two seconds), because the drive is still \
         believed to be slow.",
    );
    finding.note(
        "iocost-like does well by the reader of depth 1 here: its target of latency holds on the \
         slowed drive too, so it lets less through. On other mixes it does not (O11).",
    );
    Ok(finding)
}

fn check(finding: &mut Finding, all: &[[Shown; 4]]) {
    let share = f64::from(RESERVED_PERCENT) / 100.0;
    let ours = || all.iter().map(|peers| &peers[Peer::ALL.len() - 1]);
    let isolation = |from: usize, until: usize| {
        let both = ours().flat_map(|one| [0, 1].map(|client| one.part(client, from, until)));
        least(both) / share
    };
    let what = "least isolation while the drive is slow, fahrrad";
    finding
        .check(
            "isolation_slow",
            what,
            isolation(SLOW_FROM + LEARNT, SLOW_UNTIL),
        )
        .at_least(0.98, "")
        .decisive();
    let what = "least isolation from two seconds after its end, fahrrad";
    finding
        .check("isolation_after", what, isolation(SLOW_UNTIL + BACK, END))
        .at_least(0.98, "")
        .decisive();
    let best_effort = ours().map(|one| one.part(2, SLOW_FROM + LEARNT, SLOW_UNTIL));
    let what = "best effort ÷ alone while the drive is slow, fahrrad, least";
    finding
        .check("best_effort", what, least(best_effort))
        .at_least(0.1, "");
    let noticed = ours().map(|one| one.seconds_until(SLOW_FROM, true));
    let what = "the slowness is noticed after, at most";
    finding
        .check("noticed", what, noticed.fold(0.0, f64::max))
        .at_most(1.0, "s");
    let over = ours().map(|one| one.seconds_until(SLOW_UNTIL, false));
    let what = "its end is noticed after, at most";
    finding
        .check("over", what, over.fold(0.0, f64::max))
        .at_most(2.0, "s");
}

fn table(drives: &[&str], all: &[[Shown; 4]]) -> Table {
    let mut columns = vec!["drive".to_owned(), "policy".to_owned()];
    let clients = clients();
    for when in ["before", "slow", "first 2 s after", "later"] {
        columns.extend(clients.iter().map(|one| format!("{when}: {}", one.name)));
    }
    let mut table = Table::new(columns).with_title("Throughput ÷ alone on the drive as it is");
    let windows = [
        (SLICES_A_SECOND, SLOW_FROM),
        (SLOW_FROM + LEARNT, SLOW_UNTIL),
        (SLOW_UNTIL, SLOW_UNTIL + BACK),
        (SLOW_UNTIL + BACK, END),
    ];
    for (name, peers) in drives.iter().zip(all) {
        for (peer, shown) in Peer::ALL.into_iter().zip(peers) {
            let mut row = cells![name, peer.name()];
            for (from, until) in windows {
                row.extend((0..clients.len()).map(|one| number(shown.part(one, from, until))));
            }
            table.row(row);
        }
    }
    table
}

fn figure(drives: &[&str], all: &[[Shown; 4]]) -> Figure {
    let mut panels = Vec::new();
    for (name, peers) in drives.iter().zip(all) {
        for (client, one) in [(0, "R4d1 with 40 %"), (2, "best effort R4d128")] {
            let curves = Peer::ALL.into_iter().zip(peers).map(|(peer, shown)| {
                let step = SLICES_A_SECOND / 2;
                let points = (0..END).step_by(step).map(move |from| {
                    let middle = (from + step / 2) as f64 * SLICE.as_secs_f64();
                    (middle, shown.part(client, from, from + step).min(1.0))
                });
                Series::curve(peer.name(), points)
            });
            let x = Axis::linear("time (s); slow from 3 to 13", 0.0, 17.0);
            let y = Axis::linear("throughput ÷ alone on the drive as it is", 0.0, 1.0);
            let panel = Panel::new(format!("{name}: {one}"), x, y).with_all(curves);
            panels.push(if client == 0 {
                panel.level("u", f64::from(RESERVED_PERCENT) / 100.0)
            } else {
                panel
            });
        }
    }
    Figure::new(
        "o15-overlap-slow",
        "A drive that is three times as slow for ten seconds",
        panels,
    )
}
