//! Thousands of reverts in a log that hardly grows: rows of branches go, and no content that is
//! kept.

use crate::driver::{Driver, geometry, settings};
use crate::support::{done, reopened, revert, write};
use disktime_history::{Failure, Moment, Resolved, Seq, UNIT_BYTES, WhenFull};
use disktime_random::SplitMix64;

const REVERTS: u32 = 3000;
/// The rows that a checkpoint has place for.
const ROWS: usize = 1024;

/// A log that reverts alone do not fill.
fn large(when_full: WhenFull) -> (Driver, SplitMix64) {
    let driver = Driver::new(geometry(512, 48, 16), settings(2, when_full));
    (driver, SplitMix64::new(3))
}

fn undo(driver: &mut Driver, random: &mut SplitMix64) -> Seq {
    let request = driver.request();
    driver.log.undo_revert(request).expect("taken");
    done(driver, random, request)
}

fn block(byte: u8) -> Option<Vec<u8>> {
    Some(vec![byte; UNIT_BYTES])
}

/// The blocks 1 and 2, which the tests write.
#[track_caller]
fn assert_holds(driver: &mut Driver, first: u8, second: u8) {
    let content = driver.read_now();
    assert!(content[1] == block(first), "the first block");
    assert!(content[2] == block(second), "the second block");
}

/// Closes in good order, or crashes.
fn restart(driver: &mut Driver, random: &mut SplitMix64, is_crash: bool) {
    if !is_crash {
        driver.log.close();
    }
    driver.run(random);
    *driver = reopened(driver).expect("it opens").0;
}

#[test]
fn reverts_to_one_moment_give_up_the_oldest_branches() {
    let (mut driver, mut random) = large(WhenFull::Shorten);
    let marked = write(&mut driver, &mut random, 1, 1);
    let request = driver.request();
    driver.log.mark(request, "base", None).expect("taken");
    let base = done(&mut driver, &mut random, request);
    let mut left = Vec::new();
    for count in 0..REVERTS {
        left.push(write(&mut driver, &mut random, 2, count as u8));
        revert(&mut driver, &mut random, base);
        assert_holds(&mut driver, 1, 0);
        if count % 900 == 899 {
            restart(&mut driver, &mut random, count % 1800 == 899);
            assert_holds(&mut driver, 1, 0);
        }
    }
    let status = driver.log.status();
    assert!(status.branches.len() <= ROWS);
    assert!(status.floor < marked, "nothing was folded");
    // The newest branches are kept, and the mark; the oldest are given up.
    let request = driver.request();
    let resolved = driver
        .log
        .resolve(request, &Moment::Mark("base".to_owned()), 0);
    assert_eq!(resolved, Ok(Resolved::Seq(base)));
    let resolve = |driver: &mut Driver, seq: Seq| {
        let request = driver.request();
        driver.log.resolve(request, &Moment::Seq(seq), 0)
    };
    assert_eq!(resolve(&mut driver, left[0]), Err(Failure::NoSuchMoment));
    for count in [REVERTS - 900, REVERTS - 1] {
        let seq = left[count as usize];
        assert_eq!(resolve(&mut driver, seq), Ok(Resolved::Seq(seq)));
        revert(&mut driver, &mut random, seq);
        assert_holds(&mut driver, 1, count as u8);
    }
}

#[test]
fn undone_reverts_leave_no_rows() {
    let (mut driver, mut random) = large(WhenFull::Shorten);
    let old = write(&mut driver, &mut random, 1, 1);
    write(&mut driver, &mut random, 1, 2);
    for count in 0..REVERTS {
        revert(&mut driver, &mut random, old);
        assert_holds(&mut driver, 1, 0);
        undo(&mut driver, &mut random);
        assert_holds(&mut driver, 2, 0);
        if count % 700 == 699 {
            restart(&mut driver, &mut random, count % 1400 == 699);
            assert_holds(&mut driver, 2, 0);
        }
    }
    assert!(driver.log.status().branches.len() <= ROWS);
    revert(&mut driver, &mut random, old);
    assert_holds(&mut driver, 1, 0);
}

/// Nothing is given up unasked with `refuse`: then a revert needs a drop.
#[test]
fn a_dropped_branch_makes_room_for_a_revert() {
    let (mut driver, mut random) = large(WhenFull::Refuse);
    let base = write(&mut driver, &mut random, 1, 1);
    let mut kept = 0;
    let why = loop {
        write(&mut driver, &mut random, 2, 7);
        let request = driver.request();
        match driver.log.revert(request, base) {
            Ok(()) => drop(done(&mut driver, &mut random, request)),
            Err(why) => break why,
        }
        kept += 1;
    };
    assert_eq!((why, kept), (Failure::TooMany, ROWS - 1));
    let status = driver.log.status();
    let oldest = status.branches.iter().map(|branch| branch.0).take(20);
    for id in oldest.collect::<Vec<_>>() {
        let request = driver.request();
        driver.log.drop_branch(request, id).expect("taken");
        done(&mut driver, &mut random, request);
    }
    for is_crash in [false, true] {
        for _ in 0..9 {
            write(&mut driver, &mut random, 2, 8);
            revert(&mut driver, &mut random, base);
            assert_holds(&mut driver, 1, 0);
        }
        restart(&mut driver, &mut random, is_crash);
        assert_holds(&mut driver, 1, 0);
    }
}
