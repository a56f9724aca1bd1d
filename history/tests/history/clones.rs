//! Clones: their records byte by byte, what they hold, and the logs of clones themselves.

use crate::disk::Disk;
use crate::driver::{DISK, Driver, LOG, VDISK, geometry, recover, settings};
use crate::support::{batches, done, new, newest_checkpoint, reopened, revert, u64_at, write};
use disktime_history::{
    CloneEntry, Expectation, Failure, Need, Notice, OpenError, Origin, Recovery, SUPERBLOCK_UNITS,
    Seq, Source, UNIT_BYTES, View, WhenFull, new_clone_log, origin_of,
};
use disktime_random::SplitMix64;

const CLONE: [u8; 16] = [5; 16];

fn entry(moment: Seq) -> CloneEntry {
    CloneEntry {
        vdisk: CLONE,
        moment,
        name: "clone".to_owned(),
        settings: "{\"max\":1}".to_owned(),
    }
}

fn clone_at(driver: &mut Driver, random: &mut SplitMix64, moment: Seq) -> Seq {
    let request = driver.request();
    let taken = driver.log.record_clone(request, entry(moment));
    taken.expect("taken");
    done(driver, random, request)
}

fn drop_clone(driver: &mut Driver, random: &mut SplitMix64) -> Seq {
    let request = driver.request();
    driver.log.drop_clone(request, CLONE).expect("taken");
    done(driver, random, request)
}

fn closed(driver: &mut Driver, random: &mut SplitMix64) {
    driver.log.close();
    driver.run(random);
    assert!(driver.notices.contains(&Notice::Closed));
}

/// The read-only-compatible bits of a superblock.
fn bits(disk: &Disk, copy: usize) -> u64 {
    u64_at(
        &disk.bytes,
        SUPERBLOCK_UNITS[copy] as usize * UNIT_BYTES + 160,
    )
}

fn is_whole(disk: &Disk, copy: usize) -> bool {
    let from = SUPERBLOCK_UNITS[copy] as usize * UNIT_BYTES;
    let mut block = disk.bytes[from..from + UNIT_BYTES].to_vec();
    let checksum: Vec<u8> = block.splice(12..16, [0; 4]).collect();
    crc32c::crc32c(&block).to_le_bytes() == checksum[..]
}

#[test]
fn what_is_written_of_a_clone_is_what_the_tables_say() {
    let (mut driver, mut random) = new(WhenFull::Refuse);
    let moment = write(&mut driver, &mut random, 1, 1);
    // From the opening on.
    assert_eq!([0, 1].map(|copy| bits(&driver.disk, copy)), [1, 1]);
    let seq = clone_at(&mut driver, &mut random, moment);
    assert_eq!([0, 1].map(|copy| bits(&driver.disk, copy)), [1, 1]);
    let at = batches(&driver, 129)[0];
    let record = &driver.disk.bytes[at + 192..at + 3072];
    let expected = [
        &CLONE[..],
        &moment.to_le_bytes(),
        &5_u16.to_le_bytes(),
        &9_u16.to_le_bytes(),
        b"clone{\"max\":1}",
    ]
    .concat();
    assert_eq!(&record[..expected.len()], expected);
    assert!(record[expected.len()..].iter().all(|byte| *byte == 0));
    assert_eq!(
        u64_at(&driver.disk.bytes, at + 80),
        42,
        "bytes of the record"
    );

    closed(&mut driver, &mut random);
    let payload = newest_checkpoint(&driver) + UNIT_BYTES;
    let tables = &driver.disk.bytes[payload..payload + 8 * UNIT_BYTES];
    let time = u64_at(&driver.disk.bytes, at + 56);
    let section = [
        // Type, rows, bytes of a row, bytes of all.
        &[7_u32, 1, 0, 64].map(u32::to_le_bytes).concat()[..],
        &seq.to_le_bytes(),
        &moment.to_le_bytes(),
        &CLONE,
        &time.to_le_bytes(),
        &5_u16.to_le_bytes(),
        &9_u16.to_le_bytes(),
        &64_u32.to_le_bytes(),
        b"clone{\"max\":1}",
        &[0, 0],
    ]
    .concat();
    assert!(
        tables
            .windows(section.len())
            .any(|window| window == section)
    );

    let (mut driver, _) = reopened(&driver).expect("it opens");
    let there = driver.log.status().clones;
    assert!(there.len() == 1 && there[0].entry == entry(moment) && there[0].time_ns == time);
    let dropped = drop_clone(&mut driver, &mut random);
    let at = batches(&driver, 131)[0];
    assert_eq!(u64_at(&driver.disk.bytes, at + 40), dropped);
    assert_eq!(u64_at(&driver.disk.bytes, at + 192), seq);
    assert_eq!(driver.disk.bytes[at + 80], 8);
    assert_eq!(bits(&driver.disk, 0), 1, "as long as it can be written");
    closed(&mut driver, &mut random);
    assert_eq!([0, 1].map(|copy| bits(&driver.disk, copy)), [0, 0]);
}

