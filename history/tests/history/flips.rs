//! Every single bit of a small log, flipped: detected, never served, never a panic.
//!
//! After a flip the log either opens with the very same content (the bit was of no use, or a second
//! copy was), or it does not open, or it says what is lost and serves an older moment, or the block
//! that was hit does not verify when it is read.

use crate::disk::Disk;
use crate::driver::{Driver, geometry, settings};
use disktime_history::{UNIT_BYTES, View, WhenFull};
use disktime_random::SplitMix64;

const BLOCKS: u64 = 24;

/// A moment and its blocks.
type Content = (u64, Vec<Vec<u8>>);

/// A log with everything in it, and each content that it has had. It is closed in good order, or it
/// was idle when power was lost.
fn small_log(is_closed: bool) -> (Driver, Vec<Content>) {
    let mut random = SplitMix64::new(5);
    let geometry = geometry(16, 8, BLOCKS);
    let mut driver = Driver::new(geometry, settings(1, WhenFull::Refuse));
    driver.run(&mut random);
    let mut contents = vec![(0, content(&mut driver))];
    for round in 1..=15_u8 {
        let request = match round {
            5 => {
                let request = driver.request();
                driver.log.zero(request, 3, 9, true, true).expect("taken");
                request
            }
            6 => {
                // Not a change: what was there before is there in full, and zeroes behind it.
                let slots = driver.geometry().slots;
                driver.make_space(BLOCKS + 2, slots);
                driver.log.grow(BLOCKS + 2, slots).expect("taken");
                driver.run(&mut random);
                let seq = driver.log.status().newest;
                contents.push((seq, content(&mut driver)));
                continue;
            }
            7 => {
                let request = driver.request();
                driver.log.mark(request, "seven", None).expect("taken");
                request
            }
            9 => {
                let seven = driver.log.status().marks[0].moment;
                let request = driver.request();
                driver.log.revert(request, seven).expect("taken");
                request
            }
            _ => {
                let lba = random.below(BLOCKS - 3);
                let data = vec![round; 2 * UNIT_BYTES];
                driver.write(lba, data, true).expect("taken")
            }
        };
        let seq = driver.finish(request, &mut random).expect("answered");
        contents.push((seq, content(&mut driver)));
    }
    if is_closed {
        driver.log.close();
    } else {
        driver.log.note_durable();
    }
    driver.run(&mut random);
    driver.disk.settle();
    (driver, contents)
}

fn content(driver: &mut Driver) -> Vec<Vec<u8>> {
    let blocks = driver.read_now().into_iter();
    blocks.map(|block| block.expect("it verifies")).collect()
}

/// What became of a flip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Same,
    NotOpened,
    Older,
    BlockFails,
}

fn outcome(disk: Disk, image: &Disk, like: &Driver, contents: &[Content]) -> Outcome {
    let opened = Driver::open(disk, image.clone(), like.geometry(), like.settings());
    let Ok((driver, report)) = opened else {
        return Outcome::NotOpened;
    };
    let blocks = driver.read(View::Now);
    let (_, newest) = contents.last().expect("some");
    let status = driver.log.status();
    if status.lost_from.is_some() {
        assert!(status.is_read_only);
        let mut newest_first = contents.iter().rev();
        let at = newest_first.find(|(seq, _)| *seq <= status.newest);
        let (_, content) = at.expect("there is a first one");
        for (old, new) in std::iter::zip(content, &blocks) {
            assert!(
                new.as_ref().is_none_or(|new| new == old),
                "what is served is the moment that it claims to be"
            );
        }
        return Outcome::Older;
    }
    assert!(report.lost_from.is_none());
    let mut outcome = Outcome::Same;
    for (old, new) in std::iter::zip(newest, &blocks) {
        match new {
            Some(new) => assert!(new == old, "a flip is served"),
            None => outcome = Outcome::BlockFails,
        }
    }
    outcome
}

/// Flips the bits of the log that `pick` names by place and by whether anything was written to that
/// unit; how often each thing came of it.
fn flip(is_closed: bool, pick: impl Fn(usize, bool) -> Vec<u8>) -> [usize; 4] {
    let (driver, contents) = small_log(is_closed);
    let image = driver.image.clone();
    let pristine = driver.disk.clone();
    assert_eq!(
        outcome(pristine.clone(), &image, &driver, &contents),
        Outcome::Same
    );
    let mut counts = [0; 4];
    for at in 0..pristine.bytes.len() {
        let unit = &pristine.bytes[at - at % UNIT_BYTES..][..UNIT_BYTES];
        let is_used = unit.iter().any(|byte| *byte != 0);
        for bit in pick(at, is_used) {
            let mut disk = Disk::new(0);
            disk.bytes.clone_from(&pristine.bytes);
            disk.bytes[at] ^= 1 << bit;
            disk.settle();
            counts[outcome(disk, &image, &driver, &contents) as usize] += 1;
        }
    }
    counts
}

