//! `disktime list` and `disktime info`: what the disks of a reservation file hold by their labels,
//! without a server, and beside one that runs.
//!
//! Invariant: nothing is written, created, grown or locked.

use crate::assembly::{self, emulation};
use crate::failure::{CommandResult, Failure};
use crate::serving::disk_thread;
use disktime_observe::Table;
use disktime_reservations::{Admission, Configuration, Disk as DiskConfig};
use disktime_units::{format_size, format_sizes};
use disktime_volumes::Label;
use serde_json::{Value, json};
use std::path::Path;

/// A vdisk that is on a disk, in the file, or both.
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
}

/// Runs `disktime list`.
pub(crate) fn run(file: &Path, json: bool) -> CommandResult {
    let configuration = emulation::load(file)?;
    let report = assembly::admit_all(&configuration)?;
    let disks = configuration.disks.iter().zip(&report.disks);
    let disks: Vec<DiskList> = disks
        .map(|(config, admission)| read(&configuration, config, admission))
        .collect::<CommandResult<_>>()?;
    if json {
        let disks: serde_json::Map<String, Value> = disks
            .iter()
            .map(|disk| (disk.name.clone(), disk.to_json()))
            .collect();
        println!("{:#}", json!({ "disks": disks }));
        return Ok(());
    }
    for (index, disk) in disks.iter().enumerate() {
        if index > 0 {
            println!();
        }
        disk.print();
    }
    Ok(())
}

/// Runs `disktime info`.
pub(crate) fn info(file: &Path, vdisk: &str, json: bool) -> CommandResult {
    let configuration = emulation::load(file)?;
    let report = assembly::admit_all(&configuration)?;
    let mut entries = Vec::new();
    for (config, admission) in configuration.disks.iter().zip(&report.disks) {
        let disk = read(&configuration, config, admission)?;
        entries.extend(
            disk.entries
                .into_iter()
                .filter(|entry| entry.vdisk == vdisk),
        );
    }
    if entries.is_empty() {
        return Err(Failure::new(format!(
            "there is no vdisk `{vdisk}`, in {} or on its disks; `disktime list {}` names those \
             that there are",
            file.display(),
            file.display()
        )));
    }
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

fn read(
    configuration: &Configuration,
    config: &DiskConfig,
    admission: &Admission,
) -> CommandResult<DiskList> {
    let name = config.name.value.as_str();
    let (label, is_new) = disk_thread::read_label(configuration, config, admission)?;
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
        };
        entry(vdisk.name(), Some(found))
    });
    let mut entries: Vec<Entry> = on_disk.collect();
    for vdisk in configuration.vdisks_on(name) {
        let vdisk = vdisk.name.value.as_str();
        if label.find(vdisk).is_none() {
            entries.push(entry(vdisk, None));
        }
    }
    Ok(DiskList {
        name: name.to_owned(),
        path: config.path().map(|path| path.display().to_string()),
        uuid: (!is_new).then(|| label.disk_uuid().to_string()),
        size_bytes: label.size_bytes(),
        used_bytes: used_bytes(&label),
        entries,
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
        let mut table = Table::new(&["vdisk", "size", "uuid", "state"]);
        for entry in &self.entries {
            let found = entry.found.as_ref();
            let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
            table.row(vec![
                entry.vdisk.clone(),
                or_dash(found.map(|found| format_size(found.size_bytes))),
                or_dash(found.map(|found| found.uuid.clone())),
                entry.in_file.described(found.is_some()),
            ]);
        }
        print!("{table}");
    }

    fn to_json(&self) -> Value {
        let vdisks: serde_json::Map<String, Value> = self
            .entries
            .iter()
            .map(|entry| (entry.vdisk.clone(), entry.to_json()))
            .collect();
        json!({
            "path": self.path,
            "uuid": self.uuid,
            "size_bytes": self.size_bytes,
            "used_bytes": self.used_bytes,
            "vdisks": vdisks,
        })
    }
}

impl Entry {
    fn to_json(&self) -> Value {
        let found = self.found.as_ref();
        json!({
            "uuid": found.map(|found| &found.uuid),
            "size_bytes": found.map(|found| found.size_bytes),
            "extents": found.map(|found| found.extents),
            "state": self.in_file.described(found.is_some()),
            "disk_in_file": match &self.in_file {
                InFile::Here => Some(&self.disk),
                InFile::OnDisk(disk) => Some(disk),
                InFile::No => None,
            },
        })
    }
}

/// All that is known of a vdisk without a server.
fn facts(configuration: &Configuration, entry: &Entry) -> Value {
    let mut facts = entry.to_json();
    facts["vdisk"] = entry.vdisk.as_str().into();
    facts["disk"] = entry.disk.as_str().into();
    if entry.in_file != InFile::Here {
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
