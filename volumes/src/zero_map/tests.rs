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

/// Writes the snapshot of `map` into `bytes`, as the volume set does on a disk.
fn save(map: &mut ZeroMap, bytes: &mut [u8]) {
    let mut block = vec![0xEE; UNIT_BYTES];
    for which in 0..map.take_snapshot() {
        let place = (map.encode_saving(which, &mut block) - key().map_offset_bytes) as usize;
        bytes[place..place + UNIT_BYTES].copy_from_slice(&block);
    }
    map.finish_snapshot(true);
}

#[test]
fn what_is_saved_is_found_again_across_the_pairs() {
    let mut bytes = ZeroMap::encode_fresh(&key(), EXTENT_BYTES);
    let mut map = ZeroMap::decode(key(), EXTENT_BYTES, &bytes).expect("a fresh map");
    let edge = CHUNKS_PER_BLOCK;
    for (from, to) in [(0, 1), (5, 30), (edge - 2, edge + 3), (49_151, 49_152)] {
        map.mark_written(from, to);
        assert!(!map.is_durable(from, to));
        save(&mut map, &mut bytes);
        assert!(map.is_durable(from, to));
    }
    let again = ZeroMap::decode(key(), EXTENT_BYTES, &bytes).expect("a saved map");
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
fn a_torn_block_leaves_the_older_one() {
    let mut bytes = ZeroMap::encode_fresh(&key(), EXTENT_BYTES);
    let mut map = ZeroMap::fresh(key(), EXTENT_BYTES);
    map.mark_written(3, 4);
    save(&mut map, &mut bytes);
    for torn_bytes in [1, 7, 512, 2048, 4095] {
        let mut torn = bytes.clone();
        let mut block = vec![0; UNIT_BYTES];
        map.mark_written(10, 11);
        map.mark_written(CHUNKS_PER_BLOCK - 1, CHUNKS_PER_BLOCK);
        map.take_snapshot();
        let place = (map.encode_saving(0, &mut block) - key().map_offset_bytes) as usize;
        map.finish_snapshot(false);
        assert_ne!(
            place, UNIT_BYTES,
            "the block that counts would be overwritten"
        );
        torn[place..place + torn_bytes].copy_from_slice(&block[..torn_bytes]);
        let found = ZeroMap::decode(key(), EXTENT_BYTES, &torn).expect("the older block");
        assert!(found.is_written(3));
        assert!(!found.is_written(10), "a torn block was believed");
    }
}

#[test]
fn a_failed_save_is_not_durable_and_is_tried_again() {
    let mut map = ZeroMap::fresh(key(), EXTENT_BYTES);
    map.mark_written(3, 4);
    assert_eq!(map.take_snapshot(), 1);
    map.finish_snapshot(false);
    assert!(!map.is_durable(3, 4));
    assert_eq!(map.take_snapshot(), 1);
    map.finish_snapshot(true);
    assert!(map.is_durable(3, 4));
    assert_eq!(map.take_snapshot(), 0);
}

#[test]
fn bits_set_after_the_snapshot_are_not_in_it() {
    let mut bytes = ZeroMap::encode_fresh(&key(), EXTENT_BYTES);
    let mut map = ZeroMap::fresh(key(), EXTENT_BYTES);
    map.mark_written(3, 4);
    map.take_snapshot();
    map.mark_written(4, 5);
    let mut block = vec![0; UNIT_BYTES];
    let place = (map.encode_saving(0, &mut block) - key().map_offset_bytes) as usize;
    bytes[place..place + UNIT_BYTES].copy_from_slice(&block);
    map.finish_snapshot(true);
    assert!(map.is_durable(3, 4));
    assert!(!map.is_durable(4, 5));
    let found = ZeroMap::decode(key(), EXTENT_BYTES, &bytes).expect("a saved map");
    assert!(found.is_written(3) && !found.is_written(4));
}

#[test]
fn the_map_of_another_vdisk_is_not_believed() {
    let mut other = key();
    other.vdisk_uuid = Uuid::derive(2, &[b"before"]);
    let bytes = ZeroMap::encode_fresh(&other, EXTENT_BYTES);
    assert!(ZeroMap::decode(key(), EXTENT_BYTES, &bytes).is_none());
}
