//! Unit tests of `range_locks`.

use super::*;

fn claim(id: u32, start_bytes: u64, end_bytes: u64, exclusive: bool) -> Claim {
    Claim::new(RequestId::new(id), (start_bytes, end_bytes), exclusive)
}

fn ids<const N: usize>(numbers: [u32; N]) -> [RequestId; N] {
    numbers.map(RequestId::new)
}

#[test]
fn shared_claims_overlap_and_exclusive_ones_wait_in_order() {
    let mut locks = RangeLocks::default();
    let later = claim(3, 0, 50, false);
    let alone = claim(2, 40, 60, true);
    assert!(locks.claim(claim(0, 0, 100, false)));
    assert!(locks.claim(claim(1, 0, 100, false)));
    assert!(!locks.claim(alone));
    assert!(
        !locks.claim(later),
        "a shared claim overtook an exclusive one that waits"
    );
    assert!(
        locks.claim(claim(4, 60, 70, false)),
        "a neighbour that touches nothing waited"
    );
    let refresh = |id: RequestId| if id.index() == 2 { alone } else { later };
    let mut granted = VecDeque::new();
    locks.release(RequestId::new(0), refresh, &mut granted);
    locks.release(RequestId::new(4), refresh, &mut granted);
    assert!(granted.is_empty());
    locks.release(RequestId::new(1), refresh, &mut granted);
    assert_eq!(granted, ids([2]));
    locks.release(RequestId::new(2), refresh, &mut granted);
    assert_eq!(granted, ids([2, 3]));
}

#[test]
fn a_claim_that_became_shared_lets_the_others_in() {
    let mut locks = RangeLocks::default();
    assert!(locks.claim(claim(0, 0, 64, true)));
    for id in 1..5 {
        assert!(!locks.claim(claim(id, 0, 64, true)));
    }
    let mut granted = VecDeque::new();
    locks.release(
        RequestId::new(0),
        |id| claim(id.index() as u32, 0, 64, false),
        &mut granted,
    );
    assert_eq!(granted, ids([1, 2, 3, 4]));
}
