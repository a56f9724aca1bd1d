//! Whether the file systems of the disks' files can hold what the files promise. A sparse file
//! takes space when it is written; a file system that is too small fails writes then, and nothing
//! would have said so before.
//!
//! Invariants: the disks' threads ask no file system while they serve (this is asked on a thread
//! that may wait); files on one file system are judged together, as they share what is free; a
//! shortage is told once, and its end once there is a little more than is needed.
//!
//! Not known here: what the files hold, and which vdisks are on them.

use crate::diagnostics::{print_sentence, print_warning};
use disktime_disks::{FreeSpace, free_bytes, nearest_directory};
use disktime_observe::{DiskSpace, DiskStatus};
use disktime_reservations::Configuration;
use disktime_units::format_sizes;
use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A file of a disk: what it may take, and what there is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FileSpace {
    space: DiskSpace,
    /// Which file system it lies on.
    file_system: u64,
}

/// A file system that cannot hold all of its disks.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Shortage {
    disks: Vec<String>,
    sentence: String,
}

impl FileSpace {
    /// Of an open file; of a device, nothing is known or needed.
    pub(crate) fn of(file: &File) -> Option<FileSpace> {
        let metadata = file.metadata().ok().filter(|found| found.is_file())?;
        let space = DiskSpace {
            promised_bytes: metadata.len(),
            stored_bytes: metadata.blocks() * 512,
            free_bytes: free_bytes(file)?,
        };
        let file_system = metadata.dev();
        Some(FileSpace { space, file_system })
    }

    /// Of a file that would be made or grown to `size_bytes`.
    fn before_start(path: &Path, size_bytes: u64) -> Option<FileSpace> {
        let mut found = match File::open(path) {
            Ok(file) => FileSpace::of(&file)?,
            Err(_) if path.exists() => return None,
            Err(_) => {
                let directory = File::open(nearest_directory(path)?).ok()?;
                FileSpace {
                    space: DiskSpace {
                        free_bytes: free_bytes(&directory)?,
                        ..DiskSpace::default()
                    },
                    file_system: directory.metadata().ok()?.dev(),
                }
            }
        };
        found.space.promised_bytes = found.space.promised_bytes.max(size_bytes);
        Some(found)
    }

    /// What it has left.
    pub(crate) fn free_bytes(&self) -> u64 {
        self.space.free_bytes
    }
}

/// The sentences of `check`: the space of each disk in a file, and which file systems are short.
pub(crate) fn before_start(configuration: &Configuration) -> Vec<String> {
    let disks = configuration.disks.iter().filter_map(|disk| {
        let size_bytes = disk.size_bytes.map_or(0, |size| size.value);
        let space = FileSpace::before_start(disk.path()?, size_bytes)?;
        Some((disk.name.value.clone(), space))
    });
    let disks: Vec<(String, FileSpace)> = disks.collect();
    let each = disks
        .iter()
        .map(|(disk, found)| format!("disk `{disk}`: {}", found.space));
    each.chain(
        shortages(&disks, &[])
            .into_iter()
            .map(|short| short.sentence),
    )
    .collect()
}

/// The file systems that cannot hold their disks; `before` is what was found last.
fn shortages(disks: &[(String, FileSpace)], before: &[Shortage]) -> Vec<Shortage> {
    let mut file_systems: BTreeMap<u64, Vec<&(String, FileSpace)>> = BTreeMap::new();
    for disk in disks {
        file_systems
            .entry(disk.1.file_system)
            .or_default()
            .push(disk);
    }
    let found =
        file_systems.into_values().filter_map(|disks| {
            let names: Vec<String> = disks.iter().map(|(name, _)| name.clone()).collect();
            let sum = |bytes: fn(&DiskSpace) -> u64| -> u64 {
                disks.iter().map(|(_, found)| bytes(&found.space)).sum()
            };
            let missing =
                |space: &DiskSpace| space.promised_bytes.saturating_sub(space.stored_bytes);
            let unstored_bytes = disks
                .iter()
                .map(|(_, found)| missing(&found.space))
                .sum::<u64>();
            let free_bytes = disks
                .iter()
                .map(|(_, found)| found.space.free_bytes)
                .min()?;
            let was_short = before.iter().any(|short| short.disks == names);
            let needed_bytes = match was_short {
                true => unstored_bytes + unstored_bytes / 16,
                false => unstored_bytes,
            };
            (needed_bytes > free_bytes).then(|| {
            let promised_bytes = sum(|space| space.promised_bytes);
            let stored_bytes = sum(|space| space.stored_bytes);
            let [promised, stored, free, missing] = format_sizes([
                promised_bytes,
                stored_bytes,
                free_bytes,
                unstored_bytes.saturating_sub(free_bytes),
            ]);
            let (of, them) = match names.as_slice() {
                [name] => (format!("disk `{name}`"), "it when it is"),
                names => (format!("disks `{}`", names.join("`, `")), "them when they are"),
            };
            let sentence = format!(
                "the file system of {of} cannot hold {them} full: {promised} promised, {stored} \
                 stored, {free} free, {missing} missing. Writes that find no space fail with \
                 ENOSPC; make room, or use smaller disks"
            );
            let disks = names;
            Shortage { disks, sentence }
        })
        });
    found.collect()
}

