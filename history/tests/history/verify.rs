//! A log is read again: what is damaged is named, all of it and nothing else, also while the log
//! goes on.

use crate::driver::{Driver, geometry, settings};
use crate::support::{batches, done, new, revert, u64_at, write};
use disktime_history::{
    Damage, DamagedPart, IoFailed, Seq, UNIT_BYTES, Verified, Verify, VerifyNext, View, WhenFull,
};
use disktime_random::SplitMix64;
use std::collections::BTreeMap;

/// One step of a verification, with reads of these units failing; whether it goes on.
fn step(driver: &Driver, verify: &mut Verify, bad: &[u32]) -> bool {
    match verify.next(&driver.log) {
        VerifyNext::Done => return false,
        VerifyNext::Wait => {}
        VerifyNext::Read { unit, units } => {
            let from = unit as usize * UNIT_BYTES;
            let bytes = &driver.disk.bytes[from..from + units as usize * UNIT_BYTES];
            let is_bad = bad.iter().any(|bad| (unit..unit + units).contains(bad));
            let result = if is_bad { Err(IoFailed) } else { Ok(bytes) };
            verify.take(&driver.log, result);
        }
    }
    true
}

fn verified(driver: &Driver, bad: &[u32]) -> Verified {
    let mut verify = driver.log.verify().expect("it is open");
    let mut steps = 0;
    while step(driver, &mut verify, bad) {
        let (done, all) = verify.progress();
        assert!(done <= all);
        steps += 1;
        assert!(steps < 100_000, "it ends");
    }
    let (done, all) = verify.progress();
    assert_eq!(done, all);
    verify.finish()
}

/// A log with everything in it, in several segments, of which none was retired.
fn log() -> (Driver, SplitMix64) {
    // With slots enough that no fold is due.
    let mut driver = Driver::new(geometry(32, 16, 64), settings(2, WhenFull::Shorten));
    let mut random = SplitMix64::new(3);
    for round in 0..40_u8 {
        let lba = random.below(60);
        match round {
            9 => {
                let request = driver.request();
                driver.log.zero(request, 3, 9, true, true).expect("taken");
                done(&mut driver, &mut random, request);
            }
            17 => {
                let request = driver.request();
                driver.log.mark(request, "m", None).expect("taken");
                done(&mut driver, &mut random, request);
            }
            23 => {
                let moment = driver.log.status().marks[0].moment;
                revert(&mut driver, &mut random, moment);
            }
            _ => {
                let blocks = 1 + usize::from(round % 3);
                let data = (0..blocks).flat_map(|at| vec![round + at as u8; UNIT_BYTES]);
                let request = driver.write(lba, data.collect(), true).expect("taken");
                done(&mut driver, &mut random, request);
            }
        }
    }
    driver.run(&mut random);
    assert_eq!(driver.log.status().floor, 0, "nothing was folded");
    (driver, random)
}

/// What each unit of the log is, by the first bytes of units alone; seqs of batches.
fn parts(driver: &Driver) -> BTreeMap<u32, (DamagedPart, Option<(Seq, Seq)>)> {
    let bytes = &driver.disk.bytes;
    let at = |unit: u32| &bytes[unit as usize * UNIT_BYTES..][..UNIT_BYTES];
    let ids = (32..bytes.len() / UNIT_BYTES).map(|unit| at(unit as u32));
    let ids = ids.filter(|block| block.starts_with(b"DTHSEGMT"));
    let open = ids.map(|block| u64_at(block, 16)).max().expect("a segment");
    let mut parts = BTreeMap::new();
    for unit in [0, 16] {
        parts.insert(unit, (DamagedPart::Superblock, None));
    }
    for unit in 32..(bytes.len() / UNIT_BYTES) as u32 {
        let block = at(unit);
        if block.starts_with(b"DTHSEGMT") {
            parts.insert(unit, (DamagedPart::SegmentHeader, None));
        }
        if !block.starts_with(b"DTHB") {
            continue;
        }
        let (kind, payload) = (block[10], u32::from(block[14]) | u32::from(block[15]) << 8);
        let first = u64_at(block, 40);
        let count = if kind == 1 { u64::from(block[12]) } else { 1 };
        let seqs = Some((first, first + count - 1));
        let is_listed = u64_at(block, 16) != open;
        let (header, behind) = match kind {
            1 => (DamagedPart::BatchHeader { is_listed }, DamagedPart::Data),
            10 => (DamagedPart::Footer, DamagedPart::Footer),
            _ => (
                DamagedPart::BatchHeader { is_listed },
                DamagedPart::Checkpoint,
            ),
        };
        parts.insert(unit, (header, seqs));
        for unit in unit + 1..=unit + payload {
            parts.insert(unit, (behind, seqs));
        }
    }
    parts
}

