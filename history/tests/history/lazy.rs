//! Moments that open at once.

use crate::driver::{Driver, geometry, settings};
use crate::support::{batches, reopened, revert, u64_at};
use disktime_history::{Failure, Fetched, Seq, Source, Step, UNIT_BYTES, View, ViewId, WhenFull};
use disktime_random::SplitMix64;

const BLOCKS: u64 = 8192;

/// A log of 77 segments, each block of which is written once, and when; all of it is undone.
fn long_log() -> (Driver, SplitMix64, Vec<(u64, Seq)>) {
    let mut random = SplitMix64::new(5);
    let geometry = geometry(32, 128, BLOCKS);
    let mut driver = Driver::new(geometry, settings(1, WhenFull::Refuse));
    let mut written = Vec::new();
    for index in 0..1000_u64 {
        let lba = index * 4099 % BLOCKS / 2 * 2;
        let data = vec![index as u8; UNIT_BYTES];
        let request = driver.write(lba, data, false).expect("taken");
        written.push((lba, driver.finish(request, &mut random).expect("written")));
    }
    // The newest content has nothing in common with the moments that are opened: each block has to
    // be searched for.
    revert(&mut driver, &mut random, written[0].1);
    driver.run(&mut random);
    (driver, random, written)
}

/// Fetches and looks up one block; the reads that it took.
fn read_one(driver: &mut Driver, view: ViewId, lba: u64) -> (Source, usize) {
    assert_eq!(driver.log.look_up(View::At(view), lba, 1), None);
    let request = driver.request();
    let fetched = driver
        .log
        .fetch(request, View::At(view), lba, 1)
        .expect("taken");
    assert_eq!(fetched, Fetched::Later);
    let mut reads = 0;
    while let Some(step) = driver.log.take_step(1) {
        let Step::Read { io, unit, units } = step else {
            panic!("{step:?} is no read")
        };
        reads += 1;
        let from = unit as usize * UNIT_BYTES;
        let bytes = driver.disk.bytes[from..from + units as usize * UNIT_BYTES].to_vec();
        driver.log.complete_read(io, Ok(&bytes));
    }
    let run = driver.log.look_up(View::At(view), lba, 1).expect("known");
    (run.source, reads)
}

#[test]
fn a_past_moment_opens_without_a_read_and_a_block_takes_hardly_more_than_one() {
    let (driver, mut random, written) = long_log();
    let segments = batches(&driver, 10).len();
    assert!(segments > 70, "{segments}");
    let mut driver = driver;
    for is_reopened in [false, true] {
        if is_reopened {
            driver = reopened(&driver).expect("it opens").0;
            driver.run(&mut random);
        }
        let moment = written[written.len() - 40].1;
        let (mut reads, mut looked_up) = (0, 0);
        for (lba, seq) in written.iter().step_by(7) {
            let request = driver.request();
            driver
                .log
                .open_view_lazily(request, moment)
                .expect("it can be restored");
            assert_eq!(driver.log.take_step(1), None, "nothing is read");
            let view = driver.opened(request, &mut random).expect("it is open");
            let (source, more) = read_one(&mut driver, view, *lba);
            assert_eq!(matches!(source, Source::Log { .. }), *seq <= moment);
            // A block that no segment has.
            let (source, without) = read_one(&mut driver, view, lba + 1);
            assert_eq!(source, Source::Image);
            reads += more + without;
            looked_up += 1;
            driver.log.close_view(view);
        }
        // One page for the block, and what the filters take for it by chance.
        assert!(reads < 2 * looked_up, "{reads} for {looked_up} blocks");
        let bytes = driver.log.status().fences_bytes;
        assert!(
            bytes < 1000 * 8,
            "{bytes} bytes for 1000 blocks in small segments"
        );
    }
}

/// Single blocks are found as long as that costs little, then all are known.
#[test]
fn a_moment_that_is_read_much_becomes_whole() {
    let (mut driver, mut random, written) = long_log();
    let segments = batches(&driver, 10).len();
    let moment = written[written.len() - 40].1;
    let view = driver.lazy_view(moment, &mut random).expect("it opens");
    let (mut reads, mut read) = (0, 0);
    let most = segments / 8 + 2;
    while driver.log.look_up(View::At(view), 1, 1).is_none() {
        let (source, more) = read_one(&mut driver, view, written[read].0);
        assert!(matches!(source, Source::Log { .. }));
        (reads, read) = (reads + more, read + 1);
        assert!(read <= most, "{read} blocks");
    }
    assert!(read > segments / 16, "{read} blocks");
    // What was read block by block, and each footer once.
    assert!(reads <= segments + 2 * most, "{reads} of {segments}");
    assert_eq!(driver.log.take_step(1), None);
    let whole = driver.view(moment, &mut random).expect("it opens");
    let expected = driver.read(View::At(whole));
    assert!(driver.read(View::At(view)) == expected);
}

/// The newest content has what a moment has but for what was written since.
#[test]
fn what_was_not_written_since_a_moment_takes_no_read() {
    let (mut driver, mut random, written) = long_log();
    let undo = driver.request();
    driver.log.undo_revert(undo).expect("taken");
    driver.finish(undo, &mut random).expect("undone");
    driver.run(&mut random);
    let (rewritten, _) = written[100];
    let since = written[written.len() - 1].1;
    let data = vec![7; UNIT_BYTES];
    let request = driver.write(rewritten, data, false).expect("taken");
    driver.finish(request, &mut random).expect("written");
    let view = driver.lazy_view(since, &mut random).expect("it opens");
    for (lba, _) in written.iter().step_by(9) {
        let (source, reads) = read_one(&mut driver, view, *lba);
        let is_in_log = matches!(source, Source::Log { .. });
        assert!(is_in_log && (*lba == rewritten || reads == 0), "{reads}");
    }
    let (source, reads) = read_one(&mut driver, view, rewritten);
    assert!(matches!(source, Source::Log { .. }) && reads > 0);
    assert!(driver.read_now()[rewritten as usize] == Some(vec![7; UNIT_BYTES]));
}

