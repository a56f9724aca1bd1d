//! Damage that is met on purpose: what can be done without costs nothing, what is lost is said.

use crate::driver::{Driver, geometry, settings};
use crate::support::{
    batches, change_superblocks, done, new, newest_checkpoint, reopened, reseal, revert, u64_at,
    write,
};
use disktime_history::{Failure, Notice, OpenError, Seq, UNIT_BYTES, View, WhenFull};
use disktime_random::SplitMix64;
use std::collections::BTreeMap;

fn block(byte: u8) -> Option<Vec<u8>> {
    Some(vec![byte; UNIT_BYTES])
}

/// A unit of payload of the newest batch of data rots.
fn rot_newest_data(driver: &mut Driver) {
    let at = *batches(driver, 1).last().expect("there is data");
    driver.disk.bytes[at + UNIT_BYTES + 100] ^= 1;
}

#[test]
fn a_rotten_block_costs_a_fold_nothing_but_itself() {
    let (mut driver, mut random) = new(WhenFull::Refuse);
    write(&mut driver, &mut random, 1, 1);
    write(&mut driver, &mut random, 2, 2);
    let to = write(&mut driver, &mut random, 3, 3);
    rot_newest_data(&mut driver);
    write(&mut driver, &mut random, 4, 4);
    assert_eq!(driver.read(View::Now)[3], None);
    driver.log.fold(to).expect("taken");
    driver.run(&mut random);
    assert_eq!(driver.log.status().floor, to, "the fold goes on");
    let expected = [block(1), block(2), None, block(4)];
    assert!(driver.read(View::Now)[1..5] == expected, "block 3 fails");
    // That it does not hold the floor is known for ever: also by way of the checkpoint before.
    for damage_newest in [false, true] {
        let (mut again, _) = reopened(&driver).expect("it opens");
        write(&mut again, &mut random, 5, 5);
        again.log.close();
        again.run(&mut random);
        if damage_newest {
            let at = newest_checkpoint(&again);
            again.disk.bytes[at + UNIT_BYTES + 8] ^= 1;
        }
        let (again, report) = reopened(&again).expect("it opens");
        assert_eq!(report.checkpoint_mended, damage_newest);
        assert!(again.read(View::Now)[1..5] == expected, "block 3 fails");
    }
    // Written again, it is whole, and the next fold takes it off the list.
    let to = write(&mut driver, &mut random, 3, 9);
    assert_eq!(driver.read(View::Now)[3], block(9));
    driver.log.fold(to).expect("taken");
    driver.run(&mut random);
    assert_eq!(driver.log.status().floor, to);
    assert_eq!(driver.read(View::Now)[3], block(9));
    let (driver, _) = reopened(&driver).expect("it opens");
    assert_eq!(driver.read(View::Now)[3], block(9));
}

/// 600 lost runs become 1200 when the middle block of each is written again: more than a checkpoint
/// lists. The fold of those blocks fails, as the log would not open with such a checkpoint.
#[test]
fn a_fold_that_would_split_lost_runs_into_too_many_fails() {
    const RUNS: u64 = 600;
    let mut driver = Driver::new(geometry(1024, 8, 6 * RUNS), settings(2, WhenFull::Refuse));
    let mut random = SplitMix64::new(3);
    let mut to = 0;
    for run in 0..RUNS {
        let request = driver.write(6 * run, vec![7; 3 * UNIT_BYTES], true);
        to = done(&mut driver, &mut random, request.expect("taken"));
    }
    for at in batches(&driver, 1) {
        let units = usize::from(driver.disk.bytes[at + 14]);
        (1..=units).for_each(|unit| driver.disk.bytes[at + unit * UNIT_BYTES + 100] ^= 1);
    }
    driver.log.fold(to).expect("taken");
    driver.run(&mut random);
    assert_eq!(driver.log.status().floor, to);
    let mut newest = to;
    for run in 0..RUNS {
        newest = write(&mut driver, &mut random, 6 * run + 1, 9);
    }
    driver.log.fold(newest).expect("taken");
    driver.run(&mut random);
    assert_eq!(driver.log.status().floor, to, "the fold failed");
    assert!(!driver.log.status().is_folding);
    let (again, _) = reopened(&driver).expect("it opens");
    let content = again.read(View::Now);
    for run in content.chunks(6) {
        let untouched = Some(vec![0; UNIT_BYTES]);
        assert!(run[..3] == [None, block(9), None] && run[3] == untouched);
    }
}

