//! A log that is full, and segments at their ends.

use crate::driver::{Driver, geometry, settings};
use crate::support::{batches, done, new, newest_checkpoint, reopened, u64_at, write};
use disktime_history::{Failure, Notice, UNIT_BYTES, View, WhenFull};
use disktime_random::SplitMix64;
use std::collections::BTreeMap;

/// Writes until nothing more is taken.
fn fill(driver: &mut Driver, random: &mut SplitMix64) {
    loop {
        let request = driver.write(2, vec![9; UNIT_BYTES], false).expect("taken");
        match driver.finish(request, random) {
            Ok(_) => {}
            Err(why) => return assert_eq!(why, Failure::Full),
        }
    }
}

#[test]
fn opening_a_full_log_takes_no_space() {
    for is_closed in [false, true] {
        let (mut driver, mut random) = new(WhenFull::Refuse);
        fill(&mut driver, &mut random);
        driver.run(&mut random);
        for _ in 0..100 {
            if is_closed {
                driver.log.close();
            }
            driver.run(&mut random);
            let report;
            (driver, report) = reopened(&driver).expect("it opens");
            assert_eq!(report.was_closed, is_closed);
            // A write that finds no space takes none either.
            let request = driver.write(3, vec![1; UNIT_BYTES], false).expect("taken");
            assert_eq!(driver.finish(request, &mut random), Err(Failure::Full));
            assert_eq!(driver.read(View::Now)[2], Some(vec![9; UNIT_BYTES]));
        }
        let to = driver.log.status().newest;
        driver.log.fold(to).expect("nothing holds the floor");
        driver.run(&mut random);
        assert_eq!(driver.log.status().floor, to);
        write(&mut driver, &mut random, 3, 3);
    }
}

/// The branch waits for data, the data for space, and the space for a fold behind the branch.
#[test]
fn a_revert_with_data_that_waits_for_space_goes_on() {
    let mut reverted = 0;
    for seed in 0..20 {
        let mut random = SplitMix64::new(seed);
        let mut driver = Driver::new(geometry(32, 8, 64), settings(2, WhenFull::Shorten));
        let mut last = 0;
        for _ in 0..200 {
            last = write(&mut driver, &mut random, 2, 9);
            if driver.log.status().free_slots == 2 {
                break;
            }
        }
        let requests: Vec<_> = (0..60)
            .map(|byte| {
                driver
                    .write(3, vec![byte; UNIT_BYTES], false)
                    .expect("taken")
            })
            .collect();
        for _ in 0..random.below(6) {
            driver.step(&mut random);
        }
        let revert = driver.request();
        if driver.log.revert(revert, last).is_err() {
            continue;
        }
        driver.run(&mut random);
        let is_done = |request| {
            let is_its = |notice: &Notice| matches!(notice, Notice::Done { request: of, .. } if *of == request);
            driver.notices.iter().any(is_its)
        };
        let mut all = requests.into_iter().chain([revert]);
        assert!(
            all.all(is_done),
            "seed {seed}: all that was asked for is done"
        );
        reverted += 1;
        let status = driver.log.status();
        assert!(!status.is_folding, "the fold ends");
    }
    assert!(reverted > 5, "{reverted}");
}

/// A fold that fails rests: what waits for space hears that there is none, and the log takes
/// changes again when the fold was repeated and did not fail. Repeating it takes no space.
#[test]
fn a_fold_that_failed_is_repeated_when_it_is_asked_for() {
    for when_full in [WhenFull::Refuse, WhenFull::Shorten] {
        let mut random = SplitMix64::new(5);
        let mut driver = Driver::new(geometry(32, 8, 64), settings(2, when_full));
        driver.image_fails = true;
        if when_full == WhenFull::Refuse {
            let to = write(&mut driver, &mut random, 4, 4);
            driver.log.fold(to).expect("nothing holds the floor");
        }
        fill(&mut driver, &mut random);
        driver.run(&mut random);
        let failed = driver.log.status();
        assert!(failed.fold_rests && !failed.is_folding, "{when_full:?}");
        for _ in 0..50 {
            driver.notices.clear();
            driver.log.retry_fold();
            let request = driver.write(3, vec![1; UNIT_BYTES], false).expect("taken");
            let full = driver.finish(request, &mut random);
            assert_eq!(full, Err(Failure::Full), "{when_full:?}");
            driver.run(&mut random);
            assert!(driver.notices.contains(&Notice::FoldFailed));
        }
        assert_eq!(driver.log.status(), failed, "trying takes nothing");
        driver.image_fails = false;
        driver.log.retry_fold();
        driver.run(&mut random);
        let folded = driver.log.status();
        assert!(!folded.fold_rests && folded.floor > failed.floor);
        assert!(driver.notices.contains(&Notice::Folded {
            floor: folded.floor
        }));
        if when_full == WhenFull::Shorten {
            write(&mut driver, &mut random, 3, 3);
        }
        let content = driver.read(View::Now);
        let (again, _) = reopened(&driver).expect("it opens");
        assert!(again.read(View::Now) == content);
    }
}

