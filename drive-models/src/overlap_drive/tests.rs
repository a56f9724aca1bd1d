//! The presets against what was measured on the drives, and their prices against their models.

use super::*;
use crate::{Load, ModelRequest, Operation, Probe};
use disktime_random::SplitMix64;

fn drive(name: &str) -> OverlapDrive {
    OverlapDrive::find(name).expect("a preset")
}

const MIB: u64 = 1 << 20;
const LARGE: u64 = 128 << 10;

/// Requests each second with many in flight.
fn rate(name: &str, load: Load) -> u64 {
    drive(name).sustained(load).per_second()
}

/// Whether a figure is within so many per cent of what was published.
#[track_caller]
fn near(figure: u64, published: u64, percent: u64) {
    assert!(
        figure.abs_diff(published) * 100 <= published * percent,
        "{figure} is not within {percent} % of {published}"
    );
}

fn reads(len_bytes: u64) -> Load {
    Load::random(Operation::Read, len_bytes, 128)
}

fn writes(len_bytes: u64) -> Load {
    Load::random(Operation::Write, len_bytes, 128)
}

#[test]
fn the_nvme_drive_reaches_what_was_measured_on_a_970_pro() {
    let name = "nvme-970pro";
    near(rate(name, reads(4096)), 377_000, 10);
    near(
        rate(name, Load::sequential(Operation::Read, 4096, 128)),
        344_000,
        10,
    );
    near(rate(name, writes(4096)), 252_000, 10);
    let megabytes = |load: Load| rate(name, load) * load.len_bytes / 1_000_000;
    near(megabytes(reads(LARGE)), 3352, 10);
    near(megabytes(writes(LARGE)), 2209, 10);
    near(drive(name).alone(reads(4096)).mean().0, 71_000, 10);
}

#[test]
fn the_sata_drive_reaches_what_was_measured_on_an_870() {
    let name = "sata-870";
    near(rate(name, reads(4096)), 98_500, 10);
    near(
        rate(name, Load::sequential(Operation::Read, 4096, 128)),
        98_200,
        10,
    );
    near(rate(name, writes(4096)), 93_000, 10);
    let megabytes = |load: Load| rate(name, load) * load.len_bytes / 1_000_000;
    near(megabytes(reads(LARGE)), 572, 10);
    near(megabytes(writes(LARGE)), 540, 10);
}

#[test]
fn the_cheap_drive_writes_fast_only_as_long_as_its_cache_has_room() {
    let cheap = drive("cheap-qlc");
    let megabytes = |probe: Probe| {
        let measured = probe.run(&mut cheap.model(1), &[writes(LARGE)]);
        measured[0].per_second() * LARGE / 1_000_000
    };
    let probe = |warm_up, duration| {
        let millis = Nanos::from_millis;
        megabytes(Probe::new(
            cheap.queue_depth(),
            millis(warm_up),
            millis(duration),
        ))
    };
    near(probe(20, 200), 920, 10);
    near(probe(1000, 500), 236, 10);
    near(
        rate("cheap-qlc-gc", writes(LARGE)) * LARGE / 1_000_000,
        75,
        10,
    );
}

#[test]
fn the_cloud_volume_keeps_to_its_limits() {
    near(rate("cloud-16k", reads(4096)), 16_000, 2);
    near(rate("cloud-16k", writes(LARGE)) * LARGE / 1_000_000, 250, 2);
    let bursting = drive("cloud-16k-burst");
    let probe = Probe::new(1024, Nanos::from_millis(100), Nanos::from_millis(900));
    let burst = probe.run(&mut bursting.model(1), &[reads(4096)]);
    near(burst[0].per_second(), 16_000, 2);
    near(rate("cloud-16k-burst", reads(4096)), 4000, 2);
}