/// An older program that finds a CLONE record skips it, so it must have been told before: with the
/// opening, so that the record itself is all that a clone waits for.
#[test]
fn superblocks_say_that_there_are_clones_before_one_can_be_written() {
    let mut driver = Driver::new(geometry(32, 8, 64), settings(2, WhenFull::Refuse));
    let mut moment = 0;
    for seed in 0..8 {
        let mut random = SplitMix64::new(seed);
        if seed > 0 {
            // Closed without clones, so that an older program may go on with it.
            closed(&mut driver, &mut random);
            assert_eq!([0, 1].map(|copy| bits(&driver.disk, copy)), [0, 0]);
            (driver, _) = reopened(&driver).expect("it opens");
        } else {
            moment = write(&mut driver, &mut random, 1, 1);
        }
        let number = |driver: &Driver| {
            let newest = batches(driver, 129).pop();
            newest.map(|at| u64_at(&driver.disk.bytes, at + 32))
        };
        let before = number(&driver);
        let request = driver.request();
        let recorded = driver.log.record_clone(request, entry(moment));
        recorded.expect("taken");
        loop {
            let mut lost = driver.disk.clone();
            // A record that the disk has in its cache may be kept alone.
            let has_record = number(&driver) > before;
            lost.crash(&mut SplitMix64::new(1));
            let said = [0, 1].map(|copy| is_whole(&lost, copy) && bits(&lost, copy) == 1);
            assert_eq!(said, [true, true], "seed {seed}");
            if has_record {
                break;
            }
            assert!(driver.step(&mut random), "it is written");
        }
        done(&mut driver, &mut random, request);
        drop_clone(&mut driver, &mut random);
    }
}

/// Records that wait go in one write, and all of them are answered behind one flush; a crash keeps
/// the first of them, without a gap.
#[test]
fn clones_that_are_asked_for_together_are_one_write() {
    for seed in 0..60 {
        let mut random = SplitMix64::new(seed);
        let mut driver = Driver::new(geometry(64, 8, 64), settings(1, WhenFull::Refuse));
        let moment = write(&mut driver, &mut random, 1, 1);
        driver.run(&mut random);
        let mut requests = Vec::new();
        for number in 0..20 {
            let request = driver.request();
            let clone = CloneEntry {
                vdisk: [number + 100; 16],
                name: format!("clone-{number}"),
                ..entry(moment)
            };
            driver.log.record_clone(request, clone).expect("taken");
            requests.push(request);
        }
        let jobs = driver.writes();
        driver.step(&mut random);
        assert_eq!(driver.writes() - jobs, 1, "one write");
        let steps = random.below(6);
        for _ in 0..steps {
            driver.step(&mut random);
        }
        let answered = driver.notices.iter().filter(
            |notice| matches!(notice, Notice::Done { request, .. } if requests.contains(request)),
        );
        let answered = answered.count();
        let mut lost = driver.disk.clone();
        lost.crash(&mut random);
        let (geometry, settings) = (driver.geometry(), driver.settings());
        let (log, report) = recover(&mut lost, &geometry, settings).expect("it opens");
        assert!(report.lost_from.is_none(), "seed {seed}");
        let kept: Vec<String> = log.cloned().map(|clone| clone.name.clone()).collect();
        let expected = (0..kept.len()).map(|number| format!("clone-{number}"));
        assert!(kept.iter().cloned().eq(expected), "seed {seed}: {kept:?}");
        assert!(kept.len() >= answered, "seed {seed}");
        driver.run(&mut random);
        assert_eq!(driver.log.cloned().count(), 20);
        let (again, _) = reopened(&driver).expect("it opens");
        assert_eq!(again.log.cloned().count(), 20);
    }
}

