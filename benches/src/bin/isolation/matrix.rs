//! The matrix in virtual time: mixes × periods × ways of scheduling, each against its clients alone
//! on the disk, admitted to the limit.
//!
//! A window is a whole number of all periods, so that no part of a period is counted for or
//! against anybody.

use disktime_benches::BenchResult;
use disktime_benches::program::Program;
use disktime_lab::client_kind::{self, ClientKind, Pattern};
use disktime_lab::measures::{Sharing, greatest, isolation, least, mean};
use disktime_lab::{Table, cells, parallel};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

const WINDOW_S: f64 = 120.0;
/// Mixes that cannot have this much for each are left out.
const SHARE_MIN_PPM: u64 = 30_000;
const PERIODS_MS: [u64; 6] = [100, 250, 500, 1_000, 2_500, 5_000];
/// The period at which the mixes are shown one by one.
const SHOWN_PERIOD_MS: u64 = 1_000;

use Pattern::{Random, Runs, Sequential};

/// Kinds of which each meets each.
const KINDS: [ClientKind; 9] = [
    ClientKind::reads(Sequential, 1),
    ClientKind::reads(Sequential, 8),
    ClientKind::writes(Sequential, 8),
    ClientKind::reads(Runs(16), 4),
    ClientKind::reads(Runs(128), 4),
    ClientKind::reads(Random, 1),
    ClientKind::reads(Random, 8),
    ClientKind::reads(Random, 32),
    ClientKind::writes(Random, 8),
];

/// Larger mixes.
const CROWDS: [&[ClientKind]; 3] = [
    &[KINDS[1], KINDS[6], KINDS[3], KINDS[0]],
    &[KINDS[1], KINDS[5], KINDS[4], KINDS[7], KINDS[0]],
    &[KINDS[8], KINDS[1], KINDS[8], KINDS[1], KINDS[5]],
];

/// How the disk is scheduled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    Account,
    Served,
    Fifo,
}

const WAYS: [Way; 3] = [Way::Account, Way::Served, Way::Fifo];

impl Way {
    fn name(self) -> &'static str {
        match self {
            Way::Account => "fahrrad",
            Way::Served => "fahrrad, each pays its seeks",
            Way::Fifo => "fifo",
        }
    }
}

fn mixes() -> Vec<Vec<ClientKind>> {
    let pairs = KINDS
        .iter()
        .enumerate()
        .flat_map(|(index, first)| KINDS[index..].iter().map(|second| vec![*first, *second]));
    pairs
        .chain(CROWDS.iter().map(|crowd| crowd.to_vec()))
        .collect()
}

fn name(mix: &[ClientKind]) -> String {
    let names: Vec<String> = mix.iter().map(ClientKind::to_string).collect();
    names.join(" / ")
}

/// One cell of the matrix.
#[derive(Debug, Clone)]
struct MatrixCell {
    way: Way,
    period_ms: u64,
    mix: Vec<ClientKind>,
}

/// What came of it.
#[derive(Debug, Clone)]
struct CellFigures {
    /// Throughput, throughput alone, and reserved share of each stream.
    streams: Vec<(f64, f64, f64)>,
    /// Share reserved less share received on reservation, of the stream with the greatest.
    shortfall: f64,
    switches_per_second: f64,
    /// The greatest unspent budget at a period's end over the promise's bound.
    unspent_of_bound: f64,
    missed: u64,
}

impl CellFigures {
    fn sharing(&self) -> Sharing {
        self.streams.iter().copied().collect()
    }
}

/// Runs files through the program in a directory of its own.
struct Simulator<'a> {
    program: &'a Program,
    directory: tempfile::TempDir,
}