#[test]
fn a_log_without_damage_has_none() {
    let (driver, _) = log();
    let verified = verified(&driver, &[]);
    assert_eq!(verified.damages, []);
    assert!(verified.segments >= 4, "{verified:?}");
}

/// A bit of each unit, of the log and of what is between, one after the other.
#[test]
fn each_damaged_unit_is_named_and_no_other() {
    let (mut driver, mut random) = log();
    let parts = parts(&driver);
    let mut counts = BTreeMap::new();
    for unit in 0..(driver.disk.bytes.len() / UNIT_BYTES) as u32 {
        let at = unit as usize * UNIT_BYTES + random.below(UNIT_BYTES as u64) as usize;
        let bit = 1 << random.below(8);
        driver.disk.bytes[at] ^= bit;
        let verified = verified(&driver, &[]);
        let expected = parts.get(&unit);
        assert_eq!(
            verified.damages.len(),
            usize::from(expected.is_some()),
            "{unit}"
        );
        if let (Some((part, seqs)), Some(damage)) = (expected, verified.damages.first()) {
            assert_eq!((damage.part, damage.unit, damage.units), (*part, unit, 1));
            assert!(!damage.is_unreadable);
            check(&driver, damage, *seqs);
            *counts.entry(format!("{part:?}")).or_insert(0) += 1;
        }
        driver.disk.bytes[at] ^= bit;
    }
    assert_eq!(counts.len(), 7, "{counts:?}");
}

/// What is said of the seqs, and of the blocks that a read finds damaged.
fn check(driver: &Driver, damage: &Damage, seqs: Option<(Seq, Seq)>) {
    let failing: Vec<u64> = (0..)
        .zip(driver.read(View::Now))
        .filter_map(|(lba, block)| block.is_none().then_some(lba))
        .collect();
    match damage.part {
        DamagedPart::Data => {
            let (first, last) = seqs.expect("a batch has seqs");
            let (seq, same) = damage.seqs.expect("a block has one");
            assert!(seq == same && (first..=last).contains(&seq));
            assert_eq!(damage.blocks.len(), 1);
            let lba = damage.blocks[0].0;
            let expected = if damage.is_newest { vec![lba] } else { vec![] };
            assert_eq!(failing, expected);
            assert!(damage.loses_data());
        }
        DamagedPart::BatchHeader { .. } => {
            assert_eq!(damage.seqs, seqs);
            let is_listed = damage.part == DamagedPart::BatchHeader { is_listed: true };
            assert!(failing.is_empty() && damage.loses_data() != is_listed);
        }
        _ => assert!(failing.is_empty() && !damage.loses_data()),
    }
}

#[test]
fn the_blocks_of_a_damaged_header_are_named_and_those_behind_it_judged() {
    let (mut driver, _) = log();
    let headers = batches(&driver, 1);
    for header in &headers {
        let block = &driver.disk.bytes[*header..][..UNIT_BYTES];
        let (lba, payload) = (u64_at(block, 192), usize::from(block[14]));
        if payload == 0 {
            continue;
        }
        let whole = driver.disk.bytes.clone();
        driver.disk.bytes[header + 2000] ^= 1;
        let named = verified(&driver, &[]).damages.remove(0);
        assert_eq!(named.blocks, [(lba, payload as u64)]);
        assert!(named.time_ns.is_some());
        driver.disk.bytes[header + payload * UNIT_BYTES] ^= 4;
        let both = verified(&driver, &[]);
        let last = both.damages.last().expect("the data");
        assert_eq!((both.damages.len(), last.part), (2, DamagedPart::Data));
        assert_eq!(last.unit as usize, header / UNIT_BYTES + payload);
        assert_eq!(last.blocks, [(lba + payload as u64 - 1, 1)]);
        driver.disk.bytes = whole;
    }
    assert!(headers.len() > 20);
}

