//! What the state directory remembers of disks: the uuid of each disk that was served under a name,
//! on which disk each vdisk was served, and on which its log lies. Without it a disk that is blank
//! because a mount is missing, or a device whose name changed, would be served as a new one.
//!
//! ```text
//!   store ── KnownDisks ──┐
//!   opened disks ── FoundDisk ──┴── judge ── Verdict: refusals, or notes
//! ```
//!
//! Invariants: nothing is remembered before it is on the disk, so a crash in between is found as a
//! disk that is not remembered yet; a vdisk has one home; what is remembered is never dropped
//! because it was not found, only by a command that says so.
//!
//! What is not known here: how disks are opened, and what they hold beyond their labels.

mod judge;
mod memory;
mod store;

use disktime_reservations::{Configuration, Vdisk};
use disktime_volumes::Label;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

pub(crate) use judge::{Refusal, judge, judge_disks};
pub(crate) use memory::DiskMemory;

/// What is remembered of a disk.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KnownDisk {
    uuid: String,
    /// Where it was found last.
    path: PathBuf,
    /// The vdisks that are served from it, or were served from it last: name and uuid.
    vdisks: BTreeMap<String, String>,
    /// The vdisks of other disks whose logs lie on it: name and uuid.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    logs: BTreeMap<String, String>,
    /// The clones on it, which the file need not name: name and uuid.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    clones: BTreeMap<String, String>,
    /// Its file was cut while it was served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cut: Option<FileCut>,
}

/// How a disk's file was cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FileCut {
    /// What it had.
    pub(crate) from_bytes: u64,
    /// What was left of it.
    pub(crate) to_bytes: u64,
}

/// What a state directory remembers, by the names of disks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct KnownDisks {
    disks: BTreeMap<String, KnownDisk>,
}

/// A disk of the reservation file, as it was found when it was opened.
#[derive(Debug, Clone)]
pub(crate) struct FoundDisk {
    /// Its name in the file.
    name: String,
    /// Its path; `None` for a disk that lives as long as the server.
    path: Option<PathBuf>,
    /// `None` if it has no label yet.
    uuid: Option<String>,
    /// The vdisks on it: name and uuid.
    holds: BTreeMap<String, String>,
    /// The vdisks that the file puts on it.
    wanted: Vec<String>,
    /// The uuids of the vdisks whose logs lie on it.
    logs: BTreeSet<String>,
    /// The vdisks whose logs the file puts on it.
    wanted_logs: Vec<String>,
}

impl FoundDisk {
    /// The disk of that name with this label. `is_new`: the label is not written yet.
    pub(crate) fn new(
        name: &str,
        path: Option<PathBuf>,
        label: &Label,
        is_new: bool,
        wanted: Vec<String>,
    ) -> FoundDisk {
        let vdisks = label.vdisks().iter();
        FoundDisk {
            name: name.to_owned(),
            path,
            uuid: (!is_new).then(|| label.disk_uuid().to_string()),
            holds: vdisks
                .map(|vdisk| (vdisk.name().to_owned(), vdisk.uuid().to_string()))
                .collect(),
            wanted,
            logs: label
                .histories()
                .iter()
                .filter(|history| history.log_disk() == label.disk_uuid())
                .map(|history| history.vdisk().to_string())
                .collect(),
            wanted_logs: Vec::new(),
        }
    }

    /// With the vdisks whose logs the file puts on it.
    pub(crate) fn with_wanted_logs(self, wanted_logs: Vec<String>) -> FoundDisk {
        FoundDisk {
            wanted_logs,
            ..self
        }
    }

    /// Its name in the file.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

impl KnownDisks {
    /// Whether nothing is remembered.
    pub(crate) fn is_empty(&self) -> bool {
        self.disks.is_empty()
    }

    /// What is remembered of a disk, for people.
    pub(crate) fn described(&self, disk: &str) -> Option<String> {
        self.disks.get(disk).map(judge::described)
    }

