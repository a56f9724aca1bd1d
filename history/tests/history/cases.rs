//! Single behaviours of a log.

use crate::driver::{DISK, Driver, LOG, VDISK, format, geometry, settings};
use disktime_history::{
    Expectation, Failure, IoFailed, Moment, Need, Notice, OpenError, Recovery, Resolved, Step,
    UNIT_BYTES, View, WhenFull,
};
use disktime_random::SplitMix64;

fn opened(when_full: WhenFull) -> (Driver, SplitMix64) {
    let mut random = SplitMix64::new(3);
    let mut driver = Driver::new(geometry(32, 8, 64), settings(2, when_full));
    driver.run(&mut random);
    (driver, random)
}

fn write(driver: &mut Driver, lba: u64, byte: u8) -> disktime_history::RequestId {
    driver
        .write(lba, vec![byte; UNIT_BYTES], false)
        .expect("it is taken")
}

#[test]
fn a_time_means_the_newest_content_then() {
    let (mut driver, mut random) = opened(WhenFull::Refuse);
    let mut known = Vec::new();
    for byte in 1..=60 {
        let request = write(&mut driver, 1, byte);
        let seq = driver.finish(request, &mut random).expect("written");
        driver.clock_ns += 10_000_000;
        known.push((driver.clock_ns, seq, byte));
        driver.clock_ns += 10_000_000;
    }
    for (time_ns, seq, byte) in known.into_iter().skip(30) {
        let request = driver.request();
        let moment = Moment::Time(time_ns);
        let resolved = driver
            .log
            .resolve(request, &moment, 0)
            .expect("it is in the window");
        assert_eq!(resolved, Resolved::Later);
        let found = driver.finish(request, &mut random).expect("it is found");
        assert!(found >= seq, "{found} of {seq}");
        let view = driver.view(found, &mut random).expect("it opens");
        assert_eq!(driver.read(View::At(view))[1], Some(vec![byte; UNIT_BYTES]));
        driver.log.close_view(view);
    }
    // Before the history began: what it began with, as long as that is kept.
    for expected in [Ok(0), Err(Failure::NoSuchMoment)] {
        let request = driver.request();
        let resolved = driver.log.resolve(request, &Moment::Time(1), 0);
        assert_eq!(resolved, Ok(Resolved::Later));
        assert_eq!(driver.finish(request, &mut random), expected);
        if let Ok(beginning) = expected {
            let view = driver.view(beginning, &mut random).expect("it opens");
            assert_eq!(driver.read(View::At(view))[1], Some(vec![0; UNIT_BYTES]));
            driver.log.close_view(view);
        }
        let to = driver.log.status().newest;
        let _ = driver.log.fold(to);
        driver.run(&mut random);
    }
}

#[test]
fn a_full_log_refuses_writes_and_goes_on_with_the_rest() {
    let (mut driver, mut random) = opened(WhenFull::Refuse);
    let outcome = loop {
        let request = write(&mut driver, 2, 9);
        if let Err(why) = driver.finish(request, &mut random) {
            break why;
        }
    };
    assert_eq!(outcome, Failure::Full);
    let flush = driver.request();
    driver.log.flush(flush).expect("taken");
    driver.finish(flush, &mut random).expect("a flush goes on");
    assert_eq!(driver.read(View::Now)[2], Some(vec![9; UNIT_BYTES]));
    let to = driver
        .log
        .fold_target(driver.clock_ns + (1 << 50))
        .expect("nothing holds the floor");
    driver.log.fold(to).expect("a fold goes on");
    driver.run(&mut random);
    let request = write(&mut driver, 2, 10);
    driver
        .finish(request, &mut random)
        .expect("there is space again");
}

