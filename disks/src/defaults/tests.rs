//! Unit tests of `defaults`.

use super::*;
use crate::Operation;
use std::path::PathBuf;

fn on_path(has_seeks: bool, max_in_flight: Option<usize>) -> Defaults {
    Defaults::of(&Medium::Path(PathBuf::new()), has_seeks, max_in_flight)
}

/// The longest of W and of the time that the disk takes to run empty.
fn longest(defaults: &Defaults) -> Nanos {
    let quantum = u64::from(defaults.quantum_bytes);
    let cost = &defaults.cost;
    let drain = cost.occupancy_bound(quantum) + cost.longest_alone(quantum) + cost.settle();
    defaults.worst_case.max(drain)
}

#[test]
fn the_prices_are_those_of_the_rates_they_name() {
    for depth in [Some(1), None] {
        let cost = on_path(false, depth).cost;
        let rate = |operation| 1_000_000_000 / cost.price(operation, 4096, false).0;
        assert!(rate(Operation::Read).abs_diff(90_000) < 100);
        assert!(rate(Operation::Write).abs_diff(80_000) < 100);
    }
}

#[test]
fn requests_overlap_where_several_may_be_in_flight_and_nothing_seeks() {
    let overlaps = |defaults: Defaults| {
        let overlaps = matches!(defaults.cost, CostModel::Overlapping(_));
        assert_eq!(
            overlaps,
            defaults.quantum_bytes == OVERLAPPING_QUANTUM_BYTES
        );
        overlaps
    };
    assert!(overlaps(on_path(false, None)));
    assert!(overlaps(on_path(false, Some(2))));
    assert!(!overlaps(on_path(false, Some(1))));
    assert!(!overlaps(on_path(true, None)));
    assert!(overlaps(Defaults::of(&Medium::Null, false, None)));
    assert!(!overlaps(Defaults::of(&Medium::Memory, false, Some(1))));
}

#[test]
fn a_file_can_promise_40_percent_of_100_ms_and_memory_5_percent() {
    // A reservation brings at least twice the longest of W and L in a period.
    let twice = |defaults: &Defaults| longest(defaults).0 * 2;
    assert!(twice(&on_path(false, None)) <= 40_000_000);
    assert!(twice(&Defaults::of(&Medium::Memory, false, None)) <= 5_000_000);
}

#[test]
fn nothing_alone_takes_longer_than_w() {
    for defaults in [
        on_path(false, None),
        Defaults::of(&Medium::Null, false, None),
    ] {
        let quantum = u64::from(defaults.quantum_bytes);
        let operations = [
            Operation::Read,
            Operation::Write,
            Operation::WriteZeroes,
            Operation::Discard,
            Operation::Flush,
        ];
        for operation in operations {
            let quote = defaults.cost.quote(operation, quantum, true, false);
            let alone = quote.lone + defaults.cost.settle();
            assert!(alone <= defaults.worst_case, "{operation:?} takes {alone}");
        }
    }
}

#[test]
fn what_is_assumed_is_said_in_numbers() {
    let said = on_path(false, None).to_string();
    let expected = "a SATA SSD of which a read of 4 KiB alone takes 109us, and one of many \
        11.1us; full with 440us of work; settled 1ms after writes";
    assert_eq!(said, expected);
    assert_eq!(on_path(true, None).to_string(), "a 7200 rpm hard disk");
}
