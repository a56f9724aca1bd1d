//! Which segments each holder keeps.

use super::*;

fn counted(held: &[Seq], moments: &[Seq], newest: Seq) -> Vec<(u64, u64, u64)> {
    let holders = moments
        .iter()
        .map(|moment| (*moment, Holder::Branch(*moment)));
    let held = held_by_each(held, holders.collect(), newest);
    let held = held.iter();
    held.map(|one| (one.held_units, one.alone_units, one.with_older_units))
        .collect()
}

#[test]
fn what_several_hold_is_free_when_all_older_ones_are_given_up() {
    let held = [10, 20, 30, 40];
    // The oldest holds two segments that no other one does.
    assert_eq!(
        counted(&held, &[5, 20, 35], 99),
        [(4, 2, 2), (2, 0, 3), (1, 0, 4)]
    );
    // Two from the same moment on: neither holds anything alone.
    assert_eq!(
        counted(&held, &[5, 5, 35], 99),
        [(4, 0, 3), (4, 0, 3), (1, 0, 4)]
    );
    assert_eq!(counted(&held, &[9], 99), [(4, 4, 4)]);
    // What is not published cannot be folded.
    assert_eq!(counted(&held, &[9], 29), [(4, 2, 2)]);
    assert_eq!(counted(&[], &[1, 2], 99), [(0, 0, 0), (0, 0, 0)]);
    assert_eq!(counted(&held, &[], 99), []);
}
