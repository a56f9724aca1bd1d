//! A run in slices of time: what each client had in each, and whether the drive was held to be
//! slow.
//!
//! What is not known here: what was done to the drive.

use super::device::OverlapDevice;
use super::run::OverlapRun;
use disktime_units::Nanos;

/// What happened in a slice.
#[derive(Debug, Clone)]
pub struct Slice {
    /// Requests of each client that were answered.
    pub requests: Vec<u64>,
    /// Whether the scheduler held the drive to be slower than its prices, at the slice's end.
    pub is_slow: bool,
}

/// Goes on with a run for so many slices.
pub fn in_slices<D: OverlapDevice>(
    run: &mut OverlapRun<D>,
    length: Nanos,
    count: usize,
) -> Vec<Slice> {
    let requests = |run: &OverlapRun<D>| -> Vec<u64> {
        run.results().iter().map(|one| one.requests).collect()
    };
    let mut before = requests(run);
    let slices = (0..count).map(|_| {
        run.run(run.now(), length);
        let all = requests(run);
        let new = all.iter().zip(&before).map(|(now, then)| now - then);
        let slice = Slice {
            requests: new.collect(),
            is_slow: run.scheduler().slowdown().is_some(),
        };
        before = all;
        slice
    });
    slices.collect()
}
