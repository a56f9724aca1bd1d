//! Unit tests of `stream_heap`.

use super::*;
use proptest::prelude::*;

proptest! {
    #[test]
    fn the_first_is_always_the_least(
        steps in proptest::collection::vec((0u32..60, proptest::option::of(0u64..100)), 1..1_000)
    ) {
        let mut heap = StreamHeap::default();
        let mut set = std::collections::BTreeSet::new();
        for (id, key) in steps {
            let stream = StreamId::new(id, 0);
            set.retain(|(_, other)| *other != stream);
            match key {
                Some(key) => {
                    heap.set(stream, key);
                    set.insert((key, stream));
                }
                None => heap.remove(stream),
            }
            prop_assert_eq!(heap.first(), set.first().copied());
            prop_assert_eq!(heap.len(), set.len());
            prop_assert_eq!(heap.key(stream), key);
        }
    }
}
