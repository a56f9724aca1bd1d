//! Unit tests of `requests`.

use super::*;
use proptest::prelude::*;

proptest! {
    #[test]
    fn the_nearest_is_the_nearest_of_all_that_may_go(
        offsets in proptest::collection::vec(proptest::option::of(0u64..500), 1..200),
        head in 0u64..500,
        modulus in 1u32..20,
    ) {
        let mut requests = NextRequests::default();
        let next = |offset: Option<u64>| offset.map_or(NextPlace::Anywhere, NextPlace::At);
        for (id, offset) in (0u32..).zip(&offsets) {
            requests.set(StreamId::new(id, 0), None, Some(NextPlace::At(7)));
            requests.set(StreamId::new(id, 0), Some(NextPlace::At(7)), Some(next(*offset)));
        }
        let rank = |id: StreamId| {
            let number = id.index() as u32;
            number.is_multiple_of(modulus).then_some(number / 7)
        };
        let found = requests.nearest(head, rank);
        let expected = (0u32..)
            .zip(&offsets)
            .filter_map(|(id, offset)| {
                let distance = offset.map_or(0, |offset| offset.abs_diff(head) + 1);
                Some((distance, rank(StreamId::new(id, 0))?, StreamId::new(id, 0)))
            })
            .min();
        prop_assert_eq!(found, expected.map(|(_, _, stream)| stream));
    }
}
