//! Single set-ups: the adversary, many streams, wrong prices, storms, waking, a full drive, a slow
//! drive.

use super::mean;
use disktime_lab::overlap::cases::{Q128, R4, R64, T1M, W4, W64};
use disktime_lab::overlap::{
    Case, CaseMeasure, Class, LabDrive, OverlapClient, SoloRuns, Span, measure,
};
use disktime_lab::{Table, cells, parallel};
use disktime_scheduler::{MclockConfig, PolicyKind};
use disktime_units::Nanos;

const TURNAROUND: Nanos = Nanos::from_micros(10);
const PERIOD: Nanos = Nanos::from_millis(100);

fn client(name: &str, depth: u32, class: Class) -> OverlapClient {
    OverlapClient::new(name, depth, class)
}

fn victim(depth: u32, class: Class, percent: u32, period: Nanos) -> OverlapClient {
    client("v", depth, class).reserved(percent * 10_000, period)
}

fn case(drive: LabDrive, clients: Vec<OverlapClient>) -> Case {
    Case {
        drive,
        clients,
        seed: 1,
    }
}

/// What a row is made of.
struct Row {
    name: String,
    case: Case,
    span: Option<Span>,
}

fn all(rows: Vec<Row>, threads: usize, policies: &[PolicyKind]) -> Vec<(String, Vec<CaseMeasure>)> {
    let alone = SoloRuns::default();
    parallel::map(&rows, threads, |row| {
        let span = row.span;
        let span = span.unwrap_or_else(|| Span::of(&row.case, Nanos::from_secs(1)));
        let few = row.case.clients.len() < 20;
        let measures = policies.iter().map(|policy| {
            let audited = few && *policy == PolicyKind::Fahrrad;
            measure(&row.case, *policy, span, TURNAROUND, &alone, audited)
        });
        (row.name.clone(), measures.collect())
    })
}

fn three() -> [PolicyKind; 3] {
    [
        PolicyKind::Fifo,
        PolicyKind::Mclock(MclockConfig::default()),
        PolicyKind::Fahrrad,
    ]
}

/// The client that comes back just after the wait for it is over.
pub fn adversary(threads: usize) -> String {
    let mut rows = Vec::new();
    for name in LabDrive::NAMES {
        for total in [90, 95, 99] {
            for lingers in [50, 20, 5, 2] {
                let period = Nanos::from_millis(20);
                let clients = vec![
                    client("i", 1, R4)
                        .reserved(total * 6000, period)
                        .lingering(lingers),
                    client("j", 4, Q128).reserved(total * 4000, period),
                    client("BE", 128, Q128),
                ];
                rows.push(Row {
                    name: format!("{name}, Σu {total} %, {lingers} % of gaps"),
                    case: case(LabDrive::find(name), clients),
                    span: Some(Span {
                        warm: Nanos::from_millis(500),
                        length: Nanos::from_secs(2),
                    }),
                });
            }
        }
    }
    let mut table = Table::new([
        "adversary",
        "unspent ÷ W",
        "least slack ÷ W",
        "V of the adversary ÷ u",
        "V of the other ÷ u",
        "V of best effort",
    ]);
    let us: Vec<f64> = rows.iter().map(|row| row.case.clients[0].share()).collect();
    for ((name, measures), share) in all(rows, threads, &[PolicyKind::Fahrrad]).iter().zip(us) {
        let one = &measures[0];
        let bound = one.bound as f64;
        let unspent = one.streams.iter().map(|stream| stream.unspent).max();
        table.row(cells![
            name,
            format!("{:.2}", unspent.unwrap_or(0) as f64 / bound),
            format!("{:.2}", one.least_slack as f64 / bound),
            format!("{:.2}", one.streams[0].solo_time / share),
            format!("{:.2}", one.streams[1].solo_time / (share / 6.0 * 4.0)),
            format!("{:.3}", one.streams[2].solo_time),
        ]);
    }
    table.to_string()
}

