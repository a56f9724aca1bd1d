//! The checker finds each kind of violation, and accepts everything that a right disk may do.

use super::*;
use crate::{StampAction, StampLoad};
use disktime_random::Random;

const ZEROES: [u8; STAMP_BLOCK_BYTES] = [0; STAMP_BLOCK_BYTES];

/// Issues a write of one block and returns its content.
fn write(checker: &mut StampChecker, block: u64) -> (WriteTicket, Vec<u8>) {
    let ticket = checker
        .begin_write(block, 1)
        .expect("no write is in flight");
    let mut content = vec![0xEE; ticket.len_bytes()];
    checker.fill(&ticket, &mut content);
    (ticket, content)
}

fn flush(checker: &mut StampChecker) {
    let ticket = checker.begin_flush();
    checker.flush_done(ticket);
}

#[test]
fn a_flushed_write_that_is_lost_is_found() {
    let mut checker = StampChecker::new(7, 4);
    let (first, old) = write(&mut checker, 2);
    checker.write_done(first, false);
    assert_eq!(
        checker.recover(2, &ZEROES),
        Ok(Found::Zeroes),
        "not flushed: it may be lost"
    );

    let (first, old_again) = write(&mut checker, 2);
    checker.write_done(first, false);
    flush(&mut checker);
    checker.crashed();
    let lost = Violation::Lost {
        block: 2,
        found: 0,
        spec: 2,
    };
    assert_eq!(checker.recover(2, &ZEROES), Err(lost));
    assert!(matches!(
        checker.recover(2, &old),
        Err(Violation::Lost { found: 1, .. })
    ));
    assert_eq!(
        checker.recover(2, &old_again),
        Ok(Found::Whole { generation: 2 })
    );
}

#[test]
fn a_flush_covers_only_what_was_acknowledged_before_it() {
    let mut checker = StampChecker::new(7, 4);
    let (ticket, _) = write(&mut checker, 0);
    let early = checker.begin_flush();
    checker.write_done(ticket, false);
    checker.flush_done(early);
    checker.crashed();
    assert_eq!(checker.recover(0, &ZEROES), Ok(Found::Zeroes));
}

#[test]
fn a_durable_write_needs_no_flush() {
    let mut checker = StampChecker::new(7, 4);
    let (ticket, _) = write(&mut checker, 0);
    checker.write_done(ticket, true);
    checker.crashed();
    assert!(matches!(
        checker.recover(0, &ZEROES),
        Err(Violation::Lost { .. })
    ));
}

#[test]
fn a_torn_block_is_allowed_only_while_a_write_is_not_flushed() {
    let mut checker = StampChecker::new(7, 4);
    let (ticket, old) = write(&mut checker, 1);
    checker.write_done(ticket, false);
    flush(&mut checker);
    let (ticket, new) = write(&mut checker, 1);
    let torn = [&new[..1024], &old[1024..]].concat();
    checker.crashed();
    assert_eq!(checker.recover(1, &torn), Ok(Found::Torn));
    checker.write_done(ticket, true);
    assert_eq!(
        checker.recover(1, &torn),
        Ok(Found::Torn),
        "an answer of before the crash is void"
    );

    let (ticket, newest) = write(&mut checker, 1);
    checker.write_done(ticket, false);
    flush(&mut checker);
    checker.crashed();
    assert!(checker.recover(1, &torn).is_err());
    assert!(checker.recover(1, &newest).is_ok());
}

#[test]
fn torn_after_a_flush_is_a_violation_even_with_new_sectors_only() {
    let mut checker = StampChecker::new(7, 1);
    let (ticket, old) = write(&mut checker, 0);
    checker.write_done(ticket, false);
    let (ticket, new) = write(&mut checker, 0);
    checker.write_done(ticket, false);
    let torn = [&old[..512], &new[512..]].concat();
    assert!(matches!(
        checker.check_live(0, &torn),
        Err(Violation::Lost {
            found: 1,
            spec: 2,
            ..
        })
    ));
}

