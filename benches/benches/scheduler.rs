//! What a decision costs, for criterion; see `disktime_benches::decision` for what is in it.
//!
//! Measured with 10, 100 and 1,000 active streams that have 80 % of the disk together, with 1,000
//! that have all of it, and with 100,000 of which 1,000 are active.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use disktime_benches::decision::{DecisionBench, Device};
use disktime_units::Share;

fn decisions(criterion: &mut Criterion) {
    for device in [Device::HardDisk, Device::Flash, Device::Overlapping] {
        let mut group = criterion.benchmark_group(format!("decision, {}", device.name()));
        for (registered, active, percent) in [
            (10, 10, 80),
            (100, 100, 80),
            (1_000, 1_000, 80),
            (1_000, 1_000, 100),
            (100_000, 1_000, 80),
        ] {
            let parameter = format!("{active} of {registered}, {percent} % reserved");
            let id = BenchmarkId::from_parameter(parameter);
            let used = Share::from_percent(percent);
            let mut bench = DecisionBench::new(device, registered, active, used);
            group.bench_function(id, |bencher| bencher.iter(|| bench.step()));
        }
        group.finish();
    }
}

criterion_group!(benches, decisions);
criterion_main!(benches);