/// Prices are what probes of the model measure.
#[test]
fn the_prices_of_each_preset_are_those_that_probes_measure() {
    for name in OverlapDrive::names() {
        let drive = drive(name);
        let measured = drive.measured_cost();
        let classes = |cost: &OverlapCost| {
            [
                cost.random_read,
                cost.sequential_read,
                cost.random_write,
                cost.sequential_write,
                cost.discard,
                cost.flush,
            ]
        };
        for (given, found) in classes(&drive.cost).into_iter().zip(classes(&measured)) {
            for len_bytes in [4096, LARGE] {
                near(
                    given.quote(len_bytes).occupancy.0,
                    found.quote(len_bytes).occupancy.0,
                    5,
                );
                near(
                    given.quote(len_bytes).lone.0,
                    found.quote(len_bytes).lone.0,
                    5,
                );
            }
        }
        near(drive.cost.occupancy_bound.0, measured.occupancy_bound.0, 5);
        assert_eq!(drive.cost.settle, measured.settle, "{name}");
        near(
            drive.cost.fast_read_percent.into(),
            measured.fast_read_percent.into(),
            3,
        );
    }
}

/// Between the two lengths that the prices come from, they are near what the model does.
#[test]
fn occupancies_of_other_lengths_are_near_the_line() {
    for name in OverlapDrive::names() {
        let drive = drive(name);
        for len_bytes in [16 << 10, 64 << 10] {
            let price = drive.cost.random_read.quote(len_bytes).occupancy;
            let found = drive.sustained(reads(len_bytes)).time_per_request();
            assert!(
                price.0 * 100 > found.0 * 95 && price.0 * 100 < found.0 * 170,
                "{name}: {len_bytes} bytes are priced {price} and take {found}"
            );
        }
    }
}

/// The published shape: what a victim with two random reads in flight waits beside an aggressor
/// rises with the aggressor's depth, about sixteenfold at 256.
#[test]
fn interference_grows_with_the_depth_of_the_aggressor() {
    let nvme = drive("nvme-970pro");
    let probe = Probe::new(1024, Nanos::from_millis(20), Nanos::from_millis(200));
    let mut means = Vec::new();
    for depth in [2, 4, 8, 16, 32, 64, 128, 256] {
        let victim = Load::random(Operation::Read, 4096, 2);
        let aggressor = Load::random(Operation::Read, 4096, depth);
        let measured = probe.run(&mut nvme.model(1), &[victim, aggressor]);
        means.push(measured[0].mean().0);
    }
    assert!(means.is_sorted(), "{means:?}");
    let growth = |shallow: usize, deep: usize| means[deep] * 100 / means[shallow];
    assert!(growth(0, 3) < 160, "little happens up to 16: {means:?}");
    assert!((700..2000).contains(&growth(0, 7)), "{means:?}");
    // In the end it is a queue: twice the depth, nearly twice the time.
    assert!((160..=210).contains(&growth(6, 7)), "{means:?}");
}

/// W is what the figures say: no request of the quantum takes longer alone with σ for what writes
/// left behind, nor does a flush, which waits for programs anyway; nothing was added for safety.
#[test]
fn the_worst_case_of_each_preset_follows_from_its_figures_and_covers_a_request_alone() {
    for name in OverlapDrive::names() {
        let drive = drive(name);
        let quantum = u64::from(drive.properties(1 << 40).quantum_bytes);
        let derived = drive.worst_case;
        let published = match name {
            "nvme-970pro" => 700,
            "sata-870" => 1500,
            "cheap-qlc" => 4700,
            "cheap-qlc-gc" => 27_500,
            "cloud-16k" => 2600,
            _ => 4100,
        };
        assert_eq!(derived, Nanos::from_micros(published), "{name}");
        let flush = Load {
            flushes: true,
            ..writes(quantum)
        };
        let longest = |load| drive.alone(load).max();
        let moving = longest(reads(quantum)).max(longest(writes(quantum)));
        let bound = (moving + drive.cost.settle).max(longest(flush));
        assert!(bound <= derived, "{name}: {bound}");
        // The probe does not see what a volume takes when its credit is used up, nor two programs
        // on one die, nor what garbage collection does when the buffer is full.
        let factor = if name == "cheap-qlc-gc" { 42 } else { 21 };
        assert!(
            derived.0 * 10 < factor * bound.0,
            "{name}: W is far more than what is needed: {bound}"
        );
    }
}