#[test]
fn no_two_segments_have_one_id() {
    let mut lost = 0;
    for seed in 0..60 {
        let mut random = SplitMix64::new(seed);
        let mut driver = Driver::new(geometry(16, 12, 64), settings(1, WhenFull::Shorten));
        driver.run(&mut random);
        // Ids that were ever handed to the disk, and how the segment began.
        let mut begun: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
        for _ in 0..12 {
            for byte in 0..random.below(14) as u8 {
                let data = vec![byte; UNIT_BYTES];
                driver.write(2, data, false).expect("taken");
                for _ in 0..random.below(4) {
                    driver.step(&mut random);
                }
            }
            for header in driver.segment_headers() {
                let id = u64_at(&header, 16);
                let first = begun.entry(id).or_insert_with(|| header.clone());
                assert!(*first == header, "segment {id} is begun twice");
            }
            let (geometry, settings) = (driver.geometry(), driver.settings());
            let (disk, image) = driver.crash(&mut random);
            driver = Driver::open(disk, image, geometry, settings)
                .expect("it opens")
                .0;
            let there: Vec<u64> = driver
                .segment_headers()
                .iter()
                .map(|header| u64_at(header, 16))
                .collect();
            lost += u32::from(
                begun
                    .keys()
                    .next_back()
                    .is_some_and(|id| !there.contains(id)),
            );
        }
    }
    assert!(lost > 0, "a segment is lost with its header");
}

#[test]
fn a_durable_record_is_durable() {
    let (mut driver, mut random) = new(WhenFull::Refuse);
    driver.run(&mut random);
    let seq = write(&mut driver, &mut random, 1, 1);
    driver.run(&mut random);
    driver.log.note_durable();
    driver.run(&mut random);
    assert_eq!(batches(&driver, 7).len(), 1);
    assert!(driver.log.status().durable > seq);
    driver.log.note_durable();
    driver.run(&mut random);
    assert_eq!(batches(&driver, 7).len(), 1, "one is enough");
}

/// A log that is full to the last slot once so many marks are dropped: drops may take the slots
/// that are kept for what makes space. With the seq of a write before the marks; one mark is left.
fn without_a_free_slot(marks: usize) -> Option<(Driver, SplitMix64, u64)> {
    let (mut driver, mut random) = new(WhenFull::Refuse);
    let early = write(&mut driver, &mut random, 1, 1);
    let names = (0..marks).map(|at| format!("m{at}"));
    for name in names.clone().chain(["left".to_owned()]) {
        let request = driver.request();
        driver.log.mark(request, &name, None).expect("taken");
        done(&mut driver, &mut random, request);
    }
    fill(&mut driver, &mut random);
    names.for_each(|name| drop_mark(&mut driver, &mut random, &name));
    let is_full = driver.log.status().free_slots == 0;
    is_full.then_some((driver, random, early))
}

fn drop_mark(driver: &mut Driver, random: &mut SplitMix64, name: &str) {
    let request = driver.request();
    driver.log.drop_mark(request, name).expect("taken");
    done(driver, random, request);
    driver.run(random);
}

/// The fold that would make space ends with a CHECKPOINT, which has no place but the segment in
/// which the one before it is damaged.
#[test]
fn a_full_log_whose_newest_checkpoint_is_damaged_gets_space() {
    let full = (1..60).find_map(without_a_free_slot);
    let (mut driver, mut random, early) = full.expect("drops take the last slot");
    driver.log.fold(early).expect("nothing holds the floor");
    driver.run(&mut random);
    assert_eq!(driver.log.status().floor, early);
    drop_mark(&mut driver, &mut random, "left");
    let checkpoint = newest_checkpoint(&driver);
    driver.disk.bytes[checkpoint + 500] ^= 1;
    let (mut driver, report) = reopened(&driver).expect("it opens");
    assert!(report.checkpoint_mended && report.lost_from.is_none());
    assert_eq!(driver.log.status().free_slots, 0);
    let to = driver.log.status().newest;
    driver.log.fold(to).expect("nothing holds the floor");
    while driver.step(&mut random) {
        // At any moment what is there can be opened.
        let (again, report) = reopened(&driver).expect("it opens");
        assert_eq!(report.lost_from, None);
        assert!(again.log.broken().is_none());
        assert_eq!(again.read(View::Now)[2], Some(vec![9; UNIT_BYTES]));
    }
    assert_eq!(driver.log.status().floor, to, "the fold ends");
    write(&mut driver, &mut random, 2, 10);
    let (driver, report) = reopened(&driver).expect("it opens");
    assert_eq!(report.lost_from, None);
    assert_eq!(driver.read(View::Now)[2], Some(vec![10; UNIT_BYTES]));
}
