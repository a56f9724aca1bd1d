//! From samples to a verdict: medians over the rounds, and in each round the ratio of ours to the
//! best of the others in that figure, so that what changes between rounds is in the spread of the
//! ratios and not in the ratios.

use crate::cells::{Cell, Sample};
use crate::peers::{Backing, Peer};
use disktime_benches::Outcome;
use disktime_benches::markdown::Table;
use disktime_benches::spread::Spread;
use paper_repro::figure::{Axis, Figure, Mark, Panel, Series};
use serde_json::{Value, json};

/// A cell with its samples, round by round.
pub struct Row {
    pub cell: Cell,
    pub rounds: Vec<Vec<Sample>>,
}

/// A figure of a sample, and whether more of it is better.
struct Measure {
    name: &'static str,
    of: fn(&Sample) -> f64,
    more_is_better: bool,
}

const FIGURES: [Measure; 4] = [
    Measure {
        name: "cpu",
        of: |sample| sample.cpu_us,
        more_is_better: false,
    },
    Measure {
        name: "iops",
        of: |sample| sample.iops,
        more_is_better: true,
    },
    Measure {
        name: "p50",
        of: |sample| sample.p50_us,
        more_is_better: false,
    },
    Measure {
        name: "p99",
        of: |sample| sample.p99_us,
        more_is_better: false,
    },
];

impl Row {
    /// What a peer got, over the rounds.
    fn spread(&self, peer: Peer, of: fn(&Sample) -> f64) -> Option<Spread> {
        let samples = self.rounds.iter().flatten();
        Spread::of(
            samples
                .filter(|sample| sample.peer == peer)
                .map(of)
                .collect(),
        )
    }

    /// Ours to the best of `others`, in each round.
    fn ratio(&self, figure: &Measure, others: impl Fn(Peer) -> bool) -> Option<Spread> {
        let ratios = self.rounds.iter().filter_map(|round| {
            let ours = round.iter().find(|sample| sample.peer == Peer::Disktime)?;
            let theirs = round
                .iter()
                .filter(|sample| others(sample.peer))
                .map(figure.of);
            let best = if figure.more_is_better {
                theirs.max_by(f64::total_cmp)
            } else {
                theirs.min_by(f64::total_cmp)
            };
            Some((figure.of)(ours) / best?)
        });
        Spread::of(ratios.collect())
    }

    /// Our median and the best of the others' medians.
    fn side_by_side(&self, figure: &Measure, digits: usize) -> String {
        let median = |peer: Peer| Some(self.spread(peer, figure.of)?.median);
        let others = Peer::ALL.into_iter().filter(|peer| peer.is_foreign());
        let theirs = others.filter_map(median);
        let best = if figure.more_is_better {
            theirs.max_by(f64::total_cmp)
        } else {
            theirs.min_by(f64::total_cmp)
        };
        match (median(Peer::Disktime), best) {
            (Some(ours), Some(best)) => format!("{ours:.digits$} / {best:.digits$}"),
            (Some(ours), None) => format!("{ours:.digits$}"),
            _ => "-".to_owned(),
        }
    }

    fn to_json(&self) -> Value {
        let rounds: Vec<Vec<Value>> = self
            .rounds
            .iter()
            .map(|round| round.iter().map(|sample| sample.to_json()).collect())
            .collect();
        let mut ratios = serde_json::Map::new();
        for figure in &FIGURES {
            if let Some(ratio) = self.ratio(figure, Peer::is_foreign) {
                ratios.insert(format!("{}_to_best_peer", figure.name), ratio.to_json());
            }
        }
        let fifo = |peer| peer == Peer::DisktimeFifo;
        for figure in &FIGURES[..2] {
            if let Some(ratio) = self.ratio(figure, fifo) {
                ratios.insert(format!("{}_to_fifo", figure.name), ratio.to_json());
            }
        }
        json!({ "cell": self.cell.name(), "rounds": rounds, "ratios": ratios })
    }
}

/// All of it, for programs.
pub fn to_json(rows: &[Row], machine: Value) -> Value {
    let cells: Vec<Value> = rows.iter().map(Row::to_json).collect();
    json!({ "machine": machine, "cells": cells })
}

