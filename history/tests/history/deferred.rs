//! Logs that are on a disk only when something is written to them.

use crate::disk::Disk;
use crate::driver::{Driver, geometry, recover, settings};
use crate::support::{done, reopened, write};
use disktime_history::{
    Failure, Notice, Origin, SUPERBLOCK_UNITS, Source, UNIT_BYTES, VerifyNext, View, WhenFull,
    new_clone_log,
};
use disktime_random::SplitMix64;

/// The log of a clone in memory; nothing of it is on its disk.
fn deferred() -> Driver {
    let geometry = geometry(32, 8, 64);
    let origin = Origin {
        vdisk: [1; 16],
        log: [2; 16],
        moment: 77,
    };
    let block = new_clone_log(geometry, origin, [0, 1, 0]).expect("a possible geometry");
    let mut found = Disk::new(geometry.area_units() as usize * UNIT_BYTES);
    for unit in SUPERBLOCK_UNITS {
        found.write(unit as usize * UNIT_BYTES, &block);
    }
    let image = Disk::new(64 * UNIT_BYTES);
    let begun = Driver::begin(found, image, geometry, settings(2, WhenFull::Refuse));
    let mut driver = begun.expect("it is found").0;
    driver.log = driver.log.deferred();
    // There is no area.
    driver.disk = Disk::new(geometry.area_units() as usize * UNIT_BYTES);
    driver.run(&mut SplitMix64::new(1));
    assert_eq!(driver.notices, [Notice::Opened]);
    driver.notices.clear();
    driver
}

fn begin(driver: &mut Driver) {
    let block = driver.log.first_superblock();
    for unit in SUPERBLOCK_UNITS {
        driver.disk.write(unit as usize * UNIT_BYTES, &block);
    }
    driver.disk.settle();
    driver.log.begin_writing();
}

fn source(driver: &Driver, view: View, lba: u64) -> Option<Source> {
    driver.log.look_up(view, lba, 1).map(|run| run.source)
}

#[test]
fn a_deferred_log_is_read_and_writes_nothing() {
    let mut driver = deferred();
    let mut random = SplitMix64::new(2);
    let refused = driver.write(1, vec![1; UNIT_BYTES], true);
    assert_eq!(refused, Err(Failure::Unwritten));
    let request = driver.request();
    let log = &mut driver.log;
    assert_eq!(log.mark(request, "m", None), Err(Failure::Unwritten));
    assert_eq!(log.revert(request, 0), Err(Failure::Unwritten));
    assert_eq!(log.flush(request), Err(Failure::Unwritten));
    // What is wrong anyway needs no area.
    assert_eq!(log.mark(request, "5m", None), Err(Failure::BadName));
    assert_eq!(log.drop_mark(request, "m"), Err(Failure::NoSuchMark));
    assert_eq!(log.drop_branch(request, 1), Err(Failure::NoSuchBranch));
    assert_eq!(log.revert(request, 5), Err(Failure::NoSuchMoment));
    assert_eq!(log.undo_revert(request), Err(Failure::NothingToUndo));
    assert_eq!(source(&driver, View::Now, 1), Some(Source::Image));
    let request = driver.request();
    driver.log.open_view(request, 0).expect("its moment");
    let mut verify = driver.log.verify().expect("it is open");
    assert_eq!(verify.next(&driver.log), VerifyNext::Done);
    let verified = verify.finish();
    assert_eq!((verified.units, verified.damages), (0, Vec::new()));
    driver.log.note_durable();
    driver.run(&mut random);
    let opened = driver.notices.pop();
    assert!(matches!(opened, Some(Notice::ViewOpened { .. })));
    driver.log.close();
    driver.run(&mut random);
    assert_eq!(driver.notices, [Notice::Closed]);
    assert!(driver.disk.bytes.iter().all(|byte| *byte == 0));
}

/// At each step of the beginning power may fail: then it is found, empty, and can be written.
#[test]
fn a_deferred_log_begins() {
    for seed in 0..20 {
        let mut random = SplitMix64::new(seed);
        let mut driver = deferred();
        let request = driver.request();
        driver.log.open_view(request, 0).expect("its moment");
        driver.run(&mut random);
        let Some(Notice::ViewOpened { view, .. }) = driver.notices.pop() else {
            panic!("it is open");
        };
        begin(&mut driver);
        loop {
            for view in [View::Now, View::At(view)] {
                assert_eq!(source(&driver, view, 1), Some(Source::Image));
            }
            let mut lost = driver.disk.clone();
            lost.crash(&mut random);
            let (geometry, settings) = (driver.geometry(), driver.settings());
            let (log, report) = recover(&mut lost, &geometry, settings).expect("it is found");
            assert!(log.is_clone() && report.lost_from.is_none(), "seed {seed}");
            if driver.notices.contains(&Notice::Opened) {
                break;
            }
            assert!(driver.step(&mut random), "it begins");
        }
        let written = write(&mut driver, &mut random, 1, 9);
        assert_eq!(source(&driver, View::At(view), 1), Some(Source::Image));
        let (mut again, _) = reopened(&driver).expect("it opens");
        assert!(again.log.status().newest >= written);
        assert!(matches!(
            source(&again, View::Now, 1),
            Some(Source::Log { .. })
        ));
        let request = again.request();
        again.log.mark(request, "m", None).expect("taken");
        done(&mut again, &mut random, request);
    }
}

#[test]
fn a_log_that_is_closed_while_it_begins_is_closed_when_it_has_begun() {
    for steps in 0..6 {
        let mut random = SplitMix64::new(steps);
        let mut driver = deferred();
        begin(&mut driver);
        for _ in 0..steps {
            driver.step(&mut random);
        }
        driver.log.close();
        driver.run(&mut random);
        assert!(driver.notices.contains(&Notice::Closed), "{steps}");
        let (again, _) = reopened(&driver).expect("it opens");
        assert!(again.log.is_clone());
    }
}

/// A full file system below: it is tried again, and nothing breaks.
#[test]
fn a_log_that_finds_no_space_to_begin_begins_later() {
    let mut driver = deferred();
    let mut random = SplitMix64::new(5);
    begin(&mut driver);
    driver.no_space = true;
    driver.run(&mut random);
    assert_eq!(driver.notices, [Notice::OutOfSpace]);
    assert_eq!(source(&driver, View::Now, 1), Some(Source::Image));
    driver.no_space = false;
    assert!(driver.log.retry_writes(), "it waits");
    driver.run(&mut random);
    assert!(driver.notices.contains(&Notice::Opened));
    write(&mut driver, &mut random, 1, 9);
}
