//! Writes that are longer than a batch, or than what a segment has left.

use crate::driver::{Driver, geometry, settings};
use disktime_history::{Failure, Notice, Part, Step, UNIT_BYTES, WhenFull};

/// Blocks of each batch of data, as the log asks for them.
fn batches(driver: &mut Driver) -> Vec<Vec<u32>> {
    let mut batches = Vec::new();
    while let Some(step) = driver.log.take_step(driver.clock_ns) {
        let (Step::Write { io, .. } | Step::Flush { io }) = &step else {
            panic!("only writes and flushes: {step:?}");
        };
        driver.log.complete(*io, Ok(()));
        let Step::Write { parts, .. } = step else {
            continue;
        };
        let blocks = parts.iter().filter_map(|part| match part {
            Part::Request { blocks, .. } => Some(*blocks),
            Part::Bytes(_) => None,
        });
        let blocks: Vec<u32> = blocks.collect();
        if !blocks.is_empty() {
            batches.push(blocks);
        }
    }
    batches
}

fn write(driver: &mut Driver, lba: u64, blocks: usize) {
    let written = driver.write(lba, vec![1; blocks * UNIT_BYTES], false);
    written.expect("it is taken");
}

/// With its header a batch is 1 MiB, so one of 1 MiB of data is not all of a write of that size.
#[test]
fn long_writes_fill_batches() {
    let mut driver = Driver::new(geometry(4096, 8, 2048), settings(1, WhenFull::Shorten));
    for at in 0..3 {
        write(&mut driver, at * 256, 256);
    }
    let expected = [vec![255], vec![1, 254], vec![2, 253], vec![3]];
    assert_eq!(batches(&mut driver), expected);
}

/// A segment is not sealed early for a write that is longer than what it has left.
#[test]
fn a_long_write_fills_a_segment_and_goes_on_in_the_next() {
    let slot_units = 128;
    let mut driver = Driver::new(geometry(slot_units, 8, 256), settings(1, WhenFull::Shorten));
    write(&mut driver, 0, 200);
    let parts = batches(&mut driver);
    assert_eq!(parts.iter().flatten().sum::<u32>(), 200);
    // A batch takes half of a slot at most.
    let in_first: u32 = parts[0].iter().chain(&parts[1]).sum();
    assert!(in_first >= slot_units - 16, "{parts:?}");
}

/// A write that a full log refuses has changed nothing, as it is not begun.
#[test]
fn a_write_that_does_not_fit_is_not_begun() {
    for (slot_units, lengths) in [(16, 4..40), (32, 9..80), (64, 17..120)] {
        let (mut refused, mut divided) = (0, 0);
        for blocks in lengths {
            let geometry = geometry(slot_units, 8, 256);
            let mut driver = Driver::new(geometry, settings(1, WhenFull::Refuse));
            loop {
                write(&mut driver, 0, blocks);
                let parts = batches(&mut driver).concat();
                if parts.is_empty() {
                    break;
                }
                let written = parts.iter().sum::<u32>();
                assert_eq!(written, blocks as u32, "{slot_units}: {parts:?}");
                divided += usize::from(parts.len() > 1);
            }
            let notices = std::iter::from_fn(|| driver.log.take_notice());
            let why = Failure::Full;
            let is_refused = |last| matches!(last, Notice::Failed { why: said, .. } if said == why);
            refused += usize::from(notices.last().is_some_and(is_refused));
        }
        assert!(refused > 30 && divided > 30, "{refused} and {divided}");
    }
}

/// A write that is too long for what is left fails alone.
#[test]
fn short_writes_fit_behind_one_that_does_not() {
    let mut driver = Driver::new(geometry(64, 8, 1024), settings(1, WhenFull::Refuse));
    write(&mut driver, 0, 600);
    write(&mut driver, 0, 4);
    assert_eq!(batches(&mut driver), [[4]]);
}

/// What is too little to be worth a batch of its own waits for the next segment.
#[test]
fn short_writes_are_not_divided() {
    let mut driver = Driver::new(geometry(32, 16, 64), settings(1, WhenFull::Shorten));
    for at in 0..12 {
        write(&mut driver, at * 4, 4);
    }
    // More than one segment has.
    assert_eq!(batches(&mut driver).concat(), [4; 12]);
}
