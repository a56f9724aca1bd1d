//! Unit tests of `priced`.

use super::*;
use crate::ClassCost;

const fn class(occupancy_us: u64, lone_us: u64) -> ClassCost {
    ClassCost {
        occupancy_base: Nanos::from_micros(occupancy_us),
        occupancy_per_mib: Nanos::ZERO,
        lone_base: Nanos::from_micros(lone_us),
        lone_per_mib: Nanos::ZERO,
    }
}

fn model() -> PricedModel {
    PricedModel::new(OverlapCost {
        random_read: class(10, 100),
        sequential_read: class(5, 60),
        random_write: class(20, 30),
        sequential_write: class(20, 30),
        discard: class(1, 1),
        flush: class(2, 500),
        occupancy_bound: Nanos::from_micros(200),
        settle: Nanos::ZERO,
        fast_read_percent: 100,
    })
}

fn read(tag: u64, offset_bytes: u64) -> ModelRequest {
    ModelRequest {
        tag,
        operation: Operation::Read,
        offset_bytes,
        len_bytes: 4096,
        durable: false,
    }
}

/// When each request of these ends, in microseconds, submitted at once.
fn ends(requests: &[ModelRequest]) -> Vec<(u64, u64)> {
    let mut model = model();
    for request in requests {
        model.submit(Nanos::ZERO, *request);
    }
    let mut done = Vec::new();
    while let Some(at) = model.next_completion() {
        let completion = model.pop_completion(at).expect("it is due");
        done.push((completion.tag, completion.at.0 / 1_000));
    }
    done
}

#[test]
fn alone_a_request_takes_its_lone_latency_and_many_take_turns() {
    assert_eq!(ends(&[read(7, 0)]), [(7, 100)]);
    let far_apart: Vec<_> = (0..4).map(|tag| read(tag, tag << 30)).collect();
    assert_eq!(ends(&far_apart), [(0, 100), (1, 110), (2, 120), (3, 130)]);
}

#[test]
fn what_goes_on_where_the_last_ended_is_sequential() {
    assert_eq!(ends(&[read(0, 0), read(1, 4096)]), [(1, 70), (0, 100)]);
    // A write between them is of the other direction.
    let write = ModelRequest {
        operation: Operation::Write,
        ..read(2, 1 << 30)
    };
    let done = ends(&[read(0, 0), write, read(1, 4096)]);
    assert_eq!(done, [(2, 40), (1, 90), (0, 100)]);
}

#[test]
fn a_write_is_answered_before_it_is_worked_off() {
    let write = |tag| ModelRequest {
        operation: Operation::Write,
        ..read(tag, tag << 30)
    };
    assert_eq!(ends(&[write(0), read(1, 0)]), [(0, 30), (1, 120)]);
}

#[test]
fn nothing_ends_before_it_is_due() {
    let mut model = model();
    model.submit(Nanos::from_micros(5), read(0, 0));
    assert_eq!(model.pop_completion(Nanos::from_micros(104)), None);
    assert!(model.pop_completion(Nanos::from_micros(105)).is_some());
    assert_eq!(model.next_completion(), None);
}
