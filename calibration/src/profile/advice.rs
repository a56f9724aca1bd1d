//! What a profile means to who plans reservations, as sentences.

use super::{Class, Profile};
use disktime_drive_models::Operation;
use disktime_units::{Nanos, format_duration};

/// The smallest share that advice speaks of, in per cent, and the largest.
const SHARES: [u64; 2] = [10, 50];

impl Profile {
    /// How many random reads a second the device does, what one takes alone, and which periods fit.
    pub fn advice(&self) -> String {
        let rates = self.coefficients();
        let small = self.cost.random_read.quote(super::SMALL_BYTES).lone;
        let periods = SHARES.map(|percent| {
            let period = rounded(self.shortest_period(percent));
            format!("{percent} % per {} or more", format_duration(period))
        });
        let at_once = match self.seeks {
            Some(_) => "one request at a time".to_owned(),
            None => format!("95 % of them with {} in flight", self.knee_depth),
        };
        format!(
            "{} random reads of 4 KiB a second ({at_once}), {} MB/s; alone a read takes {}. \
             Reservations that fit: {}.",
            rates.rrandiops,
            rates.rbps / 1_000_000,
            format_duration(rounded(small)),
            periods.join(", "),
        )
    }

    /// The shortest period of a share, in per cent: its time is at least twice the larger of W and
    /// the drain.
    pub fn shortest_period(&self, percent: u64) -> Nanos {
        let bound = match self.seeks {
            Some(_) => self.worst_case,
            None => self.worst_case.max(self.drain()),
        };
        let period = Nanos(bound.0.saturating_mul(200) / percent.max(1));
        period.max(Nanos::from_millis(10))
    }

    /// What W is made of, in words, for documents and `--help`.
    pub fn summary(&self) -> Vec<(String, String)> {
        let quantum = u64::from(self.quantum_bytes);
        let model = self.cost_model();
        let time = |nanos: Nanos| format_duration(rounded(nanos));
        let mut lines = Vec::new();
        let rates = self.coefficients();
        let mut line = |name: &str, value: String| lines.push((name.to_owned(), value));
        line("rbps", format!("{} MB/s", rates.rbps / 1_000_000));
        line("rseqiops", rates.rseqiops.to_string());
        line("rrandiops", rates.rrandiops.to_string());
        if self.measured_writes {
            line("wbps", format!("{} MB/s", rates.wbps / 1_000_000));
            line("wseqiops", rates.wseqiops.to_string());
            line("wrandiops", rates.wrandiops.to_string());
        }
        for (class, lone) in Class::ALL.iter().zip(&self.lone) {
            if let Some(lone) = lone {
                let value = format!("{}, {}", time(lone.small.mean), time(lone.quantum.mean));
                line(&format!("{} alone", class.name().replace('_', " ")), value);
            }
        }
        if self.seeks.is_none() {
            line("knee", format!("{} in flight", self.knee_depth));
            line("H", time(model.occupancy_bound(quantum)));
            line("σ", time(self.cost.settle));
        } else {
            line("seek and half a turn", time(self.switch_cost()));
            line("longest seek and a turn", time(self.worst_seek()));
        }
        line("W", time(self.worst_case));
        let flush = model.quote(Operation::Flush, 0, false, false);
        line("flush, occupancy", time(flush.occupancy));
        lines
    }
}

/// To three digits, upwards.
fn rounded(time: Nanos) -> Nanos {
    let mut step = 1;
    while time.0 / step >= 1000 {
        step *= 10;
    }
    Nanos(time.0.div_ceil(step) * step)
}