    /// Remembers disks as they are now, and that what the file puts on them is served from there.
    /// A disk that is blank is forgotten; one that lives as long as the server is not remembered.
    pub(crate) fn remember(&mut self, found: &[FoundDisk]) {
        for disk in found {
            let Some(path) = &disk.path else {
                continue;
            };
            let Some(uuid) = &disk.uuid else {
                self.disks.remove(&disk.name);
                continue;
            };
            // A disk that was renamed in the file.
            let before = self.name_of(uuid).map(str::to_owned);
            let mut known = before
                .and_then(|name| self.disks.remove(&name))
                .unwrap_or_default();
            known.uuid.clone_from(uuid);
            known.path.clone_from(path);
            known
                .vdisks
                .retain(|name, uuid| disk.holds.get(name) == Some(uuid));
            known.logs.retain(|_, uuid| disk.logs.contains(uuid));
            known.clones.retain(|_, uuid| disk.logs.contains(uuid));
            self.disks.insert(disk.name.clone(), known);
        }
        for disk in found {
            self.remember_logs(disk, found);
        }
        for disk in found {
            for vdisk in &disk.wanted {
                self.forget_vdisk(vdisk);
                let known = self.disks.get_mut(&disk.name);
                if let (Some(known), Some(uuid)) = (known, disk.holds.get(vdisk)) {
                    known.vdisks.insert(vdisk.clone(), uuid.clone());
                }
            }
        }
    }

    /// Remembers the logs on a disk that belong to vdisks of others.
    fn remember_logs(&mut self, disk: &FoundDisk, found: &[FoundDisk]) {
        for vdisk in &disk.wanted_logs {
            let mut holders = found.iter().filter(|other| other.name != disk.name);
            let uuid = holders.find_map(|holder| holder.holds.get(vdisk));
            let known = self.disks.get_mut(&disk.name);
            if let (Some(known), Some(uuid)) = (known, uuid)
                && disk.logs.contains(uuid)
            {
                known.logs.insert(vdisk.clone(), uuid.clone());
            }
        }
    }

    /// The file with the disks that logs lie on whose histories it switches off.
    pub(crate) fn with_ended_logs(&self, configuration: &Configuration) -> Configuration {
        let mut with = configuration.clone();
        for vdisk in with.vdisks.iter_mut().filter(|vdisk| vdisk.history_off) {
            let known = self.disks.get(&vdisk.disk.value);
            let uuid = known.and_then(|known| known.vdisks.get(&vdisk.name.value));
            let log = uuid.and_then(|uuid| self.log_home_of(uuid));
            vdisk.ended_log_disk = log.map(|(disk, _)| disk.to_owned());
        }
        with
    }

    /// The file with its entries that say what clones get, apart from those of vdisks.
    pub(crate) fn with_clones_apart(&self, configuration: &Configuration) -> Configuration {
        let mut apart = configuration.clone();
        let is_clone = |vdisk: &mut Vdisk| {
            let known = self.disks.get(&vdisk.disk.value);
            known.is_some_and(|known| known.clones.contains_key(&vdisk.name.value))
        };
        apart.clones = apart.vdisks.extract_if(.., is_clone).collect();
        apart
    }

    /// Remembers clones that a disk serves.
    pub(crate) fn remember_clones<'c>(
        &mut self,
        disk: &str,
        clones: impl Iterator<Item = (&'c str, String)>,
    ) {
        if let Some(known) = self.disks.get_mut(disk) {
            let named = clones.map(|(name, uuid)| (name.to_owned(), uuid));
            known.clones.extend(named);
        }
    }

    /// The disk on which a clone of that name is remembered, by its name and uuid.
    fn disk_of_clone(&self, name: &str) -> Option<(&str, &str)> {
        let mut disks = self.disks.iter();
        let (disk, known) = disks.find(|(_, known)| known.clones.contains_key(name))?;
        Some((disk, &known.uuid))
    }

    /// There is no clone of that name any more; whether there was.
    pub(crate) fn forget_clone(&mut self, name: &str) -> bool {
        let mut disks = self.disks.values_mut();
        disks.any(|known| known.clones.remove(name).is_some())
    }