impl Simulator<'_> {
    fn new(program: &Program) -> BenchResult<Simulator<'_>> {
        Ok(Simulator {
            program,
            directory: tempfile::tempdir()?,
        })
    }

    fn write(&self, name: &str, content: &Value) -> BenchResult<std::path::PathBuf> {
        let path = self.directory.path().join(name);
        std::fs::write(&path, content.to_string())?;
        Ok(path)
    }

    fn simulate(&self, configuration: &Value, clients: Value, way: Way) -> BenchResult<Value> {
        let file = self.write("configuration.json", configuration)?;
        let workload = json!({ "duration": format!("{WINDOW_S}s"), "clients": clients });
        let workload = self.write("workload.json", &workload)?;
        let policy = if way == Way::Fifo { "fifo" } else { "fahrrad" };
        let arguments: [&std::ffi::OsStr; 6] = [
            "simulate".as_ref(),
            Path::as_os_str(&file),
            Path::as_os_str(&workload),
            "--policy".as_ref(),
            policy.as_ref(),
            "--json".as_ref(),
        ];
        self.program.json(&arguments)
    }

    /// Equal shares to the limit: what admission leaves, divided. `None` where the switching of
    /// such short periods leaves nothing worth dividing.
    fn configuration(&self, cell: &MatrixCell) -> BenchResult<Option<(Value, f64)>> {
        let count = cell.mix.len() as u64;
        let file = self.write(
            "configuration.json",
            &configuration(cell, Some(SHARE_MIN_PPM)),
        )?;
        let verdict = self.program.check(&file)?;
        if verdict["admitted"] != true {
            return Ok(None);
        }
        let left = figure(&verdict["disks"]["h"], "left_share")?;
        let share_ppm = SHARE_MIN_PPM + (left * 1e6).round() as u64 / count;
        Ok(Some((
            configuration(cell, Some(share_ppm)),
            share_ppm as f64 / 1e6,
        )))
    }

    fn alone(&self, slot: usize, kind: ClientKind) -> BenchResult<f64> {
        let mix = vec![kind; 5];
        let cell = MatrixCell {
            way: Way::Account,
            period_ms: SHOWN_PERIOD_MS,
            mix,
        };
        let vdisk = format!("v{slot}");
        let clients = json!({ format!("c{slot}"): kind.client(&vdisk) });
        let report = self.simulate(&configuration(&cell, None), clients, Way::Account)?;
        figure(&report["clients"][format!("c{slot}")], "iops")
    }

    fn run(
        &self,
        cell: &MatrixCell,
        alone: &HashMap<(usize, ClientKind), f64>,
    ) -> BenchResult<Option<CellFigures>> {
        let Some((configuration, share)) = self.configuration(cell)? else {
            return Ok(None);
        };
        let clients: serde_json::Map<_, _> = cell
            .mix
            .iter()
            .enumerate()
            .map(|(slot, kind)| (format!("c{slot}"), kind.client(&format!("v{slot}"))))
            .collect();
        let report = self.simulate(&configuration, Value::Object(clients), cell.way)?;
        let disk = &report["disks"]["h"];
        let bound_ms = figure(disk, "unspent_bound_ms")?;
        let mut figures = CellFigures {
            streams: Vec::new(),
            shortfall: f64::MIN,
            switches_per_second: figure(disk, "switches")? / WINDOW_S,
            unspent_of_bound: f64::MIN,
            missed: 0,
        };
        for (slot, kind) in cell.mix.iter().enumerate() {
            let vdisk = &report["vdisks"][format!("v{slot}")];
            let iops = figure(&report["clients"][format!("c{slot}")], "iops")?;
            figures.streams.push((iops, alone[&(slot, *kind)], share));
            let used = figure(vdisk, "reserved_used_ns")? / (WINDOW_S * 1e9);
            figures.shortfall = figures.shortfall.max(share - used);
            let unspent_ms = vdisk["unspent_max_ms"].as_f64().unwrap_or(0.0);
            figures.unspent_of_bound = figures.unspent_of_bound.max(unspent_ms / bound_ms);
            figures.missed += figure(vdisk, "deadlines_missed")? as u64;
        }
        Ok(Some(figures))
    }
}

fn figure(value: &Value, field: &str) -> BenchResult<f64> {
    let number = value[field].as_f64();
    number.ok_or_else(|| format!("disktime reports no {field}").into())
}

/// Vdisks with equal shares, or without any reservation.
fn configuration(cell: &MatrixCell, share_ppm: Option<u64>) -> Value {
    let reserved = share_ppm.map(|ppm| (ppm, cell.period_ms));
    let vdisks = cell.mix.iter().map(|_| reserved);
    client_kind::configuration(cell.way == Way::Served, vdisks)
}

