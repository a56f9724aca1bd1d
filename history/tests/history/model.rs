//! The log beside a naive model that keeps a full copy of every moment, under random steps and
//! crashes. `DISKTIME_HISTORY_SEEDS` and `DISKTIME_HISTORY_STEPS` make the run longer,
//! `DISKTIME_HISTORY_SEED` runs one seed.

use crate::driver::{Driver, geometry, settings};
use crate::tree::{Copy, SECTORS_PER_BLOCK, Tree, block_bytes};
use disktime_history::{CloneEntry, Failure, Notice, RequestId, Seq, View, ViewId, WhenFull};
use disktime_random::SplitMix64;
use std::collections::BTreeSet;

const BLOCKS: u64 = 96;

/// A change that was asked for.
struct Change {
    request: RequestId,
    /// First sector, and the sectors' numbers.
    at: usize,
    stamps: Copy,
    /// Whether an answer promises that it survives a loss of power.
    durable: bool,
    /// Its moment, once it is answered.
    seq: Option<Seq>,
}

struct Run {
    driver: Driver,
    tree: Tree,
    random: SplitMix64,
    /// Asked for, in order, since all was answered last.
    changes: Vec<Change>,
    /// Flushes: what they cover is the first so many changes.
    flushes: Vec<RequestId>,
    /// Changes and flushes only, with no pause in which all is answered.
    storm: bool,
    /// A moment that stays open, and what it has to hold.
    kept_view: Option<(ViewId, Copy)>,
    /// What the last opening found.
    kept: Seq,
    /// The moments of all changes that were ever answered, crashes or not.
    seen: BTreeSet<Seq>,
    /// Whether a full log refused a change since all was answered last.
    has_failed: bool,
    /// What was promised to survive.
    promised: Seq,
    /// What was answered: it survives a kill.
    answered: Seq,
    stamp: u32,
    names: u32,
    /// How often each thing happened, so that a run that does nothing is seen.
    crashes: u32,
    folds: u32,
    reverts: u32,
    clones_made: u32,
    /// A clone that was asked for before a crash.
    unsure_clone: Option<CloneEntry>,
    growths: u32,
    /// A size that was asked for before a crash.
    unsure_blocks: Option<u64>,
}

impl Run {
    fn new(seed: u64) -> Run {
        let mut random = SplitMix64::new(seed);
        let slot_units = [32, 64, 128][random.below(3) as usize];
        let slots = random.range(7, 12) as u32;
        let when_full = [WhenFull::Shorten, WhenFull::Refuse][random.below(2) as usize];
        let in_flight = random.range(1, 5) as usize;
        let geometry = geometry(slot_units, slots, BLOCKS);
        let mut driver = Driver::new(geometry, settings(in_flight, when_full));
        driver.run(&mut random);
        let first = driver.log.status().branch;
        Run {
            tree: Tree::new(BLOCKS, first),
            driver,
            random,
            changes: Vec::new(),
            flushes: Vec::new(),
            storm: false,
            kept_view: None,
            kept: 0,
            seen: BTreeSet::new(),
            has_failed: false,
            promised: 0,
            answered: 0,
            stamp: 0,
            names: 0,
            crashes: 0,
            folds: 0,
            reverts: 0,
            clones_made: 0,
            unsure_clone: None,
            growths: 0,
            unsure_blocks: None,
        }
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.random.below(bound)
    }

    /// The newest content, with what is asked for.
    fn expected(&self) -> Copy {
        let mut copy = self.tree.now.clone();
        for change in &self.changes {
            copy[change.at..change.at + change.stamps.len()].copy_from_slice(&change.stamps);
        }
        copy
    }

