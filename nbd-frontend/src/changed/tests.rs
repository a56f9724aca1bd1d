//! Unit tests of `changed`: runs beside a map of each byte.

use super::*;
use proptest::prelude::*;

/// Ranges apart from each other, of gaps and lengths.
fn ranges_of(parts: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let mut at = 0;
    let range = |(gap, length): &(u64, u64)| {
        let offset = at + gap;
        at = offset + length;
        (offset, *length)
    };
    parts.iter().map(range).collect()
}

proptest! {
    #[test]
    fn runs_are_those_of_a_map_of_each_byte(
        parts in prop::collection::vec((1_u64..6, 1_u64..6), 0..12),
        start in 0_u64..60,
        len in 1_u64..60,
    ) {
        let ranges = ranges_of(&parts);
        let is_changed = |at: u64| ranges.iter().any(|(offset, length)| (*offset..offset + length).contains(&at));
        let end = start + len;
        let changed = ChangedRanges::new(Arc::new(ranges.clone()));
        let mut at = start;
        let mut before = None;
        for (stop, said) in changed.runs(start, end) {
            prop_assert!(at < stop && stop <= end);
            prop_assert!((at..stop).all(|byte| is_changed(byte) == said));
            prop_assert_ne!(before, Some(said), "neighbours differ");
            before = Some(said);
            at = stop;
        }
        prop_assert_eq!(at, end);
    }
}
