//! Notices when the file or device of a disk is not the one any more that its path names: deleted,
//! replaced, or cut short while it is served. What is written then is lost when the server ends,
//! and nothing else would say so.
//!
//! Invariants: a disk's threads are not disturbed (the file is only examined, on a thread that may
//! block); each change is told once; a file that was cut stays so, whatever its size is afterwards:
//! a write behind its end makes it long again, and what was cut off reads as zeroes.

use crate::diagnostics::print_sentence;
use crate::failure::{CommandResult, Failure};
use disktime_units::format_sizes;
use std::collections::BTreeMap;
use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// How often the files are examined.
const INTERVAL: Duration = Duration::from_secs(2);

/// The file or device of a disk that is open.
#[derive(Debug)]
pub(crate) struct WatchedFile {
    disk: String,
    path: PathBuf,
    /// Opened for nothing but to examine it (O_PATH).
    file: File,
    size_bytes: u64,
    /// The sentence about it, once it was found cut.
    cut: OnceLock<String>,
}

impl WatchedFile {
    /// The file at the path of a disk that was just opened.
    ///
    /// # Errors
    /// When it cannot be examined.
    pub(crate) fn open(disk: &str, path: &Path) -> CommandResult<WatchedFile> {
        let opened = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_PATH)
            .open(path)
            .and_then(|file| Ok((file.metadata()?.len(), file)));
        let (size_bytes, file) = opened.map_err(|error| {
            Failure::new(format!(
                "disk `{disk}`: {} cannot be examined: {error}",
                path.display()
            ))
        })?;
        Ok(WatchedFile {
            disk: disk.to_owned(),
            path: path.to_owned(),
            file,
            size_bytes,
            cut: OnceLock::new(),
        })
    }

    /// What is wrong with it now, as a sentence.
    fn problem(&self) -> Option<String> {
        let path = self.path.display();
        let open = self.file.metadata().ok()?;
        let lost = "what the vdisks hold is there only until the server ends: copy it now, by their \
                    clients";
        let named = match std::fs::metadata(&self.path) {
            Ok(named) => named,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Some(if open.nlink() == 0 {
                    format!("{path} was deleted while it is served; {lost}")
                } else {
                    format!(
                        "{path} is gone or was moved while it is served; move it back before the \
                         server ends, or the next start does not find it"
                    )
                });
            }
            // It cannot be examined now, which says nothing about the file.
            Err(_) => return None,
        };
        if !is_same(&open, &named) {
            let after = if open.file_type().is_file() && open.nlink() == 0 {
                lost
            } else {
                "the next start finds the other one"
            };
            return Some(format!(
                "{path} is another file or device than the one that is served: it was replaced; \
                 {after}"
            ));
        }
        if open.file_type().is_file() && open.len() < self.size_bytes {
            let [had, has] = format_sizes([self.size_bytes, open.len()]);
            let _ = self.cut.set(format!(
                "{path} was cut from {had} to {has} while it is served: what lay beyond is lost, and \
                 may read as zeroes; stop the server and restore it"
            ));
        }
        self.cut.get().cloned()
    }
}

/// Whether both are the same file, or names of the same device.
fn is_same(one: &Metadata, other: &Metadata) -> bool {
    if one.file_type().is_block_device() && other.file_type().is_block_device() {
        return one.rdev() == other.rdev();
    }
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// What is wrong with the files of disks, by the disks' names, as of the last look.
#[derive(Debug, Clone, Default)]
pub(crate) struct FileProblems(Arc<Mutex<BTreeMap<String, String>>>);

impl FileProblems {
    /// What is wrong with the disk's file.
    pub(crate) fn of(&self, disk: &str) -> Option<String> {
        let problems = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        problems.get(disk).cloned()
    }

    /// Notes what was found; whether it is news.
    fn note(&self, disk: &str, problem: Option<&String>) -> bool {
        let mut problems = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match problem {
            Some(problem) => {
                problems.insert(disk.to_owned(), problem.clone()).as_ref() != Some(problem)
            }
            None => problems.remove(disk).is_some(),
        }
    }
}

/// Examines the files until the task is aborted.
pub(crate) async fn watch(files: Vec<WatchedFile>, problems: FileProblems) {
    let files = Arc::new(files);
    loop {
        tokio::time::sleep(INTERVAL).await;
        let (files, problems) = (Arc::clone(&files), problems.clone());
        // A path below a mount that hangs holds up this task only.
        let look = tokio::task::spawn_blocking(move || look(&files, &problems));
        if look.await.is_err() {
            return;
        }
    }
}

fn look(files: &[WatchedFile], problems: &FileProblems) {
    for file in files {
        let (disk, problem) = (&file.disk, file.problem());
        if !problems.note(disk, problem.as_ref()) {
            continue;
        }
        print_sentence(match problem {
            Some(problem) => format!("disk `{disk}`: {problem}"),
            None => format!(
                "disk `{disk}`: {} is the file that is served again",
                file.path.display()
            ),
        });
    }
}

#[cfg(test)]
mod tests;
