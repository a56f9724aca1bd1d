//! A drive that becomes three times as slow for ten seconds, and is itself again.

use disktime_lab::overlap::cases::{Q128, R4};
use disktime_lab::overlap::{
    LabDrive, OverlapClient, OverlapRun, Slice, Slowdown, SoloRuns, in_slices,
};
use disktime_lab::{Table, cells, parallel};
use disktime_scheduler::PolicyKind;
use disktime_units::Nanos;

const TURNAROUND: Nanos = Nanos::from_micros(10);
const SLICE: Nanos = Nanos::from_millis(50);
const SLOW_FROM: Nanos = Nanos::from_secs(3);
const SLOW_UNTIL: Nanos = Nanos::from_secs(13);
const PERCENT: u32 = 300;

/// A window by its first slice and the one after its last.
type Window = (usize, usize);

const WINDOWS: [(&str, Window); 5] = [
    ("before", (20, 60)),
    ("slow, first 0.5 s", (60, 70)),
    ("slow", (70, 260)),
    ("again, first 0.5 s", (260, 270)),
    ("again", (270, 330)),
];

/// Two streams with 40 % each beside best effort on every drive.
pub fn run(threads: usize) -> String {
    let mut set_ups = Vec::new();
    for name in LabDrive::NAMES.into_iter().filter(|name| *name != "pipe") {
        let period = Nanos::from_millis(100);
        let client = |name: &str, depth, class| OverlapClient::new(name, depth, class);
        set_ups.push((
            format!("{name}: R4d1, R4d32, best effort R4d128"),
            LabDrive::find(name),
            vec![
                client("v", 1, R4).reserved(400_000, period),
                client("w", 32, R4).reserved(400_000, period),
                client("a", 128, R4),
            ],
        ));
        set_ups.push((
            format!("{name}: R4d1 thinks 50 us, Q128d4, best effort Q128d64"),
            LabDrive::find(name),
            vec![
                client("v", 1, R4)
                    .thinking(Nanos::from_micros(50))
                    .reserved(400_000, period),
                client("w", 4, Q128).reserved(400_000, period),
                client("a", 64, Q128),
            ],
        ));
    }
    let alone = SoloRuns::default();
    let rows = parallel::map(&set_ups, threads, |(name, drive, clients)| {
        row(name, drive, clients, &alone)
    });
    let mut columns = vec!["N/S of the three, S as slow as the drive is".to_owned()];
    columns.extend(WINDOWS.iter().map(|(name, _)| (*name).to_owned()));
    columns.push("noticed after, s".to_owned());
    columns.push("over after, s".to_owned());
    let mut table = Table::new(columns);
    for row in rows {
        table.row(row);
    }
    table.to_string()
}

fn row(name: &str, drive: &LabDrive, clients: &[OverlapClient], alone: &SoloRuns) -> Vec<String> {
    let slices = slices(drive, clients);
    let slowed = |from, until| {
        let slowdown = Slowdown {
            from,
            until,
            percent: PERCENT,
        };
        drive.clone().with_slowdown(slowdown)
    };
    let always = slowed(Nanos::ZERO, Nanos::MAX);
    let warm = Nanos::from_millis(100);
    let mut cells = cells![name];
    for (what, window) in WINDOWS {
        let of = if what.starts_with("slow") {
            &always
        } else {
            drive
        };
        let rates = clients.iter().enumerate().map(|(index, client)| {
            let solo = alone.of(of, client, TURNAROUND, warm).rate;
            let slices = &slices[window.0..window.1];
            let requests: u64 = slices.iter().map(|slice| slice.requests[index]).sum();
            let seconds = (window.1 - window.0) as f64 * SLICE.as_secs_f64();
            format!("{:.2}", requests as f64 / seconds / solo)
        });
        cells.push(rates.collect::<Vec<_>>().join(" "));
    }
    let first = |from: Nanos, wanted: bool| {
        let skipped = (from.0 / SLICE.0) as usize;
        let later = slices.iter().skip(skipped);
        let found = later.take_while(|slice| slice.is_slow != wanted).count();
        (found + 1) as f64 * SLICE.as_secs_f64()
    };
    cells.push(format!("{:.2}", first(SLOW_FROM, true)));
    cells.push(format!("{:.2}", first(SLOW_UNTIL, false)));
    cells
}

fn slices(drive: &LabDrive, clients: &[OverlapClient]) -> Vec<Slice> {
    let slowdown = Slowdown {
        from: SLOW_FROM,
        until: SLOW_UNTIL,
        percent: PERCENT,
    };
    let device = drive.clone().with_slowdown(slowdown).device(3);
    let config = drive.config(PolicyKind::Fahrrad);
    let clients = clients.to_vec();
    let mut run = OverlapRun::new(config, device, drive.cost(), clients, TURNAROUND, 3);
    in_slices(&mut run, SLICE, WINDOWS[WINDOWS.len() - 1].1.1)
}
