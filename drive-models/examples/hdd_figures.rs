//! Prints what the hard-disk presets do: reference means, the runs of Fig. 2 (RTAS 2008), how many
//! requests a second the model itself serves, and what a guess of positioning costs.
//!
//! `cargo run --release -p disktime-drive-models --example hdd_figures`

use disktime_drive_models::{HddModel, Operation, preset, preset_names};
use disktime_random::SplitMix64;
use disktime_units::Nanos;
use std::time::Instant;

fn main() {
    for name in preset_names() {
        let Some((parameters, provenance)) = preset(name) else {
            continue;
        };
        let model = HddModel::new(&parameters).expect("a preset is valid");
        let random = model.mean_random_read(4096);
        println!(
            "{name}: {:.2} ± {:.2} ms, W {}, s {}, R {} ({})",
            random.mean_ms,
            random.deviation_ms,
            model.worst_case(512 << 10),
            model.switch_cost(),
            model.worst_seek(),
            provenance.describe()
        );
        println!("  {:.0} ns a guess of positioning", guess_ns(&model));
        println!("  {:.2} million requests a second", speed(model) / 1e6);
    }
    let (parameters, _) = preset("desktop-7200-2008").expect("the preset exists");
    let model = HddModel::new(&parameters).expect("a preset is valid");
    println!("runs of n 4 KiB reads: n, ms, a second, the paper's fit");
    for length in [1, 4, 16, 17, 64, 256, 1000] {
        let n = length as f64;
        let fit = if length <= 16 {
            62.36 * n + 8.33
        } else {
            820.28 * n.ln() - 1114.3
        };
        let ms = run_ms(&model, length);
        let iops = n * 1e3 / ms;
        println!(
            "{length:5} {ms:8.2} {iops:8.1} {fit:8.1} {:+6.1} %",
            (iops / fit - 1.0) * 100.0
        );
    }
}

fn run_ms(model: &HddModel, length: u64) -> f64 {
    let (mut model, mut random) = (model.clone(), SplitMix64::new(7));
    let runs = 20_000 / length + 200;
    let places = model.size_bytes() / 4096 - length;
    let mut now = Nanos::ZERO;
    for _ in 0..runs {
        let first = random.below(places);
        for index in 0..length {
            now = model.serve(now, Operation::Read, (first + index) * 4096, 4096);
        }
    }
    now.as_millis_f64() / runs as f64
}

/// One look-up of a place and one estimate from it, as a scheduler does for each candidate.
fn guess_ns(model: &HddModel) -> f64 {
    let map = model.positioning_map();
    let mut random = SplitMix64::new(1);
    let offsets: Vec<u64> = (0..1024)
        .map(|_| random.below(model.size_bytes()))
        .collect();
    let (begin, guesses) = (Instant::now(), 4_000_000usize);
    let (mut now, mut from) = (Nanos::ZERO, map.place(0));
    for index in 0..guesses {
        let to = map.place(offsets[index % 1024]);
        now += map.positioning(now, from, to, false);
        from = to;
    }
    assert!(now > Nanos::ZERO);
    begin.elapsed().as_nanos() as f64 / guesses as f64
}

/// Half random, half in runs of 16; a quarter writes.
fn speed(mut model: HddModel) -> f64 {
    let mut random = SplitMix64::new(1);
    let places = model.size_bytes() / 4096 - 16;
    let (begin, requests) = (Instant::now(), 2_000_000u64);
    let (mut now, mut place) = (Nanos::ZERO, 0);
    for index in 0..requests {
        let jump = index % 32 < 16 || index % 16 == 0;
        place = if jump {
            random.below(places)
        } else {
            place + 1
        };
        let operation = if index % 128 < 32 {
            Operation::Write
        } else {
            Operation::Read
        };
        now = model.serve(now, operation, place * 4096, 4096);
    }
    requests as f64 / begin.elapsed().as_secs_f64()
}