/// What each server got: medians.
pub fn absolute(rows: &[Row]) -> Table {
    let mut table = Table::new(&[
        "cell",
        "server",
        "IOPS",
        "MB/s",
        "p50 us",
        "p99 us",
        "p99.9 us",
        "server CPU us",
    ]);
    for row in rows {
        for peer in Peer::ALL {
            let median = |of| row.spread(peer, of).map(|spread| spread.median);
            let Some(iops) = median(|sample| sample.iops) else {
                continue;
            };
            let cell = |digits: usize, of: fn(&Sample) -> f64| {
                median(of).map_or_else(String::new, |value| format!("{value:.digits$}"))
            };
            table.row(vec![
                row.cell.name(),
                peer.name().to_owned(),
                format!("{iops:.0}"),
                cell(0, |sample| sample.bytes_per_second / 1e6),
                cell(1, |sample| sample.p50_us),
                cell(1, |sample| sample.p99_us),
                cell(1, |sample| sample.p99_9_us),
                cell(2, |sample| sample.cpu_us),
            ]);
        }
    }
    table
}

/// Ours beside the best of the others, and the ratios with their spread over the rounds.
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
    let text = |ratio: Option<Spread>| ratio.map_or_else(|| "-".to_owned(), Spread::text);
    for row in rows {
        let mut cells = vec![row.cell.name()];
        for (figure, digits) in FIGURES[..2].iter().zip([2, 0]) {
            cells.push(row.side_by_side(figure, digits));
            cells.push(text(row.ratio(figure, Peer::is_foreign)));
        }
        for figure in &FIGURES[2..] {
            cells.push(text(row.ratio(figure, Peer::is_foreign)));
        }
        for figure in &FIGURES[..2] {
            cells.push(text(row.ratio(figure, |peer| peer == Peer::DisktimeFifo)));
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
            .filter(|row| row.cell.backing == backing && row.cell.load.block_bytes == 4096)
            .collect();
        if here.is_empty() {
            continue;
        }
        let names: Vec<String> = here
            .iter()
            .map(|row| {
                // Ten groups leave room for few letters; capitals are several connections.
                let name = row.cell.name();
                let several = !name.ends_with("c1");
                let short = name
                    .replacen(backing.name(), "", 1)
                    .replace(" 4K rand", "")
                    .replace("read d", "r")
                    .replace("write d", "w");
                let short = short.split(' ').next().unwrap_or_default();
                if several {
                    short.to_uppercase()
                } else {
                    short.to_owned()
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
                .filter_map(|(at, row)| Some((at as f64, row.spread(peer, |s| s.cpu_us)?.median)))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cells::cells;

    fn sample(peer: Peer, iops: f64, cpu_us: f64) -> Sample {
        Sample {
            peer,
            iops,
            bytes_per_second: iops * 4096.0,
            p50_us: 10.0,
            p99_us: 20.0,
            p99_9_us: 30.0,
            cpu_us,
        }
    }

    #[test]
    fn ours_is_set_against_the_best_of_the_same_round_in_that_figure() {
        let row = Row {
            cell: cells(Backing::Null)[0],
            rounds: vec![
                vec![
                    sample(Peer::Disktime, 120.0, 3.0),
                    sample(Peer::Nbdkit, 100.0, 10.0),
                    sample(Peer::QemuNbd, 50.0, 4.0),
                    sample(Peer::DisktimeFifo, 240.0, 1.0),
                ],
                vec![
                    sample(Peer::Nbdkit, 10.0, 20.0),
                    sample(Peer::QemuNbd, 5.0, 30.0),
                    sample(Peer::Disktime, 15.0, 5.0),
                ],
            ],
        };
        let iops = row
            .ratio(&FIGURES[1], Peer::is_foreign)
            .expect("two rounds");
        assert_eq!((iops.least, iops.greatest), (1.2, 1.5));
        let cpu = row
            .ratio(&FIGURES[0], Peer::is_foreign)
            .expect("two rounds");
        assert_eq!((cpu.least, cpu.greatest), (0.25, 0.75));
        let fifo = row.ratio(&FIGURES[1], |peer| peer == Peer::DisktimeFifo);
        assert_eq!(fifo.map(|ratio| ratio.median), Some(0.5));
        let text = ratios(&[row]).to_string();
        assert!(text.contains("1.50 (1.20-1.50)"), "{text}");
        assert!(text.contains("120 / 100"), "{text}");
    }
}