#[test]
fn content_of_another_place_vdisk_or_nowhere_is_foreign() {
    let mut checker = StampChecker::new(7, 4);
    let (_, content) = write(&mut checker, 1);
    assert!(matches!(
        checker.recover(0, &content),
        Err(Violation::Foreign { .. })
    ));
    let other = StampChecker::new(8, 4);
    assert!(matches!(
        other.check_live(1, &content),
        Err(Violation::Foreign { .. })
    ));
    let mut flipped = content.clone();
    flipped[3000] ^= 1;
    assert_eq!(
        checker.recover(1, &flipped),
        Err(Violation::Foreign {
            block: 1,
            sector: 5
        })
    );
    assert!(matches!(
        StampChecker::new(7, 4).recover(1, &content),
        Err(Violation::Unissued {
            found: 1,
            issued: 0,
            ..
        })
    ));
}

#[test]
fn a_block_that_went_back_after_a_crash_does_not_come_forward_again() {
    let mut checker = StampChecker::new(7, 1);
    let (ticket, old) = write(&mut checker, 0);
    checker.write_done(ticket, true);
    let (_, new) = write(&mut checker, 0);
    checker.crashed();
    assert_eq!(checker.recover(0, &old), Ok(Found::Whole { generation: 1 }));
    assert!(matches!(
        checker.check_live(0, &new),
        Err(Violation::Unissued { .. })
    ));
}

#[test]
fn two_writes_of_a_block_are_never_under_way_together() {
    let mut checker = StampChecker::new(7, 4);
    let ticket = checker.begin_write(1, 2).expect("free");
    assert_eq!(checker.begin_write(2, 1), None);
    assert_eq!(checker.begin_write(3, 2), None, "beyond the end");
    checker.write_failed(ticket);
    assert!(checker.begin_write(2, 1).is_some());
}

/// A model of a disk with a volatile cache: durable content, and a cache of whole sectors.
struct Disk {
    durable: Vec<u8>,
    cached: Vec<u8>,
}

impl Disk {
    fn crash(&mut self, random: &mut Random) {
        for (kept, lost) in self
            .durable
            .chunks_mut(SECTOR_BYTES)
            .zip(self.cached.chunks(SECTOR_BYTES))
        {
            if random.below(2) == 0 {
                kept.copy_from_slice(lost);
            }
        }
        self.cached.clone_from(&self.durable);
    }
}

#[test]
fn a_right_disk_passes_and_one_that_ignores_flushes_does_not() {
    for (ignores_flushes, seeds) in [(false, 40), (true, 40)] {
        let violations: usize = (0..seeds)
            .map(|seed| crash_rounds(seed, ignores_flushes))
            .sum();
        assert_eq!(violations > 0, ignores_flushes, "{violations} violations");
    }
}

fn crash_rounds(seed: u64, ignores_flushes: bool) -> usize {
    let blocks = 32;
    let mut checker = StampChecker::new(1, blocks);
    let mut load = StampLoad::new(seed, 4);
    let mut random = Random::labelled(seed, "crash");
    let zeroes = vec![0; blocks * STAMP_BLOCK_BYTES];
    let mut disk = Disk {
        durable: zeroes.clone(),
        cached: zeroes,
    };
    let mut violations = 0;
    for _round in 0..5 {
        for _action in 0..50 {
            match load.next_action(&mut checker) {
                Some(StampAction::Write { ticket, fua }) => {
                    let range = ticket.offset_bytes() as usize..;
                    let range = range.start..range.start + ticket.len_bytes();
                    checker.fill(&ticket, &mut disk.cached[range.clone()]);
                    if fua && !ignores_flushes {
                        disk.durable[range.clone()].copy_from_slice(&disk.cached[range]);
                    }
                    if random.below(8) > 0 {
                        checker.write_done(ticket, fua);
                    }
                }
                Some(StampAction::Flush(ticket)) => {
                    if !ignores_flushes {
                        disk.durable.clone_from(&disk.cached);
                    }
                    checker.flush_done(ticket);
                }
                None => {}
            }
        }
        disk.crash(&mut random);
        checker.crashed();
        for (block, content) in disk.durable.chunks(STAMP_BLOCK_BYTES).enumerate() {
            violations += usize::from(checker.recover(block as u64, content).is_err());
        }
    }
    violations
}
