//! `disktime list` and `disktime info`: what the disks of a reservation file hold by their labels
//! and, of clones, by their logs, without a server, and beside one that runs.
//!
//! Invariants: nothing is written, created, grown or locked; a disk that cannot be read hides none
//! of the others.

use crate::assembly::{self, CloneSettings, emulation};
use crate::diagnostics::print_sentence;
use crate::failure::{CommandResult, Failure};
use crate::serving::disk_thread;
use disktime_observe::Table;
use disktime_reservations::{Configuration, Disk as DiskConfig};
use disktime_units::{format_size, format_sizes};
use disktime_volumes::label::HistoryEntry;
use disktime_volumes::{Label, RecordedClone};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::Path;
use std::process::ExitCode;

/// A vdisk or clone that is on a disk, in the file, or both.
struct Entry {
    vdisk: String,
    disk: String,
    /// On the disk: uuid, size and extents; `None` if the next start makes it.
    found: Option<Found>,
    /// What the file says of it.
    in_file: InFile,
}

struct Found {
    uuid: String,
    size_bytes: u64,
    extents: usize,
    /// The space of its log, if it has a history; 0 for a clone to which nothing was written.
    history_bytes: Option<u64>,
    /// The disk of its log, if that is known and another one.
    history_disk: Option<String>,
    cloned: Option<Cloned>,
}

/// What is known of a clone beside that.
struct Cloned {
    /// The vdisk that it begins with, by name, or by uuid while that is all that is known,
    parent: String,
    /// and the moment.
    moment: u64,
    settings: CloneSettings,
}

impl Cloned {
    fn of(&self) -> String {
        format!("{}@seq:{}", self.parent, self.moment)
    }
}

impl Found {
    fn history_text(&self) -> Option<String> {
        let size = format_size(self.history_bytes?);
        Some(match &self.history_disk {
            Some(disk) => format!("{size} on {disk}"),
            None => size,
        })
    }

    fn of_clone(clone: &RecordedClone) -> Found {
        Found {
            uuid: clone.uuid.to_string(),
            size_bytes: clone.size_bytes,
            extents: usize::from(clone.log_bytes > 0),
            history_bytes: Some(clone.log_bytes),
            history_disk: None,
            cloned: Some(Cloned {
                parent: clone.parent.clone(),
                moment: clone.moment,
                settings: CloneSettings::parse(&clone.settings),
            }),
        }
    }
}

/// Where the file has a vdisk of that name.
#[derive(Debug, Clone, PartialEq, Eq)]
enum InFile {
    Here,
    OnDisk(String),
    No,
}

impl InFile {
    fn of(configuration: &Configuration, vdisk: &str, disk: &str) -> InFile {
        match configuration.vdisk(vdisk) {
            Some(served) if served.disk.value == disk => InFile::Here,
            Some(served) => InFile::OnDisk(served.disk.value.clone()),
            None => InFile::No,
        }
    }

    fn described(&self, is_found: bool) -> String {
        match self {
            InFile::Here if is_found => "in the file".to_owned(),
            InFile::Here => "made by the next start".to_owned(),
            InFile::OnDisk(disk) => format!("kept; the file has it on {disk}"),
            InFile::No => "kept; not in the file".to_owned(),
        }
    }

    /// The same, of a clone.
    fn of_clone(&self, of: &str) -> String {
        match self {
            InFile::Here => format!("clone of {of}; in the file"),
            InFile::OnDisk(disk) => format!("clone of {of}; the file has another one on {disk}"),
            InFile::No => format!("clone of {of}"),
        }
    }
}

/// A disk by its label.
struct DiskList {
    name: String,
    path: Option<String>,
    /// `None` if it has no label yet.
    uuid: Option<String>,
    size_bytes: u64,
    used_bytes: u64,
    entries: Vec<Entry>,
    /// Logs of vdisks on other disks: uuids of those, and bytes.
    logs: Vec<(String, u64)>,
    /// Vdisks whose logs cannot be read, and why.
    unread: Vec<(String, String)>,
}

