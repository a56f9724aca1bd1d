//! The plan of a device with seeks: one request at a time, and seeks by distance.

use super::{Job, Part, PlanOptions, ROUNDS, SMALL_BYTES, Weighted, probe};
use crate::probe::{DeviceFacts, Places, Probe};
use disktime_drive_models::Operation;

/// Longest request that goes to such a device in one piece.
pub(crate) const QUANTUM_BYTES: u64 = 512 << 10;

/// Distances in thousandths of the disk.
pub(crate) const DISTANCES: [u64; 9] = [1, 5, 20, 50, 100, 200, 400, 700, 950];

pub(super) fn steps(facts: &DeviceFacts, options: PlanOptions) -> (u64, Vec<Weighted>) {
    let mut list = Vec::new();
    let mut push = |weight, part, probe: Probe| list.push((weight, part, Job::Probe(probe)));
    let operations: &[Operation] = if options.writes {
        &[Operation::Read, Operation::Write]
    } else {
        &[Operation::Read]
    };
    for _ in 0..ROUNDS {
        for &operation in operations {
            for len_bytes in [SMALL_BYTES, QUANTUM_BYTES] {
                for places in [Places::Random, Places::Sequential] {
                    push(4, Part::Alone, probe(operation, places, len_bytes, 1));
                }
            }
        }
        if options.writes {
            let flush = Probe {
                flushes: true,
                ..probe(Operation::Write, Places::Random, SMALL_BYTES, 1)
            };
            push(4, Part::Alone, flush);
        }
        for thousandths in DISTANCES {
            let places = Places::Apart(facts.size_bytes / 1000 * thousandths);
            push(
                5,
                Part::Seeks,
                probe(Operation::Read, places, SMALL_BYTES, 1),
            );
        }
    }
    let again = probe(Operation::Read, Places::Random, SMALL_BYTES, 1);
    push(4, Part::Again, again);
    (QUANTUM_BYTES, list)
}
