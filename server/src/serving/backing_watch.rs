//! Looks after the files of disks while they are served: their space (`disk_space`), and whether
//! they are the ones that were opened. Notices when the file or device of a disk is not the one any
//! more that its path names: deleted, replaced, or cut short while it is served. What is written
//! then is lost when the server ends, and nothing else would say so.
//!
//! Invariants: a disk's threads are not disturbed (the file is only examined, on a thread that may
//! block); each change is told once, and a look that finds nothing out changes nothing; a file that
//! was cut stays so, whatever its size is afterwards, and the next start is told.

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

/// What was found of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Look {
    /// It is the one that its path names, and as long as it was.
    Fine,
    /// A sentence that says what is wrong.
    Problem(String),
    /// It cannot be examined now, which says nothing about it.
    Unknown,
}

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

    /// Examines it. A cut stays known where nothing else can be learned.
    fn look(&self) -> Look {
        let open = self.file.metadata();
        if let Ok(open) = &open
            && open.file_type().is_file()
            && open.len() < self.size_bytes
        {
            self.cut.note(open.len());
        }
        let named = std::fs::metadata(&self.path);
        match (
            open.map(|open| self.compare(&open, named)),
            self.cut_problem(),
        ) {
            // What it says to do with a file that is gone comes first: the server must not stop.
            (Ok(Look::Problem(problem)), _) | (_, Some(problem)) => Look::Problem(problem),
            (Ok(look), None) => look,
            (Err(_), None) => Look::Unknown,
        }
    }

    /// Compares the file that is open with what its path names.
    fn compare(&self, open: &Metadata, named: io::Result<Metadata>) -> Look {
        let path = self.path.display();
        let lost = "what the vdisks hold is there only until the server ends: copy it now, by their \
                    clients";
        let is_deleted = open.file_type().is_file() && open.nlink() == 0;
        match named {
            Ok(named) if is_same(open, &named) => Look::Fine,
            Ok(_) => {
                let after = match is_deleted {
                    true => lost,
                    false => "the next start finds the other one",
                };
                Look::Problem(format!(
                    "{path} is another file or device than the one that is served: it was \
                     replaced; {after}"
                ))
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => Look::Unknown,
            Err(_) if open.nlink() == 0 => {
                Look::Problem(format!("{path} was deleted while it is served; {lost}"))
            }
            Err(_) => Look::Problem(format!(
                "{path} is gone or was moved while it is served; move it back before the server \
                 ends, or the next start does not find it"
            )),
        }
    }

    /// What to say of a file that was cut since it was opened.
    fn cut_problem(&self) -> Option<String> {
        let [had, has] = format_sizes([self.size_bytes, self.cut.cut_at()?]);
        Some(format!(
            "{} was cut from {had} to {has} while it is served: what lay beyond is lost, and every \
             request for it fails; stop the server and restore it",
            self.path.display()
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

    /// Notes what was found; the sentence to tell if it is news.
    fn note(&self, file: &WatchedFile, found: Look) -> Option<String> {
        let (disk, path) = (&file.disk, file.path.display());
        let mut problems = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match found {
            Look::Unknown => None,
            Look::Fine => problems
                .remove(disk)
                .map(|_| format!("disk `{disk}`: {path} is the file that is served again")),
            Look::Problem(problem) => {
                let before = problems.insert(disk.clone(), problem.clone());
                let is_news = before.as_ref() != Some(&problem);
                is_news.then(|| format!("disk `{disk}`: {problem}"))
            }
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
    let found = file.look();
    if let Some(to_bytes) = file.cut.cut_at() {
        let from_bytes = file.size_bytes;
        let cut = FileCut {
            from_bytes,
            to_bytes,
        };
        memory.note_cut(&file.disk, cut);
    }
    problems.note(file, found).iter().for_each(print_sentence);
}

#[cfg(test)]
mod tests;
