//! Unit tests of `look`.

use super::*;

#[test]
fn twenty_four_vdisks_look_different() {
    let looks: Vec<Look> = (0..24).map(Look::of).collect();
    for (index, look) in looks.iter().enumerate() {
        assert!(!looks[..index].contains(look), "{index} looks like another");
    }
    assert_ne!(Look::of(0).pattern, Look::of(1).pattern);
}
