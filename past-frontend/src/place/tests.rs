//! Numbers of places.

use super::*;

#[test]
fn each_place_has_a_number_of_its_own() {
    let file = |moment, tree, inode| Place::File {
        moment,
        tree,
        inode,
    };
    let places = [
        Place::Root,
        Place::Vdisk(0),
        Place::Vdisk(7),
        Place::Moment(1),
        Place::Image(1),
        Place::Partitions(1),
        Place::Moment(LAST_MOMENT),
        file(1, 0, 2),
        file(1, 16, 2),
        file(LAST_MOMENT, 16, u32::MAX),
    ];
    let numbers: std::collections::BTreeSet<u64> = places.map(Place::number).into();
    assert_eq!(numbers.len(), places.len());
    for place in places {
        assert_eq!(Place::of(place.number()), Some(place));
    }
    assert_eq!(Place::of(0), None);
    assert_eq!(Place::of(1 << 38 | 9), None);
}
