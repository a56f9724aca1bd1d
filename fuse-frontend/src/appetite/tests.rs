//! Unit tests of `appetite`.

use super::*;

/// Turns until `waiting` requests are taken, and looks at an empty device on the way.
fn take(appetite: &mut Appetite, mut waiting: usize) -> (u32, u32) {
    let (mut turns, mut empty) = (0, 0);
    while waiting > 0 {
        turns += 1;
        let wanted = appetite.requests();
        if wanted <= waiting {
            waiting -= wanted;
            appetite.was_satisfied();
        } else {
            empty += 1;
            appetite.came_to_the_end(waiting);
            waiting = 0;
        }
    }
    (turns, empty)
}

#[test]
fn single_requests_cost_few_empty_looks_and_many_cost_few_turns() {
    let mut appetite = Appetite::default();
    for _ in 0..100 {
        take(&mut appetite, 1);
    }
    let empty: u32 = (0..1000).map(|_| take(&mut appetite, 1).1).sum();
    assert!((1..=1000 / 16).contains(&empty), "{empty}");
    take(&mut appetite, 100);
    for _ in 0..100 {
        let (turns, _) = take(&mut appetite, 32);
        assert!(turns <= 2, "{turns}");
    }
    (0..20).for_each(|_| appetite.was_satisfied());
    assert_eq!(appetite.requests(), REQUESTS_MAX);
}