    /// A write of sectors: a driver merges what is less than a block.
    fn write(&mut self) {
        let sectors = self.tree.blocks as usize * SECTORS_PER_BLOCK;
        let unaligned = !self.storm && self.below(3) == 0;
        let len = match self.below(10) {
            0 => self.random.range(1, 20 * 8) as usize,
            _ => self.random.range(1, 4 * 8) as usize,
        };
        let mut at = self.below((sectors - len) as u64 + 1) as usize;
        let mut len = len;
        if !unaligned {
            at -= at % SECTORS_PER_BLOCK;
            len = len.next_multiple_of(SECTORS_PER_BLOCK).min(sectors - at);
        }
        let first = at / SECTORS_PER_BLOCK;
        let last = (at + len).div_ceil(SECTORS_PER_BLOCK);
        self.stamp += 1;
        let mut copy = self.expected();
        copy[at..at + len].fill(self.stamp);
        if unaligned {
            // The merge reads what is written already; requests before it are answered first.
            self.settle();
            let there = self.driver.read(View::Now);
            for (block, bytes) in there.iter().enumerate().take(last).skip(first) {
                let expected = block_bytes(&self.tree.now, block);
                assert_eq!(
                    bytes.as_ref(),
                    Some(&expected),
                    "block {block} before a merge"
                );
            }
            copy.clone_from(&self.tree.now);
            copy[at..at + len].fill(self.stamp);
        }
        let data = (first..last)
            .flat_map(|block| block_bytes(&copy, block))
            .collect();
        let durable = self.below(8) == 0;
        match self.driver.write(first as u64, data, durable) {
            Ok(request) => {
                let (at, end) = (first * SECTORS_PER_BLOCK, last * SECTORS_PER_BLOCK);
                let stamps = copy[at..end].to_vec();
                self.changes.push(Change {
                    request,
                    at,
                    stamps,
                    durable,
                    seq: None,
                });
            }
            Err(why) => panic!("a write is refused: {why}"),
        }
    }

    fn zero(&mut self) {
        let lba = self.below(self.tree.blocks);
        let blocks = self.random.range(1, self.tree.blocks - lba + 1);
        let (trimmed, durable) = (self.below(2) == 0, self.below(8) == 0);
        let request = self.driver.request();
        self.driver
            .log
            .zero(request, lba, blocks, trimmed, durable)
            .expect("it is taken");
        self.changes.push(Change {
            request,
            at: lba as usize * SECTORS_PER_BLOCK,
            stamps: vec![0; blocks as usize * SECTORS_PER_BLOCK],
            durable,
            seq: None,
        });
    }

    /// Lets all that was asked for be answered, and notes the moments.
    fn settle(&mut self) {
        self.driver.run(&mut self.random);
        self.note_answered();
    }

    /// Notes the moments of all that was asked for: it is answered.
    fn note_answered(&mut self) {
        self.take_answers();
        for change in std::mem::take(&mut self.changes) {
            let Some(seq) = change.seq else {
                assert!(
                    self.has_failed,
                    "every change is answered: {:?}",
                    self.driver.log
                );
                // The moments behind it may hold a part of it.
                break;
            };
            let end = change.at + change.stamps.len();
            self.tree.now[change.at..end].copy_from_slice(&change.stamps);
            self.tree.note(seq);
        }
        if std::mem::take(&mut self.has_failed) {
            // A full log took a beginning of the writes that failed, piece by piece.
            self.adopt();
        }
        self.tree.oldest = self.driver.log.status().oldest_restorable;
        self.drop_what_expired();
    }

    fn take_answers(&mut self) {
        for notice in std::mem::take(&mut self.driver.notices) {
            match notice {
                Notice::Done { request, seq } => {
                    let change = self.changes.iter_mut().find(|one| one.request == request);
                    if let Some(change) = change {
                        change.seq = Some(seq);
                        self.answered = self.answered.max(seq);
                        if change.durable {
                            self.promised = self.promised.max(seq);
                        }
                        assert!(self.seen.insert(seq), "seq {seq} means two contents");
                    } else if self.flushes.contains(&request) {
                        self.promised = self.promised.max(seq);
                    }
                }
                Notice::Folded { .. } => self.folds += 1,
                Notice::Failed { why, .. } => {
                    assert_eq!(why, Failure::Full);
                    self.has_failed = true;
                }
                Notice::Grown { blocks } => self.has_grown(blocks),
                Notice::NotGrown { why } => assert_eq!(why, Failure::Full),
                Notice::Broken => panic!("no disk failed"),
                _ => {}
            }
        }
    }