#[test]
fn clones_without_room_in_the_tables_are_refused_by_a_sentence_that_says_what_to_drop() {
    let (mut driver, mut random) = new(WhenFull::Refuse);
    let moment = write(&mut driver, &mut random, 1, 1);
    let mut asked = Vec::new();
    let refused = loop {
        let mut clone = entry(moment);
        clone.vdisk[..8].copy_from_slice(&asked.len().to_le_bytes());
        clone.name = format!("{:0>128}", asked.len());
        let request = driver.request();
        match driver.log.record_clone(request, clone) {
            Ok(()) => asked.push(request),
            Err(why) => break why,
        }
    };
    assert_eq!(refused, Failure::TooManyClones);
    let said = refused.to_string();
    for words in [
        "many clones",
        "`disktime drop CLONE`",
        "larger `max`",
        "4096",
    ] {
        assert!(said.contains(words), "{said}");
    }
    assert!(!asked.is_empty());
}

#[test]
fn what_a_clone_needs_is_not_dropped() {
    let (mut driver, mut random) = new(WhenFull::Refuse);
    write(&mut driver, &mut random, 1, 1);
    let request = driver.request();
    driver.log.mark(request, "golden", None).expect("taken");
    let marked = done(&mut driver, &mut random, request);
    let left = driver.log.status().branch;
    let tail = write(&mut driver, &mut random, 1, 2);
    revert(&mut driver, &mut random, marked);
    clone_at(&mut driver, &mut random, tail);
    let request = driver.request();
    let refused = driver.log.drop_branch(request, left);
    assert_eq!(refused, Err(Failure::BranchIsCloned));
    drop_clone(&mut driver, &mut random);
    // While its record is not written yet, too.
    let request = driver.request();
    driver
        .log
        .record_clone(request, entry(tail))
        .expect("taken");
    let drop_request = driver.request();
    let refused = driver.log.drop_branch(drop_request, left);
    assert_eq!(refused, Err(Failure::BranchIsCloned));
    let newest = driver.log.status().newest;
    assert_eq!(driver.log.fold(newest), Err(Failure::FloorIsHeld));
    done(&mut driver, &mut random, request);
    drop_clone(&mut driver, &mut random);

    // A branch that is being dropped has no moments for a clone any more.
    driver.log.drop_branch(drop_request, left).expect("taken");
    let request = driver.request();
    let refused = driver.log.record_clone(request, entry(tail));
    assert_eq!(refused, Err(Failure::NoSuchMoment));
    done(&mut driver, &mut random, drop_request);

    clone_at(&mut driver, &mut random, marked);
    let request = driver.request();
    let refused = driver.log.drop_mark(request, "golden");
    assert_eq!(refused, Err(Failure::MarkIsCloned));
    drop_clone(&mut driver, &mut random);
    driver.log.drop_mark(request, "golden").expect("taken");
    done(&mut driver, &mut random, request);
}

fn origin() -> Origin {
    Origin {
        vdisk: [1; 16],
        log: [2; 16],
        moment: 77,
    }
}