    /// Remembers that the file of a disk was cut while it was served; whether that is news.
    pub(crate) fn note_cut(&mut self, disk: &str, cut: FileCut) -> bool {
        let known = self.disks.get_mut(disk);
        known.is_some_and(|known| known.cut.replace(cut) != Some(cut))
    }

    /// The files of these disks are as they should be.
    pub(crate) fn forget_cuts(&mut self, found: &[FoundDisk]) {
        for disk in found {
            if let Some(known) = self.disks.get_mut(&disk.name) {
                known.cut = None;
            }
        }
    }

    /// Remembers a disk that was formatted: nothing of what was on it.
    pub(crate) fn remember_formatted(&mut self, found: &FoundDisk) {
        self.disks.remove(&found.name);
        self.remember(&[FoundDisk {
            wanted: Vec::new(),
            ..found.clone()
        }]);
    }

    /// A vdisk was removed from the disk of that name; whether it was remembered there.
    pub(crate) fn forget_vdisk_on(&mut self, disk: &str, vdisk: &str) -> bool {
        let known = self.disks.get_mut(disk);
        let uuid = known.and_then(|known| known.vdisks.remove(vdisk));
        for known in self.disks.values_mut() {
            known.logs.retain(|_, of| uuid.as_ref() != Some(of));
        }
        uuid.is_some()
    }

    /// A vdisk of the disk of that name is called `new` now; whether it was remembered there.
    pub(crate) fn rename_vdisk_on(&mut self, disk: &str, old: &str, new: &str) -> bool {
        let Some(known) = self.disks.get_mut(disk) else {
            return false;
        };
        let Some(uuid) = known.vdisks.remove(old) else {
            return false;
        };
        known.vdisks.insert(new.to_owned(), uuid.clone());
        for known in self.disks.values_mut() {
            if known.logs.get(old) == Some(&uuid) {
                known.logs.remove(old);
                known.logs.insert(new.to_owned(), uuid.clone());
            }
        }
        true
    }

    /// Forgets the disks that are not in the file.
    pub(crate) fn keep_only(&mut self, found: &[FoundDisk]) {
        self.disks
            .retain(|name, _| found.iter().any(|disk| disk.name == *name));
    }

    /// The vdisk is not expected on any disk any more.
    fn forget_vdisk(&mut self, vdisk: &str) {
        for known in self.disks.values_mut() {
            known.vdisks.remove(vdisk);
        }
    }

    /// The name under which a disk is remembered.
    fn name_of(&self, uuid: &str) -> Option<&str> {
        let mut disks = self.disks.iter();
        disks.find_map(|(name, known)| (known.uuid == uuid).then_some(name.as_str()))
    }

    /// How the file of the disk with that uuid was cut, if it was.
    fn cut_of(&self, uuid: &str) -> Option<FileCut> {
        let mut disks = self.disks.values();
        disks.find(|known| known.uuid == uuid)?.cut
    }

    /// The disk that the log of the vdisk with that uuid was on last, if that was not its own.
    fn log_home_of(&self, uuid: &str) -> Option<(&str, &KnownDisk)> {
        let mut disks = self.disks.iter();
        let (name, known) =
            disks.find(|(_, known)| known.logs.values().any(|vdisk| vdisk == uuid))?;
        Some((name, known))
    }

    /// The disk from which a vdisk was served last.
    fn home_of(&self, vdisk: &str) -> Option<Home<'_>> {
        self.disks.iter().find_map(|(name, known)| {
            let uuid = known.vdisks.get(vdisk)?;
            Some(Home { name, known, uuid })
        })
    }
}

/// Where a vdisk was served last.
struct Home<'k> {
    /// The disk's name.
    name: &'k str,
    known: &'k KnownDisk,
    /// The vdisk's uuid.
    uuid: &'k str,
}

/// Some names for a sentence: at most four, and how many more.
fn some_names<'n>(names: impl Iterator<Item = &'n String>) -> String {
    const SHOWN: usize = 4;
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    if names.len() <= SHOWN {
        return names.join(", ");
    }
    format!(
        "{} and {} more",
        names[..SHOWN].join(", "),
        names.len() - SHOWN
    )
}

#[cfg(test)]
mod tests;
