//! How the history of a vdisk stood at the end of a run.

use disktime_history::UNIT_BYTES;
use disktime_units::{Nanos, format_duration, format_sizes};
use disktime_volumes::HistoryReport;
use serde::Serialize;

/// The history of a vdisk at the end of a run.
#[derive(Debug, Clone, Copy, Serialize)]
pub(in super::super) struct HistoryFigures {
    /// How far back its moments go; all of the run, if nothing had to be folded.
    kept_ms: f64,
    /// Whether some were moved into the vdisk's own space.
    folded: bool,
    /// Whether a fold was in flight.
    folding: bool,
    /// Bytes of the log in use,
    used_bytes: u64,
    /// of so many.
    area_bytes: u64,
    /// Memory of its index.
    index_bytes: u64,
}

impl HistoryFigures {
    /// From what the vdisk says of itself at `now`, the end.
    pub(in super::super) fn new(report: &HistoryReport, now: Nanos) -> HistoryFigures {
        let status = &report.status;
        let folded = status.floor > 0;
        // Virtual time begins in 1970.
        let oldest = status.oldest_time_ns.filter(|_| folded).unwrap_or(0);
        HistoryFigures {
            kept_ms: now.saturating_sub(Nanos(oldest)).as_millis_f64(),
            folded,
            folding: status.is_folding,
            used_bytes: status.used_units * UNIT_BYTES as u64,
            area_bytes: report.area_bytes,
            index_bytes: status.index_bytes,
        }
    }

    /// A sentence about the history of that vdisk.
    pub(super) fn sentence(&self, vdisk: &str) -> String {
        let sizes = [self.used_bytes, self.area_bytes, self.index_bytes];
        let [used, area, index] = format_sizes(sizes);
        let kept = match (self.folded, self.folding) {
            (true, _) => {
                let kept = format_duration(Nanos((self.kept_ms * 1e6) as u64));
                format!("the last {kept} can be gone back to")
            }
            (false, true) => {
                "the first fold has not ended; a longer run shows what is kept".to_owned()
            }
            (false, false) => "nothing was folded; a longer run shows what folds take".to_owned(),
        };
        format!("history of {vdisk}: log {used} of {area} in use, index {index}; {kept}\n")
    }
}
