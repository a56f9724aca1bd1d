//! Tests of the set of places: what was put in is found, in the order of the list.

use super::Awake;

#[test]
fn what_is_awake_is_found_in_the_order_of_the_list() {
    let mut awake = Awake::default();
    assert_eq!(awake.next(0), None);
    for at in [200, 0, 63, 64, 3] {
        awake.wake(at);
    }
    assert_eq!(awake.iter().collect::<Vec<_>>(), [0, 3, 63, 64, 200]);
    awake.sleep(63);
    awake.sleep(0);
    awake.sleep(1000);
    assert_eq!(awake.next(0), Some(3));
    assert_eq!(awake.next(4), Some(64));
    assert_eq!(awake.next(65), Some(200));
    assert_eq!(awake.next(201), None);
}