#[test]
fn a_full_log_that_shortens_keeps_marks_and_then_refuses() {
    let (mut driver, mut random) = opened(WhenFull::Shorten);
    for byte in 0..200 {
        let request = write(&mut driver, 2, byte);
        driver
            .finish(request, &mut random)
            .expect("the window shrinks instead");
    }
    assert!(driver.log.status().oldest_restorable > 0);
    let mark = driver.request();
    driver.log.mark(mark, "keep", None).expect("taken");
    let moment = driver.finish(mark, &mut random).expect("marked");
    let outcome = loop {
        let request = write(&mut driver, 2, 77);
        if let Err(why) = driver.finish(request, &mut random) {
            break why;
        }
    };
    assert_eq!(outcome, Failure::Full);
    let view = driver.view(moment, &mut random).expect("the mark is kept");
    assert_eq!(driver.read(View::At(view))[2], Some(vec![199; UNIT_BYTES]));
    driver.log.close_view(view);
    let drop = driver.request();
    driver.log.drop_mark(drop, "keep").expect("taken");
    driver
        .finish(drop, &mut random)
        .expect("dropped, though the log is full");
    let request = write(&mut driver, 2, 78);
    driver
        .finish(request, &mut random)
        .expect("there is space again");
}

#[test]
fn the_window_moves_the_floor_and_lets_branches_go_unless_marked() {
    let (mut driver, mut random) = opened(WhenFull::Refuse);
    let window_ns = driver.settings().window_ns;
    let mut moments = Vec::new();
    for byte in 0..40 {
        let request = write(&mut driver, 2, byte);
        moments.push(driver.finish(request, &mut random).expect("written"));
    }
    let mark = driver.request();
    driver.log.mark(mark, "on-a-branch", None).expect("taken");
    driver.finish(mark, &mut random).expect("marked");
    for to in [10, 20] {
        let revert = driver.request();
        driver.log.revert(revert, moments[to]).expect("taken");
        driver.finish(revert, &mut random).expect("reverted");
        let request = write(&mut driver, 3, 1);
        driver.finish(request, &mut random).expect("written");
    }
    let expire = |driver: &mut Driver, random: &mut SplitMix64, now_ns: u64| {
        driver.log.expire_branches(now_ns);
        driver.run(random);
        driver
            .log
            .status()
            .branches
            .iter()
            .filter(|row| row.4)
            .count()
    };
    // Inside the window nothing goes.
    let now_ns = driver.clock_ns;
    assert_eq!(driver.log.fold_target(now_ns), None);
    assert_eq!(expire(&mut driver, &mut random, now_ns), 0);
    // Behind it, the branch without a mark does; the other one holds the floor where it was left.
    let later_ns = now_ns + 2 * window_ns;
    assert_eq!(expire(&mut driver, &mut random, later_ns), 1);
    assert_eq!(expire(&mut driver, &mut random, later_ns), 1);
    let limit = driver.log.fold_limit();
    assert_eq!(limit, moments[20]);
    assert!(
        driver
            .log
            .fold_target(later_ns)
            .is_none_or(|to| to <= limit)
    );
    assert_eq!(driver.log.fold(limit + 1), Err(Failure::FloorIsHeld));
    let drop = driver.request();
    driver.log.drop_mark(drop, "on-a-branch").expect("taken");
    driver.finish(drop, &mut random).expect("dropped");
    assert_eq!(expire(&mut driver, &mut random, later_ns), 2);
    let to = driver
        .log
        .fold_target(later_ns)
        .expect("nothing holds the floor");
    assert!(to > limit);
    driver.log.fold(to).expect("it moves");
    driver.run(&mut random);
    assert_eq!(driver.log.status().floor, to);
    let request = driver.request();
    assert_eq!(
        driver.log.open_view(request, moments[15]),
        Err(Failure::NoSuchMoment)
    );
}