#[test]
fn a_checkpoint_that_knows_no_lost_block_does_not_replace_one_that_does() {
    let (mut driver, mut random) = new(WhenFull::Refuse);
    write(&mut driver, &mut random, 1, 1);
    let to = write(&mut driver, &mut random, 3, 3);
    rot_newest_data(&mut driver);
    write(&mut driver, &mut random, 4, 4);
    driver.log.fold(to).expect("taken");
    driver.run(&mut random);
    let at = newest_checkpoint(&driver);
    driver.disk.bytes[at + UNIT_BYTES + 8] ^= 1;
    assert_eq!(reopened(&driver).err(), Some(OpenError::Checkpoint));
}

#[test]
fn a_rotten_payload_in_the_open_segment_leaves_the_log_writable() {
    let (mut driver, mut random) = new(WhenFull::Refuse);
    write(&mut driver, &mut random, 1, 1);
    rot_newest_data(&mut driver);
    write(&mut driver, &mut random, 2, 2);
    let (mut driver, report) = reopened(&driver).expect("it opens");
    assert_eq!(report.lost_from, None);
    assert!(driver.read(View::Now)[1..3] == [None, block(2)]);
    write(&mut driver, &mut random, 1, 3);
    assert_eq!(driver.read(View::Now)[1], block(3));
}

/// Nothing says that the last batch was durable: it is a torn tail, and not half of it is served.
#[test]
fn a_torn_payload_at_the_end_is_still_a_tail() {
    let (mut driver, mut random) = new(WhenFull::Refuse);
    write(&mut driver, &mut random, 1, 1);
    write(&mut driver, &mut random, 1, 2);
    rot_newest_data(&mut driver);
    let (driver, report) = reopened(&driver).expect("it opens");
    assert_eq!(report.lost_from, None);
    assert_eq!(driver.read(View::Now)[1], block(1));
}

/// Marks, branches, contents: the checkpoint before leads to all of it.
#[test]
fn a_damaged_checkpoint_costs_nothing() {
    for in_header in [false, true] {
        let mut tried = 0;
        for writes in 1..30 {
            let (mut driver, mut random) = new(WhenFull::Shorten);
            for byte in 0..writes {
                let seq = write(&mut driver, &mut random, 1, byte);
                if byte % 5 == 2 {
                    let mark = driver.request();
                    let name = format!("m{byte}");
                    driver.log.mark(mark, &name, None).expect("taken");
                    done(&mut driver, &mut random, mark);
                } else if byte % 7 == 6 {
                    revert(&mut driver, &mut random, seq - 1);
                }
            }
            driver.run(&mut random);
            let content = driver.read(View::Now);
            let marks = driver.log.status().marks;
            let branches = driver.log.status().branches;
            let newest = newest_checkpoint(&driver);
            let at = newest + if in_header { 500 } else { UNIT_BYTES + 9 };
            driver.disk.bytes[at] ^= 1;
            if u64_at(&driver.disk.bytes, 168) == 0 {
                assert_eq!(reopened(&driver).err(), Some(OpenError::Checkpoint));
                continue;
            }
            let (driver, report) = reopened(&driver).expect("it opens");
            assert!(report.checkpoint_mended, "{in_header} {writes}");
            assert_eq!(report.lost_from, None, "{in_header} {writes}");
            assert!(driver.read(View::Now) == content);
            let status = driver.log.status();
            assert!(status.marks == marks && status.branches == branches);
            assert!(!status.is_read_only);
            tried += 1;
        }
        assert!(tried > 10, "{tried}");
    }
}

/// The fold ends with a CHECKPOINT, whose seq is a moment as every other.
#[test]
fn a_damaged_checkpoint_is_a_moment_of_the_branch_before_it() {
    let (mut driver, mut random) = new(WhenFull::Shorten);
    let first = write(&mut driver, &mut random, 1, 1);
    let second = write(&mut driver, &mut random, 1, 2);
    driver.log.fold(first).expect("nothing holds the floor");
    driver.run(&mut random);
    let moment = driver.log.status().newest;
    let content = driver.read(View::Now);
    revert(&mut driver, &mut random, second);
    write(&mut driver, &mut random, 1, 3);
    driver.run(&mut random);
    let branches = driver.log.status().branches;
    let at = newest_checkpoint(&driver);
    driver.disk.bytes[at + 500] ^= 1;
    let (mut driver, report) = reopened(&driver).expect("it opens");
    assert!(report.checkpoint_mended && report.lost_from.is_none());
    assert_eq!(driver.log.status().branches, branches);
    let view = driver.view(moment, &mut random).expect("it opens");
    assert!(driver.read(View::At(view)) == content);
}

