//! Whether the disks that were opened are the ones that are remembered. Pure.
//!
//! Invariant: an `Ok` verdict means that serving these disks shows no vdisk as empty, or with other
//! content, that was served with its own before, unless the user accepted that disk as a new one.

use super::{FoundDisk, KnownDisk, KnownDisks, some_names};
use crate::serving::disk_thread::hidden;
use disktime_units::format_sizes;

/// Why a disk, or a vdisk on it, is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The disk in the file.
    pub(crate) disk: String,
    /// The vdisk in the file, if the disk itself is in order.
    pub(crate) vdisk: Option<String>,
    /// What is wrong.
    pub(crate) message: String,
    /// What to do.
    pub(crate) help: String,
}

/// Compares what is remembered with what was found. `file` is the reservation file, for remedies;
/// `accepted` are the disks that the user accepts as new ones. Returns sentences about what will be
/// remembered from now on.
///
/// # Errors
/// All disks that are others than remembered, and all vdisks that would be created or served
/// although they lie, or were served, elsewhere.
pub(crate) fn judge(
    known: &KnownDisks,
    found: &[FoundDisk],
    accepted: &[String],
    file: &str,
) -> Result<Vec<String>, Vec<Refusal>> {
    let notes = judge_disks(known, found, accepted, file)?;
    let judge = Judge {
        known,
        found,
        accepted,
        file,
    };
    let mut refusals = Vec::new();
    for disk in found {
        let of_vdisk = |vdisk| judge.vdisk(disk, vdisk);
        refusals.extend(disk.wanted.iter().filter_map(of_vdisk));
        let of_log = |vdisk| judge.log(disk, vdisk);
        refusals.extend(disk.wanted_logs.iter().filter_map(of_log));
    }
    if refusals.is_empty() {
        Ok(notes)
    } else {
        Err(refusals)
    }
}

/// The same for the disks alone, whatever vdisks are wanted. (On a disk that is not the right one,
/// every vdisk would be refused as well.)
///
/// # Errors
/// All disks that are others than remembered.
pub(crate) fn judge_disks(
    known: &KnownDisks,
    found: &[FoundDisk],
    accepted: &[String],
    file: &str,
) -> Result<Vec<String>, Vec<Refusal>> {
    let judge = Judge {
        known,
        found,
        accepted,
        file,
    };
    let (mut notes, mut refusals) = (Vec::new(), Vec::new());
    for disk in found {
        match judge.disk(disk) {
            Ok(note) => notes.extend(note),
            Err(refusal) => refusals.push(refusal),
        }
    }
    if refusals.is_empty() {
        Ok(notes)
    } else {
        Err(refusals)
    }
}

struct Judge<'a> {
    known: &'a KnownDisks,
    found: &'a [FoundDisk],
    accepted: &'a [String],
    file: &'a str,
}

