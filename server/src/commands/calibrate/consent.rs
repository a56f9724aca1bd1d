//! What may be overwritten: a disk that nothing uses, and that its user names once more.
//!
//! Invariant: [`require`] succeeds only when the path of the disk was given a second time, on the
//! command line or at a terminal.

use super::device_notes::described;
use crate::assembly::has_label;
use crate::failure::{CommandResult, Failure};
use disktime_disks::DiskIdentity;
use std::io::{BufRead, IsTerminal, Write};
use std::path::Path;

/// Refuses to go on without consent to overwriting the disk.
///
/// # Errors
/// What keeps the disk from being overwritten, with what to do.
pub(super) fn require(identity: &DiskIdentity, consent: Option<&Path>) -> CommandResult {
    let path = identity.path.display();
    if let Some(used_by) = &identity.used_by {
        return Err(Failure::new(format!(
            "{path}: {used_by}. Or measure it without writing: --read-only"
        )));
    }
    if identity.read_only {
        return Err(Failure::new(format!(
            "{path}: it is read-only; allow writing (`blockdev --setrw`, `chmod u+w`) or measure it \
             without writing: --read-only"
        )));
    }
    if has_label(&identity.path)? {
        return Err(Failure::new(format!(
            "{path}: it has a label of disktime, and measuring would destroy its vdisks; measure it \
             without writing (--read-only), or give its vdisks up first: `wipefs`, or `dd` over \
             its beginning and its end"
        )));
    }
    match consent {
        Some(named) if named == identity.path => Ok(()),
        Some(named) => Err(Failure::new(format!(
            "--yes-overwrite names {}, and the disk to be measured is {path}; nothing was written. \
             Name the same path twice",
            named.display()
        ))),
        None if std::io::stdin().is_terminal() => ask(identity),
        None => Err(Failure::new(format!(
            "measuring writes overwrites everything on {}; nothing was written. To go on: \
             --yes-overwrite {path}; to measure without writing: --read-only",
            described(identity)
        ))),
    }
}

fn ask(identity: &DiskIdentity) -> CommandResult {
    let path = identity.path.display();
    print!(
        "Everything on {} will be overwritten.\nType {path} to go on, anything else to stop: ",
        described(identity)
    );
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    if Path::new(answer.trim_end_matches('\n')) == identity.path {
        return Ok(());
    }
    Err(Failure::new(format!(
        "that is not {path}; nothing was written. To measure without writing: --read-only"
    )))
}
