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
