//! What probes of a drive's model measure: latency alone and occupancy by class, and the bounds
//! that follow.

use super::{OverlapDrive, OverlapParameters, QUANTUM_BYTES};
use crate::probe::{Load, Measured, Pattern, Probe};
use crate::{ClassCost, Operation, OverlapCost, Quote};
use disktime_units::Nanos;

const SMALL_BYTES: u64 = 4096;
const LARGE_BYTES: u64 = QUANTUM_BYTES as u64;

/// Requests in flight with which a drive's throughput is measured.
const DEEP: u32 = 128;

/// Time after which what a request leaves behind in the drive is done, on every preset.
const SETTLED: Nanos = Nanos::from_millis(20);

impl OverlapDrive {
    /// Prices and bounds as probes of its model measure them. Takes about a second.
    pub fn measured_cost(&self) -> OverlapCost {
        let class = |operation, pattern| self.class(operation, pattern);
        let random_read = class(Operation::Read, Pattern::Random);
        let large = random_read.quote(LARGE_BYTES).lone;
        let small = random_read.quote(SMALL_BYTES).lone;
        OverlapCost {
            random_read,
            sequential_read: class(Operation::Read, Pattern::Sequential),
            random_write: class(Operation::Write, Pattern::Random),
            sequential_write: class(Operation::Write, Pattern::Sequential),
            discard: class(Operation::Discard, Pattern::Sequential),
            flush: self.flush_class(),
            occupancy_bound: Nanos((2 * small.0).max(large.0 + large.0 / 10)),
            settle: self.parameters.settle(),
            fast_read_percent: self.fast_read_percent(),
        }
    }

    fn fast_read_percent(&self) -> u32 {
        let reads = self.alone(Load::random(Operation::Read, SMALL_BYTES, 1));
        let percent = reads.quantile(100).0 * 100 / reads.mean().0.max(1);
        u32::try_from(percent.min(100)).unwrap_or(100)
    }

    /// A request alone on the idle drive.
    pub fn alone(&self, load: Load) -> Measured {
        let probe = Probe {
            turnaround: SETTLED,
            ..Probe::new(self.queue_depth(), Nanos::ZERO, Nanos::from_secs(20))
        };
        self.run(probe, Load { depth: 1, ..load })
    }

    /// Requests in flight, once what the drive has of cache and credit is used up.
    pub fn sustained(&self, load: Load) -> Measured {
        let probe = Probe::new(
            self.queue_depth(),
            Nanos::from_millis(self.warm_up_millis(load)),
            Nanos::from_millis(500),
        );
        self.run(probe, load)
    }

    fn run(&self, probe: Probe, load: Load) -> Measured {
        let mut measured = probe.run(&mut self.model(1), &[load]);
        measured.swap_remove(0)
    }

    /// Longer than it takes to use up the cache or the credit.
    fn warm_up_millis(&self, load: Load) -> u64 {
        match &self.parameters {
            OverlapParameters::Flash(flash) if flash.cache_bytes.is_some() => {
                if load.operation == Operation::Read {
                    50
                } else {
                    1500
                }
            }
            OverlapParameters::Cloud(cloud) => {
                let credit = cloud.credit.map_or(Nanos::ZERO, |credit| credit.full);
                100 + credit.0 / 1_000_000
            }
            OverlapParameters::Flash(_) => 300,
        }
    }

    fn class(&self, operation: Operation, pattern: Pattern) -> ClassCost {
        let load = |len_bytes, depth| Load {
            pattern,
            ..Load::random(operation, len_bytes, depth)
        };
        let quote = |len_bytes| Quote {
            occupancy: self.sustained(load(len_bytes, DEEP)).time_per_request(),
            lone: self.alone(load(len_bytes, 1)).mean(),
        };
        ClassCost::through(
            (SMALL_BYTES, quote(SMALL_BYTES)),
            (LARGE_BYTES, quote(LARGE_BYTES)),
        )
    }

    /// A flush that has something to make durable: a small write before each. Flushes that meet
    /// share their programs, so in a crowd one takes little more than its command.
    fn flush_class(&self) -> ClassCost {
        let write = Load::random(Operation::Write, SMALL_BYTES, 1);
        let flush = Load {
            flushes: true,
            ..write
        };
        let pair = self.sustained(Load {
            depth: DEEP,
            ..flush
        });
        let alone = self.sustained(Load {
            depth: DEEP,
            ..write
        });
        let write = alone.time_per_request();
        let empty = self.sustained(Load::random(Operation::Flush, 0, DEEP));
        let occupancy = pair.time_per_request().saturating_sub(write);
        ClassCost {
            occupancy_base: occupancy.max(empty.time_per_request()),
            occupancy_per_mib: Nanos::ZERO,
            lone_base: self.alone(flush).mean(),
            lone_per_mib: Nanos::ZERO,
        }
    }
}
