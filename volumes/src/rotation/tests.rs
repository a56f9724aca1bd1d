//! Unit tests of `rotation`.

use super::*;

#[test]
fn a_vdisk_takes_one_turn_however_often_it_joins() {
    let [first, second] = [0, 1].map(VdiskSlot::new);
    let mut rotation = Rotation::default();
    rotation.make_room(second);
    for slot in [first, second, first, first] {
        rotation.join(slot);
    }
    assert_eq!(rotation.take_next(), Some(first));
    rotation.join(first);
    assert_eq!(rotation.take_next(), Some(second));
    assert_eq!(rotation.take_next(), Some(first));
    assert_eq!(rotation.take_next(), None);
}

#[test]
fn a_vdisk_that_has_left_gets_no_turn() {
    let [first, second] = [0, 1].map(VdiskSlot::new);
    let mut rotation = Rotation::default();
    rotation.make_room(second);
    rotation.join(first);
    rotation.join(second);
    rotation.leave(first);
    assert_eq!(rotation.take_next(), Some(second));
    assert_eq!(rotation.take_next(), None);
    rotation.join(first);
    assert_eq!(rotation.take_next(), Some(first));
}