/// One bit of every 29th byte that was written, so that CI can wait for it; with
/// `DISKTIME_HISTORY_ALL_BITS` all bits of all blocks.
#[test]
fn every_flipped_bit_is_detected() {
    let all = std::env::var_os("DISKTIME_HISTORY_ALL_BITS").is_some();
    let counts = flip(true, |at, is_used| match (all, is_used) {
        (true, _) => (0..8).collect(),
        (false, true) if at.is_multiple_of(29) => vec![(at / 29 % 8) as u8],
        (false, false) if at.is_multiple_of(UNIT_BYTES) => vec![0],
        (false, _) => Vec::new(),
    });
    println!("same, not opened, older, block fails: {counts:?}");
    let [same, not_opened, older, block_fails] = counts;
    assert!(same > 0 && older > 0 && block_fails > 0);
    assert_eq!(not_opened, 0, "superblocks and checkpoints are there twice");
}

/// A log that was not closed says what was durable in its headers: what is lost of that is told
/// from a torn tail, whose end alone may be cut off.
#[test]
fn lost_durable_data_is_no_torn_tail() {
    let counts = flip(false, |at, is_used| match is_used {
        true if at.is_multiple_of(97) => vec![(at / 97 % 8) as u8],
        _ => Vec::new(),
    });
    println!("same, not opened, older, block fails: {counts:?}");
    let [_, _, older, block_fails] = counts;
    assert!(older > 0 && block_fails > 0);
}

/// A damaged SEAL, while the superblocks name a checkpoint before it: the header of the next
/// segment says that all before it was durable, and that nothing but the SEAL is missing.
#[test]
fn a_damaged_seal_does_not_cut_off_the_next_segment() {
    let mut tried = 0;
    for seed in 0..100 {
        let mut random = SplitMix64::new(seed);
        let geometry = geometry(16, 8, BLOCKS);
        let mut driver = Driver::new(geometry, settings(1, WhenFull::Shorten));
        for byte in 1..12 {
            let request = driver
                .write(1, vec![byte; UNIT_BYTES], true)
                .expect("taken");
            driver.finish(request, &mut random).expect("answered");
            let Some(seal_at) = seal_behind_the_checkpoint(&driver.disk.bytes) else {
                continue;
            };
            let (mut disk, image) = (driver.disk.clone(), driver.image.clone());
            disk.settle();
            let whole = Driver::open(disk.clone(), image.clone(), geometry, driver.settings());
            let (whole, _) = whole.expect("it opens");
            assert_eq!(whole.read(View::Now)[1], Some(vec![byte; UNIT_BYTES]));
            disk.bytes[seal_at + 500] ^= 1;
            disk.settle();
            let opened = Driver::open(disk, image, geometry, driver.settings());
            let (mut opened, report) = opened.expect("it opens");
            assert_eq!(report.lost_from, None);
            assert_eq!(opened.read(View::Now)[1], Some(vec![byte; UNIT_BYTES]));
            // The segment without a SEAL is listed as such from now on.
            let request = opened.write(2, vec![byte; UNIT_BYTES], true);
            let request = request.expect("taken");
            opened.finish(request, &mut random).expect("written");
            opened.log.close();
            opened.run(&mut random);
            let (mut disk, image) = (opened.disk.clone(), opened.image.clone());
            disk.settle();
            let again = Driver::open(disk, image, geometry, driver.settings());
            let (again, report) = again.expect("it opens");
            assert_eq!(report.lost_from, None);
            let blocks = again.read(View::Now);
            assert_eq!(blocks[1], Some(vec![byte; UNIT_BYTES]));
            assert_eq!(blocks[2], Some(vec![byte; UNIT_BYTES]));
            tried += 1;
        }
    }
    assert!(
        tried > 0,
        "the moment between a SEAL and the next checkpoint is met"
    );
}

/// Where the SEAL of the segment lies that the superblocks' checkpoint is in, if the next segment
/// has begun.
fn seal_behind_the_checkpoint(disk: &[u8]) -> Option<usize> {
    let named = |unit: usize| disk[unit * UNIT_BYTES + 120..][..8].to_vec();
    let segment = named(16);
    let mut units = (32..disk.len() / UNIT_BYTES).map(|unit| unit * UNIT_BYTES);
    let begins = |at: usize| disk[at..].starts_with(b"DTHSEGMT");
    let next = u64::from_le_bytes(segment.clone().try_into().ok()?) + 1;
    let has_next = units
        .clone()
        .any(|at| begins(at) && disk[at + 16..at + 24] == next.to_le_bytes());
    let is_seal = |at: usize| disk[at..].starts_with(b"DTHB") && disk[at + 10] == 10;
    let seal = units.find(|at| is_seal(*at) && disk[at + 16..at + 24] == segment[..]);
    seal.filter(|_| has_next && named(0) == segment)
}
