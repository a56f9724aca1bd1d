//! Unit tests of `blocks`.

use super::*;
use proptest::prelude::*;

impl Keyed for u32 {
    type Key = u32;
    fn key(&self) -> u32 {
        *self
    }
}

proptest! {
    #[test]
    fn a_list_in_blocks_holds_what_a_sorted_set_holds(
        steps in proptest::collection::vec((any::<bool>(), 0u32..600), 1..2_000)
    ) {
        let mut blocks: Blocks<u32, ()> = Blocks::default();
        let mut set = std::collections::BTreeSet::new();
        for (insert, key) in steps {
            if insert && set.insert(key) {
                blocks.insert(key);
            } else if !insert && set.remove(&key) {
                prop_assert_eq!(blocks.remove(key), key);
            }
            prop_assert!(blocks.iter().eq(set.iter()));
            prop_assert!(blocks.blocks.iter().all(|block| !block.entries.is_empty()));
            let lasts = blocks.blocks.iter().filter_map(|block| block.entries.last());
            prop_assert!(blocks.lasts.iter().eq(lasts));
            let (block, within) = blocks.position(300);
            let at = blocks.blocks.get(block).and_then(|block| block.entries.get(within));
            prop_assert_eq!(at, set.range(300..).next());
        }
    }
}
