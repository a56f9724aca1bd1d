//! Least estimated positioning time inside a stream, on modelled hard disks: what it is worth
//! against a sweep, with the disk's map and with what the scheduler learns by itself.

mod common;

use common::{settings, write};
use disktime_disks::{DiskProperties, Operation, Store, VirtualDisk};
use disktime_drive_models::{HddModel, preset};
use disktime_engine::{DiskLoop, Io, Order, StreamConfig, StreamId};
use disktime_random::SplitMix64;
use disktime_units::Nanos;

const DRIVE: &str = "desktop-7200-2008";
const SIZE_BYTES: u64 = 64 << 30;
const REQUESTS: u64 = 6_000;

#[derive(Debug)]
struct Outcome {
    /// Requests a second.
    rate: f64,
    longest: Nanos,
}

/// Random 4 KiB reads of one closed loop over the first part of the disk.
fn random_reads(order: Order, depth: u64, part: u64, has_map: bool) -> Outcome {
    let (parameters, _) = preset(DRIVE).expect("the preset exists");
    let model = HddModel::scaled_to(&parameters, SIZE_BYTES).expect("the size is possible");
    let properties = DiskProperties::of_drive(model.properties(), DRIVE.to_owned());
    let positioning = properties.positioning.clone().filter(|_| has_map);
    let properties = DiskProperties {
        positioning,
        ..properties
    };
    let disk = VirtualDisk::new(model, properties, Store::None);
    let mut disk_loop = DiskLoop::new(disk, settings(order));
    let stream = disk_loop.add_stream(Nanos::ZERO, StreamConfig::BEST_EFFORT);
    let (mut random, mut now, mut done) = (SplitMix64::new(7), Nanos::ZERO, Vec::new());
    let mut issued = Vec::new();
    let (mut longest, mut answered) = (Nanos::ZERO, 0);
    for tag in 0..depth {
        issued.push(now);
        disk_loop.submit(now, read(tag, stream, part, &mut random));
    }
    while answered < REQUESTS {
        disk_loop.turn(now, &mut done);
        for io in std::mem::take(&mut done) {
            let began = &mut issued[io.tag as usize];
            longest = longest.max(now - *began);
            *began = now;
            answered += 1;
            disk_loop.submit(now, read(io.tag, stream, part, &mut random));
        }
        if disk_loop.next_wake().is_none() {
            disk_loop.turn(now, &mut done);
        }
        now = disk_loop.next_wake().expect("requests are in flight");
    }
    let rate = answered as f64 / now.as_secs_f64();
    Outcome { rate, longest }
}

fn read(tag: u64, stream: StreamId, part: u64, random: &mut SplitMix64) -> Io {
    Io {
        operation: Operation::Read,
        buffer: None,
        ..write(tag, stream, random.below(SIZE_BYTES / part / 4096) * 4096)
    }
}

/// What the order is worth: the ratio of requests a second to the sweep's, for a vdisk of one
/// `part`th of the disk.
fn gain(depth: u64, part: u64, has_map: bool) -> f64 {
    let sweep = random_reads(Order::Sweep, depth, part, has_map);
    let least = random_reads(Order::LeastPositioning, depth, part, has_map);
    let gain = least.rate / sweep.rate;
    println!(
        "1/{part} of the disk, depth {depth}, {}: sweep {:.1}/s (longest {}), least positioning \
         {:.1}/s (longest {}): {gain:.3}",
        if has_map { "map" } else { "learning" },
        sweep.rate,
        sweep.longest,
        least.rate,
        least.longest
    );
    // Four times the queue may be passed over, 64 at least, and others may be overdue as well.
    let bound = (2.0 * 64f64.max(4.0 * depth as f64) + depth as f64) / least.rate;
    let longest = least.longest.as_secs_f64();
    assert!(longest <= bound, "{longest:.2} s, allowed {bound:.2} s");
    gain
}

#[test]
fn with_the_disks_map_random_streams_get_far_more_than_from_a_sweep() {
    for (depth, part, due) in [
        (8, 12, 1.4),
        (32, 12, 1.7),
        (8, 6, 1.3),
        (32, 6, 1.6),
        (8, 1, 1.1),
        (32, 1, 1.2),
    ] {
        let gain = gain(depth, part, true);
        assert!(
            gain >= due,
            "1/{part} of the disk, depth {depth}: {gain:.3} times the sweep, due {due}"
        );
    }
}

#[test]
fn learning_by_distance_costs_little_against_a_sweep() {
    for (depth, part) in [(8, 1), (8, 6), (32, 6)] {
        let gain = gain(depth, part, false);
        assert!(gain >= 0.95, "depth {depth}: {gain:.3} times the sweep");
    }
}
