//! Unit tests of `configuration`.

use super::*;

#[test]
fn every_policy_has_its_name_and_ours_comes_first() {
    assert_eq!(Policy::ALL.len(), Policy::NAMES.len());
    for (policy, name) in Policy::ALL.iter().zip(Policy::NAMES) {
        assert_eq!(policy.name(), *name);
        assert_eq!(Policy::from_name(name), Some(*policy));
        let written = serde_json::to_value(policy).expect("a policy is a text");
        assert_eq!(written, **name);
    }
    assert_eq!(Policy::ALL[0], Policy::default());
    assert_eq!(Policy::from_name("farhad"), None);
}
