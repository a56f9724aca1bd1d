//! Faults that a review found, each met on purpose.

use crate::driver::{Driver, LOG, geometry, settings};
use crate::support::{done, new, reopened, revert, u64_at, write};
use disktime_history::{Failure, Notice, OpenError, Step, UNIT_BYTES, View, WhenFull, new_log};
use disktime_random::SplitMix64;
use std::collections::BTreeMap;

#[test]
fn what_is_written_as_soon_as_a_new_log_is_open_survives() {
    let (mut driver, mut random) = new(WhenFull::Refuse);
    let requests: Vec<_> = (0..8)
        .map(|lba| {
            let data = vec![lba as u8 + 1; UNIT_BYTES];
            driver.write(lba, data, true).expect("taken")
        })
        .collect();
    for request in requests {
        done(&mut driver, &mut random, request);
    }
    let (driver, report) = reopened(&driver).expect("it opens");
    assert_eq!(report.lost_from, None);
    let blocks = driver.read(View::Now);
    for (block, byte) in blocks.into_iter().zip(1..=8) {
        assert_eq!(block, Some(vec![byte; UNIT_BYTES]));
    }
}

#[test]
fn an_open_moment_of_a_dropped_branch_holds_the_point_where_it_was_left() {
    let (mut driver, mut random) = new(WhenFull::Refuse);
    let fork = write(&mut driver, &mut random, 1, 1);
    let tail = write(&mut driver, &mut random, 2, 2);
    let id = driver.log.status().branch;
    revert(&mut driver, &mut random, fork);
    let view = driver.view(tail, &mut random).expect("it opens");
    let drop = driver.request();
    driver.log.drop_branch(drop, id).expect("no mark needs it");
    done(&mut driver, &mut random, drop);
    let to = write(&mut driver, &mut random, 1, 9);
    assert_eq!(driver.log.fold_limit(), fork);
    if driver.log.fold(to).is_ok() {
        driver.run(&mut random);
    }
    let blocks = driver.read(View::At(view));
    assert_eq!(blocks[1], Some(vec![1; UNIT_BYTES]));
    assert_eq!(blocks[2], Some(vec![2; UNIT_BYTES]));
    driver.log.close_view(view);
    driver.log.fold(to).expect("nothing holds the floor");
    driver.run(&mut random);
    assert_eq!(driver.log.status().floor, to);
}

#[test]
fn an_image_that_is_younger_than_what_is_left_is_not_served() {
    let (mut driver, mut random) = new(WhenFull::Refuse);
    driver.run(&mut random);
    let mut to = 0;
    for byte in 1..=6 {
        to = write(&mut driver, &mut random, u64::from(byte % 2), byte);
    }
    let before = driver.image.bytes.clone();
    driver.log.fold(to).expect("taken");
    while driver.image.bytes == before {
        assert!(driver.step(&mut random), "the image is written");
    }
    // The header of the first DATA batch, behind the checkpoint.
    let is_data = |at: &usize| {
        driver.disk.bytes[*at..].starts_with(b"DTHB") && driver.disk.bytes[at + 10] == 1
    };
    let mut units = (32..64).map(|unit| unit * UNIT_BYTES);
    let at = units.find(is_data).expect("there is one");
    driver.disk.bytes[at + 500] ^= 1;
    assert_eq!(reopened(&driver).err(), Some(OpenError::Image));
}

#[test]
fn a_damaged_header_of_the_newest_segment_leaves_the_segments_before_it() {
    let (mut driver, mut random) = new(WhenFull::Refuse);
    driver.run(&mut random);
    let mut contents = BTreeMap::new();
    for byte in 1..=40 {
        let seq = write(&mut driver, &mut random, u64::from(byte % 5), byte);
        contents.insert(seq, driver.read(View::Now));
    }
    driver.run(&mut random);
    let segment = u64_at(&driver.disk.bytes, 120);
    assert!(segment > 2, "there are segments before it");
    let mut units = (32..driver.disk.bytes.len() / UNIT_BYTES).map(|unit| unit * UNIT_BYTES);
    let bytes = &driver.disk.bytes;
    let is_header =
        |at: &usize| bytes[*at..].starts_with(b"DTHSEGMT") && u64_at(bytes, at + 16) == segment;
    let at = units.find(is_header).expect("it is there");
    let first_seq = u64_at(bytes, at + 32);
    // The first batch says what the header was.
    driver.disk.bytes[at + 500] ^= 1;
    let newest = driver.read(View::Now);
    let (again, report) = reopened(&driver).expect("it opens");
    assert_eq!(report.lost_from, None);
    assert!(again.read(View::Now) == newest);
    driver.disk.bytes[at + UNIT_BYTES + 500] ^= 1;
    let (driver, report) = reopened(&driver).expect("it opens");
    assert_eq!(
        (report.newest, report.lost_from),
        (first_seq - 1, Some(first_seq))
    );
    let (_, content) = contents.range(..first_seq).next_back().expect("some");
    assert!(driver.read(View::Now) == *content);
    assert!(driver.log.status().is_read_only);
}