impl Judge<'_> {
    /// Whether it is the disk that is remembered; a sentence if there is news.
    fn disk(&self, disk: &FoundDisk) -> Result<Option<String>, Refusal> {
        let (name, Some(path)) = (&disk.name, &disk.path) else {
            return Ok(None);
        };
        let path = path.display();
        let refuse = |message: String, help: String| Refusal {
            disk: name.clone(),
            vdisk: None,
            message: format!("disk `{name}`: {message}; no disk was changed"),
            help,
        };
        if let Some(twin) = self.twin(disk) {
            let message = format!(
                "{path} and the disk `{}` have the same uuid: one is a copy of the other",
                twin.name
            );
            let help = "serve one of them; a server cannot tell which one is meant".to_owned();
            return Err(refuse(message, help));
        }
        if let Some(cut) = disk.uuid.as_ref().and_then(|uuid| self.known.cut_of(uuid)) {
            let [had, has] = format_sizes([cut.from_bytes, cut.to_bytes]);
            let message = format!(
                "{path} was cut from {had} to {has} while it was served: what lay beyond is lost, \
                 and may read as zeroes"
            );
            let help = format!(
                "restore it from a backup; then, or to go on without what is lost: `disktime adopt \
                 {} --disk {name}`",
                self.file
            );
            return Err(refuse(message, help));
        }
        let is_accepted = self.accepted.contains(name);
        let accept = format!(
            "to give up the disk that is remembered: `disktime serve {} --accept-new-disk {name}`",
            self.file
        );
        match (self.known.disks.get(name), &disk.uuid) {
            (Some(known), Some(uuid)) if known.uuid == *uuid => Ok(None),
            (Some(known), uuid) if is_accepted => {
                let now = uuid
                    .as_ref()
                    .map_or_else(|| "a new one".to_owned(), |uuid| format!("the disk {uuid}"));
                Ok(Some(format!(
                    "disk `{name}` was the disk {} and is {now} from now on, as --accept-new-disk \
                     says",
                    known.uuid
                )))
            }
            (Some(known), Some(uuid)) => {
                let who = self.known.name_of(uuid).map_or_else(
                    || format!("the disk {uuid}"),
                    |other| format!("the disk that is remembered as `{other}` ({uuid})"),
                );
                let message = format!("{path} is {who}, and `{name}` is {}", described(known));
                let by_id = "give each disk a path below /dev/disk/by-id";
                let help = match self.exchanged_with(disk) {
                    Some(other) => format!(
                        "exchange the paths of `{name}` and `{other}`; if device names have \
                         changed, {by_id}; {accept}"
                    ),
                    None => format!("if device names have changed, {by_id}; {accept}"),
                };
                Err(refuse(message, help))
            }
            (Some(known), None) => Err(self.blank(refuse, &path.to_string(), name, known, &accept)),
            (None, Some(uuid)) => Ok(Some(self.first_seen(disk, uuid))),
            (None, None) if is_accepted => Ok(None),
            (None, None) => match self.moved_away(disk) {
                Some((other, known)) => {
                    Err(self.blank(refuse, &path.to_string(), other, known, &accept))
                }
                None => Ok(None),
            },
        }
    }

    fn blank(
        &self,
        refuse: impl Fn(String, String) -> Refusal,
        path: &str,
        name: &str,
        known: &KnownDisk,
        accept: &str,
    ) -> Refusal {
        let message = format!(
            "{path} is blank or missing, and `{name}` is {}",
            described(known)
        );
        let help = format!(
            "see whether a mount is missing, or whether the device's name has changed; {accept}"
        );
        refuse(message, help)
    }

    /// The name of the disk that is where this one should be, if this one is where that should be.
    fn exchanged_with(&self, disk: &FoundDisk) -> Option<&str> {
        let other = self.known.name_of(disk.uuid.as_ref()?)?;
        let expected = &self.known.disks.get(&disk.name)?.uuid;
        let is_there =
            |found: &FoundDisk| found.name == other && found.uuid.as_ref() == Some(expected);
        self.found.iter().any(is_there).then_some(other)
    }

    /// Another disk of the file with the same uuid.
    fn twin(&self, disk: &FoundDisk) -> Option<&FoundDisk> {
        let uuid = disk.uuid.as_ref()?;
        let is_twin =
            |other: &&FoundDisk| other.name != disk.name && other.uuid.as_ref() == Some(uuid);
        self.found.iter().find(is_twin)
    }

    /// What is remembered at the path of a blank disk under a name that the file has no more.
    fn moved_away(&self, disk: &FoundDisk) -> Option<(&str, &KnownDisk)> {
        let is_in_file = |name: &str| self.found.iter().any(|other| other.name == name);
        let mut disks = self.known.disks.iter();
        disks
            .find(|(name, known)| !is_in_file(name) && Some(&known.path) == disk.path.as_ref())
            .map(|(name, known)| (name.as_str(), known))
    }

    fn first_seen(&self, disk: &FoundDisk, uuid: &str) -> String {
        let name = &disk.name;
        match self.known.name_of(uuid) {
            Some(before) => format!("disk `{name}` ({uuid}) is the one that was `{before}`"),
            None => format!(
                "disk `{name}` is the disk {uuid}{}; that is remembered from now on",
                if disk.holds.is_empty() {
                    String::new()
                } else {
                    format!(" and holds {}", some_names(disk.holds.keys()))
                }
            ),
        }
    }

    /// Why a vdisk that the file puts on the disk is not served from it.
    fn vdisk(&self, disk: &FoundDisk, vdisk: &String) -> Option<Refusal> {
        let (name, file) = (&disk.name, self.file);
        let here = disk.holds.get(vdisk);
        let home = self.known.home_of(vdisk);
        let refuse = |message: String, help: String| {
            Some(Refusal {
                disk: name.clone(),
                vdisk: Some(vdisk.clone()),
                message: format!("vdisk `{vdisk}` {message}; no disk was changed"),
                help,
            })
        };
        let has_it = |other: &&FoundDisk| other.name != *name && other.holds.contains_key(vdisk);
        if here.is_none()
            && let Some(holder) = self.found.iter().find(has_it)
        {
            let holder = &holder.name;
            let message = format!(
                "lies on disk `{holder}`, and the file has it on `{name}`, where it would be \
                 created empty"
            );
            let help = format!(
                "give it its \"disk\" back: \"{holder}\"; or lose what it holds: `disktime remove \
                 {file} {vdisk} --disk {holder}`"
            );
            return refuse(message, help);
        }
        if here.is_none()
            && let Some(holder) = self.holder_of_clone(vdisk).filter(|holder| *holder != name)
        {
            let (message, help) = hidden(vdisk, holder, name);
            return Some(Refusal {
                disk: name.clone(),
                vdisk: Some(vdisk.clone()),
                message,
                help,
            });
        }
        let home = home?;
        if here.is_some_and(|uuid| uuid == home.uuid) || self.is_given_up(home.name) {
            return None;
        }
        let adopt = format!("if this is meant: `disktime adopt {file}`");
        let now = match here {
            Some(_) => "holds another one of that name",
            None => "does not hold it",
        };
        if home.name == name {
            let message = format!("was served from disk `{name}` before, which {now}");
            let help = format!(
                "see whether the disk is an older copy of itself, or whether the vdisk was removed \
                 with another state directory; {adopt}"
            );
            return refuse(message, help);
        }
        let message = format!(
            "was served from disk `{}` ({}) before, and the file has it on `{name}`, which {now}",
            home.name,
            home.known.path.display()
        );
        let help = format!("give it its \"disk\" back: \"{}\"; {adopt}", home.name);
        refuse(message, help)
    }

    /// The disk of the file that has a clone of that name, as far as it is remembered.
    fn holder_of_clone(&self, name: &str) -> Option<&str> {
        let (disk, uuid) = self.known.disk_of_clone(name)?;
        let is_it = |found: &FoundDisk| found.name == disk && found.uuid.as_deref() == Some(uuid);
        self.found.iter().any(is_it).then_some(disk)
    }

    /// Why the log of a vdisk that the file puts on the disk is not served from it. (What the
    /// labels of the two disks say of each other is compared when the vdisks are planned.)
    fn log(&self, disk: &FoundDisk, vdisk: &String) -> Option<Refusal> {
        let (name, mut holders) = (&disk.name, self.found.iter());
        let uuid = holders.find_map(|holder| holder.holds.get(vdisk))?;
        if disk.logs.contains(uuid) {
            return None;
        }
        let refuse = |message: String, help: String| {
            Some(Refusal {
                disk: name.clone(),
                vdisk: Some(vdisk.clone()),
                message: format!(
                    "the log of vdisk `{vdisk}`, with its newest data, {message}; no disk was changed"
                ),
                help,
            })
        };
        if let Some(holder) = self.found.iter().find(|other| other.logs.contains(uuid)) {
            let holder = &holder.name;
            let message = format!("lies on disk `{holder}`, and the file has it on `{name}`");
            return refuse(
                message,
                format!("give its \"history\" this: \"disk\": \"{holder}\""),
            );
        }
        let (home, known) = self.known.log_home_of(uuid)?;
        let was = match home == name {
            true => format!("was on disk `{name}`, which does not hold it"),
            false => format!(
                "was on disk `{home}` ({}), and the file has it on `{name}`, which does not hold it",
                known.path.display()
            ),
        };
        refuse(
            was,
            "bring the disk back that it was on; without it the vdisk cannot be served".to_owned(),
        )
    }

    /// Whether the user accepts another disk in place of the one that was remembered by that name.
    fn is_given_up(&self, name: &str) -> bool {
        let Some(known) = self.known.disks.get(name) else {
            return false;
        };
        let is_replaced =
            |disk: &FoundDisk| disk.name == name && disk.uuid.as_ref() != Some(&known.uuid);
        self.accepted.iter().any(|one| one == name) && self.found.iter().any(is_replaced)
    }
}

/// What is remembered of a disk, for a sentence.
pub(super) fn described(known: &KnownDisk) -> String {
    let mut vdisks = match known.vdisks.is_empty() {
        true if known.logs.is_empty() => "without vdisks".to_owned(),
        true => String::new(),
        false => format!("with {}", some_names(known.vdisks.keys())),
    };
    if !known.logs.is_empty() {
        let and = if vdisks.is_empty() { "" } else { " and " };
        let names = some_names(known.logs.keys());
        vdisks.push_str(&format!("{and}with the log of {names}"));
    }
    format!(
        "remembered as the disk {} {vdisks}, last seen at {}",
        known.uuid,
        known.path.display()
    )
}
