//! Looks after the files of disks while they are served: their space (`disk_space`), and whether
//! they are the ones that were opened. Notices when the file or device of a disk is not the one any
//! more that its path names: deleted, replaced, or cut short while it is served. What is written
//! then is lost when the server ends, and nothing else would say so.
//!
//! Invariants: a disk's threads are not disturbed (the file is only examined, on a thread that may
//! block); each change is told once; a file that was cut stays so, whatever its size is afterwards,
//! and the next start is told.

use crate::diagnostics::print_sentence;
use crate::failure::{CommandResult, Failure};
use crate::serving::disk_space::{DiskSpaces, FileSpace, refresh};
use crate::serving::known_disks::{DiskMemory, FileCut};
use disktime_disks::{CutMark, FreeSpace};
use disktime_units::format_sizes;
use std::collections::BTreeMap;
use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinHandle;

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
    /// Where it was cut; the disk sets it too, and serves nothing beyond.
    cut: CutMark,
    /// What the disk's thread knows of its file system.
    free: Option<FreeSpace>,
}

impl WatchedFile {
    /// The file at the path of a disk that was just opened; `cut` is the disk's mark.
    ///
    /// # Errors
    /// When it cannot be examined.
    pub(crate) fn open(
        disk: &str,
        path: &Path,
        cut: CutMark,
        free: Option<FreeSpace>,
    ) -> CommandResult<WatchedFile> {
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
            cut,
            free,
        })
    }

    /// Its space, which its disk's thread learns by that.
    pub(crate) fn space(&self) -> Option<(String, FileSpace)> {
        let found = FileSpace::of(&self.file)?;
        refresh(self.free.as_ref(), &found);
        Some((self.disk.clone(), found))
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
            self.cut.note(open.len());
        }
        let cut_at = self.cut.cut_at()?;
        let [had, has] = format_sizes([self.size_bytes, cut_at]);
        Some(format!(
            "{path} was cut from {had} to {has} while it is served: what lay beyond is lost, and \
             every request for it fails; stop the server and restore it"
        ))
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

/// Looks after the files of all disks.
#[derive(Debug)]
pub(crate) struct BackingWatch {
    files: Vec<Arc<WatchedFile>>,
    problems: FileProblems,
    spaces: DiskSpaces,
    memory: DiskMemory,
}

impl BackingWatch {
    /// A watch that notes in `problems` and `spaces` what it finds, and has `memory` remember what
    /// must not be forgotten.
    pub(crate) fn new(
        files: Vec<WatchedFile>,
        problems: FileProblems,
        spaces: DiskSpaces,
        memory: DiskMemory,
    ) -> BackingWatch {
        BackingWatch {
            files: files.into_iter().map(Arc::new).collect(),
            problems,
            spaces,
            memory,
        }
    }

    /// Examines the files again and again, and once more when `stop` is done.
    pub(crate) async fn run(self, stop: impl Future<Output = ()>) {
        tokio::pin!(stop);
        // A path below a mount that hangs holds up only the look at itself.
        let mut looks: Vec<Option<JoinHandle<()>>> = self.files.iter().map(|_| None).collect();
        loop {
            let stops = tokio::select! {
                () = tokio::time::sleep(INTERVAL) => false,
                () = &mut stop => true,
            };
            for (file, running) in self.files.iter().zip(&mut looks) {
                if running.as_ref().is_none_or(JoinHandle::is_finished) {
                    *running = Some(self.begin_look(Arc::clone(file)));
                }
            }
            if stops {
                break;
            }
        }
        for look in looks.into_iter().flatten() {
            let _ = look.await;
        }
    }

    fn begin_look(&self, file: Arc<WatchedFile>) -> JoinHandle<()> {
        let (problems, memory) = (self.problems.clone(), self.memory.clone());
        let spaces = self.spaces.clone();
        tokio::task::spawn_blocking(move || {
            look(&file, &problems, &memory);
            if let Some((disk, found)) = file.space() {
                spaces.note(disk, found);
            }
        })
    }
}

fn look(file: &WatchedFile, problems: &FileProblems, memory: &DiskMemory) {
    let (disk, problem) = (&file.disk, file.problem());
    if let Some(to_bytes) = file.cut.cut_at() {
        let from_bytes = file.size_bytes;
        let cut = FileCut {
            from_bytes,
            to_bytes,
        };
        memory.note_cut(disk, cut);
    }
    if !problems.note(disk, problem.as_ref()) {
        return;
    }
    print_sentence(match problem {
        Some(problem) => format!("disk `{disk}`: {problem}"),
        None => format!(
            "disk `{disk}`: {} is the file that is served again",
            file.path.display()
        ),
    });
}

#[cfg(test)]
mod tests;
