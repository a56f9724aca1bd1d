//! O13: prices that are wrong.

use super::overlapping::{NOT_REAL, case, client, finding, millis, reserved, usual};
use crate::{Experiment, Finding, Origin};
use disktime_lab::figure::{Axis, Figure, Panel, Series};
use disktime_lab::measures::least;
use disktime_lab::overlap::cases::{Q128, R4, R64, W64};
use disktime_lab::overlap::{DEPTH, LabDrive, OverlapClient, Peer, SoloRuns, Span};
use disktime_lab::{Lab, LabResult, Table, cells, number};

/// The experiment.
pub(super) const EXPERIMENT: Experiment = Experiment {
    id: "O13",
    title: "prices of an SSD that are wrong",
    origin: Origin::Own,
    source: "our own",
    claim: "Prices that are all a fifth too low or too high leave reserved streams 98 % of their \
            share, prices half too high 95 %.",
    real: NOT_REAL,
    run,
};

const PERCENT: [u32; 4] = [80, 100, 120, 150];
const RIGHT: usize = 1;
const DRIVES: [&str; 2] = ["nvme-970pro", "sata-870"];

/// Clients by name, those with reservations first.
fn sets() -> [(&'static str, Vec<OverlapClient>); 5] {
    [
        (
            "R4d1 50 %, R4d256",
            vec![reserved("v", 1, R4, 50), client("b", 256, R4)],
        ),
        (
            "R4d32 50 %, R4d256 43 %",
            vec![reserved("v", 32, R4, 50), reserved("w", 256, R4, 43)],
        ),
        (
            "R4d4 80 %, Q128d128",
            vec![reserved("v", 4, R4, 80), client("b", 128, Q128)],
        ),
        (
            "R4d1 50 %, R64d7 43 %, R4d128",
            vec![
                reserved("v", 1, R4, 50),
                reserved("w", 7, R64, 43),
                client("b", 128, R4),
            ],
        ),
        (
            "R4d1 50 %, W64d32",
            vec![reserved("v", 1, R4, 50), client("b", 32, W64)],
        ),
    ]
}

/// The least isolation of reserved streams, by price.
type Curve = [f64; PERCENT.len()];

fn curve(
    clients: &[OverlapClient],
    name: &str,
    peer: Peer,
    lab: &Lab<'_>,
    alone: &SoloRuns,
) -> Curve {
    let case = case(LabDrive::find(name).used_up(), clients.to_vec());
    let span = Span::of(&case, millis(lab, 500));
    let at = |percent| {
        let mut run = usual(&case, peer, span);
        run.prices_percent = percent;
        let measure = run.measure(alone);
        let streams = case.clients.iter().zip(&measure.streams);
        let reserved = streams.filter(|(client, _)| client.config.reservation.is_some());
        least(reserved.map(|(_, stream)| stream.isolation))
    };
    if peer == Peer::Fifo {
        // It is told no prices.
        return [at(100); PERCENT.len()];
    }
    PERCENT.map(at)
}

fn smaller(one: Curve, other: &Curve) -> Curve {
    std::array::from_fn(|index| one[index].min(other[index]))
}

fn run(lab: &Lab<'_>) -> LabResult<Finding> {
    let alone = SoloRuns::default();
    let percents = PERCENT.map(|percent| format!("{percent} %"));
    let columns = ["drive, clients".to_owned(), "policy".to_owned()];
    let mut table = Table::new(columns.into_iter().chain(percents))
        .with_title("Least isolation of reserved streams, prices in per cent of what they are");
    let mut panels = Vec::new();
    let mut of_all = [[f64::MAX; PERCENT.len()]; 4];
    let sets = sets();
    for name in DRIVES {
        let mut of_drive = [[f64::MAX; PERCENT.len()]; 4];
        for (what, clients) in &sets[..lab.count(sets.len())] {
            for (peer, worst) in Peer::ALL.into_iter().zip(&mut of_drive) {
                let curve = curve(clients, name, peer, lab, &alone);
                let mut row = cells![format!("{name}: {what}"), peer.name()];
                row.extend(curve.map(number));
                table.row(row);
                *worst = smaller(*worst, &curve);
            }
        }
        for (all, worst) in of_all.iter_mut().zip(&of_drive) {
            *all = smaller(*all, worst);
        }
        panels.push(panel(name, &of_drive));
    }
    let mut finding = finding(format!(
        "Prices, H and settling times that the scheduler is told are all 80 to 150 % of what they are; \
         mclock is told rates that are off likewise. Five sets of clients, reservations per 100 ms, \
         at most {DEPTH} requests in the drive; the least isolation of the reserved streams."
    ));
    let ours = of_all[Peer::ALL.len() - 1];
    for (index, percent) in PERCENT.into_iter().enumerate() {
        let bound = if percent == 150 { 0.95 } else { 0.98 };
        let what = format!("least isolation with prices at {percent} %, fahrrad");
        finding
            .check(format!("isolation_{percent}"), what, ours[index])
            .at_least(bound, "")
            .decisive_if(index == RIGHT);
    }
    finding.table(table);
    finding.figure(Figure::new(
        "o13-overlap-prices",
        "Reserved streams where all prices are wrong, the worst of the sets",
        panels,
    ));
    finding.note(
        "Prices are corrected from reads that had the drive alone. On sata-870 a reader of depth 1 \
         beside a deep one is never short by its own books where prices are too high, so it is \
         never alone unless the scheduler keeps the drive for it now and then, which it does for a \
         128th of the time at most. Prices that are too low let two deep readers favour the first.",
    );
    Ok(finding)
}

fn panel(name: &str, worst: &[Curve; 4]) -> Panel {
    let ticks = PERCENT.map(f64::from);
    let lines = Peer::ALL.into_iter().zip(worst);
    let lines = lines.map(|(peer, curve)| Series::line(peer.name(), ticks.into_iter().zip(*curve)));
    let x = Axis::linear("prices (% of what they are)", 75.0, 155.0).with_ticks(&ticks);
    let y = Axis::logarithmic("least throughput ÷ (u × alone)", 0.02, 2.0);
    Panel::new(name, x, y)
        .with_all(lines)
        .level("u × alone", 1.0)
}