    /// Branches that a full log gave up by itself.
    fn drop_what_expired(&mut self) {
        let status = self.driver.log.status();
        for branch in &mut self.tree.branches {
            let row = status.branches.iter().find(|row| row.0 == branch.first);
            // The log may give one up by itself, and lose that in a crash.
            branch.dropped = row.map_or(branch.dropped, |row| row.4);
            assert!(branch.dropped || !branch.drop_is_promised);
        }
    }

    /// Takes the newest content as it is, after checking each sector against what may be there.
    fn adopt(&mut self) {
        let there = self.driver.read(View::Now);
        for (block, bytes) in there.iter().enumerate() {
            let bytes = bytes.as_ref().expect("it verifies");
            for sector in 0..SECTORS_PER_BLOCK {
                let at = block * SECTORS_PER_BLOCK + sector;
                let word = &bytes[sector * 512..sector * 512 + 8];
                let word = u64::from_le_bytes(word.try_into().expect("8 bytes"));
                let inverse = 0xF1DE_83E1_9937_733D_u64;
                self.tree.now[at] = u32::try_from(word.wrapping_mul(inverse)).expect("a number");
            }
        }
        let newest = self.driver.log.status().newest;
        self.tree.note(newest);
    }

    fn check(&mut self, moment: Option<Seq>) {
        let (view, copy) = match moment {
            None => (None, self.tree.now.clone()),
            Some(seq) => (Some(self.open_view(seq)), self.tree.copies[&seq].1.clone()),
        };
        let there = match view {
            None => self.driver.read_fetched(View::Now, &mut self.random),
            Some(view) => self.driver.read_fetched(View::At(view), &mut self.random),
        };
        assert_eq!(there.len() * SECTORS_PER_BLOCK, copy.len(), "size");
        for (block, bytes) in there.iter().enumerate() {
            let expected = block_bytes(&copy, block);
            assert!(
                bytes.as_ref() == Some(&expected),
                "block {block} of {moment:?}"
            );
        }
        if let Some(view) = view {
            self.driver.log.close_view(view);
        }
    }

    /// Marks, branches, some moments, and moments that must not be served.
    fn check_all(&mut self, moments: usize) {
        self.settle();
        self.check(None);
        self.check_kept_view();
        let status = self.driver.log.status();
        let marks = status
            .marks
            .iter()
            .map(|mark| (mark.name.clone(), mark.moment));
        assert!(marks.eq(self.tree.marks.clone()), "marks");
        self.check_clones();
        let serving = self.tree.serving();
        let named: Vec<Seq> = self.tree.marks.values().copied().collect();
        for _ in 0..moments.min(serving.len()) {
            let seq = serving[self.below(serving.len() as u64) as usize];
            self.check(Some(seq));
        }
        named.into_iter().for_each(|seq| self.check(Some(seq)));
        for seq in self
            .tree
            .copies
            .keys()
            .filter(|seq| !self.tree.serves(**seq))
        {
            let request = RequestId(0);
            assert!(
                self.driver.log.open_view(request, *seq).is_err(),
                "moment {seq} is gone"
            );
        }
    }

    fn drop_branch(&mut self) {
        self.settle();
        let tails = self.tree.tails();
        if tails.is_empty() {
            return;
        }
        let branch = tails[self.below(tails.len() as u64) as usize];
        let mut without = self.tree.clone();
        without.branches[branch].dropped = true;
        let is_marked = self.tree.marks.values().any(|seq| !without.serves(*seq));
        let mut clones = self.tree.clones.iter();
        let is_cloned = clones.any(|clone| !without.serves(clone.moment));
        let request = self.driver.request();
        let id = self.tree.branches[branch].first;
        match self.driver.log.drop_branch(request, id) {
            Ok(()) => {
                assert!(!is_marked && !is_cloned);
                self.driver
                    .finish(request, &mut self.random)
                    .expect("it is dropped");
                self.tree.branches[branch].dropped = true;
                self.tree.branches[branch].drop_is_promised = true;
            }
            Err(Failure::BranchIsMarked) => assert!(is_marked),
            Err(Failure::BranchIsCloned) => assert!(is_cloned),
            // What the log calls its tail begins behind the last record that the model knows.
            Err(why) => assert_eq!(why, Failure::NoSuchBranch),
        }
    }