#[test]
fn marks_of_one_cut_see_no_write_that_followed_one_behind_the_cut() {
    let mut random = SplitMix64::new(11);
    for _ in 0..20 {
        let (mut a, _) = opened(WhenFull::Shorten);
        let (mut b, _) = opened(WhenFull::Shorten);
        // A client writes n to `a` and, once that is answered, to `b`.
        let mut next = 1_u8;
        let mut in_a = Some(write(&mut a, 0, next));
        let mut in_b = None;
        let mut marks = Vec::new();
        for turn in 0..400 {
            if turn == 40 {
                a.log.hold();
                b.log.hold();
            }
            if turn > 40 && marks.is_empty() && a.log.is_held() && b.log.is_held() {
                marks = vec![a.request(), b.request()];
                a.log
                    .mark(marks[0], "cut", Some(([5; 16], 2)))
                    .expect("taken");
                b.log
                    .mark(marks[1], "cut", Some(([5; 16], 2)))
                    .expect("taken");
            }
            let stepped = if random.below(2) == 0 {
                a.step(&mut random)
            } else {
                b.step(&mut random)
            };
            let _ = stepped;
            let is_done = |driver: &Driver, request| {
                let mut notices = driver.notices.iter();
                notices.any(
                    |notice| matches!(notice, Notice::Done { request: of, .. } if *of == request),
                )
            };
            if in_a.is_some_and(|request| is_done(&a, request)) {
                in_a = None;
                in_b = Some(write(&mut b, 0, next));
            }
            if in_b.is_some_and(|request| is_done(&b, request)) {
                (next, in_b) = (next + 1, None);
                in_a = Some(write(&mut a, 0, next));
            }
            if marks.len() == 2 && is_done(&a, marks[0]) && is_done(&b, marks[1]) {
                a.log.release();
                b.log.release();
            }
        }
        let at_cut = |driver: &mut Driver, random: &mut SplitMix64| {
            let moment = driver.log.status().marks[0].moment;
            let view = driver.view(moment, random).expect("it opens");
            driver.read(View::At(view))[0]
                .as_ref()
                .expect("it verifies")[0]
        };
        let (in_a, in_b) = (at_cut(&mut a, &mut random), at_cut(&mut b, &mut random));
        assert!(in_a == in_b || in_a == in_b + 1, "{in_a} beside {in_b}");
    }
}

#[test]
fn after_a_failed_flush_nothing_is_promised_and_reads_go_on() {
    let (mut driver, mut random) = opened(WhenFull::Shorten);
    let first = write(&mut driver, 3, 1);
    driver.finish(first, &mut random).expect("written");
    let flush = driver.request();
    driver.log.flush(flush).expect("taken");
    let step = driver.log.take_step(driver.clock_ns);
    let Some(Step::Flush { io }) = step else {
        panic!("{step:?} is a flush")
    };
    driver.log.complete(io, Err(IoFailed));
    assert_eq!(driver.finish(flush, &mut random), Err(Failure::Broken));
    let request = driver.request();
    assert_eq!(driver.log.flush(request), Err(Failure::Broken));
    assert_eq!(
        driver.log.write(request, 3, &[0; UNIT_BYTES], false),
        Err(Failure::Broken)
    );
    assert_eq!(driver.log.take_step(driver.clock_ns), None);
    assert_eq!(driver.read(View::Now)[3], Some(vec![1; UNIT_BYTES]));
}

#[test]
fn an_image_that_fails_stops_the_fold_alone_and_opening_the_log_repeats_it() {
    let (mut driver, mut random) = opened(WhenFull::Shorten);
    let old = write(&mut driver, 3, 1);
    let old = driver.finish(old, &mut random).expect("written");
    let to = write(&mut driver, 4, 2);
    let to = driver.finish(to, &mut random).expect("written");
    driver.image_fails = true;
    driver.log.fold(to).expect("taken");
    driver.run(&mut random);
    let status = driver.log.status();
    assert!(!status.is_folding && status.floor < to && status.oldest_restorable == to);
    assert_eq!(driver.log.fold(to + 1), Err(Failure::FloorIsHeld));
    let request = driver
        .write(5, vec![3; UNIT_BYTES], true)
        .expect("writes go on");
    driver.finish(request, &mut random).expect("durably");
    let content = driver.read(View::Now);

    let (geometry, settings) = (driver.geometry(), driver.settings());
    let (disk, image) = driver.crash(&mut random);
    let mut driver = Driver::open(disk, image, geometry, settings)
        .expect("it opens")
        .0;
    driver.run(&mut random);
    assert_eq!(driver.log.status().floor, to, "the fold is repeated");
    assert!(driver.read(View::Now) == content);
    let request = driver.request();
    assert_eq!(
        driver.log.open_view(request, old),
        Err(Failure::NoSuchMoment)
    );
}

