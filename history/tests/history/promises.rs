//! What single requests are promised, where the model's crashes rarely look: a flush with writes in
//! flight, names that are asked for twice at once, requests that wait when the log breaks, a log
//! without room for a record, units that cannot be read.

use crate::driver::{Driver, geometry, settings};
use crate::support::{batches, new, reopened, u64_at, write};
use disktime_history::{Failure, IoFailed, Moment, Notice, Seq, Step, UNIT_BYTES, View, WhenFull};
use disktime_random::SplitMix64;
use std::collections::BTreeMap;

type Content = Vec<Option<Vec<u8>>>;

/// A log of several segments, and its content at every moment.
fn several_segments() -> (Driver, SplitMix64, BTreeMap<Seq, Content>) {
    let (mut driver, mut random) = new(WhenFull::Refuse);
    driver.run(&mut random);
    let mut contents = BTreeMap::new();
    for byte in 1..=60 {
        let seq = write(&mut driver, &mut random, u64::from(byte % 5), byte);
        contents.insert(seq, driver.read(View::Now));
    }
    driver.run(&mut random);
    (driver, random, contents)
}

/// The slots of sealed segments, oldest first: where one begins, and where its SEAL is, in units.
fn sealed_slots(driver: &Driver) -> Vec<(usize, usize)> {
    let slot_units = driver.geometry().slot_units as usize;
    let seals = batches(driver, 10).into_iter();
    let slots = seals.map(|at| at / UNIT_BYTES);
    // The first slot begins behind the superblocks, at a multiple of its length here.
    slots.map(|seal| (seal - seal % slot_units, seal)).collect()
}

#[test]
fn a_flush_covers_what_was_asked_for_before_it() {
    for seed in 0..40 {
        let mut random = SplitMix64::new(seed);
        let mut driver = Driver::new(geometry(32, 8, 64), settings(2, WhenFull::Refuse));
        driver.run(&mut random);
        for byte in 1..=6 {
            let data = vec![byte; UNIT_BYTES];
            driver.write(u64::from(byte), data, false).expect("taken");
            for _ in 0..random.below(3) {
                driver.step(&mut random);
            }
        }
        let flush = driver.request();
        driver.log.flush(flush).expect("taken");
        driver.finish(flush, &mut random).expect("flushed");
        let (geometry, settings) = (driver.geometry(), driver.settings());
        let (disk, image) = driver.crash(&mut random);
        let (driver, _) = Driver::open(disk, image, geometry, settings).expect("it opens");
        let blocks = driver.read(View::Now);
        for byte in 1..=6 {
            let block = &blocks[usize::from(byte)];
            assert!(
                *block == Some(vec![byte; UNIT_BYTES]),
                "seed {seed}: block {byte}"
            );
        }
    }
}

#[test]
fn a_log_with_a_write_that_waits_is_not_idle() {
    let (mut driver, mut random) = new(WhenFull::Refuse);
    driver.run(&mut random);
    assert!(driver.log.is_idle());
    let request = driver.write(1, vec![1; UNIT_BYTES], true).expect("taken");
    assert!(!driver.log.is_idle(), "it is staged");
    let step = driver.log.take_step(1);
    let Some(Step::Write { io, .. }) = step else {
        panic!("{step:?} is not the write");
    };
    assert!(!driver.log.is_idle(), "it is in flight");
    driver.log.complete(io, Ok(()));
    let step = driver.log.take_step(1);
    let Some(Step::Flush { io }) = step else {
        panic!("{step:?} is not its flush");
    };
    assert!(!driver.log.is_idle(), "it is being flushed");
    driver.log.complete(io, Ok(()));
    driver.finish(request, &mut random).expect("written");
    driver.run(&mut random);
    assert!(driver.log.is_idle());
}

