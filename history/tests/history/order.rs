//! What waits for what: reverts, holds, seqs that are not durable.

use crate::driver::{Driver, geometry, settings};
use crate::support::{done, write};
use disktime_history::{Failure, RequestId, Step, UNIT_BYTES, View, WhenFull};
use disktime_random::SplitMix64;

/// A crash can take a revert back until it is flushed: no client sees it before.
#[test]
fn a_revert_is_seen_when_it_is_durable() {
    let mut seen = 0;
    for seed in 0..40 {
        let mut random = SplitMix64::new(seed);
        let mut driver = Driver::new(geometry(32, 8, 64), settings(2, WhenFull::Refuse));
        let fork = write(&mut driver, &mut random, 1, 1);
        write(&mut driver, &mut random, 1, 2);
        let request = driver.request();
        driver.log.revert(request, fork).expect("taken");
        let mut has_reverted = false;
        for _ in 0..20 {
            driver.step(&mut random);
            has_reverted = driver.read_now()[1] == Some(vec![1; UNIT_BYTES]);
            if has_reverted {
                break;
            }
        }
        assert!(has_reverted, "it ends");
        // Power is lost as soon as a client could have read it.
        let (geometry, settings) = (driver.geometry(), driver.settings());
        let (disk, image) = driver.crash(&mut random);
        let (driver, _) = Driver::open(disk, image, geometry, settings).expect("it opens");
        assert_eq!(
            driver.read(View::Now)[1],
            Some(vec![1; UNIT_BYTES]),
            "what was read is there"
        );
        seen += 1;
    }
    assert!(seen > 0);
}

#[test]
fn a_hold_waits_for_a_revert_with_its_changes() {
    for seed in 0..20 {
        let mut random = SplitMix64::new(seed);
        let mut driver = Driver::new(geometry(32, 8, 64), settings(1, WhenFull::Refuse));
        let fork = write(&mut driver, &mut random, 1, 1);
        for byte in 0..20 {
            driver
                .write(1, vec![byte; UNIT_BYTES], false)
                .expect("taken");
        }
        let revert = driver.request();
        driver.log.revert(revert, fork).expect("taken");
        for _ in 0..random.below(6) {
            driver.step(&mut random);
        }
        driver.log.hold();
        while driver.step(&mut random) {
            if driver.log.is_held() {
                break;
            }
        }
        assert!(driver.log.is_held(), "the revert ends first");
        let mark = driver.request();
        driver
            .log
            .mark(mark, "cut", None)
            .expect("no revert is in flight");
        done(&mut driver, &mut random, mark);
        // A revert would have to let changes go before it.
        let again = driver.request();
        assert_eq!(driver.log.revert(again, fork), Err(Failure::Busy));
        driver.log.release();
        write(&mut driver, &mut random, 1, 7);
    }
}

/// Ends all steps but flushes, which are returned.
fn without_flushes(driver: &mut Driver, flushes: &mut Vec<Step>) {
    while let Some(step) = driver.log.take_step(1) {
        match step {
            Step::Write { io, .. } | Step::WriteImage { io } | Step::AwaitReads { io } => {
                driver.log.complete(io, Ok(()));
            }
            Step::Read { .. } => panic!("nothing is read"),
            Step::Flush { .. } => flushes.push(step),
        }
    }
}

/// An opening skips 65,536 seqs, so no more may be given out that a crash can lose: the footer of a
/// segment is full before, and then it is flushed.
#[test]
fn data_and_records_wait_for_a_flush_when_many_seqs_are_not_durable() {
    let geometry = geometry(1024, 16, 64);
    let mut driver = Driver::new(geometry, settings(1, WhenFull::Refuse));
    driver.run(&mut SplitMix64::new(1));
    let mut flushes = Vec::new();
    let mut id = 1000;
    let mut request = || {
        id += 1;
        RequestId(id)
    };
    for _ in 0..70 {
        for _ in 0..1000 {
            let _ = driver.log.zero(request(), 1, 1, false, false);
        }
        without_flushes(&mut driver, &mut flushes);
    }
    for number in 0..4000 {
        let name = format!("m{number}");
        let _ = driver.log.mark(request(), &name, None);
        without_flushes(&mut driver, &mut flushes);
        let _ = driver.log.drop_mark(request(), &name);
        without_flushes(&mut driver, &mut flushes);
    }
    let status = driver.log.status();
    let lost_by_a_crash = status.newest - status.durable;
    assert!(
        (40_000..65_536).contains(&lost_by_a_crash),
        "{lost_by_a_crash}"
    );
    while driver.log.take_notice().is_some() {}
    while let Some(Step::Flush { io }) = flushes.pop() {
        driver.log.complete(io, Ok(()));
        without_flushes(&mut driver, &mut flushes);
    }
    let status = driver.log.status();
    assert_eq!(status.newest, status.durable, "all goes on");
    assert!(driver.log.is_idle());
}
