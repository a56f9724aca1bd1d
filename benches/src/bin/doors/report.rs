//! From rows to a verdict: ours beside the best of the others, and a picture.

use crate::peers::{Backing, Peer};
use disktime_benches::Outcome;
use disktime_benches::compare::{CPU, IOPS, MEASURES, Measure, Row};
use disktime_benches::spread::Spread;
use disktime_lab::Table;
use disktime_lab::figure::{Axis, Figure, Mark, Panel, Series};
use serde_json::{Map, Value};

/// Those to be compared with.
fn others() -> Vec<&'static str> {
    let rivals = Peer::ALL.into_iter().filter(|peer| peer.is_rival());
    rivals.map(Peer::name).collect()
}

fn fifo() -> [&'static str; 1] {
    [Peer::DisktimeFifo.name()]
}

/// The ratios of a row, for programs.
pub fn ratios_to_json(row: &Row) -> Map<String, Value> {
    let of = |measure: Measure, rivals: &[&str], whom: &str| {
        let ratio = row.ratio(measure, rivals).map(Spread::to_json)?;
        Some((format!("{}_to_{whom}", measure.name), ratio))
    };
    let others = others();
    let to_best = MEASURES.map(|measure| of(measure, &others, "best_peer"));
    let to_fifo = [CPU, IOPS].map(|measure| of(measure, &fifo(), "fifo"));
    to_best.into_iter().chain(to_fifo).flatten().collect()
}

/// Ours beside the best of the others in each figure, and the ratios with their spread over the rounds.
pub fn ratios(rows: &[Row]) -> Table {
    let mut table = Table::new(&[
        "cell",
        "CPU us",
        "ratio",
        "IOPS",
        "ratio",
        "p50 ratio",
        "p99 ratio",
        "CPU to fifo",
        "IOPS to fifo",
    ]);
    let others = others();
    for row in rows {
        let mut cells = vec![row.cell.clone()];
        for (measure, digits) in [(CPU, 2), (IOPS, 0)] {
            cells.push(row.side_by_side(measure, &others, digits));
            cells.push(row.ratio_text(measure, &others));
        }
        for measure in &MEASURES[2..] {
            cells.push(row.ratio_text(*measure, &others));
        }
        for measure in [CPU, IOPS] {
            cells.push(row.ratio_text(measure, &fifo()));
        }
        table.row(cells);
    }
    table
}

/// Server CPU per request, a panel per backing.
///
/// # Errors
/// If there is nothing to draw.
pub fn picture(rows: &[Row]) -> Outcome<String> {
    let mut panels = Vec::new();
    for backing in Backing::ALL {
        // Large blocks cost a hundred times as much and would hide the others.
        let here: Vec<&Row> = rows
            .iter()
            .filter(|row| row.cell.starts_with(&format!("{} 4K ", backing.name())))
            .collect();
        if here.is_empty() {
            continue;
        }
        let names: Vec<String> = here
            .iter()
            .map(|row| {
                // Ten groups leave room for few letters; capitals are several connections.
                let short = row
                    .cell
                    .replace(&format!("{} 4K rand", backing.name()), "")
                    .replace("read d", "r")
                    .replace("write d", "w");
                match short.split_once(' ') {
                    Some((short, "c1")) => short.to_owned(),
                    _ => short.split(' ').next().unwrap_or_default().to_uppercase(),
                }
            })
            .collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut series = Vec::new();
        let mut highest = 0.0_f64;
        for peer in Peer::ALL
            .into_iter()
            .filter(|peer| *peer != Peer::DisktimeFifo)
        {
            let points: Vec<(f64, f64)> = here
                .iter()
                .enumerate()
                .filter_map(|(at, row)| {
                    Some((at as f64, row.median(peer.name(), |sample| sample.cpu_us)?))
                })
                .collect();
            highest = points
                .iter()
                .fold(highest, |highest, point| highest.max(point.1));
            if !points.is_empty() {
                series.push(Series::new(peer.name(), Mark::Bars, points));
            }
        }
        panels.push(Panel {
            title: backing.name().to_owned(),
            x: Axis::groups(
                "4 KiB random reads and writes, depth; capitals: four connections",
                &names,
            ),
            y: Axis::linear("server CPU per request, us", 0.0, highest * 1.1),
            series,
        });
    }
    let figure = Figure {
        name: "doors".to_owned(),
        title: "Server CPU per request over NBD".to_owned(),
        panels,
    };
    Ok(figure.to_svg()?)
}