#[test]
fn opening_does_not_begin_with_the_only_good_superblock() {
    for bad in [0_u32, 16] {
        let (driver, _) = new(WhenFull::Refuse);
        let (mut disk, image) = (driver.disk.clone(), driver.image.clone());
        disk.bytes[bad as usize * UNIT_BYTES + 30] ^= 1;
        disk.settle();
        let begun = Driver::begin(disk, image, driver.geometry(), driver.settings());
        let (mut driver, report) = begun.expect("the other one is whole");
        assert!(report.superblock_mended);
        let step = driver.log.take_step(1);
        assert!(
            matches!(step, Some(Step::Write { unit, .. }) if unit == bad),
            "{step:?} is not at {bad}"
        );
    }
}

/// The driver checks that no request is answered while its data is written.
#[test]
fn a_request_that_fails_keeps_its_data_until_no_piece_is_written() {
    for seed in 0..40 {
        let mut random = SplitMix64::new(seed);
        let mut driver = Driver::new(geometry(32, 6, 200), settings(2, WhenFull::Refuse));
        let outcome = loop {
            let data = vec![1; 60 * UNIT_BYTES];
            let request = driver.write(3, data, false).expect("taken");
            if let Err(why) = driver.finish(request, &mut random) {
                break why;
            }
        };
        assert_eq!(outcome, Failure::Full);
        driver.run(&mut random);
    }
}

#[test]
fn a_request_keeps_its_data_when_another_write_fails() {
    let (mut driver, mut random) = new(WhenFull::Refuse);
    driver.run(&mut random);
    let first = driver
        .write(1, vec![1; 9 * UNIT_BYTES], false)
        .expect("taken");
    let second = driver
        .write(20, vec![2; 9 * UNIT_BYTES], false)
        .expect("taken");
    assert!(driver.fail_a_write(), "there are two");
    assert!(driver.notices.contains(&Notice::Broken));
    for request in [first, second] {
        assert_eq!(driver.finish(request, &mut random), Err(Failure::Broken));
    }
    let answers = driver.notices.iter();
    let answers = answers.filter(|notice| matches!(notice, Notice::Failed { .. }));
    assert_eq!(answers.count(), 2, "each is answered once");
}

/// Segments whose SEAL the builds read: not the one that the newest checkpoint lies in.
fn seals(driver: &Driver) -> Vec<(u32, u64)> {
    let bytes = &driver.disk.bytes;
    let newest = u64_at(bytes, 120);
    let units = 32..(bytes.len() / UNIT_BYTES) as u32;
    let found = units.filter_map(|unit| {
        let at = unit as usize * UNIT_BYTES;
        let is_seal = bytes[at..].starts_with(b"DTHB") && bytes[at + 10] == 10;
        (is_seal && u64_at(bytes, at + 16) < newest).then(|| (unit, u64_at(bytes, at + 40)))
    });
    found.collect()
}

#[test]
fn a_seal_or_footer_that_cannot_be_read_costs_nothing() {
    let (mut tried, mut jumped) = (0, 0);
    for writes in 1..=14 {
        let (mut driver, mut random) = new(WhenFull::Refuse);
        driver.run(&mut random);
        for byte in 0..writes {
            write(&mut driver, &mut random, 1, byte);
        }
        // The next opening skips numbers, in a segment that may have no room for an EPOCH.
        let (mut driver, _) = reopened(&driver).expect("it opens");
        driver.run(&mut random);
        for byte in 100..116 {
            write(&mut driver, &mut random, 2, byte);
        }
        driver.run(&mut random);
        let content = driver.read(View::Now);
        for (seal, seq) in seals(&driver) {
            for bad in [seal, seal + 1] {
                let (mut disk, image) = (driver.disk.clone(), driver.image.clone());
                disk.settle();
                let begun = Driver::begin(disk, image, driver.geometry(), driver.settings());
                let (mut again, _) = begun.expect("it begins");
                again.bad_units = vec![bad];
                again.run(&mut random);
                assert!(again.notices.contains(&Notice::Opened));
                assert_eq!(again.log.status().lost_from, None, "unit {bad}, seq {seq}");
                assert!(again.read(View::Now) == content);
                tried += 1;
            }
            jumped += u32::from(seq > 65_536);
        }
    }
    assert!(
        tried > 0 && jumped > 0,
        "{tried} units, {jumped} behind a jump"
    );
}