    fn fold(&mut self) {
        self.settle();
        self.begin_fold();
    }

    fn begin_fold(&mut self) {
        let serving = self.tree.serving();
        let to = serving[self.below(serving.len() as u64) as usize];
        let limit = self.driver.log.fold_limit();
        let status = self.driver.log.status();
        let floor = status.floor;
        let outcome = self.driver.log.fold(to);
        if let Err(why) = outcome {
            assert_eq!(why, Failure::FloorIsHeld);
            let is_held = to > limit || to <= floor || status.is_folding;
            assert!(is_held, "{to} of {floor} to {limit}");
        } else {
            assert!(to <= limit);
            self.tree.oldest = to;
            // It goes on beside what comes next.
            for _ in 0..self.below(20) {
                self.driver.step(&mut self.random);
                // While the image is neither the old nor the new floor.
                if self.below(4) == 0 {
                    self.check(None);
                    self.check_kept_view();
                }
            }
            self.check(None);
            self.check_kept_view();
        }
    }

    fn flush(&mut self) {
        let request = self.driver.request();
        self.driver.log.flush(request).expect("it is taken");
        self.flushes.push(request);
    }

    fn restart(&mut self) {
        self.settle();
        self.driver.log.close();
        while !self.driver.notices.contains(&Notice::Closed) {
            assert!(self.driver.step(&mut self.random), "it closes");
        }
        let newest = self.driver.log.status().newest;
        let was_closed = self.reopen(End::Closed, newest);
        assert!(was_closed);
        self.check_all(2);
    }

    /// Opens the log again after such an end; whether it had been closed.
    fn reopen(&mut self, end: End, at_least: Seq) -> bool {
        let (geometry, settings) = (self.driver.geometry(), self.driver.settings());
        let empty = Driver::new(crate::driver::geometry(16, 6, 1), settings);
        let old = std::mem::replace(&mut self.driver, empty);
        let (mut disk, mut image) = match end {
            End::PowerLost => old.crash(&mut self.random),
            End::Killed => old.kill(&mut self.random),
            End::Closed => (old.disk, old.image),
        };
        if self.below(4) == 0 {
            damage_what_is_there_twice(&mut disk, &mut self.random);
        }
        let mut kept = None;
        while end != End::Closed && self.below(3) == 0 {
            // Power is lost again while the log is opened.
            let begun = Driver::begin(disk, image, geometry, settings);
            let (mut driver, report) = begun.expect("it begins to open");
            assert_eq!(report.lost_from, None, "a crash loses nothing durable");
            // Later ones find the records of openings too, whose numbers lie behind all lost ones.
            kept = kept.or(Some(report.newest));
            for _ in 0..self.below(12) {
                driver.step(&mut self.random);
            }
            (disk, image) = driver.crash(&mut self.random);
        }
        let opened = Driver::open(disk, image, geometry, settings);
        let (driver, report) = opened.expect("it opens");
        assert_eq!(report.lost_from, None, "a crash loses nothing durable");
        assert!(report.newest >= at_least, "{} of {at_least}", report.newest);
        self.kept_view = None;
        self.driver = driver;
        self.kept = kept.unwrap_or(report.newest);
        self.note_size();
        self.tree.oldest = self.driver.log.status().oldest_restorable;
        self.driver.run(&mut self.random);
        report.was_closed
    }
}

mod clones;
mod crashes;
mod damage;
mod growing;
mod marks;
mod reverts;
mod runs;
mod views;

use crashes::End;
use damage::damage_what_is_there_twice;
