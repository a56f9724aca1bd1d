//! Long lists of ranges.

use super::*;

#[test]
fn ranges_are_joined_over_the_shortest_gaps() {
    let all = vec![(0, 10), (11, 9), (100, 10), (115, 5), (400, 1)];
    let joined = |most: usize| {
        let mut ranges = all.clone();
        join_nearest(&mut ranges, most);
        ranges
    };
    assert_eq!(joined(5), all);
    assert_eq!(joined(4), [(0, 20), (100, 10), (115, 5), (400, 1)]);
    assert_eq!(joined(3), [(0, 20), (100, 20), (400, 1)]);
    assert_eq!(joined(1), [(0, 401)]);
}
