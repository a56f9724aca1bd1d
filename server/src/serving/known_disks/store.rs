//! The file `disks.json` of a state directory: read strictly, replaced as a whole.
//!
//! Invariants: a reader finds the old or the new content, after a crash too (written beside it,
//! flushed, renamed, and the directory flushed); a file that is damaged or of a later program is
//! refused, and so is a state directory that had one and has it no more.

use super::{KnownDisk, KnownDisks};
use crate::failure::{CommandResult, Failure};
use crate::serving::state_dir::StateLock;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

const FILE_NAME: &str = "disks.json";
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    version: u32,
    disks: BTreeMap<String, KnownDisk>,
}

impl KnownDisks {
    /// What a locked state directory remembers; nothing if it never remembered anything.
    ///
    /// # Errors
    /// As [`KnownDisks::look`].
    pub(crate) fn load(lock: &StateLock, file: &Path) -> CommandResult<KnownDisks> {
        KnownDisks::look(lock.directory(), lock.remembers(), file)
    }

    /// What a state directory remembers. `remembers`: its lock says that it has done so.
    ///
    /// # Errors
    /// When the file is damaged, of a later version, or gone. `file` is the reservation file, for
    /// the remedy.
    pub(crate) fn look(
        directory: &Path,
        remembers: bool,
        file: &Path,
    ) -> CommandResult<KnownDisks> {
        let path = directory.join(FILE_NAME);
        let refused = |what: &str| {
            Failure::new(format!(
                "{} {what}. It says which disk and which vdisk is which, so nothing was opened. \
                 Restore it; or make sure that the disks of the file are the right ones, and have \
                 them remembered as they are: `disktime adopt {}`",
                path.display(),
                file.display()
            ))
        };
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound && remembers => {
                return Err(refused("is gone"));
            }
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(KnownDisks::default()),
            Err(error) => return Err(refused(&format!("cannot be read ({error})"))),
        };
        let stored: Stored = serde_json::from_slice(&text)
            .map_err(|error| refused(&format!("is damaged, or of a later disktime ({error})")))?;
        if stored.version != VERSION {
            return Err(refused(&format!(
                "has version {}, and this program reads version {VERSION}",
                stored.version
            )));
        }
        Ok(KnownDisks {
            disks: stored.disks,
        })
    }

    /// Makes this what the state directory remembers, durably.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn save(&self, lock: &mut StateLock) -> CommandResult {
        let path = lock.directory().join(FILE_NAME);
        let stored = Stored {
            version: VERSION,
            disks: self.disks.clone(),
        };
        let mut text = serde_json::to_vec_pretty(&stored)?;
        text.push(b'\n');
        replace(&path, &text)
            .and_then(|()| lock.note_that_it_remembers())
            .map_err(|error| {
                Failure::new(format!(
                    "{} cannot be written, so it would not be noticed when a disk is another one: \
                     {error}",
                    path.display()
                ))
            })
    }
}

fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("json.new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&beside)?;
    file.write_all(content)?;
    file.sync_all()?;
    std::fs::rename(&beside, path)?;
    let directory = path.parent().unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()
}
