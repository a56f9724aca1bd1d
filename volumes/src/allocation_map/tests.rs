//! Unit tests of `allocation_map`.

use super::*;
use proptest::prelude::*;

proptest! {
    #[test]
    fn it_is_a_row_of_flags(
        chunks in 1u64..300,
        changes in proptest::collection::vec((0u64..300, 0u64..300, any::<bool>()), 0..20),
    ) {
        let mut map = AllocationMap::new(chunks * CHUNK_BYTES, false);
        let mut flags = vec![false; chunks as usize];
        for (from, to, allocated) in changes {
            let before = map.allocated_chunks();
            let changed = map.set(from, to, allocated);
            let after = map.allocated_chunks();
            prop_assert_eq!(if allocated { after - before } else { before - after }, changed);
            for flag in flags.iter_mut().take(to as usize).skip(from as usize) {
                *flag = allocated;
            }
        }
        let count = flags.iter().filter(|flag| **flag).count();
        prop_assert_eq!(map.allocated_chunks(), count as u64);
        for chunk in 0..chunks {
            prop_assert_eq!(map.is_allocated(chunk), flags[chunk as usize]);
            let end = (chunk..chunks).find(|at| flags[*at as usize] != flags[chunk as usize]);
            prop_assert_eq!(map.run_end(chunk, u64::MAX), end.unwrap_or(chunks));
            prop_assert_eq!(map.run_end(chunk, chunk + 1), chunk + 1);
        }
    }
}

#[test]
fn the_holes_of_a_file_are_not_allocated() {
    let data = [(70 << 10, 71 << 10), (200 << 10, 300 << 10)];
    let data_after = |from: u64, to: u64| {
        let pieces = data
            .iter()
            .map(|(start, end)| (from.max(*start), to.min(*end)));
        pieces.into_iter().find(|(start, end)| start < end)
    };
    let mut left = 10;
    let map = AllocationMap::read((0, 512 << 10), &mut left, data_after);
    let states: Vec<bool> = (0..8).map(|chunk| map.is_allocated(chunk)).collect();
    let (data, hole) = (true, false);
    assert_eq!(states, [hole, data, hole, data, data, hole, hole, hole]);
    assert_eq!(left, 7, "two finds and one search that found nothing");
}

#[test]
fn what_is_not_searched_counts_as_allocated() {
    let map = AllocationMap::read((0, 256 << 10), &mut 1, |_, _| Some((0, 4096)));
    assert_eq!(map.allocated_chunks(), 4);
}
