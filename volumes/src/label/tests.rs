//! Unit tests of `label`.

use super::*;

#[test]
fn the_space_of_a_label_grows_by_two_rooms_when_its_table_lies_outside() {
    let space = |count: usize| {
        let names: Vec<String> = (0..count).map(|at| format!("{at:0128}")).collect();
        space_bytes(names.iter().map(String::as_str)) >> 20
    };
    assert_eq!(space(0), 1);
    assert_eq!(space(2848), 1);
    // Each room has two halves of 1 MiB; then of 2 MiB.
    assert_eq!(space(2849), 1 + 2 * 2);
    assert_eq!(space(MAX_VDISKS), 1 + 2 * 4);
}

#[test]
fn the_other_half_of_a_room_is_used_next() {
    let rooms = Rooms::new([8 << 20, 16 << 20], 4 << 20);
    assert_eq!([0, 1].map(|copy| rooms.replica_offset(copy) >> 20), [8, 16]);
    let turned = rooms.turned();
    assert_eq!(
        [0, 1].map(|copy| turned.replica_offset(copy) >> 20),
        [10, 18]
    );
    assert!(turned.are_where(&rooms) && turned.turned() == rooms);
    assert!(rooms.hold(2 << 20) && !rooms.hold((2 << 20) + 1));
    assert_eq!(rooms.ranges(), [(8 << 20, 12 << 20), (16 << 20, 20 << 20)]);
}