#[test]
fn neighbours_of_a_batch_are_one_finding_and_bad_sectors_are_told_apart() {
    let (driver, _) = log();
    let header = batches(&driver, 1).into_iter();
    let mut wide = header.filter(|at| driver.disk.bytes[at + 14] == 3);
    let at = wide.next().expect("a batch of three blocks");
    let unit = (at / UNIT_BYTES) as u32;
    let found = verified(&driver, &[unit + 1, unit + 2, unit + 3]).damages;
    assert_eq!(
        (found.len(), found[0].unit, found[0].units),
        (1, unit + 1, 3)
    );
    assert!(found[0].is_unreadable && found[0].part == DamagedPart::Data);
    assert_eq!(found[0].blocks.len(), 1);
    assert_eq!(found[0].blocks[0].1, 3);
}

/// Without SEAL the footer is not read, and with a header that is damaged, too, what it was about
/// is not known.
#[test]
fn a_header_and_the_footer_together_are_a_loss() {
    let (mut driver, _) = log();
    let seal = batches(&driver, 10)[0];
    let header = batches(&driver, 1)[0];
    driver.disk.bytes[seal + 99] ^= 1;
    driver.disk.bytes[header + 99] ^= 1;
    let found = verified(&driver, &[]).damages;
    let parts: Vec<DamagedPart> = found.iter().map(|damage| damage.part).collect();
    let header = DamagedPart::BatchHeader { is_listed: false };
    assert_eq!(parts, [header, DamagedPart::Footer]);
    assert!(found[0].loses_data() && found[0].seqs.is_some() && found[0].blocks.is_empty());
}

/// Writes, reverts and folds go on between the reads; slots are written again.
#[test]
fn a_log_that_goes_on_confuses_nothing() {
    let segments = verified(&log().0, &[]).segments;
    let mut left_out = 0;
    for seed in 0..60 {
        let (mut driver, _) = log();
        let mut random = SplitMix64::new(seed);
        let request = driver.request();
        driver.log.drop_mark(request, "m").expect("taken");
        done(&mut driver, &mut random, request);
        // What the revert left behind would hold the floor.
        for (id, _, _, head, dropped) in driver.log.status().branches {
            if head != 0 && !dropped {
                let request = driver.request();
                driver.log.drop_branch(request, id).expect("taken");
                done(&mut driver, &mut random, request);
            }
        }
        let mut verify = driver.log.verify().expect("it is open");
        let (_, units) = verify.progress();
        while step(&driver, &mut verify, &[]) {
            for _ in 0..random.below(12) {
                let lba = random.below(60);
                match random.below(12) {
                    0 => {
                        let (moment, request) = (driver.log.status().newest, driver.request());
                        if driver.log.revert(request, moment).is_ok() {
                            // The log may be full for a while.
                            let _ = driver.finish(request, &mut random);
                        }
                    }
                    1 => {
                        let to = driver.log.fold_limit();
                        let _ = driver.log.fold(to);
                    }
                    _ => {
                        let data = vec![seed as u8; UNIT_BYTES];
                        let request = driver.write(lba, data, true).expect("taken");
                        let _ = driver.finish(request, &mut random);
                    }
                }
            }
        }
        let verified = verify.finish();
        assert_eq!(verified.damages, [], "seed {seed}");
        assert_eq!(verified.units, units);
        left_out += u64::from(verified.segments < segments);
    }
    assert!(left_out > 0, "folds retire segments that are not read yet");
}

#[test]
fn blocks_that_a_fold_has_lost_are_listed() {
    let (mut driver, mut random) = new(WhenFull::Shorten);
    for lba in 0..40 {
        write(&mut driver, &mut random, lba, lba as u8);
    }
    driver.run(&mut random);
    let of_block_2 = batches(&driver, 1)[2];
    driver.disk.bytes[of_block_2 + UNIT_BYTES + 7] ^= 1;
    let rotten = verified(&driver, &[]).damages.remove(0);
    assert!(rotten.is_newest && rotten.loses_data());
    assert_eq!(rotten.blocks, [(2, 1)]);
    let last = u64_at(&driver.disk.bytes, batches(&driver, 10)[0] + 40);
    driver.log.fold(last).expect("nothing holds the floor");
    driver.run(&mut random);
    assert_eq!(driver.log.status().floor, last);
    let lost = verified(&driver, &[]).damages.remove(0);
    assert_eq!(lost.part, DamagedPart::LostBlocks);
    assert_eq!(lost.blocks, [(2, 1)]);
    assert!(lost.loses_data());
}