fn new_clone(when_full: WhenFull) -> Driver {
    let geometry = geometry(16, 6, 64);
    let mut disk = Disk::new(geometry.area_units() as usize * UNIT_BYTES);
    let block = new_clone_log(geometry, origin(), [0, 1, 0]).expect("possible");
    assert_eq!(origin_of(&block), Some(origin()));
    for unit in SUPERBLOCK_UNITS {
        disk.write(unit as usize * UNIT_BYTES, &block);
    }
    disk.settle();
    let opened = Driver::open(disk, Disk::new(0), geometry, settings(1, when_full));
    opened.expect("it opens").0
}

#[test]
fn the_log_of_a_clone_says_what_it_begins_with() {
    let mut driver = new_clone(WhenFull::Shorten);
    let mut random = SplitMix64::new(1);
    write(&mut driver, &mut random, 3, 3);
    for unit in SUPERBLOCK_UNITS {
        let block = &driver.disk.bytes[unit as usize * UNIT_BYTES..][..UNIT_BYTES];
        assert_eq!(u64_at(block, 72), 2);
        assert_eq!(&block[192..208], &[1; 16]);
        assert_eq!(&block[208..224], &[2; 16]);
        assert_eq!(u64_at(block, 224), 77);
    }
    // As the log of another clone, or of no clone, it is not opened.
    let expectation = Expectation {
        vdisk: VDISK,
        disk: DISK,
        area_units: driver.geometry().area_units(),
    };
    let other = Origin {
        moment: 78,
        ..origin()
    };
    let recoveries = [
        Recovery::new(expectation),
        Recovery::of_clone(expectation, other),
    ];
    for mut recovery in recoveries {
        while recovery.need() != Need::Nothing {
            match recovery.need() {
                Need::Read { unit, units } => {
                    let from = unit as usize * UNIT_BYTES;
                    let end = from + units as usize * UNIT_BYTES;
                    recovery.give(Ok(&driver.disk.bytes[from..end]));
                }
                _ => recovery.flushed(Ok(())),
            }
        }
        let refused = recovery.finish(settings(1, WhenFull::Shorten));
        assert!(refused.is_err_and(|error| error == OpenError::Stranger));
    }
    assert_eq!(LOG, driver.geometry().log);
}

/// It has no image to fold into: it refuses changes when it is full, gives nothing up for space,
/// and what it has not is its parent's for ever.
#[test]
fn a_full_log_of_a_clone_refuses_changes_and_keeps_all() {
    let mut driver = new_clone(WhenFull::Shorten);
    let mut random = SplitMix64::new(1);
    let first = write(&mut driver, &mut random, 1, 1);
    let left = driver.log.status().branch;
    write(&mut driver, &mut random, 1, 2);
    revert(&mut driver, &mut random, first);
    let mut written = 0;
    let why = loop {
        let data = vec![written as u8; UNIT_BYTES];
        let request = driver.write(2 + written % 8, data, true).expect("taken");
        match driver.finish(request, &mut random) {
            Ok(_) => written += 1,
            Err(why) => break why,
        }
        driver.log.fold_early();
        driver.log.expire_branches(u64::MAX);
        assert!(driver.log.fold_target(u64::MAX).is_none());
        assert!(written < 1000);
    };
    assert_eq!(why, Failure::Full);
    let status = driver.log.status();
    assert_eq!((status.floor, status.oldest_restorable), (0, 0));
    let is_dropped = |id: u64| status.branches.iter().any(|row| row.0 == id && row.4);
    assert!(!is_dropped(left), "what was left is kept");
    let source = |driver: &Driver, lba| driver.log.look_up(View::Now, lba, 1).map(|run| run.source);
    assert_eq!(source(&driver, 40), Some(Source::Image));
    assert!(matches!(source(&driver, 1), Some(Source::Log { .. })));
    let (again, _) = reopened(&driver).expect("it opens");
    assert!(again.log.is_clone());
    assert_eq!(source(&again, 40), Some(Source::Image));
}