/// 10 to 1000 reserved clients of depth 1 beside one that fills the drive.
pub fn many(threads: usize) -> String {
    let mut rows = Vec::new();
    for name in ["nvme-970pro", "sata-870", "cheap-qlc", "cloud-16k"] {
        for count in [10, 100, 1000] {
            let each = client("v", 1, R4).reserved(900_000 / count, PERIOD);
            let mut clients = vec![each; count as usize];
            clients.push(client("BE", 128, R4));
            rows.push(Row {
                name: format!("{name}, {count}"),
                case: case(LabDrive::find(name), clients),
                span: Some(Span {
                    warm: PERIOD,
                    length: Nanos::from_millis(500),
                }),
            });
        }
    }
    let mut table = Table::new([
        "drive, reserved streams",
        "ΣN/S of them, fifo",
        "fahrrad",
        "÷ fifo",
        "isolation worst",
        "isolation best",
        "best effort, fifo",
        "fahrrad",
        "work ÷ fifo",
    ]);
    for (name, measures) in all(rows, threads, &[PolicyKind::Fifo, PolicyKind::Fahrrad]) {
        let sum = |one: &CaseMeasure| {
            let reserved = &one.streams[..one.streams.len() - 1];
            reserved.iter().map(|stream| stream.rate).sum::<f64>()
        };
        let [fifo, ours] = &measures[..] else {
            continue;
        };
        let (last, reserved) = ours.streams.split_last().expect("there is best effort");
        let isolation = || reserved.iter().map(|stream| stream.isolation);
        table.row(cells![
            name,
            format!("{:.2}", sum(fifo)),
            format!("{:.2}", sum(ours)),
            format!("{:.2}", sum(ours) / sum(fifo)),
            format!("{:.2}", isolation().fold(f64::MAX, f64::min)),
            format!("{:.2}", isolation().fold(0.0, f64::max)),
            format!("{:.3}", fifo.streams[fifo.streams.len() - 1].rate),
            format!("{:.3}", last.rate),
            format!("{:.3}", ours.work / fifo.work),
        ]);
    }
    table.to_string()
}

/// Prices that are wrong by so many per cent, all of them.
pub fn errors(threads: usize) -> String {
    const PERCENT: [u32; 5] = [60, 80, 100, 120, 150];
    let mut rows = Vec::new();
    for name in LabDrive::NAMES {
        let sets = [
            vec![victim(1, R4, 50, PERIOD), client("BE", 256, R4)],
            vec![victim(32, R4, 50, PERIOD), victim(256, R4, 43, PERIOD)],
            vec![victim(4, R4, 80, PERIOD), client("BE", 128, Q128)],
            vec![
                victim(1, R4, 50, PERIOD),
                victim(7, R64, 43, PERIOD),
                client("BE", 128, R4),
            ],
            vec![victim(1, R4, 50, PERIOD), client("BE", 32, W64)],
        ];
        let names = [
            "R4d1 .5, R4d256",
            "R4d32 .5, R4d256 .43",
            "R4d4 .8, Q128d128",
            "R4d1 .5, R64d7 .43, R4d128",
            "R4d1 .5, W64d32",
        ];
        for (clients, set) in sets.into_iter().zip(names) {
            for percent in PERCENT {
                let drive = LabDrive::find(name).used_up().with_prices(percent);
                rows.push(Row {
                    name: format!("{name}: {set}"),
                    case: case(drive, clients.clone()),
                    span: None,
                });
            }
        }
    }
    let mut table = Table::new([
        "least isolation, prices in %",
        "60",
        "80",
        "100",
        "120",
        "150",
    ]);
    let shown = all(rows, threads, &[PolicyKind::Fahrrad]);
    let mut least = [f64::MAX; PERCENT.len()];
    for group in shown.chunks(PERCENT.len()) {
        let mut cells = vec![group[0].0.clone()];
        for ((_, measures), least) in group.iter().zip(&mut least) {
            let reserved = measures[0].streams.iter().zip(0..2);
            let isolation = reserved.map(|(stream, _)| stream.isolation);
            let only_first = !group[0].0.contains(".43");
            let isolation = isolation.take(if only_first { 1 } else { 2 });
            let worst = isolation.fold(f64::MAX, f64::min);
            *least = least.min(worst);
            cells.push(format!("{worst:.3}"));
        }
        table.row(cells);
    }
    let mut cells = vec!["worst".to_owned()];
    cells.extend(least.map(|worst| format!("{worst:.3}")));
    table.row(cells);
    table.to_string()
}

/// Storms of discards and flushes beside a reservation of half of the drive.
pub fn storms(threads: usize) -> String {
    let mut rows = Vec::new();
    for name in LabDrive::NAMES {
        let storms = [
            ("discards of 1 MiB, depth 32", client("s", 32, T1M)),
            (
                "discard of a whole vdisk in 64 MiB pieces, depth 64",
                client("s", 64, Class::discard(64 << 20)),
            ),
            (
                "flush after each 4 KiB write, depth 16",
                client("s", 16, W4).flushing(),
            ),
            ("4 KiB writes, depth 128", client("s", 128, W4)),
        ];
        for (what, storm) in storms {
            for (reader, depth, class) in [("R4d1", 1, R4), ("Q128d4", 4, Q128)] {
                let clients = vec![victim(depth, class, 50, PERIOD), storm.clone()];
                rows.push(Row {
                    name: format!("{name}: {reader}, {what}"),
                    case: case(LabDrive::find(name).used_up(), clients),
                    span: None,
                });
            }
        }
    }
    let mut table = Table::new([
        "u = 50 % per 100 ms beside",
        "isolation, fifo",
        "mclock",
        "fahrrad",
        "N/S of the storm, fifo",
        "fahrrad",
        "unspent ÷ W",
        "least slack ÷ W",
    ]);
    for (name, measures) in all(rows, threads, &three()) {
        let [fifo, mclock, ours] = &measures[..] else {
            continue;
        };
        table.row(cells![
            name,
            format!("{:.3}", fifo.streams[0].isolation),
            format!("{:.3}", mclock.streams[0].isolation),
            format!("{:.3}", ours.streams[0].isolation),
            format!("{:.3}", fifo.streams[1].rate),
            format!("{:.3}", ours.streams[1].rate),
            format!("{:.2}", ours.streams[0].unspent as f64 / ours.bound as f64),
            format!("{:.2}", ours.least_slack as f64 / ours.bound as f64),
        ]);
    }
    table.to_string()
}

