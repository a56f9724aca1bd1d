//! What is assumed of a disk without a profile: figures that a device does not report.
//!
//! Four kinds: a hard disk, a SATA SSD with one request at a time, a SATA SSD that overlaps
//! requests, and memory. Invariant: the same options give the same figures, before a disk is opened
//! and after. What is not known here: the device.

use crate::{ClassCost, CostModel, LinearCost, Medium, OverlapCost};
use disktime_units::Nanos;
use std::fmt;

/// Requests in flight on a device without seeks.
const DEPTH: usize = 32;
/// The longest request to a device that overlaps them: what is in it has to be done before a stream
/// can have it alone.
const OVERLAPPING_QUANTUM_BYTES: u32 = 128 << 10;

/// The figures.
#[derive(Debug, Clone)]
pub(crate) struct Defaults {
    kind: &'static str,
    pub(crate) worst_case: Nanos,
    pub(crate) switch_cost: Nanos,
    pub(crate) worst_seek: Nanos,
    pub(crate) cost: CostModel,
    pub(crate) quantum_bytes: u32,
    pub(crate) depth: usize,
}

impl Defaults {
    /// Those of a disk on that medium. `max_in_flight` is what the user says.
    pub(crate) fn of(medium: &Medium, has_seeks: bool, max_in_flight: Option<usize>) -> Defaults {
        if has_seeks {
            Defaults::hard_disk()
        } else if max_in_flight == Some(1) {
            Defaults::one_at_a_time()
        } else {
            match medium {
                Medium::Path(_) => Defaults::solid_state(),
                Medium::Memory | Medium::Null => Defaults::memory(),
            }
        }
    }

    /// A 7200 rpm disk of about 100 MB/s: half a turn is 4.2 ms, the mean seek 8.5 ms.
    fn hard_disk() -> Defaults {
        let access = Nanos::from_micros(12_700);
        let per_mib = Nanos::from_micros(10_500);
        Defaults {
            kind: "a 7200 rpm hard disk",
            worst_case: Nanos::from_millis(35),
            switch_cost: access,
            worst_seek: Nanos::from_micros(25_300),
            cost: CostModel::Linear(LinearCost {
                read_base: access,
                read_per_mib: per_mib,
                write_base: access,
                write_per_mib: per_mib,
                flush: access,
            }),
            quantum_bytes: 512 << 10,
            depth: 1,
        }
    }

    /// A plain SATA drive: 500 and 400 MB/s, 90 and 80 thousand reads and writes of 4 KiB a second.
    fn one_at_a_time() -> Defaults {
        Defaults {
            kind: "a SATA SSD with one request at a time",
            worst_case: Nanos::from_millis(20),
            switch_cost: Nanos::ZERO,
            worst_seek: Nanos::ZERO,
            cost: CostModel::Linear(LinearCost {
                read_base: base_cost(90_000, 500_000_000),
                read_per_mib: per_mib(500_000_000),
                write_base: base_cost(80_000, 400_000_000),
                write_per_mib: per_mib(400_000_000),
                flush: Nanos::from_millis(1),
            }),
            quantum_bytes: 1 << 20,
            depth: DEPTH,
        }
    }

    /// The same drive with many requests, and alone. Rates are somewhat below the data sheet of a
    /// common one (Samsung 870 EVO: 98 and 88 thousand operations with 32 in flight, 560 and 530
    /// MB/s; 13 and 36 thousand with one). σ is about twice a program of three-bit flash, as many
    /// may be queued on a die. No data sheet bounds a request: W allows for the collection of
    /// garbage and for a flush; `overruns` of the status counts those that took longer.
    fn solid_state() -> Defaults {
        let read = ClassCost {
            occupancy_base: base_cost(90_000, 500_000_000),
            occupancy_per_mib: per_mib(500_000_000),
            lone_base: Nanos::from_micros(100),
            lone_per_mib: Nanos::from_micros(2_400),
        };
        let write = ClassCost {
            occupancy_base: base_cost(80_000, 400_000_000),
            occupancy_per_mib: per_mib(400_000_000),
            lone_base: Nanos::from_micros(35),
            lone_per_mib: per_mib(400_000_000),
        };
        Defaults {
            kind: "a SATA SSD",
            worst_case: Nanos::from_millis(10),
            switch_cost: Nanos::ZERO,
            worst_seek: Nanos::ZERO,
            cost: CostModel::Overlapping(OverlapCost {
                random_read: read,
                sequential_read: read,
                random_write: write,
                sequential_write: write,
                discard: fixed(Nanos::from_micros(50), Nanos::from_micros(100)),
                flush: fixed(Nanos::from_micros(50), Nanos::from_millis(1)),
                // 1.1 reads of 128 KiB alone.
                occupancy_bound: Nanos::from_micros(440),
                settle: Nanos::from_millis(1),
                fast_read_percent: 100,
            }),
            quantum_bytes: OVERLAPPING_QUANTUM_BYTES,
            depth: DEPTH,
        }
    }

    /// Copying at 10 GB/s, and the turn of the loop that a request takes. Nothing collides in
    /// memory, so H is as much as many clients keep in flight. W allows for a thread that does not
    /// run for a time slice of the kernel's.
    fn memory() -> Defaults {
        let copy = ClassCost {
            occupancy_base: Nanos::from_micros(1),
            occupancy_per_mib: per_mib(10_000_000_000),
            lone_base: Nanos::from_micros(5),
            lone_per_mib: per_mib(10_000_000_000),
        };
        Defaults {
            kind: "memory",
            worst_case: Nanos::from_millis(2),
            switch_cost: Nanos::ZERO,
            worst_seek: Nanos::ZERO,
            cost: CostModel::Overlapping(OverlapCost {
                random_read: copy,
                sequential_read: copy,
                random_write: copy,
                sequential_write: copy,
                discard: copy,
                flush: fixed(Nanos::from_micros(1), Nanos::from_micros(5)),
                occupancy_bound: Nanos::from_micros(200),
                settle: Nanos::ZERO,
                fast_read_percent: 100,
            }),
            quantum_bytes: OVERLAPPING_QUANTUM_BYTES,
            depth: DEPTH,
        }
    }
}

/// The kind, and where requests overlap its prices; W and s are named by the caller, who may know
/// better.
impl fmt::Display for Defaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind)?;
        let CostModel::Overlapping(cost) = &self.cost else {
            return Ok(());
        };
        let small = cost.random_read.quote(4096);
        write!(
            f,
            " of which a read of 4 KiB alone takes {}, and one of many {}; full with {} of work; \
             settled {} after writes",
            small.lone, small.occupancy, cost.occupancy_bound, cost.settle
        )
    }
}

/// The prices of a request whose length does not matter.
const fn fixed(occupancy: Nanos, lone: Nanos) -> ClassCost {
    ClassCost {
        occupancy_base: occupancy,
        occupancy_per_mib: Nanos::ZERO,
        lone_base: lone,
        lone_per_mib: Nanos::ZERO,
    }
}

/// `1 / iops - 4096 / bytes_per_second`, at least nothing.
fn base_cost(iops_4k: u64, bytes_per_second: u64) -> Nanos {
    let whole = 1_000_000_000 / iops_4k;
    Nanos(whole.saturating_sub(4096 * 1_000_000_000 / bytes_per_second))
}

fn per_mib(bytes_per_second: u64) -> Nanos {
    Nanos((1 << 20) * 1_000_000_000 / bytes_per_second)
}

#[cfg(test)]
mod tests;
