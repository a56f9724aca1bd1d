//! Unit tests of `private_device`.

use super::*;

const OCCUPANCY: Nanos = Nanos(3_000);
const LONE: Nanos = Nanos(71_000);

/// Solo time of `count` requests of a client that keeps `depth` outstanding.
fn solo_of(depth: usize, count: usize) -> u64 {
    let mut device = PrivateDevice::default();
    let mut outstanding = std::collections::VecDeque::new();
    for _ in 0..depth {
        outstanding.push_back(device.admit(OCCUPANCY, LONE));
    }
    for _ in 0..count {
        device.receive(outstanding.pop_front().expect("the depth is at least 1"));
        outstanding.push_back(device.admit(OCCUPANCY, LONE));
    }
    device.received().0
}

#[test]
fn a_lone_request_adds_its_lone_latency() {
    assert_eq!(solo_of(1, 1000), 1000 * LONE.0);
}

#[test]
fn deep_clients_receive_the_occupancy_of_each_request() {
    let each = solo_of(64, 6400) as f64 / 6400.0;
    assert!((each - OCCUPANCY.0 as f64).abs() < 30.0, "{each}");
}

#[test]
fn between_them_the_pipe_is_filled_by_the_depth() {
    // Four requests are answered in each 71 us.
    let each = solo_of(4, 4000) as f64 / 4000.0;
    assert!((each - LONE.0 as f64 / 4.0).abs() < 200.0, "{each}");
}

#[test]
fn what_is_added_telescopes_whatever_the_order_of_completions() {
    let sizes = [4096u64, 131_072, 4096, 65_536, 8192, 4096];
    let admit = |device: &mut PrivateDevice, bytes: u64| {
        device.admit(Nanos(2_000 + bytes / 3), Nanos(60_000 + bytes / 2))
    };
    let mut device = PrivateDevice::default();
    let mut added: Vec<Nanos> = sizes
        .iter()
        .map(|bytes| admit(&mut device, *bytes))
        .collect();
    added.reverse();
    for part in &added {
        device.receive(*part);
    }
    let mut in_order = PrivateDevice::default();
    let parts: Vec<Nanos> = sizes
        .iter()
        .map(|bytes| admit(&mut in_order, *bytes))
        .collect();
    for part in parts {
        in_order.receive(part);
    }
    assert_eq!(device.received(), in_order.received());
    assert_eq!(device.received(), device.last_answer);
}
