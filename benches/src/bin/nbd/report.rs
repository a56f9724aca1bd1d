//! From rows to ratios: ours beside the best of the others, and a picture.

use crate::peers::{Backing, Peer};
use clap::ValueEnum;
use disktime_benches::BenchResult;
use disktime_benches::compare::{CPU, IOPS, MEASURES, Measure, Peer as _, Row, name_of};
use disktime_benches::spread::Spread;
use disktime_lab::Table;
use disktime_lab::figure::{Axis, Figure, Panel, Series};
use disktime_lab::measures::greatest;
use serde_json::{Map, Value};

/// Those to be compared with.
fn others() -> Vec<&'static str> {
    let rivals = Peer::value_variants()
        .iter()
        .copied()
        .filter(|peer| peer.is_rival());
    rivals.map(Peer::name).collect()
}

fn fifo() -> [&'static str; 1] {
    [Peer::DisktimeFifo.name()]
}

/// The ratios of a row, for programs.
pub(crate) fn ratios_to_json(row: &Row) -> Map<String, Value> {
    let of = |measure: Measure, rivals: &[&str], whom: &str| {
        let ratio = row.ratio(measure, rivals).map(Spread::to_json)?;
        Some((format!("{}_to_{whom}", measure.name), ratio))
    };
    let others = others();
    let to_best = MEASURES.map(|measure| of(measure, &others, "best_peer"));
    let to_fifo = [CPU, IOPS].map(|measure| of(measure, &fifo(), "fifo"));
    to_best.into_iter().chain(to_fifo).flatten().collect()
}

/// Ours beside the best of the others in each figure, and the ratios with their spread over the
/// rounds.
pub(crate) fn ratios(rows: &[Row]) -> Table {
    let mut table = Table::headed(
        "cell | CPU us | ratio | IOPS | ratio | p50 ratio | p99 ratio | CPU to fifo | IOPS to fifo",
    );
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
pub(crate) fn picture(rows: &[Row]) -> BenchResult<String> {
    let panels = Backing::value_variants().iter();
    let panels = panels.filter_map(|backing| panel(rows, *backing));
    let figure = Figure::new("nbd", "Server CPU per request over NBD", panels);
    Ok(figure.to_svg()?)
}

fn panel(rows: &[Row], backing: Backing) -> Option<Panel> {
    // Large blocks cost a hundred times as much and would hide the others.
    let prefix = format!("{} 4K rand", name_of(backing));
    let here: Vec<(String, &Row)> = rows
        .iter()
        .filter_map(|row| Some((short_name(row.cell.strip_prefix(&prefix)?), row)))
        .collect();
    if here.is_empty() {
        return None;
    }
    let peers = Peer::value_variants().iter().copied();
    let shown = peers.filter(|peer| *peer != Peer::DisktimeFifo);
    let of_peer = |peer: Peer| {
        let cpu = here
            .iter()
            .map(|(_, row)| row.median(peer.name(), |sample| sample.cpu_us));
        // A peer has all cells of a backing, or none.
        cpu.collect::<Option<Vec<f64>>>().map(|cpu| (peer, cpu))
    };
    let bars: Vec<(Peer, Vec<f64>)> = shown.filter_map(of_peer).collect();
    let highest = greatest(bars.iter().flat_map(|(_, cpu)| cpu));
    let x = "4 KiB random reads and writes, depth; capitals: four connections";
    let panel = Panel::new(
        name_of(backing),
        Axis::groups(x, here.iter().map(|(name, _)| name)),
        Axis::linear("server CPU per request, us", 0.0, highest * 1.1),
    );
    let bars = bars.into_iter();
    Some(panel.with_all(bars.map(|(peer, cpu)| Series::bars(peer.name(), cpu))))
}

/// Ten groups leave space for few letters; capitals are several connections.
fn short_name(cell: &str) -> String {
    let short = cell.replace("read d", "r").replace("write d", "w");
    match short.split_once(' ') {
        Some((short, "c1")) => short.to_owned(),
        _ => short.split(' ').next().unwrap_or_default().to_uppercase(),
    }
}