/// Does `work` for each item on all processors; results in order.
fn in_parallel<T: Sync, R: Send>(
    program: &Program,
    items: &[T],
    work: impl Fn(&Simulator<'_>, &T) -> BenchResult<R> + Sync,
) -> BenchResult<Vec<R>> {
    let done = AtomicUsize::new(0);
    let results = parallel::map(items, parallel::processors(), |item| {
        let result = work(&Simulator::new(program)?, item);
        let count = done.fetch_add(1, Ordering::Relaxed) + 1;
        eprint!("\r{count} of {} ", items.len());
        result
    });
    eprintln!();
    results.into_iter().collect()
}

/// Runs the matrix, prints its tables, and returns what was measured.
pub(crate) fn run(program: &Program, quick: bool) -> BenchResult<Value> {
    let mixes = mixes();
    let periods: &[u64] = if quick {
        &[500, SHOWN_PERIOD_MS]
    } else {
        &PERIODS_MS
    };
    let lone: Vec<(usize, ClientKind)> = {
        let mut seen = std::collections::HashSet::new();
        let all = mixes.iter().flat_map(|mix| mix.iter().copied().enumerate());
        all.filter(|client| seen.insert(*client)).collect()
    };
    let rates = in_parallel(program, &lone, |simulator, (slot, kind)| {
        simulator.alone(*slot, *kind)
    })?;
    let alone: HashMap<(usize, ClientKind), f64> = lone.into_iter().zip(rates).collect();
    let mut cells = Vec::new();
    for way in WAYS {
        for period_ms in periods {
            // A queue in order of arrival knows no periods.
            if way == Way::Fifo && *period_ms != SHOWN_PERIOD_MS {
                continue;
            }
            let of_mix = |mix: &Vec<ClientKind>| MatrixCell {
                way,
                period_ms: *period_ms,
                mix: mix.clone(),
            };
            cells.extend(mixes.iter().map(of_mix));
        }
    }
    let figures = in_parallel(program, &cells, |simulator, cell| {
        simulator
            .run(cell, &alone)
            .map_err(|error| format!("{}: {error}", name(&cell.mix)).into())
    })?;
    let admitted = |(cell, figures): (MatrixCell, Option<CellFigures>)| Some((cell, figures?));
    let cells: Vec<(MatrixCell, CellFigures)> = cells
        .into_iter()
        .zip(figures)
        .filter_map(admitted)
        .collect();
    println!("{}", summary(&cells, periods));
    println!("{}", one_by_one(&cells));
    Ok(to_json(&cells))
}

fn summary(cells: &[(MatrixCell, CellFigures)], periods: &[u64]) -> Table {
    let mut table = Table::headed(
        "scheduling | period | mixes | worst isolation | mean of worst | mean efficiency | \
         switches/s | greatest shortfall | closest to the bound | missed",
    );
    for way in WAYS {
        for period_ms in periods {
            let chosen: Vec<&CellFigures> = cells
                .iter()
                .filter(|(cell, _)| cell.way == way && cell.period_ms == *period_ms)
                .map(|(_, figures)| figures)
                .collect();
            if chosen.is_empty() {
                continue;
            }
            let chosen = || chosen.iter();
            let missed: u64 = chosen().map(|figures| figures.missed).sum();
            let fifo = way == Way::Fifo;
            let worst = || chosen().map(|figures| figures.sharing().least_isolation());
            let efficiency = chosen().map(|figures| figures.sharing().efficiency());
            let switches = chosen().map(|figures| figures.switches_per_second);
            let shortfall = greatest(chosen().map(|figures| figures.shortfall));
            let unspent = greatest(chosen().map(|figures| figures.unspent_of_bound));
            // A queue in order of arrival knows no periods and no bound.
            let unless_fifo = |text: String| if fifo { "-".to_owned() } else { text };
            table.row(cells![
                way.name(),
                unless_fifo(format!("{period_ms} ms")),
                chosen().len(),
                format!("{:.3}", least(worst())),
                format!("{:.3}", mean(worst())),
                format!("{:.3}", mean(efficiency)),
                format!("{:.1}", mean(switches)),
                format!("{:.3} pp", shortfall * 100.0),
                unless_fifo(format!("{:.1} %", unspent * 100.0)),
                missed,
            ]);
        }
    }
    table
}

fn one_by_one(cells: &[(MatrixCell, CellFigures)]) -> Table {
    let mut headings = vec!["mix".to_owned()];
    for way in WAYS {
        headings.push(format!("{}: isolation", way.name()));
        headings.push("efficiency".to_owned());
    }
    let headings: Vec<&str> = headings.iter().map(String::as_str).collect();
    let mut table = Table::new(&headings);
    let mut rows: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for way in WAYS {
        let chosen = cells
            .iter()
            .filter(|(cell, _)| cell.way == way && cell.period_ms == SHOWN_PERIOD_MS);
        for (index, (cell, figures)) in chosen.enumerate() {
            let row = rows.entry(index).or_insert_with(|| vec![name(&cell.mix)]);
            row.push(format!("{:.3}", figures.sharing().least_isolation()));
            row.push(format!("{:.3}", figures.sharing().efficiency()));
        }
    }
    rows.into_values().for_each(|row| table.row(row));
    table
}

fn to_json(cells: &[(MatrixCell, CellFigures)]) -> Value {
    let cells: Vec<Value> = cells
        .iter()
        .map(|(cell, figures)| {
            let streams: Vec<Value> = cell
                .mix
                .iter()
                .zip(&figures.streams)
                .map(|(kind, (iops, alone, share))| {
                    json!({
                        "kind": kind.to_string(),
                        "share": share,
                        "iops": iops,
                        "iops_alone": alone,
                        "isolation": isolation(*iops, *alone, *share),
                    })
                })
                .collect();
            json!({
                "scheduling": cell.way.name(),
                "period_ms": cell.period_ms,
                "streams": streams,
                "efficiency": figures.sharing().efficiency(),
                "switches_per_second": figures.switches_per_second,
                "shortfall": figures.shortfall,
                "unspent_of_bound": figures.unspent_of_bound,
                "deadlines_missed": figures.missed,
            })
        })
        .collect();
    json!({ "machine": disktime_benches::machine::describe(), "window_s": WINDOW_S, "cells": cells })
}
