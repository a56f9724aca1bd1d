//! Folds that go in steps, and changes beside them when the log is nearly full.

use crate::driver::{Driver, geometry, settings};
use crate::support::{reopened, write};
use disktime_history::{Notice, Seq, Settings, UNIT_BYTES, View, WhenFull};
use disktime_random::SplitMix64;

const BLOCKS: u64 = 64;

/// A log whose folds take a segment at a time, with some segments full of changes; the last moment.
fn with_changes(random: &mut SplitMix64) -> (Driver, Seq) {
    let settings = Settings {
        step_ppm: 0,
        ..settings(2, WhenFull::Refuse)
    };
    let mut driver = Driver::new(geometry(16, 24, BLOCKS), settings);
    let mut last = 0;
    for byte in 1..=60 {
        let block = random_block(random);
        last = write(&mut driver, random, block, byte);
    }
    (driver, last)
}

fn random_block(random: &mut SplitMix64) -> u64 {
    random.below(BLOCKS)
}

fn takes_folded(driver: &mut Driver) -> bool {
    let before = driver.notices.len();
    let is_folded = |notice: &Notice| matches!(notice, Notice::Folded { .. });
    driver.notices.retain(|notice| !is_folded(notice));
    driver.notices.len() < before
}

/// Between two steps the slots of the folded segments are free, all moments that can be opened are
/// right, and a crash repeats the rest only.
#[test]
fn a_fold_gives_space_back_after_each_step() {
    let mut random = SplitMix64::new(7);
    let (mut driver, to) = with_changes(&mut random);
    let at_to = driver.read(View::Now);
    let later = write(&mut driver, &mut random, 3, 99);
    let content = driver.read(View::Now);
    let mut steps = 0;
    let (free, mut floor) = (driver.log.status().free_slots, 0);
    let mut most_free = free;
    driver.log.fold(to).expect("nothing holds the floor");
    while driver.log.status().floor < to || driver.log.status().is_folding {
        assert!(driver.step(&mut random), "the fold goes on");
        if !takes_folded(&mut driver) {
            continue;
        }
        steps += 1;
        let status = driver.log.status();
        assert!(driver.read(View::Now) == content, "step {steps}");
        if status.is_folding {
            most_free = most_free.max(status.free_slots);
            assert!(status.floor > floor && status.floor < to);
            assert_eq!(status.oldest_restorable, to);
        }
        floor = status.floor;

        let (mut again, _) = reopened(&driver).expect("it opens");
        assert_eq!(again.log.status().floor, floor, "what is folded stays");
        assert_eq!(again.log.status().oldest_restorable, to);
        again.run(&mut random);
        assert_eq!(again.log.status().floor, to, "the rest is folded");
        for moment in [to, later] {
            let request = again.request();
            again.log.open_view(request, moment).expect("it is kept");
            again.run(&mut random);
        }
        assert!(again.read(View::Now) == content);
    }
    assert!(steps > 3, "{steps}");
    // A step takes a unit or two for its CHECKPOINT.
    assert!(most_free > free + 1, "space is there before the end");
    let written = at_to.iter().flatten().filter(|block| block[0] != 0);
    let written = written.count() as u64;
    assert_eq!(driver.folded_blocks, written, "each block is written once");
}

/// A crash in the middle of a step loses what the image's disk had not made durable, and no more.
#[test]
fn a_crash_within_a_step_repeats_it() {
    for seed in 0..60 {
        let mut random = SplitMix64::new(seed);
        let (mut driver, to) = with_changes(&mut random);
        let content = driver.read(View::Now);
        driver.log.fold(to).expect("nothing holds the floor");
        for _ in 0..random.below(150) {
            driver.step(&mut random);
        }
        let (geometry, settings) = (driver.geometry(), driver.settings());
        let (disk, image) = driver.crash(&mut random);
        let opened = Driver::open(disk, image, geometry, settings);
        let mut driver = opened.expect("it opens").0;
        assert!(driver.read(View::Now) == content, "seed {seed}");
        driver.run(&mut random);
        assert!(driver.read(View::Now) == content, "seed {seed}");
    }
}

/// When only the margin is left a fold begins, and of the margin as much is given to changes as is
/// done of the fold.
#[test]
fn a_log_that_is_nearly_full_takes_changes_as_the_fold_gets_on() {
    let mut random = SplitMix64::new(9);
    let settings = settings(2, WhenFull::Shorten);
    let mut driver = Driver::new(geometry(512, 8, BLOCKS), settings);
    driver.image_waits = true;
    let mut asked = 0;
    let mut answered = |driver: &mut Driver, random: &mut SplitMix64| {
        for _ in 0..2000 {
            let block = random_block(random);
            asked += u64::from(driver.write(block, vec![5; UNIT_BYTES], false).is_ok());
            driver.step(random);
        }
        driver.run(random);
        let is_done = |notice: &&Notice| matches!(notice, Notice::Done { .. });
        driver.notices.iter().filter(is_done).count()
    };
    let first = answered(&mut driver, &mut random);
    assert!(driver.log.status().is_folding);
    assert_eq!(answered(&mut driver, &mut random), first, "changes wait");
    driver.log.note_fold_progress(1, 2);
    let half = answered(&mut driver, &mut random);
    driver.log.note_fold_progress(1, 1);
    let whole = answered(&mut driver, &mut random);
    assert!(first < half && half < whole, "{first} {half} {whole}");
    assert_eq!(
        driver.log.status().free_slots,
        2,
        "the rest is for the fold"
    );
    driver.image_waits = false;
    driver.run(&mut random);
    let is_done = |notice: &&Notice| matches!(notice, Notice::Done { .. });
    let done = driver.notices.iter().filter(is_done).count();
    assert_eq!(done as u64, asked, "all that was asked for is done at last");
}

fn changes_done(driver: &Driver) -> usize {
    let is_done = |notice: &&Notice| matches!(notice, Notice::Done { .. });
    driver.notices.iter().filter(is_done).count()
}

/// Each step gives what the step before freed, while it goes on and not at its end only.
#[test]
fn changes_go_on_beside_each_step() {
    let mut random = SplitMix64::new(11);
    let settings = Settings {
        // Four segments, twice the margin.
        step_ppm: 62_500,
        ..settings(2, WhenFull::Shorten)
    };
    // Most blocks are written once, so that each step has something to write.
    let blocks = 4096;
    let mut driver = Driver::new(geometry(64, 64, blocks), settings);
    driver.image_waits = true;
    let ask = |driver: &mut Driver, random: &mut SplitMix64, changes: u32| {
        for _ in 0..changes {
            let block = random.below(blocks);
            // Of no use if so many wait already.
            let _ = driver.write(block, vec![5; UNIT_BYTES], false);
            driver.step(random);
        }
        driver.run(random);
        changes_done(driver)
    };
    while !driver.log.status().is_folding {
        ask(&mut driver, &mut random, 100);
    }
    let mut none = ask(&mut driver, &mut random, 400);
    for step in 0..6 {
        assert_eq!(ask(&mut driver, &mut random, 400), none, "step {step}");
        driver.log.note_fold_progress(1, 2);
        let half = ask(&mut driver, &mut random, 400);
        driver.log.note_fold_progress(1, 1);
        let whole = ask(&mut driver, &mut random, 400);
        assert!(
            none < half && half < whole,
            "step {step}: {none} {half} {whole}"
        );
        none = whole;
        driver.image_waits = false;
        while !takes_folded(&mut driver) {
            assert!(driver.step(&mut random), "the fold goes on");
        }
        // The next step may have begun.
        driver.image_waits = true;
        driver.log.note_fold_progress(0, 1);
    }
}
