//! What the first MiB and the tail of a disk mean: which copy of a label counts, and whether a disk
//! without one may be formatted. Pure.

use crate::VolumeError;
use crate::foreign;
use crate::label::{
    COPY_CAPACITY_BYTES, CopyDefect, Label, UNIT_BYTES, VERSION, is_first_generation_remnant,
};

/// The copy that counts, and which of the two it is.
pub(crate) fn newest(copies: &[Result<Label, CopyDefect>; 2]) -> Option<(usize, &Label)> {
    let valid = copies
        .iter()
        .enumerate()
        .filter_map(|(at, copy)| Some((at, copy.as_ref().ok()?)));
    valid.max_by_key(|(_, label)| label.generation)
}

/// A whole copy of a later version counts more than an older copy that could be read.
pub(crate) fn refuse_later_version(
    copies: &[Result<Label, CopyDefect>; 2],
) -> Result<(), VolumeError> {
    for copy in copies {
        if let Err(CopyDefect::Version(found)) = copy {
            let (found, supported) = (*found, VERSION);
            return Err(VolumeError::Version { found, supported });
        }
    }
    Ok(())
}

/// Refuses a disk that holds anything, a label that cannot be read included.
pub(crate) fn refuse_foreign(
    head: &[u8],
    tail: &[u8],
    copies: &[Result<Label, CopyDefect>; 2],
) -> Result<(), VolumeError> {
    let defect = |at: usize| {
        copies[at]
            .as_ref()
            .err()
            .cloned()
            .unwrap_or(CopyDefect::NoMagic)
    };
    if is_unfinished_format(head, tail) {
        return Ok(());
    }
    if [defect(0), defect(1)]
        .iter()
        .any(|defect| matches!(defect, CopyDefect::Damaged(_)))
    {
        let words = |at| format!("copy {at}: {}", defect(at));
        return Err(VolumeError::Damaged {
            first: words(0),
            second: words(1),
        });
    }
    match foreign::identify(head, tail) {
        None => Ok(()),
        Some(found) => Err(VolumeError::Foreign { found }),
    }
}

/// Whether this is a blank disk on which the very first write of a format was interrupted: that
/// write goes to copy 1, has generation 1, and everything else is zero. No vdisk can exist yet.
fn is_unfinished_format(head: &[u8], tail: &[u8]) -> bool {
    let zero = |bytes: &[u8]| bytes.iter().all(|byte| *byte == 0);
    let (rest, copy) = head.split_at(COPY_CAPACITY_BYTES);
    let (first_unit, others) = copy.split_at(UNIT_BYTES);
    let remnant = is_first_generation_remnant(first_unit) || zero(&first_unit[..512]);
    zero(rest) && zero(others) && zero(tail) && remnant && !zero(first_unit)
}
