//! What paced disks have in common: their properties, and how well they keep to the model.

use crate::{Capabilities, DiskProperties, Lateness, PacingReport};
use disktime_units::Nanos;
use hdrhistogram::Histogram;

/// Lateness is recorded up to this; a longer one counts as this.
const LATENESS_NANOS_MAX: u64 = 60_000_000_000;

/// The properties of a modelled disk over a real one. What concerns the data (size, blocks,
/// discards, durability) follows from both.
pub(super) fn paced_properties(
    modelled: DiskProperties,
    real: &DiskProperties,
    max_in_flight: usize,
) -> DiskProperties {
    let block_bytes = modelled.block_bytes.max(real.block_bytes);
    let size_bytes = modelled.size_bytes.min(real.size_bytes);
    let mut notices = modelled.notices.clone();
    notices.extend(real.notices.iter().cloned());
    DiskProperties {
        description: format!("{} paced over {}", modelled.description, real.description),
        size_bytes: size_bytes - size_bytes % u64::from(block_bytes),
        block_bytes,
        max_in_flight,
        quantum_bytes: modelled.quantum_bytes.max(block_bytes),
        capabilities: Capabilities {
            caches_reads: false,
            ..real.capabilities
        },
        notices,
        ..modelled
    }
}

/// Counts for the pacing report.
#[derive(Debug)]
pub(super) struct Pace {
    lateness: Histogram<u64>,
    overruns: u64,
    served: u64,
}

impl Default for Pace {
    fn default() -> Pace {
        let lateness = Histogram::new_with_bounds(1, LATENESS_NANOS_MAX, 2)
            .expect("the bounds are constants that the histogram accepts");
        Pace {
            lateness,
            overruns: 0,
            served: 0,
        }
    }
}

impl Pace {
    /// The real disk was as fast as the model; the completion was found `late` after its time.
    pub(super) fn kept(&mut self, counts: bool, late: Nanos) {
        self.served += u64::from(counts);
        self.lateness.saturating_record(late.0);
    }

    /// The real disk was slower than the model.
    pub(super) fn overran(&mut self, counts: bool) {
        self.served += u64::from(counts);
        self.overruns += u64::from(counts);
    }

    pub(super) fn report(&self) -> PacingReport {
        PacingReport {
            served: self.served,
            overruns: self.overruns,
            lateness: Lateness {
                count: self.lateness.len(),
                p50: Nanos(self.lateness.value_at_quantile(0.5)),
                p99: Nanos(self.lateness.value_at_quantile(0.99)),
                max: Nanos(self.lateness.max()),
            },
        }
    }
}
