//! What the state directory keeps of the first probe of a disk: `DISK.probe.json`.
//!
//! Invariants: the record of another device (another model or queue of the kernel, or another path)
//! does not count, nor does one that cannot be read: then the disk is probed again. It is
//! written whole or not at all.

use super::each;
use crate::failure::{CommandResult, Failure};
use disktime_calibration::{FirstProbe, Profile};
use disktime_disks::DiskIdentity;
use disktime_documents::Document;
use disktime_reservations::{Configuration, Disk as DiskConfig};
use serde::{Deserialize, Serialize};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

const VERSION: u32 = 1;

/// What the first probe of a disk found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    version: u32,
    /// Where the disk is.
    path: PathBuf,
    /// Which device that was on.
    device: Device,
    reads_per_second_alone: u64,
    reads_per_second_deep: u64,
    /// A rotating disk could have been as fast.
    may_rotate: bool,
    /// The reservations fit a rotating disk and not this one, so it is taken for one.
    declined: bool,
    /// What was measured of a disk that does not rotate.
    profile: Option<serde_json::Value>,
}

/// What tells a device from others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Device {
    queue: String,
    model: Option<String>,
}

impl Device {
    fn of(identity: &DiskIdentity) -> Device {
        Device {
            queue: identity.queue_name.clone(),
            model: identity.model.clone(),
        }
    }
}

impl Record {
    /// The record of a probe of the disk at `path`.
    pub(super) fn new(
        path: &Path,
        identity: &DiskIdentity,
        first: FirstProbe,
        profile: Option<&Profile>,
    ) -> Record {
        let json = |profile: &Profile| serde_json::from_str(&profile.to_json()).ok();
        Record {
            version: VERSION,
            path: path.to_owned(),
            device: Device::of(identity),
            reads_per_second_alone: first.reads_per_second_alone,
            reads_per_second_deep: first.reads_per_second_deep,
            may_rotate: first.may_rotate(),
            declined: false,
            profile: profile.and_then(json),
        }
    }

    /// The same, of the disk at `path`.
    pub(super) fn of(self, path: &Path) -> Record {
        Record {
            path: path.to_owned(),
            ..self
        }
    }

    /// The record of the disk at `path`, if there is one of the device that is there now. Of a file
    /// that does not exist yet, the record of its path counts.
    pub(super) fn load(
        configuration: &Configuration,
        disk: &DiskConfig,
        path: &Path,
    ) -> Option<Record> {
        let text = std::fs::read(file(configuration, disk)).ok()?;
        let record: Record = serde_json::from_slice(&text).ok()?;
        let is_same = match disktime_disks::identify_disk(path) {
            Ok(identity) => record.device == Device::of(&identity),
            Err(_) => !path.exists(),
        };
        (record.version == VERSION && record.path == path && is_same).then_some(record)
    }

    /// Why what is kept of a disk's probe cannot be used, as a sentence; `None` if there is
    /// nothing, or a record.
    pub(super) fn damage(configuration: &Configuration, disk: &DiskConfig) -> Option<String> {
        let path = file(configuration, disk);
        let reason = match std::fs::read(&path) {
            Ok(text) => serde_json::from_slice::<Record>(&text).err()?.to_string(),
            Err(error) if error.kind() == ErrorKind::NotFound => return None,
            Err(error) => error.to_string(),
        };
        Some(format!(
            "{}: what the first probe found cannot be read ({}: {reason}), so it does not count; the \
             next `serve` probes the disk again",
            disk.name.value,
            path.display()
        ))
    }

    /// Keeps it.
    ///
    /// # Errors
    /// The state directory cannot be written.
    pub(super) fn save(&self, configuration: &Configuration, disk: &DiskConfig) -> CommandResult {
        let path = file(configuration, disk);
        let text = serde_json::to_vec_pretty(self)?;
        let write = || {
            let mut whole = tempfile::NamedTempFile::new_in(&configuration.state_dir.value)?;
            whole.write_all(&text)?;
            whole.as_file().sync_all()?;
            whole.persist(&path)?;
            Ok(())
        };
        write().map_err(|error: std::io::Error| {
            Failure::new(format!(
                "{} cannot be written: {error}; what was found of disk `{}` is kept there",
                path.display(),
                disk.name.value
            ))
        })
    }

    /// The same, of a disk that is taken for a rotating one all the same.
    pub(super) fn declined(self) -> Record {
        Record {
            declined: true,
            ..self
        }
    }

    /// Whether it says that the disk does not rotate, and that may be used.
    pub(super) fn counts(&self) -> bool {
        !self.may_rotate && !self.declined
    }

    /// What was measured, of a disk that does not rotate.
    pub(super) fn profile(&self) -> Option<Profile> {
        let text = self.profile.as_ref()?.to_string();
        Profile::read(&Document::new(&self.path, &text)).ok()
    }

    /// What it says, for people.
    pub(super) fn described(&self, configuration: &Configuration, disk: &DiskConfig) -> String {
        let rates = format!(
            "the first probe found {} reads a second one at a time ({} each) and {} with many",
            self.reads_per_second_alone,
            each(self.reads_per_second_alone),
            self.reads_per_second_deep
        );
        let meaning = if self.may_rotate {
            "it may rotate"
        } else if self.declined {
            "it does not rotate, but these reservations fit a rotating disk only, so it is served \
             as one; `\"seeks\": false` says what would fit"
        } else if self.profile.is_some() {
            "it does not rotate, and reads are priced by what was measured"
        } else {
            "it does not rotate; its prices could not be measured and are assumed"
        };
        format!(
            "{rates}: {meaning}. `\"seeks\"` overrides it, `disktime calibrate` measures all, and \
             without {} it is probed again",
            file(configuration, disk).display()
        )
    }
}

fn file(configuration: &Configuration, disk: &DiskConfig) -> PathBuf {
    let name = format!("{}.probe.json", disk.name.value);
    configuration.state_dir.value.join(name)
}