/// The header of the oldest batch of data that is still in the log, and of its footer.
fn destroy_old_batch(driver: &mut Driver) -> u64 {
    let seal = batches(driver, 10)[0];
    let segment = u64_at(&driver.disk.bytes, seal + 16);
    let data = batches(driver, 1);
    let of_segment = |at: &&usize| u64_at(&driver.disk.bytes, **at + 16) == segment;
    let at = *data.iter().filter(of_segment).nth(1).expect("data in it");
    let seq = u64_at(&driver.disk.bytes, at + 40);
    driver.disk.bytes[at + 500] ^= 1;
    driver.disk.bytes[seal + UNIT_BYTES + 500] ^= 1;
    seq
}

#[test]
fn a_loss_that_is_met_while_the_map_is_built_is_reported() {
    let (mut driver, mut random) = new(WhenFull::Refuse);
    let mut contents = BTreeMap::new();
    for byte in 1..=60 {
        let seq = write(&mut driver, &mut random, u64::from(byte % 5), byte);
        contents.insert(seq, driver.read(View::Now));
    }
    driver.run(&mut random);
    let lost = destroy_old_batch(&mut driver);
    let (mut again, early) = reopened(&driver).expect("it opens");
    assert_eq!(early.lost_from, None, "footers are read later");
    let report = again.log.report();
    assert_eq!((report.newest, report.lost_from), (lost - 1, Some(lost)));
    let (_, content) = contents.range(..lost).next_back().expect("some");
    assert!(again.read(View::Now) == *content);
    let request = again.request();
    assert_eq!(
        again.log.write(request, 1, &[0; UNIT_BYTES], false),
        Err(Failure::ReadOnly)
    );
    // The same, and the image is younger than what is left.
    driver.log.fold(lost + 1).expect("taken");
    driver.image_fails = true;
    driver.run(&mut random);
    let (mut disk, image) = (driver.disk.clone(), driver.image.clone());
    disk.settle();
    change_superblocks(&mut disk, 152, &(lost + 1).to_le_bytes());
    let begun = Driver::begin(disk, image, driver.geometry(), driver.settings());
    let (mut again, _) = begun.expect("the newest segment is whole");
    again.run(&mut random);
    assert!(again.notices.contains(&Notice::Broken));
    assert!(!again.notices.contains(&Notice::Opened));
    assert_eq!(again.log.broken(), Some(Failure::Image));
    assert_eq!(again.log.report().lost_from, Some(lost));
}

/// A log that lost something, whose rest has these contents by moment.
struct Damaged {
    driver: Driver,
    contents: BTreeMap<Seq, Vec<Option<Vec<u8>>>>,
    lost: Seq,
    newest: Seq,
}

/// Loses a batch of the open segment, or of an old one.
fn damaged(is_old: bool, is_closed: bool) -> Damaged {
    let mut random = SplitMix64::new(3);
    let mut driver = Driver::new(geometry(32, 16, 64), settings(2, WhenFull::Refuse));
    let mut contents = BTreeMap::new();
    for byte in 1..=60 {
        let seq = write(&mut driver, &mut random, u64::from(byte % 5), byte);
        contents.insert(seq, driver.read(View::Now));
    }
    driver.run(&mut random);
    let newest = driver.log.status().newest;
    if is_closed {
        driver.log.close();
        driver.run(&mut random);
    }
    let lost = if is_old {
        destroy_old_batch(&mut driver)
    } else {
        let data = batches(&driver, 1);
        let at = data[data.len() - 2];
        driver.disk.bytes[at + 500] ^= 1;
        u64_at(&driver.disk.bytes, at + 40)
    };
    driver.disk.settle();
    Damaged {
        driver,
        contents,
        lost,
        newest,
    }
}

impl Damaged {
    fn content(&self) -> &Vec<Option<Vec<u8>>> {
        let mut older = self.contents.range(..self.lost);
        older.next_back().expect("some").1
    }

