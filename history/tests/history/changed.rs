//! What was written between two moments, beside full copies of both: on one branch and across
//! reverts, with folds and restarts in between.

use crate::driver::{Driver, geometry, settings};
use crate::support::{done, reopened, revert};
use disktime_history::{Notice, Seq, UNIT_BYTES, WhenFull};
use disktime_random::SplitMix64;
use std::collections::{BTreeMap, BTreeSet};

const BLOCKS: u64 = 64;

/// A moment: its content, and on its branch the moments before it with the blocks that each wrote.
#[derive(Clone)]
struct Copy {
    content: Vec<u8>,
    path: BTreeMap<Seq, BTreeSet<u64>>,
}

fn changed(driver: &mut Driver, random: &mut SplitMix64, since: Seq, until: Seq) -> BTreeSet<u64> {
    let request = driver.request();
    driver.log.changed(request, since, until).expect("taken");
    loop {
        let found = driver.notices.iter().find_map(|notice| match notice {
            Notice::Changed { request: of, runs } if *of == request => Some(runs.clone()),
            _ => None,
        });
        if let Some(runs) = found {
            let apart = |pair: &[(u64, u64)]| pair[0].0 + pair[0].1 < pair[1].0;
            assert!(runs.windows(2).all(apart), "{runs:?}");
            return runs
                .iter()
                .flat_map(|(lba, blocks)| *lba..lba + blocks)
                .collect();
        }
        assert!(driver.step(random), "it is answered");
    }
}

/// What was written to the one and not to the other, by the paths of both.
fn written_apart(first: &Copy, second: &Copy) -> BTreeSet<u64> {
    let beyond = |of: &Copy, other: &Copy| -> Vec<u64> {
        let rest = of
            .path
            .iter()
            .filter(|(seq, _)| !other.path.contains_key(seq));
        rest.flat_map(|(_, blocks)| blocks.clone()).collect()
    };
    let all = [beyond(first, second), beyond(second, first)].concat();
    all.into_iter().collect()
}

/// A random write or zeroing; the blocks that it wrote.
fn change(driver: &mut Driver, random: &mut SplitMix64, copy: &mut Copy) -> Seq {
    let lba = random.below(BLOCKS);
    let blocks = 1 + random.below((BLOCKS - lba).min(6));
    let byte = random.below(250) as u8 + 1;
    let range = lba as usize..(lba + blocks) as usize;
    let request = if random.below(4) == 0 {
        let request = driver.request();
        let is_trim = byte.is_multiple_of(2);
        driver
            .log
            .zero(request, lba, blocks, is_trim, false)
            .expect("taken");
        copy.content[range].fill(0);
        request
    } else {
        copy.content[range].fill(byte);
        let data = vec![byte; blocks as usize * UNIT_BYTES];
        driver.write(lba, data, false).expect("taken")
    };
    let seq = done(driver, random, request);
    copy.path.insert(seq, (lba..lba + blocks).collect());
    seq
}

#[test]
fn the_blocks_between_two_moments_are_those_that_were_written() {
    for seed in 0..25 {
        let mut random = SplitMix64::new(seed);
        let mut driver = Driver::new(geometry(32, 40, BLOCKS), settings(2, WhenFull::Shorten));
        driver.run(&mut random);
        let mut now = Copy {
            content: vec![0; BLOCKS as usize],
            path: BTreeMap::new(),
        };
        let mut copies: BTreeMap<Seq, Copy> = BTreeMap::new();
        for step in 0..120 {
            let seq = change(&mut driver, &mut random, &mut now);
            copies.insert(seq, now.clone());
            if random.below(12) == 0 {
                let seqs: Vec<Seq> = copies.keys().copied().collect();
                let to = seqs[random.below(seqs.len() as u64) as usize];
                let seq = revert(&mut driver, &mut random, to);
                now = copies[&to].clone();
                copies.insert(seq, now.clone());
            }
            if step == 60 {
                driver.log.close();
                driver.run(&mut random);
                driver = reopened(&driver).expect("it opens").0;
            }
        }
        let seqs: Vec<Seq> = copies.keys().copied().collect();
        let pick = |random: &mut SplitMix64| seqs[random.below(seqs.len() as u64) as usize];
        for _ in 0..30 {
            let (since, until) = (pick(&mut random), pick(&mut random));
            let found = changed(&mut driver, &mut random, since, until);
            let (first, second) = (&copies[&since], &copies[&until]);
            let written = written_apart(first, second);
            assert_eq!(found, written, "seed {seed}: {since} to {until}");
            let differ = |lba: &u64| first.content[*lba as usize] != second.content[*lba as usize];
            assert!((0..BLOCKS).filter(differ).all(|lba| found.contains(&lba)));
        }
        assert_eq!(driver.read_now().len(), BLOCKS as usize);
    }
}
