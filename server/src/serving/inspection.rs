//! Whether a server could start: what `disktime check --disks` finds out without changing anything.
//! Disks are opened for reading only, and their labels are compared with the reservation file and
//! with what the state directory remembers; sockets, ports and directories are examined.
//!
//! Invariants: nothing is written, created, grown or locked; what a start would refuse is refused
//! with the same words, as far as it can be known this way. What a server of this state directory
//! has in use is not counted as taken.

use crate::failure::{CommandResult, Failure};
use crate::serving::disk_thread::{self, InspectedDisk, would_change};
use crate::serving::known_disks::{FoundDisk, KnownDisks, judge};
use crate::serving::nbd::before_creation;
use crate::serving::permission::{may_make_files, nearest_directory};
use crate::serving::starting::refusal;
use crate::serving::state_dir;
use disktime_disks::{is_write_protected, require_unused, require_writable};
use disktime_fuse::check_mount_point;
use disktime_reservations::{AdmissionReport, Configuration, Medium, Span, Spanned};
use disktime_sockets::{check_tcp_free, check_unix_free};
use disktime_volumes::VolumeError;
use std::path::{Path, PathBuf};

/// What would happen at a start, as sentences.
///
/// # Errors
/// All that would keep a server from starting.
pub(crate) fn inspect(
    configuration: &Configuration,
    report: &AdmissionReport<'_>,
) -> Result<Vec<String>, Vec<Failure>> {
    let mut configuration = as_at_a_start(configuration);
    let found = state_dir::look(&configuration);
    let known = found.as_ref().ok().map(|state| {
        let directory = configuration.state_dir.value.as_path();
        KnownDisks::look(directory, state.remembers, configuration.file())
    });
    if let Some(Ok(known)) = &known {
        configuration = known.with_clones_apart(&configuration);
    }
    let mut inspection = Inspection {
        configuration: &configuration,
        sentences: Vec::new(),
        failures: Vec::new(),
    };
    let state = inspection.keep(found);
    let holder = state.as_ref().and_then(|state| state.holder.clone());
    if let Some(process) = &holder {
        inspection.sentences.push(format!(
            "a server (process {process}) uses the state directory: its disks, sockets and ports \
             are not counted as taken"
        ));
    }
    let is_running = holder.is_some();
    let disks = inspection.disks(report, is_running);
    if let Some(known) = known.and_then(|known| inspection.keep(known)) {
        inspection.clones(&disks);
        inspection.compare(&known, disks);
    }
    if !is_running {
        inspection.frontends();
    }
    if inspection.failures.is_empty() {
        Ok(inspection.sentences)
    } else {
        Err(inspection.failures)
    }
}

/// The file with paths that lead through the state directory (`state/../a.disk`) as they would at a
/// start, which makes that directory first.
fn as_at_a_start(configuration: &Configuration) -> Configuration {
    let mut configuration = configuration.clone();
    for disk in &mut configuration.disks {
        if let Medium::Path(path) = &mut disk.medium.value {
            *path = before_creation(path);
        }
    }
    let nbd = configuration.nbd.iter_mut().map(|nbd| &mut nbd.socket);
    let fuse = configuration.fuse.iter_mut();
    let fuse = fuse.flat_map(|fuse| [&mut fuse.mount].into_iter().chain(&mut fuse.history));
    for path in nbd.chain(fuse).chain([&mut configuration.control.socket]) {
        path.value = before_creation(&path.value);
    }
    configuration
}

struct Inspection<'c> {
    configuration: &'c Configuration,
    sentences: Vec<String>,
    failures: Vec<Failure>,
}

