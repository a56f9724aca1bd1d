//! O14: many reserved clients of depth 1.

use super::overlapping::{NOT_REAL, PERIOD, case, client, finding, millis, reserved, usual};
use crate::{Experiment, Finding, Origin};
use disktime_lab::figure::{Axis, Figure, Panel, Series};
use disktime_lab::measures::least;
use disktime_lab::overlap::cases::R4;
use disktime_lab::overlap::{CaseMeasure, LabDrive, Peer, SoloRuns, Span};
use disktime_lab::{Lab, LabResult, Table, cells, number};

/// The experiment.
pub(super) const EXPERIMENT: Experiment = Experiment {
    id: "O14",
    title: "100 and 1,000 reserved readers of depth 1 on an SSD",
    origin: Origin::Own,
    source: "our own",
    claim: "With 100 reserved readers of depth 1 the sum of what they get of what each does alone is \
            at least that in order of arrival, with 1,000 nine tenths of it, and each has its share.",
    real: NOT_REAL,
    run,
};

const COUNTS: [u32; 2] = [100, 1000];
/// At least so much of the sum in order of arrival.
const BOUNDS: [f64; 2] = [1.0, 0.9];
const DRIVES: [&str; 2] = ["nvme-970pro", "sata-870"];
/// Reserved in all, in ppm.
const TOTAL_PPM: u32 = 900_000;

/// A set-up under a peer.
struct Shown {
    /// Σ of the reserved readers' throughput ÷ alone.
    sum: f64,
    least_isolation: f64,
    best_effort: f64,
}

impl Shown {
    fn of(measure: &CaseMeasure) -> Shown {
        let (best_effort, readers) = measure
            .streams
            .split_last()
            .expect("there is a best-effort client");
        Shown {
            sum: readers.iter().map(|one| one.rate).sum(),
            least_isolation: least(readers.iter().map(|one| one.isolation)),
            best_effort: best_effort.rate,
        }
    }
}

fn run(lab: &Lab<'_>) -> LabResult<Finding> {
    let alone = SoloRuns::default();
    let drives = &DRIVES[..lab.count(DRIVES.len())];
    let mut table = Table::new([
        "drive, readers",
        "policy",
        "Σ throughput ÷ alone",
        "÷ fifo",
        "least isolation",
        "best effort ÷ alone",
    ])
    .with_title("What they had");
    let mut shown: Vec<(String, u32, [Shown; 4])> = Vec::new();
    for name in drives {
        for count in COUNTS {
            let mut reader = reserved("v", 1, R4, 0);
            reader = reader.reserved(TOTAL_PPM / count, PERIOD);
            let mut clients = vec![reader; count as usize];
            clients.push(client("b", 128, R4));
            let case = case(LabDrive::find(name), clients);
            let span = Span {
                warm: PERIOD,
                length: millis(lab, 200),
            };
            let of = |peer| {
                let mut run = usual(&case, peer, span);
                // The drive's own.
                run.depth = usize::MAX;
                Shown::of(&run.measure(&alone))
            };
            let short = name.split('-').next().unwrap_or(name);
            let what = format!("{short}, {count}");
            let all = Peer::ALL.map(of);
            for (peer, one) in Peer::ALL.into_iter().zip(&all) {
                let mut row = cells![what, peer.name()];
                let values = [
                    one.sum,
                    one.sum / all[0].sum,
                    one.least_isolation,
                    one.best_effort,
                ];
                row.extend(values.map(number));
                table.row(row);
            }
            shown.push((what, count, all));
        }
    }
    let mut finding = finding(format!(
        "100 and 1,000 readers with one random read of 4 KiB outstanding and {} % per 100 ms in all, \
         beside a best-effort reader with 128 outstanding. As many requests in the drive as its own \
         queue takes. (A share of 1,000 is 90 µs per 100 ms, less than a request, so it would not be \
         admitted; it is run to see what becomes of it.)",
        TOTAL_PPM / 10_000
    ));
    for (count, bound) in COUNTS.into_iter().zip(BOUNDS) {
        let of_count = || shown.iter().filter(move |(_, of, _)| *of == count);
        let ratios = of_count().map(|(.., all)| all[3].sum / all[0].sum);
        let what = format!("sum of {count} readers ÷ that in order of arrival, fahrrad");
        finding
            .check(format!("sum_{count}"), what, least(ratios))
            .at_least(bound, "")
            .decisive();
        let isolation = of_count().map(|(.., all)| all[3].least_isolation);
        let what = format!("least isolation of {count} readers, fahrrad");
        finding
            .check(format!("isolation_{count}"), what, least(isolation))
            .at_least(0.98, "");
    }
    finding.table(table);
    finding.figure(figure(&shown));
    finding.note(format!(
        "nvme is {}, sata {}. Order of arrival serves many shallow readers well, for each of them is \
         a queue of its own; with 1,000 on nvme it fills the drive further than ours does.",
        DRIVES[0], DRIVES[1]
    ));
    Ok(finding)
}

fn figure(shown: &[(String, u32, [Shown; 4])]) -> Figure {
    let panel = |title: &str, y: Axis, of: &dyn Fn(&Shown) -> f64| {
        let names = shown.iter().map(|(what, ..)| what.as_str());
        let x = Axis::groups("drive, readers", names);
        let bars = Peer::ALL.into_iter().enumerate().map(|(index, peer)| {
            let values = shown.iter().map(|(.., all)| of(&all[index]));
            Series::bars(peer.name(), values)
        });
        Panel::new(title, x, y).with_all(bars)
    };
    let sum = Axis::linear("Σ throughput ÷ alone", 0.0, 30.0);
    let other = Axis::linear("throughput ÷ alone", 0.0, 1.0);
    Figure::new(
        "o14-overlap-many",
        "Many reserved readers of depth 1 beside a deep one without a reservation",
        [
            panel("the reserved readers together", sum, &|one| one.sum),
            panel("the best-effort reader", other, &|one| one.best_effort),
        ],
    )
}