#[test]
fn a_name_is_given_once_though_the_first_mark_is_in_flight() {
    let (mut driver, mut random) = new(WhenFull::Refuse);
    driver.run(&mut random);
    let first = driver.request();
    driver.log.mark(first, "one", None).expect("taken");
    let again = driver.request();
    let waiting = driver.log.mark(again, "one", None);
    assert_eq!(waiting, Err(Failure::MarkExists), "the first waits");
    let other = driver.request();
    let waiting = driver.log.mark(other, "two", None);
    waiting.expect("another name is free");
    let step = driver.log.take_step(1);
    let Some(Step::Write { io, .. }) = step else {
        panic!("{step:?} is not the record");
    };
    let in_flight = driver.log.mark(again, "one", None);
    assert_eq!(
        in_flight,
        Err(Failure::MarkExists),
        "the first is in flight"
    );
    driver.log.mark(again, "three", None).expect("it is free");
    driver.log.complete(io, Ok(()));
    driver.run(&mut random);
    let names = driver.log.status().marks.into_iter();
    let mut names: Vec<String> = names.map(|mark| mark.name).collect();
    names.sort();
    assert_eq!(names, ["one", "three", "two"]);
}

#[test]
fn a_mark_for_which_there_is_no_room_fails_and_the_log_goes_on() {
    let (mut driver, mut random) = new(WhenFull::Refuse);
    driver.run(&mut random);
    let mut marks = 0;
    let why = loop {
        write(&mut driver, &mut random, 1, marks as u8);
        let request = driver.request();
        let name = format!("mark-{marks}");
        let outcome = driver.log.mark(request, &name, None);
        if let Err(why) = outcome.and_then(|()| driver.finish(request, &mut random).map(drop)) {
            break why;
        }
        marks += 1;
        assert!(marks < 200, "the log is full some time");
        if driver.log.status().free_slots == 2 {
            // Only records from here on: data would be refused first.
            break loop {
                let request = driver.request();
                let name = format!("mark-{marks}");
                let outcome = driver.log.mark(request, &name, None);
                let outcome = outcome.and_then(|()| driver.finish(request, &mut random).map(drop));
                if let Err(why) = outcome {
                    break why;
                }
                marks += 1;
            };
        }
    };
    assert_eq!(why, Failure::Full);
    assert_eq!(driver.log.status().marks.len(), marks);
    assert_eq!(driver.log.broken(), None);
    let flush = driver.request();
    driver.log.flush(flush).expect("taken");
    driver.finish(flush, &mut random).expect("a flush goes on");
    let drop = driver.request();
    driver.log.drop_mark(drop, "mark-0").expect("taken");
    driver
        .finish(drop, &mut random)
        .expect("what makes space goes on");
    let (driver, _) = reopened(&driver).expect("it opens");
    assert_eq!(driver.log.status().marks.len(), marks - 1);
}

#[test]
fn a_revert_that_waits_for_reads_is_answered_when_the_log_breaks() {
    let (mut driver, mut random, contents) = several_segments();
    // Without its footer, a segment is read before a revert to it is promised.
    let (_, seal) = sealed_slots(&driver)[0];
    driver.disk.bytes[(seal + 1) * UNIT_BYTES] ^= 1;
    let mut driver = reopened(&driver).expect("it opens").0;
    driver.write(1, vec![99; UNIT_BYTES], false).expect("taken");
    driver.run(&mut random);
    let flush = driver.request();
    driver.log.flush(flush).expect("taken");
    let revert = driver.request();
    let (old, _) = contents.first_key_value().expect("some");
    driver.log.revert(revert, *old).expect("taken");
    let (mut flushes, mut reads) = (Vec::new(), Vec::new());
    while let Some(step) = driver.log.take_step(driver.clock_ns) {
        match step {
            Step::Flush { io } => flushes.push(io),
            Step::Read { io, unit, units } => reads.push((io, unit, units)),
            _ => panic!("{step:?} is neither the flush nor a read of the revert"),
        }
    }
    assert_eq!((flushes.len(), reads.len()), (1, 1));
    driver.log.complete(flushes[0], Err(IoFailed));
    let (io, unit, units) = reads[0];
    let (from, len) = (unit as usize * UNIT_BYTES, units as usize * UNIT_BYTES);
    let bytes = driver.disk.bytes[from..from + len].to_vec();
    driver.log.complete_read(io, Ok(&bytes));
    driver.run(&mut random);
    for request in [flush, revert] {
        let answers = driver.notices.iter();
        let is_failure =
            |one: &&Notice| matches!(one, Notice::Failed { request: of, .. } if *of == request);
        assert_eq!(answers.filter(is_failure).count(), 1, "{request:?}");
    }
}