#[test]
fn two_drops_that_wait_together_do_not_lose_a_mark() {
    let (mut driver, mut random) = new(WhenFull::Refuse);
    let fork = write(&mut driver, &mut random, 1, 1);
    let first = driver.log.status().branch;
    write(&mut driver, &mut random, 1, 2);
    let mark = driver.request();
    driver.log.mark(mark, "kept", None).expect("taken");
    let marked = done(&mut driver, &mut random, mark);
    write(&mut driver, &mut random, 1, 3);
    let second = revert(&mut driver, &mut random, marked);
    write(&mut driver, &mut random, 1, 4);
    revert(&mut driver, &mut random, fork);
    let drops = [driver.request(), driver.request()];
    driver
        .log
        .drop_branch(drops[0], first)
        .expect("the second one keeps the mark");
    assert_eq!(
        driver.log.drop_branch(drops[1], second),
        Err(Failure::BranchIsMarked)
    );
    // The same while the first one is being written.
    driver.step(&mut random);
    assert_eq!(
        driver.log.drop_branch(drops[1], second),
        Err(Failure::BranchIsMarked)
    );
    done(&mut driver, &mut random, drops[0]);
    driver.view(marked, &mut random).expect("it is kept");
}

#[test]
fn a_log_has_no_more_slots_than_a_checkpoint_has_rows_for() {
    let is_possible =
        |slot_units, slots| new_log(geometry(slot_units, slots, 64), [0, 1, 0]).is_some();
    assert!(is_possible(16, 217) && !is_possible(16, 218));
    assert!(is_possible(256, 4096) && is_possible(16384, 4096));
}

/// Bytes that no field names, in a superblock and in headers: a later program wrote them.
#[test]
fn what_a_later_program_added_is_ignored() {
    let (mut driver, mut random) = new(WhenFull::Refuse);
    driver.run(&mut random);
    write(&mut driver, &mut random, 1, 7);
    driver.run(&mut random);
    let bytes = &mut driver.disk.bytes;
    for at in [0, 16 * UNIT_BYTES] {
        let block = &mut bytes[at..at + UNIT_BYTES];
        block[80] = 4;
        block[4000] = 1;
        block[12..16].fill(0);
        let checksum = crc32c::crc32c(block).to_le_bytes();
        block[12..16].copy_from_slice(&checksum);
    }
    // The newest DATA: no later header holds its checksum.
    let is_data = |at: &usize| bytes[*at..].starts_with(b"DTHB") && bytes[at + 10] == 1;
    let mut units = (32..64).rev().map(|unit| unit * UNIT_BYTES);
    let at = units.find(is_data).expect("there is one");
    let seed = [&LOG[..], &bytes[at + 24..at + 32], &bytes[at + 16..at + 24]].concat();
    let block = &mut bytes[at..at + UNIT_BYTES];
    block[100] = 1;
    block[192 + 20] = 1;
    block[4..8].fill(0);
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&seed), block);
    block[4..8].copy_from_slice(&checksum.to_le_bytes());
    let (driver, report) = reopened(&driver).expect("it opens");
    assert_eq!(report.lost_from, None);
    assert_eq!(driver.read(View::Now)[1], Some(vec![7; UNIT_BYTES]));
    assert_eq!(driver.disk.bytes[80], 0, "the bit is not kept");
}

#[test]
fn a_close_waits_for_a_revert() {
    let (mut driver, mut random) = new(WhenFull::Refuse);
    let fork = write(&mut driver, &mut random, 1, 1);
    for byte in 2..40 {
        write(&mut driver, &mut random, 1, byte);
    }
    let request = driver.request();
    driver.log.revert(request, fork).expect("taken");
    driver.log.close();
    driver.run(&mut random);
    let at = |wanted: &dyn Fn(&Notice) -> bool| driver.notices.iter().position(wanted);
    let reverted =
        at(&|notice| matches!(notice, Notice::Done { request: of, .. } if *of == request));
    let closed = at(&|notice| *notice == Notice::Closed);
    assert!(
        reverted.is_some() && reverted < closed,
        "{:?}",
        driver.notices
    );
    let (driver, report) = reopened(&driver).expect("it opens");
    assert!(report.was_closed);
    assert_eq!(driver.read(View::Now)[1], Some(vec![1; UNIT_BYTES]));
}