impl Inspection<'_> {
    fn keep<T>(&mut self, found: CommandResult<T>) -> Option<T> {
        match found {
            Ok(found) => Some(found),
            Err(failure) => {
                self.failures.push(failure);
                None
            }
        }
    }

    /// Reads the label of each disk with a path.
    fn disks(&mut self, report: &AdmissionReport<'_>, is_running: bool) -> Vec<InspectedDisk> {
        let mut inspected = Vec::new();
        for (config, admission) in self.configuration.disks.iter().zip(&report.disks) {
            if let Some(path) = config.path() {
                let refused = |error: disktime_disks::BackingError| {
                    let span = config.medium.span;
                    Failure::from(self.configuration.error_at(span, error.to_string(), ""))
                };
                let writable = match path.exists() {
                    // As a start does: then its vdisks are served for reading.
                    true if is_write_protected(path) => Ok(()),
                    true => require_writable(path).map_err(refused),
                    false => self.creatable(path, config.medium.span, "file"),
                };
                let usable = match is_running {
                    true => writable,
                    false => writable.and_then(|()| require_unused(path).map_err(refused)),
                };
                if self.keep(usable).is_none() {
                    continue;
                }
            }
            let disk = disk_thread::inspect(self.configuration, config, admission);
            inspected.extend(self.keep(disk));
        }
        inspected
    }

    /// What a start would make of clones and of entries of their names.
    fn clones(&mut self, disks: &[InspectedDisk]) {
        for disk in disks {
            let (name, recorded) = (disk.found.name(), disk.clones());
            for clone in &recorded.clones {
                let clone_name = &clone.name;
                let of = format!(
                    "`{clone_name}`, a clone of {}@seq:{}",
                    clone.parent, clone.moment
                );
                let mut entries = self.configuration.clones.iter();
                let entry = entries.find(|entry| entry.name.value == *clone_name);
                if entry.is_some() {
                    self.sentences.push(format!(
                        "{name}: the entry of {of}, says what it gets; it makes no vdisk"
                    ));
                } else if self.configuration.vdisk(clone_name).is_some() {
                    // One that is to be made is refused.
                    self.sentences.push(format!(
                        "{name}: {of}, is not served, as the file has a vdisk of that name; it is kept"
                    ));
                }
            }
            for (vdisk, why) in &recorded.unread {
                self.sentences.push(format!(
                    "{name}: the log of `{vdisk}` cannot be read ({why}), so clones of it are not known"
                ));
            }
        }
    }

    /// Compares the disks with what is remembered and with what the file wants.
    fn compare(&mut self, known: &KnownDisks, disks: Vec<InspectedDisk>) {
        let found: Vec<FoundDisk> = disks.iter().map(|disk| disk.found.clone()).collect();
        let file = self.configuration.file().display().to_string();
        match judge(known, &found, &[], &file) {
            Ok(notes) => self.sentences.extend(notes),
            Err(refusals) => {
                self.failures.push(refusal(self.configuration, &refusals));
                return;
            }
        }
        let with_logs = known.with_ended_logs(self.configuration);
        for (name, changes) in would_change(&with_logs, &disks) {
            let Some(changes) = self.keep(changes) else {
                continue;
            };
            let is_protected =
                |disk: &InspectedDisk| disk.found.name() == name && disk.is_write_protected;
            let is_protected = disks.iter().any(is_protected);
            let span = self.configuration.disk(&name).map(|disk| disk.medium.span);
            match span.filter(|_| is_protected) {
                Some(span) if !changes.is_empty() => {
                    let message = format!("disk `{name}`: {}", VolumeError::ReadOnlyDisk);
                    let errors = self.configuration.error_at(span, message, "");
                    self.failures.push(errors.into());
                }
                Some(_) => self.sentences.push(format!(
                    "{name}: it cannot be written to, so its vdisks would be served for reading only"
                )),
                None => self.sentences.extend(changes),
            }
        }
    }

    /// Sockets, ports and the directory of files.
    fn frontends(&mut self) {
        let configuration = self.configuration;
        if let Some(nbd) = &configuration.nbd {
            self.socket(&nbd.socket);
            for address in &nbd.listen {
                let free = check_tcp_free(address.value)
                    .map_err(|error| configuration.error_at(address.span, error.to_string(), ""));
                self.keep(free.map_err(Failure::from));
            }
        }
        self.socket(&configuration.control.socket);
        let Some(fuse) = &configuration.fuse else {
            return;
        };
        for place in [&fuse.mount].into_iter().chain(&fuse.history) {
            match check_mount_point(&place.value) {
                Ok(()) => {}
                Err(error) if error.is_missing_support() && configuration.nbd.is_some() => {
                    let sentence = format!("{error}; NBD would be served alone");
                    return self.sentences.push(sentence);
                }
                Err(error) => {
                    let errors = configuration.error_at(place.span, error.to_string(), "");
                    self.failures.push(errors.into());
                }
            }
        }
        let groups = crate::serving::past::vdisks(configuration);
        self.keep(groups.map_err(Failure::from));
    }

    fn socket(&mut self, socket: &Spanned<PathBuf>) {
        let free = self.free_socket(socket);
        self.keep(free);
    }

    fn free_socket(&self, socket: &Spanned<PathBuf>) -> CommandResult {
        check_unix_free(&socket.value).map_err(|error| {
            let errors = self
                .configuration
                .error_at(socket.span, error.to_string(), "");
            Failure::from(errors)
        })?;
        self.creatable(&socket.value, socket.span, "socket")
    }

    /// Whether a file or socket could be made that is not there.
    fn creatable(&self, path: &Path, span: Span, what: &str) -> CommandResult {
        let state_dir = self.configuration.state_dir.value.as_path();
        let folder = before_creation(path.parent().unwrap_or(Path::new(".")));
        // The state directory is made by the server; others are not.
        let folder = match folder == state_dir || folder.as_os_str().is_empty() {
            true => nearest_directory(&folder),
            false => &folder,
        };
        may_make_files(folder).map_err(|error| {
            let message = format!("the {what} {} cannot be made: {error}", path.display());
            let help = "check that its folder exists and is writable";
            self.configuration.error_at(span, message, help).into()
        })
    }
}
