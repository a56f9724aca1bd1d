//! Unit tests of `look`.

use super::*;

#[test]
fn twenty_four_vdisks_look_different() {
    let looks: Vec<FillStyle> = (0..24).map(FillStyle::of).collect();
    for (index, look) in looks.iter().enumerate() {
        assert!(!looks[..index].contains(look), "{index} looks like another");
    }
    assert_ne!(FillStyle::of(0).pattern, FillStyle::of(1).pattern);
}
