//! The index beside an ordinary ordered map.

use super::*;
use disktime_random::SplitMix64;
use std::collections::BTreeMap;

const BLOCKS: u64 = 3 * LEAF_BLOCKS + 100;

fn check(map: &BlockMap, model: &BTreeMap<u64, Value>) {
    for lba in 0..BLOCKS {
        assert_eq!(map.get(lba), model.get(&lba).copied(), "block {lba}");
    }
    assert_eq!(map.blocks(), model.len() as u64);
    let mut listed = Vec::new();
    let mut at = 0;
    while let Some((lba, value)) = map.next_from(at) {
        assert_eq!(map.blocks_in_image(at, BLOCKS), lba - at);
        listed.push((lba, value));
        at = lba + 1;
    }
    assert!(
        listed
            .into_iter()
            .eq(model.iter().map(|(lba, value)| (*lba, *value)))
    );
}

#[test]
fn it_holds_what_an_ordered_map_holds() {
    for seed in 0..6 {
        let mut random = SplitMix64::new(seed);
        let (mut map, mut model) = (BlockMap::default(), BTreeMap::new());
        let (mut folded, mut folded_model) = (BlockMap::default(), BTreeMap::new());
        for step in 1..30_000_u32 {
            let lba = random.below(BLOCKS);
            match random.below(4000) {
                0 => {
                    let blocks = random.range(1, BLOCKS - lba + 1);
                    map.set_run(lba, blocks, Value::zeroes(step));
                    model.extend((lba..lba + blocks).map(|lba| (lba, Value::zeroes(step))));
                }
                1 => {
                    map.forget(&folded);
                    model.retain(|lba, value| folded_model.get(lba) != Some(value));
                    (folded, folded_model) = (map.clone(), model.clone());
                }
                _ => {
                    map.set(lba, Value::data(step, step));
                    model.insert(lba, Value::data(step, step));
                }
            }
        }
        check(&map, &model);
        map.forget(&folded);
        model.retain(|lba, value| folded_model.get(lba) != Some(value));
        check(&map, &model);
        let taken = map.take_where(|unit| !unit.is_multiple_of(3));
        let is_left = |value: &Value| value.unit().is_multiple_of(3);
        let (left, of_taken) = model.into_iter().partition(|(_, value)| is_left(value));
        check(&map, &left);
        check(&taken, &of_taken);
    }
}

#[test]
fn a_block_costs_at_most_ten_bytes_and_growth() {
    let mut map = BlockMap::default();
    for lba in 0..4 * LEAF_BLOCKS {
        map.set(lba, Value::data(lba as u32 + 32, 1));
    }
    assert_eq!(map.memory_bytes() / map.blocks(), 8);
    map.set_run(0, 4 * LEAF_BLOCKS, Value::zeroes(77));
    assert!(map.memory_bytes() < 1000);
    assert_eq!(map.get(LEAF_BLOCKS).and_then(Value::as_data), None);
}
