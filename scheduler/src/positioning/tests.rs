//! Unit tests of `positioning`.

use super::*;

#[test]
fn what_is_learnt_is_kept_by_distance_and_longer_is_never_quicker() {
    let mut learnt = LearntPositioning::new();
    let mut learn = |distance, taken| (0..ENOUGH).for_each(|_| learnt.learn(distance, taken));
    learn(5, Nanos(1_600));
    learn(1 << 30, Nanos(9_000));
    learn(1 << 31, Nanos(11_000));
    learn(1 << 40, Nanos(2_000));
    assert_eq!(learnt.expect(3), None, "nothing was learnt of such");
    assert_eq!(learnt.expect(6), Some(Nanos(1_600)), "the same class");
    assert_eq!(learnt.expect(3 << 29), Some(Nanos(10_000)), "half way");
    assert_eq!(learnt.expect(1 << 40), Some(Nanos(11_000)));
    assert_eq!(learnt.expect(u64::MAX), Some(Nanos(11_000)));
}
