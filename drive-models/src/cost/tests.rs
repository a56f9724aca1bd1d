//! Prices of the linear cost model and of the one of devices that overlap requests.

use super::*;

const COST: LinearCost = LinearCost {
    read_base: Nanos(10),
    read_per_mib: Nanos(1 << 20),
    write_base: Nanos(20),
    write_per_mib: Nanos(2 << 20),
    flush: Nanos(500),
};

#[test]
fn each_operation_has_its_price() {
    let model = CostModel::Linear(COST);
    let price = |operation, durable| model.price(operation, 4096, durable).0;
    assert_eq!(price(Operation::Read, false), 10 + 4096);
    assert_eq!(price(Operation::Write, false), 20 + 8192);
    assert_eq!(price(Operation::WriteZeroes, false), 20 + 8192);
    assert_eq!(price(Operation::Discard, false), 20);
    assert_eq!(price(Operation::Flush, false), 500);
}

#[test]
fn a_durable_write_pays_a_flush_and_a_durable_read_does_not() {
    let model = CostModel::Linear(COST);
    assert_eq!(
        model.price(Operation::Write, 0, true),
        COST.write_base + COST.flush
    );
    assert_eq!(model.price(Operation::Read, 0, true), COST.read_base);
    assert_eq!(model.price(Operation::Discard, 0, true), COST.write_base);
}

#[test]
fn no_request_is_free_and_no_price_overflows() {
    let free = LinearCost {
        read_base: Nanos::ZERO,
        read_per_mib: Nanos::ZERO,
        write_per_mib: Nanos::MAX,
        ..COST
    };
    let model = CostModel::Linear(free);
    assert_eq!(model.price(Operation::Read, 1 << 30, false), Nanos(1));
    assert_eq!(model.price(Operation::Write, u64::MAX, false), Nanos::MAX);
}

fn class(scale: u64) -> ClassCost {
    ClassCost {
        occupancy_base: Nanos(scale),
        occupancy_per_mib: Nanos(256 * scale),
        lone_base: Nanos(10 * scale),
        lone_per_mib: Nanos(512 * scale),
    }
}

fn overlapping() -> OverlapCost {
    OverlapCost {
        random_read: class(1000),
        sequential_read: class(500),
        random_write: class(3000),
        sequential_write: class(2000),
        discard: class(7000),
        flush: class(20_000),
        occupancy_bound: Nanos(150_000),
        settle: Nanos(300_000),
        fast_read_percent: 100,
    }
}

#[test]
fn a_linear_device_takes_alone_what_it_takes_among_others() {
    let model = CostModel::Linear(COST);
    for operation in [Operation::Read, Operation::Write, Operation::Flush] {
        for sequential in [false, true] {
            let quote = model.quote(operation, 4096, true, sequential);
            assert_eq!(quote.occupancy, model.price(operation, 4096, true));
            assert_eq!(quote.lone, quote.occupancy);
        }
    }
    assert_eq!(model.settle(), Nanos::ZERO);
}

#[test]
fn a_linear_device_is_full_with_two_small_reads_or_one_quantum_and_a_tenth() {
    let model = CostModel::Linear(COST);
    // A read of 4 KiB takes 4,106 ns and one of 8 KiB 8,202 ns.
    assert_eq!(model.occupancy_bound(4096), Nanos(2 * 4106));
    assert_eq!(model.occupancy_bound(8192), Nanos(8202 + 820));
}

#[test]
fn each_class_of_an_overlapping_device_has_its_prices() {
    let model = CostModel::Overlapping(overlapping());
    // 4 KiB are 1/256 MiB, so a class of scale s takes 2 s, and 12 s alone.
    let quote = |operation, sequential| {
        let quote = model.quote(operation, 4096, false, sequential);
        (quote.occupancy.0, quote.lone.0)
    };
    assert_eq!(quote(Operation::Read, false), (2000, 12_000));
    assert_eq!(quote(Operation::Read, true), (1000, 6000));
    assert_eq!(quote(Operation::Write, false), (6000, 36_000));
    assert_eq!(quote(Operation::WriteZeroes, true), (4000, 24_000));
    assert_eq!(quote(Operation::Discard, false), (14_000, 84_000));
    assert_eq!(quote(Operation::Flush, false), (20_000, 200_000));
    assert_eq!(model.occupancy_bound(1 << 20), Nanos(150_000));
    assert_eq!(model.settle(), Nanos(300_000));
}

#[test]
fn a_durable_write_on_an_overlapping_device_takes_a_flush_more() {
    let model = CostModel::Overlapping(overlapping());
    let quote = model.quote(Operation::Write, 4096, true, false);
    assert_eq!(quote.occupancy, Nanos(6000 + 20_000));
    assert_eq!(quote.lone, Nanos(36_000 + 200_000));
}

#[test]
fn a_request_alone_never_takes_less_than_its_occupancy_nor_than_a_nanosecond() {
    let short = ClassCost {
        occupancy_per_mib: Nanos(4 << 20),
        ..class(0)
    };
    assert_eq!(short.quote(0).lone, Nanos(1));
    assert_eq!(short.quote(4096).occupancy, Nanos(16_384));
    assert_eq!(short.quote(4096).lone, Nanos(16_384));
}

#[test]
fn a_per_cent_scales_every_price_and_bound() {
    let CostModel::Overlapping(half) = CostModel::Overlapping(overlapping()).in_percent(50) else {
        panic!("the kind of the cost model changed");
    };
    assert_eq!(half.random_read, class(500));
    assert_eq!(half.sequential_read, class(250));
    assert_eq!(half.random_write, class(1500));
    assert_eq!(half.sequential_write, class(1000));
    assert_eq!(half.discard, class(3500));
    assert_eq!(half.flush, class(10_000));
    assert_eq!(half.occupancy_bound, Nanos(75_000));
    assert_eq!(half.settle, Nanos(150_000));
}