#[test]
fn a_page_that_cannot_be_read_is_replaced_by_the_batches() {
    let (mut driver, mut random, written) = long_log();
    let (_, moment) = written[600];
    let whole = driver.view(moment, &mut random).expect("it opens");
    let expected = driver.read(View::At(whole));
    let view = driver.lazy_view(moment, &mut random).expect("it opens");
    for seal in batches(&driver, 10) {
        driver.bad_units.push((seal / UNIT_BYTES) as u32 + 1);
    }
    assert!(driver.read_fetched(View::At(view), &mut random) == expected);
    // Nothing says what a segment held whose batches cannot be read either.
    let view = driver.lazy_view(moment, &mut random).expect("it opens");
    let of_block = |at: &&usize| u64_at(&driver.disk.bytes, **at + 192) == written[10].0;
    let data = batches(&driver, 1);
    let at = *data.iter().find(of_block).expect("it was written");
    driver.bad_units.push((at / UNIT_BYTES) as u32);
    let request = driver.request();
    let fetched = driver.log.fetch(request, View::At(view), written[10].0, 1);
    assert_eq!(fetched, Ok(Fetched::Later));
    assert_eq!(driver.finish(request, &mut random), Err(Failure::Damaged));
    driver.log.close_view(view);
    let request = driver.request();
    assert_eq!(
        driver.log.fetch(request, View::At(view), 1, 1),
        Err(Failure::NoSuchMoment)
    );
}

/// Writes to any of 64 blocks.
fn write(driver: &mut Driver, random: &mut SplitMix64, stamp: u8) -> Seq {
    let data = vec![stamp; UNIT_BYTES];
    let request = driver.write(random.below(64), data, false).expect("taken");
    driver.finish(request, random).expect("written")
}

/// A fold moves into the image what a view was found to read from the log, and the slots are used
/// again.
#[test]
fn a_moment_stays_the_same_while_the_floor_comes_to_it() {
    for seed in 0..60 {
        let mut random = SplitMix64::new(seed);
        let geometry = geometry(32, 16, 64);
        let mut driver = Driver::new(geometry, settings(2, WhenFull::Refuse));
        let mut moments = Vec::new();
        for stamp in 0..90 {
            moments.push(write(&mut driver, &mut random, stamp));
        }
        let moment = moments[60 + random.below(30) as usize];
        let whole = driver.view(moment, &mut random).expect("it opens");
        let expected = driver.read(View::At(whole));
        driver.log.close_view(whole);
        let view = driver.lazy_view(moment, &mut random).expect("it opens");
        if random.below(2) == 0 {
            assert!(driver.read_fetched(View::At(view), &mut random) == expected);
        }
        driver
            .log
            .fold(moment)
            .expect("nothing else holds the floor");
        let whole_at = random.below(40);
        for step in 0..random.below(60) {
            driver.step(&mut random);
            // It becomes whole in the background, and others are opened before that.
            if step == whole_at {
                let request = driver.request();
                let view = View::At(view);
                driver.log.fetch_whole(request, view).expect("it is open");
            } else if step > whole_at && random.below(2) == 0 {
                let request = driver.request();
                driver.log.open_view(request, moment).expect("it is kept");
            }
        }
        for _ in 0..6 {
            assert!(
                driver.read_fetched(View::At(view), &mut random) == expected,
                "seed {seed}"
            );
        }
        driver.run(&mut random);
        for stamp in 100..160 {
            write(&mut driver, &mut random, stamp);
        }
        assert!(
            driver.read_fetched(View::At(view), &mut random) == expected,
            "seed {seed}"
        );
    }
}

/// A revert is in flight, so the current branch is another one already than that of the content
/// that is still read.
#[test]
fn a_moment_that_is_read_while_a_revert_is_flushed_is_what_it_was() {
    let mut failed = 0;
    for seed in 0..60 {
        let mut random = SplitMix64::new(seed);
        let mut driver = Driver::new(geometry(32, 16, 64), settings(2, WhenFull::Refuse));
        let first = write(&mut driver, &mut random, 1);
        for stamp in 2..60 {
            write(&mut driver, &mut random, stamp);
        }
        let moment = driver.log.status().newest;
        let expected = driver.read(View::Now);
        for stamp in 60..90 {
            write(&mut driver, &mut random, stamp);
        }
        let last = driver.log.status().newest;
        revert(&mut driver, &mut random, first);
        driver.run(&mut random);
        let view = driver.lazy_view(moment, &mut random).expect("it opens");
        let request = driver.request();
        driver.log.revert(request, last).expect("it is kept");
        for _ in 0..random.below(8) {
            driver.step(&mut random);
        }
        if seed % 2 == 0 {
            // The flush fails: the log breaks, and moments are read as before.
            failed += u32::from(driver.fail_a_flush());
        }
        let there = driver.read_fetched(View::At(view), &mut random);
        assert!(there == expected, "seed {seed}");
    }
    assert!(failed > 0, "flushes are in flight");
}
