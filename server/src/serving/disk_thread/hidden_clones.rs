//! Entries of the file that would make a vdisk of the name of a clone: the clone would be there and
//! not be served, behind a vdisk that is empty. So a start is refused, and `check --disks` says it.
//!
//! Not known here: clones that the state directory remembers; entries of their names on their disks
//! are not those of vdisks.

use crate::failure::{CommandResult, Failure};
use disktime_reservations::{Configuration, Disk as DiskConfig};
use disktime_volumes::{Label, RecordedClones};

/// Refuses a vdisk of the file that is to be made and has the name of a clone that is recorded on a
/// disk. `thread`: the disks of its thread, by name, with their labels.
///
/// # Errors
/// What is meant by the name, and what to do.
pub(super) fn refuse_hidden<'l>(
    configuration: &Configuration,
    config: &DiskConfig,
    recorded: &RecordedClones,
    thread: impl Iterator<Item = (&'l str, &'l Label)> + Clone,
) -> CommandResult {
    let disk = &config.name.value;
    for clone in &recorded.clones {
        let Some(vdisk) = configuration.vdisk(&clone.name) else {
            continue;
        };
        let mut disks = thread.clone();
        let label = disks.find(|(name, _)| *name == vdisk.disk.value);
        // Of other threads the state directory knows. One that is not new keeps its name: the clone
        // is told, kept and not served.
        if label.is_none_or(|(_, label)| label.find(&clone.name).is_some()) {
            continue;
        }
        let (message, help) = hidden(&clone.name, disk, &vdisk.disk.value);
        let errors = configuration.error_at(vdisk.name.span, message, help);
        return Err(Failure::from(errors));
    }
    Ok(())
}

/// Why a vdisk is not made on a disk that has the name of a clone on a disk, and what to do.
pub(crate) fn hidden(name: &str, of_clone: &str, of_vdisk: &str) -> (String, String) {
    let message = format!(
        "`{name}` is a clone on disk `{of_clone}`, and a vdisk of that name would be made on \
         `{of_vdisk}`, empty, which would hide it; no disk was changed"
    );
    let served = format!(
        "take the entry out of the file and start the server: then the clone is served, and given up \
         by `disktime drop {name}` if a vdisk is meant"
    );
    let help = match of_clone == of_vdisk {
        true => format!(
            "{served}. From the next start on an entry of its name says what the clone gets"
        ),
        false => format!("{served}; or give the vdisk another name"),
    };
    (message, help)
}
