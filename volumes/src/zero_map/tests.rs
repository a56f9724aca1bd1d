//! Unit tests of `zero_map`.

use super::*;
use proptest::prelude::*;

const EXTENT_BYTES: u64 = 3 << 30;

fn key() -> MapKey {
    MapKey {
        vdisk_uuid: Uuid::derive(1, &[b"vdisk"]),
        disk_uuid: Uuid::derive(1, &[b"disk"]),
        map_offset_bytes: 7 << 20,
    }
}

/// A write of a snapshot: where in the map, and what.
type BlockWrite = (usize, Vec<u8>);

/// What the volume set writes for a snapshot of `map`: the first halves, then the second ones.
fn writes(map: &mut ZeroMap) -> Vec<BlockWrite> {
    map.take_snapshot();
    let mut writes = Vec::new();
    for half in [Half::First, Half::Second] {
        for which in 0..map.saving() {
            let mut block = vec![0xEE; UNIT_BYTES];
            let place = map.encode_saving(which, half, &mut block) - key().map_offset_bytes;
            writes.push((place as usize, block));
        }
    }
    map.finish_snapshot(true);
    writes
}

/// Writes the snapshot of `map` into `bytes`.
fn save(map: &mut ZeroMap, bytes: &mut [u8]) {
    for (place, block) in writes(map) {
        bytes[place..place + UNIT_BYTES].copy_from_slice(&block);
    }
}

fn decode(bytes: &[u8]) -> Result<FoundMap, MapDefect> {
    ZeroMap::decode(key(), EXTENT_BYTES, bytes)
}

/// What is found where nothing has to be repaired.
fn whole(bytes: &[u8]) -> ZeroMap {
    let found = decode(bytes).expect("a map");
    assert_eq!(found.repairs, Repairs::default());
    found.map
}

/// Of what is found, the words for its repairs.
fn repairs(bytes: &[u8]) -> Result<String, MapDefect> {
    decode(bytes).map(|found| found.repairs.to_string())
}

/// A map with a chunk written in each of its pairs, saved twice.
fn saved_map() -> (ZeroMap, Vec<u8>) {
    let mut bytes = ZeroMap::encode_fresh(&key(), EXTENT_BYTES);
    let mut map = whole(&bytes);
    for chunk in [3, 9] {
        map.mark_written(chunk, chunk + 1);
        map.mark_written(CHUNKS_PER_BLOCK + chunk, CHUNKS_PER_BLOCK + chunk + 1);
        save(&mut map, &mut bytes);
    }
    (map, bytes)
}

/// The block of pair 0 that an earlier build wrote as its update of that number.
fn in_turn(generation: u64, chunk: u8) -> Vec<u8> {
    let mut block = ZeroMap::encode_fresh(&key(), EXTENT_BYTES)[..UNIT_BYTES].to_vec();
    block[8..16].copy_from_slice(&generation.to_le_bytes());
    block[64] = 1 << chunk;
    block[4..8].fill(0);
    let crc = crc32c::crc32c(&block);
    block[4..8].copy_from_slice(&crc.to_le_bytes());
    block
}

/// A map whose pair 0 an earlier build wrote.
fn map_in_turn(blocks: [&[u8]; 2]) -> Vec<u8> {
    let mut bytes = ZeroMap::encode_fresh(&key(), EXTENT_BYTES);
    bytes[..UNIT_BYTES].copy_from_slice(blocks[0]);
    bytes[UNIT_BYTES..2 * UNIT_BYTES].copy_from_slice(blocks[1]);
    bytes
}

#[test]
fn what_is_saved_is_found_again_across_the_pairs() {
    let mut bytes = ZeroMap::encode_fresh(&key(), EXTENT_BYTES);
    let mut map = whole(&bytes);
    let edge = CHUNKS_PER_BLOCK;
    for (from, to) in [(0, 1), (5, 30), (edge - 2, edge + 3), (49_151, 49_152)] {
        map.mark_written(from, to);
        assert!(!map.is_durable(from, to));
        save(&mut map, &mut bytes);
        assert!(map.is_durable(from, to));
    }
    let again = whole(&bytes);
    assert_eq!(again.written, map.written);
    assert_eq!(again.run_end(5, 100), 30);
    assert_eq!(again.run_end(30, 49_152), edge - 2);
    assert_eq!(again.run_end(edge - 2, 49_152), edge + 3);
    assert_eq!(again.run_end(edge + 3, 49_152), 49_151);
}

