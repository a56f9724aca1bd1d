//! A batch waits for the clients of the one before: for how long, and what ends the wait.

use crate::driver::{Driver, geometry, settings};
use disktime_history::{Part, Settings, Step, UNIT_BYTES, WhenFull};
use disktime_random::SplitMix64;

const GATHER_NS: u64 = 1_000_000;

/// A log whose last batch had two changes, with one change that waits for a second one.
fn waiting() -> Driver {
    let settings = Settings {
        gather_ns: GATHER_NS,
        ..settings(1, WhenFull::Shorten)
    };
    let mut driver = Driver::new(geometry(32, 8, 64), settings);
    for lba in [0, 1] {
        let written = driver.write(lba, vec![1; UNIT_BYTES], false);
        written.expect("it is taken");
    }
    driver.run(&mut SplitMix64::new(1));
    let written = driver.write(2, vec![2; UNIT_BYTES], false);
    written.expect("it is taken");
    assert!(driver.log.take_step(driver.clock_ns).is_none(), "it waits");
    driver
}

#[test]
fn a_batch_waits_no_longer_than_it_may() {
    let mut driver = waiting();
    let wake_ns = driver.log.wake_ns().expect("it goes on by itself");
    assert_eq!(wake_ns, driver.clock_ns + GATHER_NS);
    assert!(driver.log.take_step(wake_ns - 1).is_none());
    assert!(driver.log.take_step(wake_ns).is_some());
    assert_eq!(driver.log.wake_ns(), None);
}

#[test]
fn the_last_change_that_is_waited_for_ends_the_wait() {
    let mut driver = waiting();
    let written = driver.write(3, vec![3; UNIT_BYTES], false);
    written.expect("it is taken");
    assert!(driver.log.take_step(driver.clock_ns).is_some());
}

/// Two groups of clients become one: what waited for the batch goes with what comes behind it.
#[test]
fn changes_that_waited_for_a_batch_wait_for_its_clients_too() {
    let settings = Settings {
        gather_ns: GATHER_NS,
        ..settings(1, WhenFull::Shorten)
    };
    let mut driver = Driver::new(geometry(32, 8, 64), settings);
    let write = |driver: &mut Driver, lba: u64| {
        let written = driver.write(lba, vec![1; UNIT_BYTES], false);
        written.expect("it is taken");
    };
    write(&mut driver, 0);
    driver.run(&mut SplitMix64::new(1));
    write(&mut driver, 0);
    let Some(Step::Write { io, .. }) = driver.log.take_step(driver.clock_ns) else {
        panic!("a batch of one");
    };
    write(&mut driver, 1);
    driver.log.complete(io, Ok(()));
    assert!(driver.log.take_step(driver.clock_ns).is_none(), "it waits");
    write(&mut driver, 2);
    let Some(Step::Write { parts, .. }) = driver.log.take_step(driver.clock_ns) else {
        panic!("a batch of two");
    };
    let is_data = |part: &&Part| matches!(part, Part::Request { .. });
    assert_eq!(parts.iter().filter(is_data).count(), 2);
}

/// Who asks again at once, as the wait has passed, would do so until the cut is made.
#[test]
fn a_log_that_is_held_has_no_time_to_wake() {
    let mut driver = waiting();
    driver.log.hold();
    assert!(driver.log.take_step(driver.clock_ns).is_none());
    assert_eq!(driver.log.wake_ns(), None);
    driver.log.release();
    let after_ns = driver.clock_ns + GATHER_NS;
    assert!(driver.log.take_step(after_ns).is_some(), "it goes on");
}

#[test]
fn a_mark_in_flight_leaves_no_time_to_wake() {
    let mut driver = waiting();
    let request = driver.request();
    driver.log.mark(request, "mark", None).expect("it is taken");
    assert!(driver.log.take_step(driver.clock_ns).is_some(), "the mark");
    while driver.log.take_step(driver.clock_ns).is_some() {}
    assert_eq!(driver.log.wake_ns(), None);
}