    /// What must hold once the loss is accepted.
    fn check_accepted(&self, driver: &mut Driver, random: &mut SplitMix64) {
        let losses: Vec<_> = driver.log.losses().collect();
        assert!(
            matches!(losses[..], [(first, last, _)] if first == self.lost && last > self.newest)
        );
        for seq in [self.lost, self.newest, losses[0].1] {
            let request = driver.request();
            let outcome = driver.log.open_view(request, seq);
            assert_eq!(outcome, Err(Failure::NoSuchMoment), "moment {seq} is lost");
        }
        let old = self.contents.range(..self.lost).next_back().expect("some");
        let view = driver.view(*old.0, random).expect("it opens");
        assert!(driver.read(View::At(view)) == *old.1);
        driver.log.close_view(view);
    }
}

#[test]
fn a_loss_that_is_accepted_makes_the_log_writable() {
    for (is_old, is_closed) in [(false, false), (false, true), (true, false), (true, true)] {
        let damaged = damaged(is_old, is_closed);
        let mut random = SplitMix64::new(7);
        let (mut driver, _) = reopened(&damaged.driver).expect("it opens");
        assert_eq!(driver.log.report().lost_from, Some(damaged.lost));
        let request = driver.request();
        driver.log.accept_loss(request).expect("taken");
        let seq = done(&mut driver, &mut random, request);
        assert!(seq > damaged.newest, "{seq}: no seq means two contents");
        let before = u64_at(&driver.disk.bytes, 168);
        assert_eq!(before, 0, "the old checkpoint does not lead here");
        assert!(driver.read(View::Now) == *damaged.content());
        damaged.check_accepted(&mut driver, &mut random);
        let request = driver.request();
        assert_eq!(driver.log.accept_loss(request), Err(Failure::NothingLost));
        for byte in 100..120 {
            write(&mut driver, &mut random, 7, byte);
        }
        // Also by way of the checkpoint before the newest one.
        for damage_newest in [false, true] {
            let (mut disk, image) = (driver.disk.clone(), driver.image.clone());
            disk.settle();
            if damage_newest {
                let at = newest_checkpoint(&driver);
                disk.bytes[at + UNIT_BYTES + 8] ^= 1;
            }
            let again = Driver::open(disk, image, driver.geometry(), driver.settings());
            let (mut again, report) = again.expect("it opens");
            assert_eq!(
                (report.lost_from, report.checkpoint_mended),
                (None, damage_newest)
            );
            assert_eq!(again.read(View::Now)[7], block(119));
            assert!(again.read(View::Now)[..5] == damaged.content()[..5]);
            damaged.check_accepted(&mut again, &mut random);
        }
        // The floor passes the place, and the loss is forgotten.
        let to = driver.log.status().newest;
        driver.log.fold(to).expect("nothing holds the floor");
        driver.run(&mut random);
        let (driver, _) = reopened(&driver).expect("it opens");
        assert_eq!(driver.read(View::Now)[7], block(119));
        assert_eq!(driver.log.losses().count(), 0);
    }
}

/// The segment that ends there has no footer, so its batches are read at each opening.
#[test]
fn a_checkpoint_without_a_header_before_a_loss_costs_nothing_later() {
    let mut random = SplitMix64::new(7);
    let mut damaged = damaged(false, false);
    let checkpoint = newest_checkpoint(&damaged.driver);
    damaged.driver.disk.bytes[checkpoint + 500] ^= 1;
    let (mut driver, report) = reopened(&damaged.driver).expect("it opens");
    assert!(report.checkpoint_mended);
    assert_eq!(report.lost_from, Some(damaged.lost));
    let request = driver.request();
    driver.log.accept_loss(request).expect("taken");
    done(&mut driver, &mut random, request);
    write(&mut driver, &mut random, 7, 100);
    let (mut again, report) = reopened(&driver).expect("it opens");
    assert_eq!(report.lost_from, None);
    assert!(again.log.broken().is_none());
    assert!(again.read(View::Now)[..5] == damaged.content()[..5]);
    damaged.check_accepted(&mut again, &mut random);
    // Only the CHECKPOINT may be missing: another batch beside it is durable data.
    let data = batches(&driver, 1);
    let mut before_cut = data.iter().filter(|at| **at > checkpoint);
    // The batch behind the CHECKPOINT names it.
    let at = *before_cut.nth(1).expect("data behind the checkpoint");
    let lost = u64_at(&driver.disk.bytes, at + 40);
    assert!(lost < damaged.lost);
    driver.disk.bytes[at + 500] ^= 1;
    driver.disk.settle();
    let (again, _) = reopened(&driver).expect("it opens");
    assert_eq!(again.log.report().lost_from, Some(lost));
}