#[test]
fn a_name_behind_a_loss_is_not_known() {
    let (mut driver, mut random, contents) = several_segments();
    let (newest, _) = contents.last_key_value().expect("some");
    let mark = driver.request();
    driver.log.mark(mark, "late", None).expect("taken");
    driver.finish(mark, &mut random).expect("marked");
    // A checkpoint with it, behind what will be lost.
    driver.log.close();
    driver.run(&mut random);
    let (slot, seal) = sealed_slots(&driver)[1];
    let lost = u64_at(&driver.disk.bytes, slot * UNIT_BYTES + 32);
    assert!(lost < *newest);
    driver.disk.bytes[(slot + 1) * UNIT_BYTES..(seal + 2) * UNIT_BYTES].fill(0x5A);
    let (mut driver, report) = reopened(&driver).expect("it opens");
    assert_eq!(
        report.lost_from.or(driver.log.report().lost_from),
        Some(lost)
    );
    assert_eq!(driver.log.status().marks, []);
    let request = driver.request();
    let resolved = driver
        .log
        .resolve(request, &Moment::Mark("late".to_owned()), 0);
    assert_eq!(resolved, Err(Failure::NoSuchMark));
    let (_, content) = contents.range(..lost).next_back().expect("some");
    assert!(driver.read(View::Now) == *content);
}

/// Of a segment whose SEAL and another unit cannot be read, the rest is there: it is read again
/// unit by unit.
#[test]
fn a_unit_that_cannot_be_read_does_not_cost_those_before_it() {
    let (mut driver, mut random, contents) = several_segments();
    let (slot, seal) = sealed_slots(&driver)[1];
    let first = u64_at(&driver.disk.bytes, slot * UNIT_BYTES + 32);
    let (moment, content) = contents.range(first..).nth(2).expect("it has more");
    let data = batches(&driver, 1).into_iter().map(|at| at / UNIT_BYTES);
    let last = data.filter(|unit| (slot..seal).contains(unit)).max();
    let last = last.expect("it holds data");
    driver.bad_units = vec![seal as u32, last as u32];
    let view = driver.view(*moment, &mut random).expect("it opens");
    assert!(driver.read(View::At(view)) == *content);
}

#[test]
fn so_many_moments_are_opened_at_once_and_no_more() {
    let (mut driver, mut random, contents) = several_segments();
    let (oldest, content) = contents.first_key_value().expect("some");
    let mut taken = Vec::new();
    let why = loop {
        let request = driver.request();
        match driver.log.open_view(request, *oldest) {
            Ok(()) => taken.push(request),
            Err(why) => break why,
        }
        assert!(taken.len() < 1000, "there is a bound");
    };
    assert_eq!(why, Failure::Busy);
    for request in taken {
        let view = driver.opened(request, &mut random).expect("it opens");
        assert!(driver.read(View::At(view)) == *content);
        driver.log.close_view(view);
    }
}

