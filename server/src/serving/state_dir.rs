//! The state directory and its lock: one server at a time uses a state directory.

use crate::failure::{CommandResult, Failure};
use disktime_reservations::Configuration;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// Held while this process uses the state directory. The kernel releases the lock when the process
/// ends, however it ends.
#[derive(Debug)]
pub(crate) struct StateLock {
    _file: File,
}

/// Creates the directory if it does not exist, for this user alone, and locks it.
///
/// # Errors
/// When another server has locked it, or it cannot be created.
pub(crate) fn lock(configuration: &Configuration) -> CommandResult<StateLock> {
    let directory = configuration.state_dir.value.as_path();
    let refused = |doing: &str, error: std::io::Error| {
        let message = format!(
            "the state directory {} cannot be {doing}: {error}",
            directory.display()
        );
        let help = "name a directory that this user may write to";
        Failure::from(configuration.error_at(configuration.state_dir.span, message, help))
    };
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(|error| refused("created", error))?;
    let path = directory.join("lock");
    let mut file = open(&path).map_err(|error| refused("used", error))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let _ = file.read_to_string(&mut holder);
            return Err(Failure::new(format!(
                "a server{} uses the state directory {} already; stop it, or use another \
                 \"state_dir\"",
                if holder.is_empty() {
                    String::new()
                } else {
                    format!(" (process {})", holder.trim())
                },
                directory.display()
            )));
        }
        Err(TryLockError::Error(error)) => return Err(refused("locked", error)),
    }
    let write_process_id = |file: &mut File| {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())
    };
    write_process_id(&mut file).map_err(|error| refused("used", error))?;
    Ok(StateLock { _file: file })
}

fn open(path: &Path) -> std::io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}
