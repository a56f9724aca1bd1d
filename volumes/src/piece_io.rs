//! What follows when the I/O of a piece is back: nothing, or a further I/O for the same piece.
//!
//! A read-modify-write is two I/Os, and an operation that the disk refuses as not supported is
//! replaced by the next slower one: discard, then zero, then write zeroes. The disk is not asked
//! for the refused one again. Pure.

use crate::abilities::Abilities;
use crate::splitter::Action;
use disktime_disks::{DiskError, DiskErrorKind, Operation};

/// What follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FollowUp {
    /// The piece is done, or has failed.
    Nothing,
    /// The piece is done as far as the disk goes: it does not discard.
    NotDiscarded,
    /// The same range is sent with this action.
    Send(Action),
}

/// What follows the I/O of `action` that ended with `result`.
pub(crate) fn follow_up(
    action: Action,
    result: &Result<(), DiskError>,
    abilities: &mut Abilities,
) -> FollowUp {
    let refused = matches!(result, Err(error) if error.kind == DiskErrorKind::NotSupported);
    match action {
        Action::Modify if result.is_ok() => FollowUp::Send(Action::Write),
        Action::ZeroByDiscard if refused => {
            abilities.lose_discard();
            FollowUp::Send(Action::Zero)
        }
        Action::Zero if refused => {
            abilities.lose_zeroing();
            FollowUp::Send(Action::Write)
        }
        Action::Discard if refused => {
            abilities.lose_discard();
            FollowUp::NotDiscarded
        }
        _ => FollowUp::Nothing,
    }
}

/// The disk's operation for an action; of a read-modify-write that of its first half.
pub(crate) fn operation(action: Action) -> Operation {
    match action {
        Action::Read | Action::Modify => Operation::Read,
        Action::Write => Operation::Write,
        Action::Zero => Operation::WriteZeroes,
        Action::Discard | Action::ZeroByDiscard => Operation::Discard,
    }
}

#[cfg(test)]
mod tests;