proptest! {
    #[test]
    fn a_run_ends_where_the_state_changes(
        changes in prop::collection::vec((0u64..400, 1u64..200, any::<bool>()), 0..12),
    ) {
        // Around the edge of a block.
        let start = CHUNKS_PER_BLOCK - 200;
        let mut map = ZeroMap::fresh(key(), EXTENT_BYTES);
        let mut flags = vec![false; 800];
        for (from, count, written) in changes {
            let (from, to) = (start + from, start + from + count);
            let before = map.written_chunks();
            let after = match written {
                true => before + map.mark_written(from, to),
                false => before - map.mark_zero(from, to),
            };
            prop_assert_eq!(map.written_chunks(), after);
            flags[(from - start) as usize..(to - start) as usize].fill(written);
        }
        for (chunk, flag) in flags.iter().enumerate() {
            let same = flags[chunk..].iter().take_while(|other| *other == flag).count();
            let end = map.run_end(start + chunk as u64, start + 800);
            prop_assert_eq!(end, start + (chunk + same) as u64);
        }
    }
}

#[test]
fn both_blocks_of_a_pair_carry_the_newest_bits() {
    let (_, bytes) = saved_map();
    for pair in bytes.chunks_exact(PAIR_BYTES as usize) {
        assert!(pair[..UNIT_BYTES] == pair[UNIT_BYTES..]);
    }
}

#[test]
fn every_flipped_bit_is_noticed_and_loses_nothing_and_two_are_refused() {
    let (map, mut bytes) = saved_map();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            bytes[at] ^= 1 << bit;
            let found = decode(&bytes).expect("the other block is whole");
            assert_eq!(found.map.written, map.written, "bit {bit} of byte {at}");
            assert_eq!(found.repairs.to_string(), "1 block was damaged or torn");
            assert!(!found.map.is_saved(), "it is not going to be repaired");
            bytes[at] ^= 1 << bit;
        }
        // One in each block of the pair.
        let other = at ^ UNIT_BYTES;
        bytes[at] ^= 1;
        bytes[other] ^= 0x40;
        assert_eq!(repairs(&bytes), Err(MapDefect::Both), "bytes {at}, {other}");
        bytes[at] ^= 1;
        bytes[other] ^= 0x40;
    }
}

#[test]
fn a_repair_writes_both_blocks_and_if_it_fails_nothing_becomes_less_durable() {
    let (map, mut bytes) = saved_map();
    for block in 0..4 {
        bytes[block * UNIT_BYTES + 100] ^= 8;
        let mut found = decode(&bytes).expect("a map").map;
        found.take_snapshot();
        assert_eq!(found.saving(), 1);
        assert!(found.is_durable(3, 4), "the other block has it");
        found.finish_snapshot(false);
        assert!(found.is_durable(3, 4) && found.is_saved());
        let mut found = decode(&bytes).expect("a map").map;
        save(&mut found, &mut bytes);
        assert_eq!(whole(&bytes).written, map.written);
    }
}

/// Anywhere.
const CUTS: [usize; 12] = [0, 1, 7, 12, 64, 100, 512, 1024, 2000, 3584, 4095, 4096];
/// Between sectors.
const SECTORS: [usize; 9] = [0, 512, 1024, 1536, 2048, 2560, 3072, 3584, 4096];

/// Whatever is written of a snapshot's blocks, in their order, the map is the old or the new one.
fn tear(bytes: &[u8], old: &[u8], new: &[u8], writes: &[BlockWrite], cuts: &[usize]) {
    let mut image = bytes.to_vec();
    for (number, (place, block)) in writes.iter().enumerate() {
        let before = image[*place..place + UNIT_BYTES].to_vec();
        for torn in cuts.iter().copied() {
            for front_first in [true, false] {
                let written = if front_first {
                    0..torn
                } else {
                    torn..UNIT_BYTES
                };
                let target = &mut image[*place..place + UNIT_BYTES];
                target.copy_from_slice(&before);
                target[written.clone()].copy_from_slice(&block[written]);
                let found = decode(&image).expect("one block is whole").map;
                assert!(
                    found.written == new || number == 0 && found.written == old,
                    "write {number}, torn at {torn}: a third state"
                );
                // What is repaired after the crash is found again.
                let (mut map, mut repaired) = (found, image.clone());
                save(&mut map, &mut repaired);
                assert_eq!(whole(&repaired).written, map.written);
            }
        }
        image[*place..place + UNIT_BYTES].copy_from_slice(block);
    }
    assert_eq!(whole(&image).written, new);
}

#[test]
fn a_write_torn_anywhere_leaves_the_old_bits_or_the_new_ones() {
    let (mut map, bytes) = saved_map();
    for _ in 0..2 {
        let old = map.written.clone();
        map.mark_written(10, 11);
        map.mark_zero(3, 4);
        map.mark_written(CHUNKS_PER_BLOCK - 1, CHUNKS_PER_BLOCK);
        let snapshot = writes(&mut map);
        assert_eq!(snapshot.len(), 2);
        tear(&bytes, &old, &map.written, &snapshot, &CUTS);
        map = whole(&bytes);
    }
}