#[test]
fn a_crash_while_a_loss_is_accepted_leaves_it_as_it_was_or_accepted() {
    let (mut before, mut after) = (0, 0);
    for seed in 0..60 {
        let damaged = damaged(seed % 2 == 0, seed % 3 == 0);
        let mut random = SplitMix64::new(seed);
        let (mut driver, _) = reopened(&damaged.driver).expect("it opens");
        let request = driver.request();
        driver.log.accept_loss(request).expect("taken");
        for _ in 0..random.below(14) {
            driver.step(&mut random);
        }
        let is_answered = driver
            .notices
            .iter()
            .any(|notice| matches!(notice, Notice::Done { request: of, .. } if *of == request));
        let (geometry, settings) = (driver.geometry(), driver.settings());
        let (disk, image) = driver.crash(&mut random);
        let opened = Driver::open(disk, image, geometry, settings);
        let (mut driver, _) = opened.expect("it opens");
        assert!(driver.read(View::Now) == *damaged.content());
        if driver.log.report().lost_from.is_some() {
            assert!(!is_answered);
            let request = driver.request();
            driver
                .log
                .accept_loss(request)
                .expect("it can be tried again");
            done(&mut driver, &mut random, request);
            before += 1;
        } else {
            after += 1;
        }
        damaged.check_accepted(&mut driver, &mut random);
        write(&mut driver, &mut random, 7, 7);
        assert_eq!(driver.read(View::Now)[7], block(7));
    }
    assert!(before > 5 && after > 5, "{before} before, {after} after");
}

#[test]
fn a_log_of_a_later_program_is_read_and_not_written() {
    let (mut driver, mut random) = new(WhenFull::Refuse);
    write(&mut driver, &mut random, 1, 1);
    driver.run(&mut random);
    for (bits, name) in [(2_u64, "cursors"), (1 << 40, "feature 40")] {
        let (mut disk, image) = (driver.disk.clone(), driver.image.clone());
        change_superblocks(&mut disk, 160, &bits.to_le_bytes());
        disk.settle();
        let before = disk.bytes.clone();
        let opened = Driver::open(disk, image, driver.geometry(), driver.settings());
        let (mut again, report) = opened.expect("it opens");
        let features = report.read_only_features.expect("it says why");
        assert!(features.contains(name) && features.contains("disktime 0.1.0"));
        assert_eq!(again.read(View::Now)[1], block(1));
        let request = again.request();
        let data = [2; UNIT_BYTES];
        assert_eq!(
            again.log.write(request, 1, &data, false),
            Err(Failure::NewerLog)
        );
        assert_eq!(again.log.accept_loss(request), Err(Failure::NewerLog));
        again.log.note_durable();
        again.log.close();
        again.run(&mut random);
        assert!(again.disk.bytes == before, "nothing is written");
    }
}

/// A record of a type that may be skipped, in the middle of the log.
#[test]
fn a_record_that_may_be_skipped_is_skipped() {
    for (kind, is_skipped) in [(200, true), (100, false)] {
        let (mut driver, mut random) = new(WhenFull::Refuse);
        write(&mut driver, &mut random, 1, 1);
        driver.log.note_durable();
        driver.run(&mut random);
        let at = *batches(&driver, 7).last().expect("a DURABLE record");
        driver.disk.bytes[at + 10] = kind;
        reseal(&mut driver.disk.bytes, at);
        let (mut driver, report) = reopened(&driver).expect("it opens");
        assert_eq!(driver.read(View::Now)[1], block(1));
        let seq = u64_at(&driver.disk.bytes, at + 40);
        assert_eq!(report.newest >= seq, is_skipped);
        // It is in a footer, too.
        for byte in 0..40 {
            write(&mut driver, &mut random, 2, byte);
        }
        let (driver, report) = reopened(&driver).expect("it opens");
        assert_eq!(report.lost_from, None);
        assert_eq!(driver.read(View::Now)[2], block(39));
    }
}

#[test]
fn numbers_that_no_program_counted_up_to_are_refused() {
    let (mut driver, mut random) = new(WhenFull::Refuse);
    write(&mut driver, &mut random, 1, 1);
    driver.run(&mut random);
    for field in [64, 112, 144] {
        let (mut disk, image) = (driver.disk.clone(), driver.image.clone());
        change_superblocks(&mut disk, field, &(1_u64 << 61).to_le_bytes());
        disk.settle();
        let opened = Driver::begin(disk, image, driver.geometry(), driver.settings());
        assert_eq!(opened.err(), Some(OpenError::Numbers), "field {field}");
    }
}
