//! What the first MiB and the tail of a disk mean: which copy of a label counts, whether the other
//! one has to be written again, and whether a disk without a label may be formatted. Pure.

use crate::VolumeError;
use crate::foreign;
use crate::label::{
    COPY_CAPACITY_BYTES, CopyDefect, Label, UNIT_BYTES, Update, VERSION,
    is_first_generation_remnant,
};

/// What was read of the two copies.
pub(crate) type Copies = [Result<Label, CopyDefect>; 2];

/// A label that was found.
#[derive(Debug)]
pub(crate) struct Found {
    pub label: Label,
    /// The copy that counts.
    pub copy: usize,
    pub healing: Option<Healing>,
}

/// The other copy has to be written again.
#[derive(Debug)]
pub(crate) struct Healing {
    pub update: Update,
    /// Why and what for, for people, once it is done.
    pub message: String,
}

/// The label that counts. `None` if no copy is whole.
pub(crate) fn find(copies: Copies) -> Option<Found> {
    let newest = |copies: &Copies| {
        let whole = copies
            .iter()
            .enumerate()
            .filter_map(|(copy, label)| Some((copy, label.as_ref().ok()?.generation())));
        // Of two of the same generation the first counts.
        whole.max_by_key(|(copy, generation)| (*generation, 1 - *copy))
    };
    let (copy, _) = newest(&copies)?;
    let [first, second] = copies;
    let (counted, other) = if copy == 0 {
        (first, second)
    } else {
        (second, first)
    };
    let label = counted.ok()?;
    let healing = heal(&label, copy, other);
    Some(Found {
        label,
        copy,
        healing,
    })
}

/// In version 1 the copies differ as a rule; its first change writes both.
fn heal(label: &Label, copy: usize, other: Result<Label, CopyDefect>) -> Option<Healing> {
    if label.version() != VERSION || other.as_ref() == Ok(label) {
        return None;
    }
    let damaged = 1 - copy;
    let cause = match other {
        Ok(older) if older.generation() < label.generation() => {
            "was a change behind, because an update was interrupted".to_owned()
        }
        Ok(_) => "differed".to_owned(),
        Err(defect) => format!("was damaged ({defect})"),
    };
    Some(Healing {
        update: Update::heal(label, damaged),
        message: format!(
            "copy {damaged} of the label {cause}; it was written again from copy {copy}, and no \
             vdisk is lost"
        ),
    })
}

/// A whole copy that this program does not understand counts more than one that it could read: it
/// may be the newer one.
pub(crate) fn refuse_unknown(copies: &Copies) -> Result<(), VolumeError> {
    for copy in copies {
        match copy {
            Err(CopyDefect::Version(found)) => {
                let (found, supported) = (*found, VERSION);
                return Err(VolumeError::Version { found, supported });
            }
            Err(CopyDefect::Unknown { what, written_by }) => {
                return Err(VolumeError::UnknownFeature {
                    what: what.clone(),
                    written_by: *written_by,
                });
            }
            _ => {}
        }
    }
    Ok(())
}

/// Refuses a disk on which another format was written over copy 0 while copy 1 is still whole:
/// healing would destroy what was made there. The bytes of a healthy copy 0 are those of copy 1, so
/// a signature that is in both is chance.
pub(crate) fn refuse_overwritten(head: &[u8], copies: &Copies) -> Result<(), VolumeError> {
    if copies[0].is_ok() || copies[1].is_err() {
        return Ok(());
    }
    let (first, second) = head.split_at(COPY_CAPACITY_BYTES);
    match foreign::known_format(first) {
        Some(found) if foreign::known_format(second) != Some(found) => {
            let found = found.to_owned();
            Err(VolumeError::Overwritten { found })
        }
        _ => Ok(()),
    }
}

/// Refuses a disk that holds anything, a label that cannot be read included.
pub(crate) fn refuse_foreign(
    head: &[u8],
    tail: &[u8],
    defects: &[CopyDefect; 2],
) -> Result<(), VolumeError> {
    if is_unfinished_format(head, tail) {
        return Ok(());
    }
    let is_damaged = |defect: &CopyDefect| matches!(defect, CopyDefect::Damaged(_));
    if defects.iter().any(is_damaged) {
        let words = |at: usize| format!("copy {at}: {}", defects[at]);
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

#[cfg(test)]
mod tests;