/// Opens with a disk of which some units cannot be read.
fn open_with_bad_units(driver: &Driver, bad: &[u32]) -> Result<Option<u64>, OpenError> {
    let geometry = driver.geometry();
    let mut recovery = Recovery::new(expectation(geometry.area_units()));
    loop {
        match recovery.need() {
            Need::Flush => recovery.flushed(Ok(())),
            Need::Read { unit, units } => {
                let is_bad = bad.iter().any(|bad| (unit..unit + units).contains(bad));
                let from = unit as usize * UNIT_BYTES;
                let bytes = &driver.disk.bytes[from..from + units as usize * UNIT_BYTES];
                recovery.give(if is_bad { Err(IoFailed) } else { Ok(bytes) });
            }
            Need::Nothing => {
                let (_, report) = recovery.finish(driver.settings())?;
                return Ok(report.lost_from);
            }
        }
    }
}

fn expectation(area_units: u32) -> Expectation {
    Expectation {
        vdisk: VDISK,
        disk: DISK,
        area_units,
    }
}

#[test]
fn units_that_cannot_be_read_count_as_damaged() {
    let (mut driver, mut random) = opened(WhenFull::Shorten);
    for byte in 0..8 {
        let request = write(&mut driver, 1, byte);
        driver.finish(request, &mut random).expect("written");
    }
    driver.log.close();
    driver.run(&mut random);
    assert_eq!(open_with_bad_units(&driver, &[]), Ok(None));
    // A superblock has a copy; a unit behind the end is of no use.
    assert_eq!(open_with_bad_units(&driver, &[0]), Ok(None));
    assert_eq!(open_with_bad_units(&driver, &[60]), Ok(None));
    // The BRANCH record at the beginning of the segment.
    assert!(matches!(open_with_bad_units(&driver, &[34]), Ok(Some(2))));
    assert!(matches!(
        open_with_bad_units(&driver, &[0, 16]),
        Err(OpenError::NoSuperblock(..))
    ));
}

#[test]
fn a_log_of_another_vdisk_or_of_the_future_is_refused() {
    let geometry = geometry(16, 6, 10);
    let open = |disk: &crate::disk::Disk, expectation: Expectation| {
        let mut recovery = Recovery::new(expectation);
        loop {
            match recovery.need() {
                Need::Flush => recovery.flushed(Ok(())),
                Need::Read { unit, units } => {
                    let from = unit as usize * UNIT_BYTES;
                    recovery.give(Ok(&disk.bytes[from..from + units as usize * UNIT_BYTES]));
                }
                Need::Nothing => {
                    let outcome = recovery.finish(settings(1, WhenFull::Refuse));
                    return outcome.map(drop).map_err(|error| error.to_string());
                }
            }
        }
    };
    let disk = format(geometry);
    let right = expectation(geometry.area_units());
    open(&disk, right).expect("it opens");
    let other = Expectation {
        vdisk: LOG,
        ..right
    };
    assert!(open(&disk, other).unwrap_err().contains("another vdisk"));
    let small = Expectation {
        area_units: 100,
        ..right
    };
    assert!(open(&disk, small).unwrap_err().contains("its area has 100"));
    for (at, byte, says) in [
        (8, 2, "version 2"),
        (72, 1, "elsewhere"),
        (79, 128, "feature 63"),
    ] {
        let mut disk = disk.clone();
        for unit in [0, 16] {
            let block = &mut disk.bytes[unit * UNIT_BYTES..(unit + 1) * UNIT_BYTES];
            block[at] = byte;
            block[12..16].fill(0);
            let checksum = crc32c::crc32c(block).to_le_bytes();
            block[12..16].copy_from_slice(&checksum);
        }
        let error = open(&disk, right).unwrap_err();
        assert!(error.contains(says), "{error}");
    }
}
