//! Prices of the linear cost model.

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
