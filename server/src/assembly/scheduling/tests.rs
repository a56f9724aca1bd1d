//! Unit tests of `scheduling`.

use super::*;

#[test]
fn a_policy_is_called_the_same_in_a_file_and_in_the_scheduler() {
    let kinds = Policy::ALL.iter().map(|policy| policy_kind(*policy));
    assert!(kinds.eq(PolicyKind::all()));
    for policy in Policy::ALL {
        assert_eq!(policy_kind(*policy).name(), policy.name());
    }
}