/// What was found last of the space of a server's disks.
#[derive(Debug, Clone, Default)]
pub(crate) struct DiskSpaces(Arc<Mutex<Found>>);

#[derive(Debug, Default)]
struct Found {
    disks: Vec<(String, FileSpace)>,
    shortages: Vec<Shortage>,
}

impl DiskSpaces {
    /// Enters what is known of a disk into its status.
    pub(crate) fn report(&self, name: &str, status: &mut DiskStatus) {
        let found = self.lock();
        let of_disk = found.disks.iter().find(|(disk, _)| disk == name);
        status.space = of_disk.map(|(_, found)| found.space);
        let is_meant = |short: &&Shortage| short.disks.iter().any(|disk| disk == name);
        let shortage = found.shortages.iter().find(is_meant);
        status.space_problem = shortage.map(|short| short.sentence.clone());
    }

    /// Notes what was found of a disk now, and tells what is new.
    pub(crate) fn note(&self, disk: String, found: FileSpace) {
        self.update(disk, found).iter().for_each(print_warning);
    }

    /// Of these disks, as they are found at the start; nothing is told.
    pub(crate) fn of(disks: Vec<(String, FileSpace)>) -> DiskSpaces {
        let spaces = DiskSpaces::default();
        spaces.lock().take(disks);
        spaces
    }

    /// Tells the space of each disk, and which file systems are short.
    pub(crate) fn tell(&self) {
        let found = self.lock();
        for (disk, of_disk) in &found.disks {
            print_sentence(format_args!("disk `{disk}`: {}", of_disk.space));
        }
        let sentences = found.shortages.iter().map(|short| &short.sentence);
        sentences.for_each(print_warning);
    }

    /// Notes it; the sentences that are new. Disks are examined at the same time: the lock is held
    /// from what was known to what is known now, so that none undoes what another notes.
    fn update(&self, disk: String, space: FileSpace) -> Vec<String> {
        let mut found = self.lock();
        let mut disks = found.disks.clone();
        match disks.iter_mut().find(|(name, _)| *name == disk) {
            Some((_, before)) => *before = space,
            None => disks.push((disk, space)),
        }
        found.take(disks)
    }

    fn lock(&self) -> MutexGuard<'_, Found> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Found {
    /// Takes what was found of all disks; the sentences that are new.
    fn take(&mut self, disks: Vec<(String, FileSpace)>) -> Vec<String> {
        let now = shortages(&disks, &self.shortages);
        let is_in = |list: &[Shortage], short: &Shortage| {
            list.iter().any(|other| other.disks == short.disks)
        };
        let begun = now.iter().filter(|short| !is_in(&self.shortages, short));
        let begun = begun.map(|short| short.sentence.clone());
        let ended = self.shortages.iter().filter(|short| !is_in(&now, short));
        let ended = ended.map(|short| {
            let disks = short.disks.join("`, `");
            format!("the file system of `{disks}` has space for all that is promised again")
        });
        let news = begun.chain(ended).collect();
        *self = Found {
            disks,
            shortages: now,
        };
        news
    }
}

/// Keeps what a disk's thread knows of its file system true.
pub(crate) fn refresh(free: Option<&FreeSpace>, found: &FileSpace) {
    if let Some(free) = free {
        free.set(found.free_bytes());
    }
}

#[cfg(test)]
mod tests;