#[test]
fn a_slowed_model_does_less() {
    let nvme = drive("nvme-970pro");
    let slowdown = Slowdown {
        from: Nanos::ZERO,
        until: Nanos::MAX,
        percent: 300,
    };
    let probe = Probe::new(1024, Nanos::from_millis(10), Nanos::from_millis(100));
    let slowed = probe.run(&mut nvme.slowed_model(1, slowdown), &[reads(4096)]);
    let usual = probe.run(&mut nvme.model(1), &[reads(4096)]);
    near(slowed[0].per_second() * 3, usual[0].per_second(), 5);
}

#[test]
fn properties_are_those_of_a_drive_without_seeks() {
    for name in OverlapDrive::names() {
        let properties = drive(name).properties(10 * MIB + 1);
        assert_eq!(properties.size_bytes, 10 * MIB);
        assert!(!properties.has_seeks && properties.discards);
        assert!(properties.max_in_flight >= 32);
        assert_eq!(properties.quantum_bytes, 128 << 10);
    }
    assert!(OverlapDrive::find("nvme").is_none());
}

/// The longest read of the quantum that is sent as soon as the occupancy of the writes before it
/// has run off, as a scheduler holds it (a quarter longer than its price), and σ later.
fn reads_behind_writes(drive: &OverlapDrive, len_bytes: u64, seed: u64) -> (Nanos, Nanos) {
    let mut model = drive.model(seed);
    let mut random = SplitMix64::new(seed);
    let (mut now, mut longest) = (Nanos::ZERO, [Nanos::ZERO; 2]);
    let mut submit = |model: &mut dyn OverlapModel, now, operation, len_bytes| {
        let offset_bytes = random.below(1 << 20) * LARGE;
        model.submit(
            now,
            ModelRequest {
                tag: 0,
                operation,
                offset_bytes,
                len_bytes,
                durable: false,
            },
        );
    };
    let price = drive.cost.random_write.quote(len_bytes).occupancy;
    let hold = Nanos(price.0 + price.0 / 4);
    for round in 0..100 {
        // A burst of 20 ms, kept to the bound H; then the reads.
        let end = now + Nanos::from_millis(20);
        let mut held_until = now;
        while now < end {
            submit(&mut *model, now, Operation::Write, len_bytes);
            held_until = held_until.max(now) + hold;
            while model.pop_completion(now).is_some() {}
            let room = held_until.saturating_sub(drive.cost.occupancy_bound);
            now = now.max(room);
        }
        let settled = [Nanos::ZERO, drive.cost.settle][round % 2];
        now = held_until + settled;
        while model.pop_completion(now).is_some() {}
        assert_eq!(model.next_completion(), None, "writes are answered by then");
        submit(&mut *model, now, Operation::Read, LARGE);
        let done = model.pop_completion(Nanos::MAX).expect("the read ends");
        longest[round % 2] = longest[round % 2].max(done.at - now);
        now = done.at + Nanos::from_millis(1);
    }
    (longest[0], longest[1])
}

#[test]
fn reads_behind_writes_keep_to_w_and_are_normal_after_sigma() {
    for name in ["nvme-970pro", "sata-870", "cheap-qlc", "cheap-qlc-gc"] {
        let drive = drive(name);
        let normal = drive.alone(reads(LARGE)).max();
        for len_bytes in [4096, 64 << 10, LARGE] {
            let (at_once, settled) = reads_behind_writes(&drive, len_bytes, 0);
            let shown = format!("{name}, writes of {len_bytes}: {at_once}, later {settled}");
            assert!(at_once <= drive.worst_case, "{shown}");
            // Collected programs pile up on one die beyond σ; W covers that.
            if name != "cheap-qlc-gc" {
                assert_eq!(settled, normal, "{shown}");
            }
        }
    }
}
