//! From samples to tables: medians over the rounds, and in each round the ratio of ours to others in
//! that figure, so that what changes between rounds is in the spread and not in the ratios.

use crate::cells::{Cell, Sample};
use crate::peers::Peer;
use disktime_benches::markdown::Table;
use disktime_benches::spread::Spread;
use serde_json::{Value, json};

/// A cell with its samples, round by round.
pub struct Row {
    pub cell: Cell,
    pub rounds: Vec<Vec<Sample>>,
}

/// A figure of a sample: its name, and whether more of it is better.
type Figure = (&'static str, fn(&Sample) -> f64, bool);

const FIGURES: [Figure; 4] = [
    ("cpu", |sample| sample.cpu_us, false),
    ("iops", |sample| sample.iops, true),
    ("p50", |sample| sample.p50_us, false),
    ("p99", |sample| sample.p99_us, false),
];

/// Whom ours is set against: the best of these in each figure.
type Rivals = (&'static str, &'static [Peer]);

const RIVALS: [Rivals; 2] = [
    ("fuse3 and nbdfuse", &[Peer::NullFuse3, Peer::NbdFuse]),
    ("qemu-storage-daemon", &[Peer::QemuStorageDaemon]),
];

impl Row {
    fn median(&self, peer: Peer, of: fn(&Sample) -> f64) -> Option<f64> {
        let samples = self.rounds.iter().flatten();
        let values = samples.filter(|sample| sample.peer == peer).map(of);
        Spread::of(values.collect()).map(|spread| spread.median)
    }

    /// Ours to the best of the rivals, in each round.
    fn ratio(&self, (_, of, more_is_better): Figure, rivals: &[Peer]) -> Option<Spread> {
        let ratios = self.rounds.iter().filter_map(|round| {
            let ours = round.iter().find(|sample| sample.peer == Peer::Disktime)?;
            let theirs = round
                .iter()
                .filter(|sample| rivals.contains(&sample.peer))
                .map(of);
            let best = match more_is_better {
                true => theirs.max_by(f64::total_cmp),
                false => theirs.min_by(f64::total_cmp),
            };
            Some(of(ours) / best?)
        });
        Spread::of(ratios.collect())
    }

    fn to_json(&self) -> Value {
        let rounds: Vec<Vec<Value>> = self
            .rounds
            .iter()
            .map(|round| round.iter().map(|sample| sample.to_json()).collect())
            .collect();
        let mut ratios = serde_json::Map::new();
        for (name, rivals) in RIVALS {
            for figure in FIGURES {
                if let Some(ratio) = self.ratio(figure, rivals) {
                    ratios.insert(format!("{} to {name}", figure.0), ratio.to_json());
                }
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
    let headings = [
        "cell",
        "server",
        "IOPS",
        "MB/s",
        "p50 us",
        "p99 us",
        "p99.9 us",
        "server CPU us",
    ];
    let mut table = Table::new(&headings);
    for row in rows {
        for peer in Peer::ALL {
            let figure = |digits: usize, of: fn(&Sample) -> f64| {
                let median = row.median(peer, of);
                median.map(|value| format!("{value:.digits$}"))
            };
            let Some(iops) = figure(0, |sample| sample.iops) else {
                continue;
            };
            let mut cells = vec![row.cell.name(), peer.name().to_owned(), iops];
            let others = [
                figure(0, |sample| sample.bytes_per_second / 1e6),
                figure(1, |sample| sample.p50_us),
                figure(1, |sample| sample.p99_us),
                figure(1, |sample| sample.p99_9_us),
                figure(2, |sample| sample.cpu_us),
            ];
            cells.extend(others.into_iter().flatten());
            table.row(cells);
        }
    }
    table
}

/// Ours to the best of the rivals, with the spread over the rounds.
pub fn ratios(rows: &[Row]) -> Table {
    let mut table = Table::new(&["cell", "to the best of", "CPU", "IOPS", "p50", "p99"]);
    for row in rows {
        for (name, rivals) in RIVALS {
            let ratios = FIGURES.map(|figure| row.ratio(figure, rivals));
            if ratios.iter().all(Option::is_none) {
                continue;
            }
            let text = |ratio: Option<Spread>| ratio.map_or_else(|| "-".to_owned(), Spread::text);
            let mut cells = vec![row.cell.name(), name.to_owned()];
            cells.extend(ratios.map(text));
            table.row(cells);
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cells::cells;
    use crate::peers::Backing;

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
    fn ours_is_set_against_the_best_rival_of_the_same_round_in_that_figure() {
        let row = Row {
            cell: cells(Backing::Null)[0],
            rounds: vec![
                vec![
                    sample(Peer::Disktime, 120.0, 3.0),
                    sample(Peer::NullFuse3, 100.0, 10.0),
                    sample(Peer::NbdFuse, 50.0, 4.0),
                    sample(Peer::QemuStorageDaemon, 240.0, 6.0),
                ],
                vec![
                    sample(Peer::NbdFuse, 10.0, 20.0),
                    sample(Peer::Disktime, 15.0, 5.0),
                ],
            ],
        };
        let iops = row.ratio(FIGURES[1], RIVALS[0].1).expect("two rounds");
        assert_eq!((iops.least, iops.greatest), (1.2, 1.5));
        let cpu = row.ratio(FIGURES[0], RIVALS[0].1).expect("two rounds");
        assert_eq!((cpu.least, cpu.greatest), (0.25, 0.75));
        let other = row.ratio(FIGURES[1], RIVALS[1].1).expect("one round");
        assert_eq!(other.median, 0.5);
        let text = ratios(&[row]).to_string();
        assert!(text.contains("1.50 (1.20-1.50)"), "{text}");
    }
}