#[test]
fn after_a_failed_half_the_next_update_begins_with_the_block_that_does_not_count() {
    for failed in 0..2 {
        let (mut map, mut bytes) = saved_map();
        map.mark_written(20, 21);
        map.take_snapshot();
        for (number, half) in [Half::First, Half::Second].into_iter().enumerate() {
            let mut block = vec![0; UNIT_BYTES];
            let place = map.encode_saving(0, half, &mut block) - key().map_offset_bytes;
            let place = place as usize;
            if number == failed {
                bytes[place..place + 12].copy_from_slice(&block[..12]);
                break;
            }
            bytes[place..place + UNIT_BYTES].copy_from_slice(&block);
        }
        map.finish_snapshot(false);
        let old = decode(&bytes).expect("a block is whole").map.written;
        map.mark_written(21, 22);
        let snapshot = writes(&mut map);
        tear(&bytes, &old, &map.written, &snapshot, &CUTS);
    }
}

#[test]
fn blocks_that_were_written_in_turn_are_read_and_the_first_change_writes_both() {
    let blank = vec![0; UNIT_BYTES];
    for (blocks, chunk) in [
        ([in_turn(1, 1), blank], 1),
        ([in_turn(7, 1), in_turn(6, 2)], 1),
        ([in_turn(65_535, 1), in_turn(65_537, 2)], 2),
    ] {
        let bytes = map_in_turn([&blocks[0], &blocks[1]]);
        let mut map = whole(&bytes);
        assert!(map.is_saved(), "opening changes nothing");
        let old = map.written.clone();
        assert_eq!((map.written_chunks(), map.is_written(chunk)), (1, true));
        map.mark_written(30, 31);
        let snapshot = writes(&mut map);
        tear(&bytes, &old, &map.written, &snapshot, &SECTORS);
    }
}

#[test]
fn of_blocks_written_in_turn_a_damaged_one_is_not_replaced_by_what_may_be_older() {
    let damaged = vec![0xEE; UNIT_BYTES];
    let blank = vec![0; UNIT_BYTES];
    let flipped = |mut block: Vec<u8>, at: usize, bit: u8| {
        block[at] ^= 1 << bit;
        block
    };
    for blocks in [
        [&in_turn(7, 1), &damaged],
        [&damaged, &in_turn(6, 1)],
        [&in_turn(1, 1), &damaged],
        [&blank, &in_turn(2, 1)],
        [&in_turn(3, 1), &blank],
        [&in_turn(6, 1), &flipped(in_turn(7, 1), 3000, 2)],
        // It claims to be of generation 5 now.
        [&in_turn(6, 1), &flipped(in_turn(7, 1), 8, 1)],
    ] {
        let bytes = map_in_turn(blocks.map(|block| &block[..]));
        assert_eq!(repairs(&bytes), Err(MapDefect::NewerInTurn));
    }
    for older in [
        flipped(in_turn(6, 2), 3000, 2),
        flipped(in_turn(6, 2), 64, 7),
    ] {
        let bytes = map_in_turn([&in_turn(7, 1), &older]);
        let found = decode(&bytes).expect("the newer one is whole");
        assert_eq!(found.repairs.to_string(), "1 block was damaged or torn");
        assert!(found.map.is_written(1) && !found.map.is_written(2));
    }
    let contradiction = map_in_turn([&in_turn(65_536, 1), &in_turn(65_536, 2)]);
    assert_eq!(repairs(&contradiction), Err(MapDefect::Both));
}

#[test]
fn a_failed_save_is_not_durable_and_is_tried_again() {
    let mut map = ZeroMap::fresh(key(), EXTENT_BYTES);
    map.mark_written(3, 4);
    map.take_snapshot();
    assert_eq!(map.saving(), 1);
    map.finish_snapshot(false);
    assert!(!map.is_durable(3, 4));
    map.take_snapshot();
    assert_eq!(map.saving(), 1);
    map.finish_snapshot(true);
    assert!(map.is_durable(3, 4));
    map.take_snapshot();
    assert_eq!(map.saving(), 0);
}

#[test]
fn bits_set_after_the_snapshot_are_not_in_it() {
    let mut bytes = ZeroMap::encode_fresh(&key(), EXTENT_BYTES);
    let mut map = ZeroMap::fresh(key(), EXTENT_BYTES);
    map.mark_written(3, 4);
    map.take_snapshot();
    map.mark_written(4, 5);
    for half in [Half::First, Half::Second] {
        let mut block = vec![0; UNIT_BYTES];
        let place = (map.encode_saving(0, half, &mut block) - key().map_offset_bytes) as usize;
        bytes[place..place + UNIT_BYTES].copy_from_slice(&block);
    }
    map.finish_snapshot(true);
    assert!(map.is_durable(3, 4));
    assert!(!map.is_durable(4, 5));
    let found = whole(&bytes);
    assert!(found.is_written(3) && !found.is_written(4));
}

#[test]
fn the_map_of_another_vdisk_is_not_believed() {
    let mut other = key();
    other.vdisk_uuid = Uuid::derive(2, &[b"before"]);
    let bytes = ZeroMap::encode_fresh(&other, EXTENT_BYTES);
    assert_eq!(repairs(&bytes), Err(MapDefect::Both));
}