#[test]
fn a_change_beyond_the_end_is_refused_and_one_up_to_it_is_taken() {
    let (mut driver, mut random) = new(WhenFull::Refuse);
    driver.run(&mut random);
    let end = driver.geometry().vdisk_blocks;
    let data = vec![1; 2 * UNIT_BYTES];
    let request = driver.write(end - 2, data, false).expect("up to the end");
    driver.finish(request, &mut random).expect("written");
    let beyond = [
        (end - 1, 2),
        (end, 1),
        (end + 5, 1),
        (u64::MAX, 1),
        (0, end + 1),
    ];
    for (lba, blocks) in beyond {
        let data = vec![2; blocks as usize * UNIT_BYTES];
        assert_eq!(driver.write(lba, data, false), Err(Failure::OutOfRange));
        let request = driver.request();
        let zeroed = driver.log.zero(request, lba, blocks, true, false);
        assert_eq!(zeroed, Err(Failure::OutOfRange), "{blocks} at {lba}");
    }
    let request = driver.request();
    let nothing = driver.log.zero(request, 0, 0, true, false);
    assert_eq!(nothing, Err(Failure::OutOfRange));
    assert_eq!(
        driver.read(View::Now)[end as usize - 1],
        Some(vec![1; UNIT_BYTES])
    );
    driver
        .log
        .zero(request, 0, end, false, false)
        .expect("all of it");
    driver.finish(request, &mut random).expect("zeroed");
    let zeroes = Some(vec![0; UNIT_BYTES]);
    assert!(driver.read(View::Now).iter().all(|block| *block == zeroes));
}

#[test]
fn changes_that_wait_are_bounded() {
    let mut random = SplitMix64::new(3);
    let mut driver = Driver::new(geometry(1024, 16, 64), settings(2, WhenFull::Refuse));
    driver.run(&mut random);
    let mut taken = Vec::new();
    let why = loop {
        match driver.write(1, vec![1; UNIT_BYTES], false) {
            Ok(request) => taken.push(request),
            Err(why) => break why,
        }
        assert!(taken.len() < 10_000, "there is a bound");
    };
    assert_eq!(why, Failure::Busy);
    driver.run(&mut random);
    for request in taken {
        driver.finish(request, &mut random).expect("each is done");
    }
    write(&mut driver, &mut random, 1, 2);
}

/// What the new branch reads is in the image by then, and the slots are used again.
#[test]
fn a_fold_that_ends_while_a_revert_waits_takes_nothing_from_it() {
    for seed in 0..150 {
        let mut random = SplitMix64::new(seed);
        let mut driver = Driver::new(geometry(32, 16, 64), settings(2, WhenFull::Refuse));
        let mut moments = Vec::new();
        for byte in 1..=70 {
            let lba = random.below(16);
            let seq = write(&mut driver, &mut random, lba, byte);
            moments.push((seq, driver.read(View::Now)));
        }
        let (to, _) = moments[30];
        let (moment, content) = &moments[30 + random.below(30) as usize];
        driver.log.fold(to).expect("nothing holds the floor");
        for _ in 0..random.below(50) {
            driver.step(&mut random);
        }
        if seed % 3 == 0 {
            // The fold waits for a moment that is being opened, and the whole map behind the revert
            // does, too.
            driver.build_waits = true;
            let view = driver.request();
            let opened = driver.log.open_view(view, *moment);
            opened.expect("it is kept");
        }
        let revert = driver.request();
        driver.log.revert(revert, *moment).expect("it is kept");
        driver.finish(revert, &mut random).expect("reverted");
        for _ in 0..random.below(30) {
            driver.step(&mut random);
        }
        if seed % 3 == 1 {
            // Slots are free and are written again before the whole map is built.
            driver.build_waits = true;
            for byte in 200..230 {
                write(&mut driver, &mut random, 40, byte);
            }
        }
        let now = driver.read_now();
        assert!(now[..16] == content[..16], "seed {seed}");
        driver.build_waits = false;
        driver.run(&mut random);
        assert_eq!(driver.log.status().floor, to);
        // The slots that the fold has freed are written again.
        for byte in 100..140 {
            write(&mut driver, &mut random, 40, byte);
        }
        let now = driver.read_now();
        assert!(now[..16] == content[..16], "seed {seed}");
    }
}
