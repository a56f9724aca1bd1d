//! A map never gives one stream's value to another that has its slot.

use super::{StreamId, StreamMap};

const FIRST: StreamId = StreamId::new(3, 0);
const SECOND: StreamId = StreamId::new(3, 1);

#[test]
fn what_a_removed_stream_had_is_not_found_under_its_successor() {
    let mut map = StreamMap::default();
    map.insert(FIRST, 1);
    assert_eq!((map.get(FIRST), map.get(SECOND)), (Some(&1), None));
    assert_eq!(map.get_mut(SECOND), None);
    assert_eq!(*map.get_or_insert_with(SECOND, || 7), 7);
    assert_eq!((map.get(FIRST), map.get(SECOND)), (None, Some(&7)));
    assert_eq!(map.remove(FIRST), None);
    assert_eq!(map.remove(SECOND), Some(7));
    assert_eq!(map.iter().count(), 0);
}

#[test]
#[should_panic(expected = "was removed")]
fn a_removed_stream_cannot_replace_its_successors_value() {
    let mut map = StreamMap::default();
    map.insert(SECOND, 1);
    map.insert(FIRST, 2);
}

#[test]
fn a_map_keeps_the_values_that_it_is_told_to() {
    let mut map = StreamMap::default();
    let ids: Vec<StreamId> = (0..4).map(|slot| StreamId::new(slot, slot % 2)).collect();
    ids.iter().for_each(|id| map.insert(*id, id.index()));
    map.retain(|id| id.generation() == 1);
    let kept: Vec<_> = map.iter().map(|(id, value)| (id, *value)).collect();
    assert_eq!(kept, [(ids[1], 1), (ids[3], 3)]);
}
