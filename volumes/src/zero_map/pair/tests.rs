//! Unit tests of `pair`: what is written again is counted and named.

use super::*;

#[test]
fn what_is_written_again_is_counted_by_kind() {
    let mut repairs = Repairs::default();
    assert!(!repairs.note(Other::Same) && !repairs.note(Other::InTurn));
    assert!(repairs.is_empty() && repairs.to_string().is_empty());
    assert!(repairs.note(Other::Behind));
    assert_eq!(repairs.to_string(), "1 block was an update behind");
    assert!(repairs.note(Other::Damaged) && repairs.note(Other::Damaged));
    let both = "2 blocks were damaged or torn and 1 block was an update behind";
    assert_eq!(repairs.to_string(), both);

    let mut sum = Repairs::default();
    assert!(sum.note(Other::Damaged));
    assert_eq!(sum.to_string(), "1 block was damaged or torn");
    sum.add(repairs);
    sum.add(repairs);
    let sums = "5 blocks were damaged or torn and 2 blocks were an update behind";
    assert_eq!(sum.to_string(), sums);
}
