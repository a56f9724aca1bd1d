//! From rows to ratios: ours beside the best of two groups of rivals.

use crate::peers::Peer;
use disktime_benches::compare::{MEASURES, Peer as _, Row};
use disktime_benches::spread::Spread;
use disktime_lab::Table;
use serde_json::{Map, Value};

/// Whom ours is set against: the best of these in each figure.
fn rivals() -> [(&'static str, Vec<&'static str>); 2] {
    let names = |peers: &[Peer]| peers.iter().map(|peer| peer.name()).collect();
    [
        (
            "fuse3 and nbdfuse",
            names(&[Peer::NullFuse3, Peer::NbdFuse]),
        ),
        ("qemu-storage-daemon", names(&[Peer::QemuStorageDaemon])),
    ]
}

/// The ratios of a row, for programs.
pub(crate) fn ratios_to_json(row: &Row) -> Map<String, Value> {
    let mut ratios = Map::new();
    for (name, rivals) in rivals() {
        for measure in MEASURES {
            if let Some(ratio) = row.ratio(measure, &rivals).map(Spread::to_json) {
                ratios.insert(format!("{} to {name}", measure.name), ratio);
            }
        }
    }
    ratios
}

/// Ours to the best of the rivals, with the spread over the rounds.
pub(crate) fn ratios(rows: &[Row]) -> Table {
    let mut table = Table::new(["cell", "to the best of", "CPU", "IOPS", "p50", "p99"]);
    for row in rows {
        for (name, rivals) in rivals() {
            if row.ratio(MEASURES[0], &rivals).is_none() {
                continue;
            }
            let mut cells = vec![row.cell.clone(), name.to_owned()];
            cells.extend(MEASURES.map(|measure| row.ratio_text(measure, &rivals)));
            table.row(cells);
        }
    }
    table
}
