//! The disk below a log has no space for some time: changes fail and change nothing, then or after
//! a crash; what was flushed stays; all goes on when there is space.

use crate::driver::{Driver, geometry, settings};
use crate::support::write;
use disktime_history::{Failure, Notice, RequestId, UNIT_BYTES, View, WhenFull};
use disktime_random::SplitMix64;
use std::collections::BTreeMap;

const BLOCKS: u64 = 64;

struct World {
    driver: Driver,
    random: SplitMix64,
    /// What each block holds.
    copy: Vec<u8>,
    /// Asked for: block and byte.
    asked: BTreeMap<RequestId, (u64, u8)>,
    refused: usize,
    folded: usize,
}

impl World {
    fn new(seed: u64) -> World {
        let mut random = SplitMix64::new(seed);
        let in_flight = random.range(1, 5) as usize;
        let slot_units = [32, 64][random.below(2) as usize];
        let settings = settings(in_flight, WhenFull::Shorten);
        let mut driver = Driver::new(geometry(slot_units, 8, BLOCKS), settings);
        driver.run(&mut random);
        World {
            driver,
            random,
            copy: vec![0; BLOCKS as usize],
            asked: BTreeMap::new(),
            refused: 0,
            folded: 0,
        }
    }

    /// Writes of blocks that no other write in flight has, and some steps.
    fn write_some(&mut self) {
        for _ in 0..self.random.range(1, 20) {
            let (lba, byte) = (self.random.below(BLOCKS), self.random.below(255) as u8 + 1);
            if self.asked.values().all(|(of, _)| *of != lba) {
                let data = vec![byte; UNIT_BYTES];
                let durable = self.random.below(6) == 0;
                let request = self.driver.write(lba, data, durable).expect("taken");
                self.asked.insert(request, (lba, byte));
            }
            for _ in 0..self.random.below(4) {
                self.driver.step(&mut self.random);
            }
        }
        if self.random.below(4) == 0 {
            let request = self.driver.request();
            self.driver.log.flush(request).expect("taken");
        }
    }

    fn settle(&mut self) {
        self.driver.run(&mut self.random);
        self.take_answers();
        assert!(self.asked.is_empty(), "each change is answered");
    }

    fn take_answers(&mut self) {
        for notice in std::mem::take(&mut self.driver.notices) {
            match notice {
                Notice::Done { request, .. } => {
                    if let Some((lba, byte)) = self.asked.remove(&request) {
                        self.copy[lba as usize] = byte;
                    }
                }
                Notice::Failed { request, why } => {
                    assert_eq!(why, Failure::NoSpace);
                    self.asked.remove(&request).expect("flushes do not fail");
                    self.refused += 1;
                }
                Notice::Folded { .. } => self.folded += 1,
                Notice::Broken => panic!("it goes on"),
                _ => {}
            }
        }
    }

    fn check(&self, what: &str) {
        let there = self.driver.read(View::Now);
        for (block, (bytes, byte)) in there.iter().zip(&self.copy).enumerate() {
            let expected = Some(vec![*byte; UNIT_BYTES]);
            assert!(*bytes == expected, "{what}: block {block}");
        }
    }

    /// Power is lost; what was flushed is there, and nothing that failed.
    fn crash(mut self, what: &str) -> World {
        let flush = self.driver.request();
        self.driver.log.flush(flush).expect("taken");
        self.driver
            .finish(flush, &mut self.random)
            .expect("flushes go on");
        self.settle();
        let (geometry, settings) = (self.driver.geometry(), self.driver.settings());
        let (disk, image) = self.driver.crash(&mut self.random);
        let opened = Driver::open(disk, image, geometry, settings);
        let (driver, report) = opened.expect("it opens");
        assert_eq!(report.lost_from, None, "{what}");
        let world = World { driver, ..self };
        world.check(what);
        world
    }
}

#[test]
fn a_disk_without_space_fails_changes_that_change_nothing() {
    let (mut refused, mut folded) = (0, 0);
    for seed in 0..60 {
        let mut world = World::new(seed);
        for round in 0..12 {
            let what = format!("seed {seed} round {round}");
            world.write_some();
            world.driver.no_space = true;
            for _ in 0..world.random.below(4) {
                world.write_some();
                world.driver.log.retry_writes();
                world.driver.log.retry_fold();
                world.take_answers();
            }
            world.settle();
            world.check(&what);
            if world.random.below(3) == 0 {
                world = world.crash(&what);
            }
            world.driver.no_space = false;
            world.driver.log.retry_writes();
            world.driver.log.retry_fold();
            world.settle();
            world.check(&what);
            for lba in 0..8 {
                write(&mut world.driver, &mut world.random, lba, 7);
                world.copy[lba as usize] = 7;
            }
            assert!(!world.driver.log.is_out_of_space(), "{what}");
            world.take_answers();
            if world.random.below(3) == 0 {
                world = world.crash(&what);
            }
        }
        (refused, folded) = (refused + world.refused, folded + world.folded);
    }
    assert!(refused > 100 && folded > 10, "{refused} {folded}");
}

#[test]
fn records_that_find_no_space_fail_or_are_written_later() {
    let mut random = SplitMix64::new(3);
    let mut driver = Driver::new(geometry(32, 8, BLOCKS), settings(2, WhenFull::Shorten));
    driver.run(&mut random);
    let fork = write(&mut driver, &mut random, 1, 1);
    let to = write(&mut driver, &mut random, 1, 2);
    driver.no_space = true;
    let mark = driver.request();
    driver.log.mark(mark, "a", None).expect("taken");
    assert_eq!(driver.finish(mark, &mut random), Err(Failure::NoSpace));
    driver.log.retry_writes();
    let revert = driver.request();
    driver.log.revert(revert, fork).expect("taken");
    assert_eq!(driver.finish(revert, &mut random), Err(Failure::NoSpace));
    assert!(!driver.log.is_reverting());
    driver.log.retry_writes();
    driver.log.fold(to).expect("taken");
    driver.run(&mut random);
    assert!(driver.log.fold_rests(), "its FOLD_INTENT found no space");
    // The log can be closed when there is space, and not before.
    driver.log.close();
    driver.log.retry_writes();
    driver.run(&mut random);
    assert!(!driver.notices.contains(&Notice::Closed));
    driver.no_space = false;
    driver.log.retry_writes();
    driver.run(&mut random);
    assert!(driver.notices.contains(&Notice::Closed));
    let (again, report) = crate::support::reopened(&driver).expect("it opens");
    assert!(report.was_closed);
    assert_eq!(again.read(View::Now)[1], Some(vec![2; UNIT_BYTES]));
    assert!(again.log.status().marks.is_empty());
}
