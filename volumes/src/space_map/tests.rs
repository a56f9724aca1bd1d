//! Unit tests of `space_map`: beside a list of units.

use super::*;
use proptest::prelude::*;

/// Two regions and a part of one.
const LEN_BYTES: u64 = 37 << 20;

proptest! {
    #[test]
    fn it_is_a_list_of_units(
        unit_bytes in prop::sample::select(vec![512u64, 4096]),
        changes in prop::collection::vec((0..LEN_BYTES, 0..LEN_BYTES, any::<bool>()), 1..16),
    ) {
        let mut map = SpaceMap::free(LEN_BYTES, unit_bytes);
        let mut units = vec![false; (LEN_BYTES / unit_bytes) as usize];
        for (from, to, hold) in changes {
            let (from, to) = (from.min(to), from.max(to));
            let range = match hold {
                true => from / unit_bytes..to.div_ceil(unit_bytes),
                false => from.div_ceil(unit_bytes)..to / unit_bytes,
            };
            let places = range.start as usize..range.end.max(range.start) as usize;
            let differ = units[places.clone()].iter().filter(|held| **held != hold).count();
            units[places].fill(hold);
            let changed = match hold {
                true => map.hold(from, to),
                false => map.give_back(from, to),
            };
            prop_assert_eq!(changed, differ as u64 * unit_bytes);
            let held = units.iter().filter(|held| **held).count() as u64;
            prop_assert_eq!(map.held_bytes(), held * unit_bytes);
        }
        let mut at = 7;
        while at < LEN_BYTES {
            let (held, stop) = map.run(at, LEN_BYTES);
            let first = (at / unit_bytes) as usize;
            prop_assert_eq!(held, units[first]);
            let same = units[first..].iter().take_while(|unit| **unit == held).count();
            prop_assert_eq!(stop, (first + same) as u64 * unit_bytes);
            at = stop;
        }
    }
}

#[test]
fn the_bits_of_a_region_count_only_while_it_is_mixed() {
    let mut map = SpaceMap::free(LEN_BYTES, 4096);
    map.hold(4096, REGION_BYTES);
    assert_eq!(map.state(0), State::Mixed);
    map.hold(0, 1);
    assert_eq!(map.state(0), State::Held);
    map.give_back(0, REGION_BYTES);
    map.hold(8192, 8193);
    assert_eq!(map.run(0, LEN_BYTES), (false, 8192), "nothing of before");
    map.hold(LEN_BYTES - 1, LEN_BYTES);
    map.give_back(2 * REGION_BYTES, LEN_BYTES);
    assert_eq!(map.state(2), State::Free);
}

#[test]
fn regions_have_their_own_bits() {
    let regions = 2 * REGIONS_AT_ONCE + 3;
    let mut map = SpaceMap::free(regions * REGION_BYTES, 4096);
    for region in [0, 1, REGIONS_AT_ONCE - 1, REGIONS_AT_ONCE, regions - 1] {
        let at = region * REGION_BYTES + (region % 5) * 4096;
        assert_eq!(map.hold(at, at + 4096), 4096);
        assert_eq!(map.run(at, at + REGION_BYTES).1, at + 4096);
    }
    assert_eq!(map.held_bytes(), 5 * 4096);
}