/// A client that sleeps, and has half of the drive reserved when it wakes.
pub fn wake(threads: usize) -> String {
    let mut rows = Vec::new();
    for name in LabDrive::NAMES {
        for every in [20, 60] {
            for (what, load) in [
                ("R4d256", client("l", 256, R4)),
                ("Q128d128", client("l", 128, Q128)),
                ("W64d32", client("l", 32, W64)),
            ] {
                let period = Nanos::from_millis(20);
                let sleeper = victim(1, R4, 50, period).waking(Nanos::from_millis(every), 10);
                rows.push(Row {
                    name: format!("{name}: every {every} ms beside {what}"),
                    case: case(LabDrive::find(name), vec![sleeper, load]),
                    span: Some(Span {
                        warm: Nanos::from_millis(300),
                        length: Nanos::from_secs(3),
                    }),
                });
            }
        }
    }
    let mut table = Table::new([
        "10 reads of 4 KiB",
        "p50 ÷ alone, fifo",
        "mclock",
        "fahrrad",
        "p99 ÷ alone, fifo",
        "mclock",
        "fahrrad",
        "work ÷ fifo",
        "unspent ÷ W",
    ]);
    for (name, measures) in all(rows, threads, &three()) {
        let [fifo, mclock, ours] = &measures[..] else {
            continue;
        };
        table.row(cells![
            name,
            format!("{:.1}", fifo.streams[0].p50),
            format!("{:.1}", mclock.streams[0].p50),
            format!("{:.1}", ours.streams[0].p50),
            format!("{:.1}", fifo.streams[0].p99),
            format!("{:.1}", mclock.streams[0].p99),
            format!("{:.1}", ours.streams[0].p99),
            format!("{:.3}", ours.work / fifo.work),
            format!("{:.2}", ours.streams[0].unspent as f64 / ours.bound as f64),
        ]);
    }
    table.to_string()
}

/// A drive that is full, without reservations or with one that is never behind.
pub fn full(threads: usize) -> String {
    let mut rows = Vec::new();
    for name in LabDrive::NAMES {
        for (what, clients) in [
            ("R4d256", vec![client("a", 256, R4)]),
            ("Q128d128", vec![client("a", 128, Q128)]),
            ("W64d32", vec![client("a", 32, W64)]),
            ("W4d64", vec![client("a", 64, W4)]),
            (
                "R4d64, Q128d16",
                vec![client("a", 64, R4), client("b", 16, Q128)],
            ),
            (
                "R4d64, W64d16",
                vec![client("a", 64, R4), client("b", 16, W64)],
            ),
            (
                "R4d1 with 5 %, R4d256",
                vec![victim(1, R4, 5, PERIOD), client("a", 256, R4)],
            ),
            (
                "R4d4 with 5 %, Q128d128",
                vec![victim(4, R4, 5, PERIOD), client("a", 128, Q128)],
            ),
            ("R4d256 with 50 % alone", vec![victim(256, R4, 50, PERIOD)]),
            ("W64d32 with 50 % alone", vec![victim(32, W64, 50, PERIOD)]),
            ("W4d64 with 50 % alone", vec![victim(64, W4, 50, PERIOD)]),
        ] {
            rows.push(Row {
                name: format!("{name}: {what}"),
                case: case(LabDrive::find(name).used_up(), clients),
                span: None,
            });
        }
    }
    let mut table = Table::new([
        "full drive",
        "work ÷ fifo",
        "unspent ÷ W",
        "least slack ÷ W",
    ]);
    let mut none = Vec::new();
    for (name, measures) in all(rows, threads, &[PolicyKind::Fifo, PolicyKind::Fahrrad]) {
        let [fifo, ours] = &measures[..] else {
            continue;
        };
        let ratio = ours.work / fifo.work;
        if !name.contains("with") {
            none.push(ratio);
        }
        let bound = ours.bound as f64;
        let slack = if name.contains("with") {
            format!("{:.2}", ours.least_slack as f64 / bound)
        } else {
            "–".to_owned()
        };
        table.row(cells![
            name,
            format!("{ratio:.3}"),
            format!("{:.2}", ours.streams[0].unspent as f64 / bound),
            slack,
        ]);
    }
    let least = none.iter().copied().fold(f64::MAX, f64::min);
    format!(
        "{table}\nwithout reservations: worst {least:.3}, mean {:.3}\n",
        mean(&none)
    )
}