/// Runs `disktime list`; fails after the last disk if one could not be read.
pub(crate) fn run(file: &Path, json: bool) -> CommandResult<ExitCode> {
    let configuration = emulation::load(file)?;
    let disks = read_all(&configuration);
    let is_whole = disks.iter().all(|(_, disk)| disk.is_ok());
    if json {
        let of_disk = |(config, disk): &(&DiskConfig, CommandResult<DiskList>)| {
            let value = match disk {
                Ok(disk) => disk.to_json(),
                Err(failure) => unread_json(config, failure),
            };
            (config.name.value.clone(), value)
        };
        let disks: serde_json::Map<String, Value> = disks.iter().map(of_disk).collect();
        println!("{:#}", json!({ "disks": disks }));
    } else {
        for (index, (config, disk)) in disks.iter().enumerate() {
            if index > 0 {
                println!();
            }
            match disk {
                Ok(disk) => disk.print(),
                Err(failure) => println!("{}: cannot be read: {failure}", config.name.value),
            }
        }
    }
    Ok(match is_whole {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// Runs `disktime info`; fails if no disk that can be read holds the vdisk.
pub(crate) fn info(file: &Path, vdisk: &str, json: bool) -> CommandResult {
    let configuration = emulation::load(file)?;
    let mut entries = Vec::new();
    let mut unread = Vec::new();
    for (config, disk) in read_all(&configuration) {
        match disk {
            Ok(disk) => {
                let found = disk.entries.into_iter();
                entries.extend(found.filter(|entry| entry.vdisk == vdisk));
            }
            Err(failure) => {
                let name = &config.name.value;
                unread.push(format!("disk `{name}` cannot be read: {failure}"));
            }
        }
    }
    if entries.is_empty() && !unread.is_empty() {
        return Err(Failure::new(format!(
            "vdisk `{vdisk}` was not found on the disks that can be read\n{}",
            unread.join("\n")
        )));
    }
    if entries.is_empty() {
        return Err(Failure::new(format!(
            "there is no vdisk `{vdisk}`, in {} or on its disks; `disktime list {}` names those \
             that there are",
            file.display(),
            file.display()
        )));
    }
    unread.iter().for_each(print_sentence);
    let facts: Vec<Value> = entries
        .iter()
        .map(|entry| facts(&configuration, entry))
        .collect();
    if json {
        println!("{:#}", Value::Array(facts));
        return Ok(());
    }
    for (index, facts) in facts.iter().enumerate() {
        if index > 0 {
            println!();
        }
        print_facts(facts);
    }
    Ok(())
}

/// Reads each disk of the file.
fn read_all(configuration: &Configuration) -> Vec<(&DiskConfig, CommandResult<DiskList>)> {
    let disks = configuration.disks.iter();
    let read = disks.map(|config| (config, read(configuration, config)));
    let mut disks: Vec<_> = read.collect();
    let entries = disks.iter().filter_map(|(_, disk)| disk.as_ref().ok());
    let entries = entries.flat_map(|disk| &disk.entries);
    let uuids = entries.filter_map(|entry| Some((entry.found.as_ref()?, &entry.vdisk)));
    let names: HashMap<String, String> = uuids
        .map(|(found, name)| (found.uuid.clone(), name.clone()))
        .collect();
    let with_logs = disks.iter().filter_map(|(_, disk)| disk.as_ref().ok());
    let logs: HashMap<String, (String, u64)> = with_logs
        .flat_map(|disk| {
            let log = |(uuid, bytes): &(String, u64)| (uuid.clone(), (disk.name.clone(), *bytes));
            disk.logs.iter().map(log)
        })
        .collect();
    let entries = disks.iter_mut().filter_map(|(_, disk)| disk.as_mut().ok());
    let mut found: Vec<&mut Found> = entries
        .flat_map(|disk| &mut disk.entries)
        .filter_map(|entry| entry.found.as_mut())
        .collect();
    for found in &mut found {
        if let Some((disk, bytes)) = logs.get(&found.uuid).filter(|_| found.cloned.is_none()) {
            found.history_bytes = Some(*bytes);
            found.history_disk = Some(disk.clone());
        }
    }
    for cloned in found.into_iter().filter_map(|found| found.cloned.as_mut()) {
        if let Some(name) = names.get(&cloned.parent) {
            cloned.parent.clone_from(name);
        }
    }
    disks
}

fn read(configuration: &Configuration, config: &DiskConfig) -> CommandResult<DiskList> {
    let name = config.name.value.as_str();
    let admission = assembly::admit_disk(configuration, config)?;
    let content = disk_thread::read_disk(configuration, config, &admission)?;
    let (label, is_new) = (&content.label, content.is_new);
    let entry = |vdisk: &str, found: Option<Found>| Entry {
        vdisk: vdisk.to_owned(),
        disk: name.to_owned(),
        found,
        in_file: InFile::of(configuration, vdisk, name),
    };
    let on_disk = label.vdisks().iter().map(|vdisk| {
        let found = Found {
            uuid: vdisk.uuid().to_string(),
            size_bytes: vdisk.size_bytes(),
            extents: vdisk.extents().len(),
            history_bytes: label.history_of(vdisk.uuid()).map(HistoryEntry::area_bytes),
            history_disk: None,
            cloned: None,
        };
        entry(vdisk.name(), Some(found))
    });
    let clones = content.clones.clones.iter();
    let of_clones = clones.map(|clone| entry(&clone.name, Some(Found::of_clone(clone))));
    let mut entries: Vec<Entry> = on_disk.chain(of_clones).collect();
    for vdisk in configuration.vdisks_on(name) {
        let vdisk = vdisk.name.value.as_str();
        if !entries.iter().any(|entry| entry.vdisk == vdisk) {
            entries.push(entry(vdisk, None));
        }
    }
    let logs = label.histories().iter();
    let logs = logs.filter(|log| log.image_disk() != label.disk_uuid());
    let logs = logs.map(|log| (log.vdisk().to_string(), log.area_bytes()));
    Ok(DiskList {
        name: name.to_owned(),
        path: shown_path(config),
        uuid: (!is_new).then(|| label.disk_uuid().to_string()),
        size_bytes: label.size_bytes(),
        used_bytes: used_bytes(label),
        entries,
        logs: logs.collect(),
        unread: content.clones.unread,
    })
}

fn shown_path(config: &DiskConfig) -> Option<String> {
    config.path().map(|path| path.display().to_string())
}

/// A disk that could not be read: the keys of one that was, and why.
fn unread_json(config: &DiskConfig, failure: &Failure) -> Value {
    json!({
        "path": shown_path(config),
        "uuid": null,
        "size_bytes": null,
        "used_bytes": null,
        "vdisks": {},
        "clones": {},
        "unread_logs": {},
        "error": failure.to_string(),
    })
}

fn used_bytes(label: &Label) -> u64 {
    label.used_ranges().map(|(start, end)| end - start).sum()
}

impl DiskList {
    fn print(&self) {
        let [used, size] = format_sizes([self.used_bytes, self.size_bytes]);
        let place = self.path.as_deref().unwrap_or("made at each start");
        let label = match &self.uuid {
            Some(uuid) => format!("disk {uuid}"),
            None => "no label yet".to_owned(),
        };
        println!("{} ({place}): {label}, {used} of {size} in use", self.name);
        let mut table = Table::new(&["vdisk", "size", "history", "uuid", "state"]);
        for entry in &self.entries {
            let found = entry.found.as_ref();
            let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
            table.row(vec![
                entry.vdisk.clone(),
                or_dash(found.map(|found| format_size(found.size_bytes))),
                or_dash(found.and_then(Found::history_text)),
                or_dash(found.map(|found| found.uuid.clone())),
                entry.state(),
            ]);
        }
        print!("{table}");
        for (vdisk, why) in &self.unread {
            println!("the log of `{vdisk}` cannot be read ({why}), so clones of it are not listed");
        }
    }

    fn to_json(&self) -> Value {
        let (clones, vdisks): (Vec<&Entry>, Vec<&Entry>) = self
            .entries
            .iter()
            .partition(|entry| entry.cloned().is_some());
        let map = |entries: Vec<&Entry>| -> serde_json::Map<String, Value> {
            let entries = entries.into_iter();
            entries
                .map(|entry| (entry.vdisk.clone(), entry.to_json()))
                .collect()
        };
        let unread: serde_json::Map<String, Value> = self
            .unread
            .iter()
            .map(|(vdisk, why)| (vdisk.clone(), why.as_str().into()))
            .collect();
        json!({
            "path": self.path,
            "uuid": self.uuid,
            "size_bytes": self.size_bytes,
            "used_bytes": self.used_bytes,
            "vdisks": map(vdisks),
            "clones": map(clones),
            "unread_logs": unread,
            "error": null,
        })
    }
}

impl Entry {
    fn cloned(&self) -> Option<&Cloned> {
        self.found.as_ref()?.cloned.as_ref()
    }

    fn state(&self) -> String {
        match self.cloned() {
            Some(cloned) => self.in_file.of_clone(&cloned.of()),
            None => self.in_file.described(self.found.is_some()),
        }
    }

    fn to_json(&self) -> Value {
        let found = self.found.as_ref();
        let mut value = json!({
            "uuid": found.map(|found| &found.uuid),
            "size_bytes": found.map(|found| found.size_bytes),
            "extents": found.map(|found| found.extents),
            "history_bytes": found.and_then(|found| found.history_bytes),
            "history_disk": found.and_then(|found| found.history_disk.as_ref()),
            "state": self.state(),
            "disk_in_file": match &self.in_file {
                InFile::Here => Some(&self.disk),
                InFile::OnDisk(disk) => Some(disk),
                InFile::No => None,
            },
        });
        if let Some(cloned) = self.cloned() {
            value["clone_of"] = cloned.of().into();
            value["max_bytes"] = cloned.settings.max_bytes.into();
        }
        value
    }
}

/// All that is known of a vdisk without a server.
fn facts(configuration: &Configuration, entry: &Entry) -> Value {
    let mut facts = entry.to_json();
    facts["vdisk"] = entry.vdisk.as_str().into();
    facts["disk"] = entry.disk.as_str().into();
    if entry.in_file != InFile::Here {
        let cloned = entry.cloned().map(|cloned| cloned.settings);
        if let Some((share, period)) = cloned.and_then(|settings| settings.reservation()) {
            facts["reserved"] = format!("{share} per {period}").into();
        }
        return facts;
    }
    if let Some(vdisk) = configuration.vdisk(&entry.vdisk) {
        let reservation = vdisk.reservation.as_ref();
        facts["size_in_file_bytes"] = vdisk.size_bytes.value.into();
        facts["reserved"] = reservation
            .map(|one| format!("{} per {}", one.reserve.value, one.period.value))
            .into();
        facts["limit"] = vdisk
            .limit
            .as_ref()
            .map(|limit| limit.share.value.to_string())
            .into();
        facts["group"] = vdisk.group.as_ref().map(|group| group.value.clone()).into();
        facts["read_only"] = vdisk.read_only.into();
    }
    facts
}

/// A line per fact; what is not known is left out.
fn print_facts(facts: &Value) {
    let Some(facts) = facts.as_object() else {
        return;
    };
    let first = ["vdisk", "disk"];
    let others = facts.keys().map(String::as_str);
    let others = others.filter(|key| !first.contains(key));
    for key in first.into_iter().chain(others) {
        let text = match &facts[key] {
            Value::Null => continue,
            Value::String(text) => text.clone(),
            Value::Number(bytes) if key.ends_with("_bytes") => {
                format_size(bytes.as_u64().unwrap_or(0))
            }
            other => other.to_string(),
        };
        let name = key.trim_end_matches("_bytes").replace('_', " ");
        println!("{name:>13}: {text}");
    }
}
