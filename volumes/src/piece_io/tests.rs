//! Unit tests of `piece_io`.

use super::*;
use crate::abilities::Grain;

fn abilities() -> Abilities {
    Abilities::full(Grain::new(512, 4096))
}

fn failure(kind: DiskErrorKind) -> Result<(), DiskError> {
    let context = "made for a test".to_owned();
    Err(DiskError { kind, context })
}

#[test]
fn a_modify_is_a_read_and_then_a_write() {
    let mut abilities = abilities();
    let next = follow_up(Action::Modify, &Ok(()), &mut abilities);
    assert_eq!(next, FollowUp::Send(Action::Write));
    let next = follow_up(Action::Write, &Ok(()), &mut abilities);
    assert_eq!(next, FollowUp::Nothing);
    let failed = failure(DiskErrorKind::Io);
    let next = follow_up(Action::Modify, &failed, &mut abilities);
    assert_eq!(next, FollowUp::Nothing, "what was not read is not written");
}

#[test]
fn a_refused_operation_is_replaced_by_the_next_slower_one() {
    let mut abilities = abilities();
    let refused = failure(DiskErrorKind::NotSupported);
    let next = follow_up(Action::ZeroByDiscard, &refused, &mut abilities);
    assert_eq!(next, FollowUp::Send(Action::Zero));
    assert!(!abilities.discards() && abilities.zeroes());
    let next = follow_up(Action::Zero, &refused, &mut abilities);
    assert_eq!(next, FollowUp::Send(Action::Write));
    assert!(!abilities.zeroes());
    let next = follow_up(Action::Write, &refused, &mut abilities);
    assert_eq!(
        next,
        FollowUp::Nothing,
        "a disk that does not write has failed"
    );
}

#[test]
fn a_refused_discard_keeps_the_content_and_is_no_failure() {
    let mut abilities = abilities();
    let refused = failure(DiskErrorKind::NotSupported);
    let next = follow_up(Action::Discard, &refused, &mut abilities);
    assert_eq!(next, FollowUp::NotDiscarded);
    assert!(!abilities.discards());
}

#[test]
fn a_failure_is_no_refusal() {
    let mut abilities = abilities();
    for action in [Action::ZeroByDiscard, Action::Zero, Action::Discard] {
        let next = follow_up(action, &failure(DiskErrorKind::Io), &mut abilities);
        assert_eq!(next, FollowUp::Nothing);
    }
    assert!(abilities.discards() && abilities.zeroes());
}
