//! Power failures at random points under load: what was flushed is there afterwards, even if a bit
//! of the metadata is flipped as well.

mod common;
mod times;
mod trims;

use common::stamps::{BLOCKS, StampClient};
use common::{BLANK, DIRTY, MIB, TestDisk, new_disk, open, put, soil};
use disktime_disks::FaultDisk;
use disktime_engine::{IoError, RequestKind};
use disktime_random::SplitMix64;
use disktime_volumes::Format;
use disktime_workloads::StampLoad;

const QUANTUM: u32 = 128 << 10;

const DEPTH: usize = 12;
const VDISKS: u32 = 2;

/// Flips a bit of a label copy or of a block of a zero map; whether that is the second damage,
/// because the crash had hit the other one of the two.
fn flip(disk: &mut FaultDisk, maps: &[u64], random: &mut SplitMix64) -> bool {
    let pairs = maps.iter().map(|map| [*map, *map + 4096]);
    let pairs: Vec<[u64; 2]> = pairs.chain([[0, 512 << 10]]).collect();
    let pair = pairs[random.below(pairs.len() as u64) as usize];
    let mut blocks = [vec![0; 4096], vec![0; 4096]];
    for (place, block) in pair.iter().zip(&mut blocks) {
        disk.handle().peek(*place, block);
    }
    let is_second = blocks[0] != blocks[1];
    let (which, bit) = (random.below(2) as usize, random.below(8 * 4096));
    blocks[which][(bit / 8) as usize] ^= 1 << (bit % 8);
    put(disk, pair[which], &blocks[which]);
    is_second
}

/// Load until the disk freezes at a random operation; crash; reopen; check; again.
fn crash_under_load(format: Format, seed: u64, rounds: u64, flips: bool) {
    let mut random = SplitMix64::new(seed);
    let mut disk = new_disk(16 * MIB, 4096, seed);
    if format == DIRTY {
        soil(&mut disk);
    }
    let specs = [("a", (BLOCKS * 4096) as u64), ("b", (BLOCKS * 4096) as u64)];
    let mut handle = disk.handle();
    let (mut machine, _) = open(TestDisk::around(disk, QUANTUM), &specs, format).expect("open");
    let client = |vdisk: u32| {
        let load = StampLoad::new(seed * 10 + u64::from(vdisk), 40);
        StampClient::new(vdisk, DEPTH, load)
    };
    let mut clients: Vec<StampClient> = (0..VDISKS).map(client).collect();
    let mut next = 0;
    for _ in 0..rounds {
        handle.freeze_at(handle.operations() + random.below(60));
        loop {
            for client in &mut clients {
                client.submit_some(&mut machine, &mut next);
            }
            let goes_on = machine.step();
            for reply in machine.replies.drain(..) {
                assert_eq!(reply.result, Ok(()));
                clients[reply.origin as usize].answered(reply.handle);
            }
            if !goes_on {
                break;
            }
        }
        assert!(handle.is_frozen(), "the load stopped by itself");
        let vdisks = machine.set.label().vdisks();
        let extents = vdisks.iter().flat_map(|vdisk| vdisk.extents());
        let maps: Vec<u64> = extents
            .filter_map(|extent| extent.map_offset_bytes)
            .collect();
        machine.set.abandon();
        let mut disk = handle.crash(&mut random, common::service());
        let may_be_refused = flips && flip(&mut disk, &maps, &mut random);
        handle = disk.handle();
        let disk = TestDisk::around(disk, QUANTUM);
        let (reopened, report) = open(disk, &specs, Format::Refuse).expect("the label is there");
        let heals = |message: &String| message.contains("written again from");
        let is_expected = may_be_refused || report.messages.iter().all(heals);
        assert!(report.created.is_empty() && is_expected, "{report:?}");
        machine = reopened;
        for client in &mut clients {
            match client.recover(&mut machine, &format!("seed {seed}")) {
                Err(IoError::Io) => {
                    assert!(may_be_refused, "one damage is healed");
                    return;
                }
                read => read.expect("readable"),
            }
        }
    }
}

#[test]
fn flushed_writes_survive_500_crashes_on_zeroed_extents() {
    for seed in 0..25 {
        crash_under_load(BLANK, seed, 20, false);
    }
}

/// Few rounds each: what is interesting happens while chunks are written for the first time.
#[test]
fn flushed_writes_survive_500_crashes_on_mapped_extents() {
    for seed in 100..200 {
        crash_under_load(DIRTY, seed, 5, false);
    }
}

#[test]
fn flushed_writes_survive_500_crashes_each_with_a_flipped_bit_of_metadata() {
    for seed in 200..300 {
        crash_under_load(DIRTY, seed, 5, true);
    }
}

/// Between the reply and whatever comes next.
#[test]
fn when_a_flush_is_answered_both_blocks_of_a_pair_are_durable() {
    for seed in 0..40 {
        let mut disk = new_disk(16 * MIB, 4096, seed);
        soil(&mut disk);
        let handle = disk.handle();
        let disk = TestDisk::around(disk, QUANTUM);
        let (mut machine, _) = open(disk, &[("a", MIB)], DIRTY).expect("open");
        let map = machine.set.label().vdisks()[0].extents()[0].map_offset_bytes;
        let map = map.expect("the disk was not blank");
        let place = machine.submit(
            0,
            RequestKind::Write,
            (0, 512),
            Some(&[1; 512]),
            seed % 2 == 0,
        );
        assert!(place.is_some());
        machine.settle();
        if seed % 2 == 1 {
            machine.flush(0).expect("flush");
        }
        let disk = common::crash(&handle, seed);
        let mut blocks = [0; 8192];
        disk.handle().peek(map, &mut blocks);
        assert!(blocks[..4096] == blocks[4096..], "seed {seed}");
        assert_eq!(blocks[64], 1, "seed {seed}");
    }
}

/// Bits in two sectors of a block change, so that it can be torn.
#[test]
fn a_flush_that_is_cut_off_anywhere_leaves_a_whole_block_of_each_pair() {
    const FAR: u64 = 280 * MIB;
    let specs = [("a", 300 * MIB)];
    let mut torn = 0;
    for (cut, seed) in (1..6).flat_map(|cut| (0..60).map(move |seed| (cut, seed))) {
        let disk = new_disk(320 * MIB, 4096, seed);
        let handle = disk.handle();
        let disk = TestDisk::around(disk, QUANTUM);
        let (mut machine, _) = open(disk, &specs, DIRTY).expect("open");
        for place in [0, FAR] {
            machine.write(0, place, &[1; 512]).expect("write");
        }
        machine.flush(0).expect("flush");
        for place in [1 << 16, FAR + (1 << 16)] {
            machine.write(0, place, &[2; 512]).expect("write");
        }
        handle.freeze_at(handle.operations() + cut);
        machine.submit(0, RequestKind::Flush, (0, 0), None, false);
        while machine.step() {}
        let is_answered = !machine.replies.is_empty();
        machine.set.abandon();
        let disk = TestDisk::around(common::crash(&handle, seed), QUANTUM);
        let (mut machine, report) = open(disk, &specs, Format::Refuse).expect("open");
        torn += u32::from(report.messages.iter().any(|said| said.contains("torn")));
        for place in [0, FAR] {
            assert_eq!(machine.read(0, place, 512), Ok(vec![1; 512]));
            let found = machine
                .read(0, place + (1 << 16), 512)
                .expect("a whole block");
            assert!(
                found == [2; 512] || !is_answered && found == [0; 512],
                "{found:?}"
            );
        }
    }
    assert!(torn > 10, "too few blocks were torn: {torn}");
}
