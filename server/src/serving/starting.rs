//! The start of a server's disks: all are opened, then all are judged, then each may write and
//! serves, then what is served is remembered.
//!
//! Invariants: nothing is written to any disk before every disk was found in order; what is created
//! is printed first; no client is served before what is served is remembered.

use crate::assembly::ThreadService;
use crate::diagnostics::print_sentence;
use crate::failure::{CommandResult, Failure};
use crate::serving::disk_thread::{self, DiskThread, OpenedDisk, OpenedThread};
use crate::serving::known_disks::{DiskMemory, FoundDisk, KnownDisks, Refusal, judge, judge_disks};
use crate::serving::served_vdisks::ServedVdisk;
use crate::serving::state_dir::StateLock;
use disktime_reservations::{AdmissionReport, Configuration, DocumentErrors};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

/// The disks of a server, and what is remembered of them.
pub(crate) struct StartedDisks {
    pub(crate) disks: Vec<DiskThread>,
    /// In the order of the file.
    pub(crate) vdisks: Vec<ServedVdisk<ThreadService>>,
    pub(crate) memory: DiskMemory,
}

/// Starts all disks of the file. `accepted` are the disks that may be others than remembered.
///
/// # Errors
/// A disk that cannot be opened, that is another than remembered, or whose vdisks do not fit: then
/// nothing was changed. The disks' failures.
pub(crate) fn start_disks(
    configuration: &Arc<Configuration>,
    report: &AdmissionReport<'_>,
    mut lock: StateLock,
    accepted: &[String],
) -> CommandResult<StartedDisks> {
    let before = KnownDisks::load(&lock, configuration.file())?;
    let opened = open_all(configuration, report, &before, accepted)?;
    let mut threads: Vec<DiskThread> = Vec::new();
    for (number, thread) in opened.into_iter().enumerate() {
        thread.disks().iter().for_each(OpenedDisk::print_notices);
        threads.extend(thread.serve(number)?);
    }
    threads.sort_by_key(DiskThread::position);
    let of_disk = |disk: &DiskThread| disk.served_vdisks(configuration);
    let mut by_disk: Vec<_> = threads.iter().flat_map(of_disk).collect();
    let served: Vec<FoundDisk> = threads.iter().map(|disk| disk.found().clone()).collect();
    let mut known = before.clone();
    known.remember(&served);
    for disk in &threads {
        known.remember_clones(disk.name(), disk.clones());
    }
    // Also after a crash that came between the memory and the note that there is one.
    if known != before || !known.is_empty() && !lock.remembers() {
        known.save(&mut lock)?;
    }
    // Frontends list the vdisks in file order, whatever disk they are on.
    let names = configuration.vdisks.iter().map(|vdisk| &vdisk.name.value);
    let positions: HashMap<&String, usize> = names.zip(0..).collect();
    by_disk.sort_by_key(|vdisk| positions.get(vdisk.name()).copied());
    Ok(StartedDisks {
        disks: threads,
        vdisks: by_disk,
        memory: DiskMemory::new(lock, known),
    })
}

/// Opens all disks and finds them in order, or closes them unchanged.
fn open_all(
    configuration: &Arc<Configuration>,
    report: &AdmissionReport<'_>,
    known: &KnownDisks,
    accepted: &[String],
) -> CommandResult<Vec<OpenedThread>> {
    let epoch = Instant::now();
    let mut opened: Vec<OpenedThread> = Vec::with_capacity(configuration.disks.len());
    let mut open = || -> CommandResult {
        for disks in configuration.threads() {
            let thread = disk_thread::open(configuration, &disks, &report.disks, epoch)?;
            opened.push(thread);
        }
        let mut disks: Vec<&OpenedDisk> = opened.iter().flat_map(OpenedThread::disks).collect();
        disks.sort_by_key(|disk| disk.position());
        let found: Vec<FoundDisk> = disks.iter().map(|disk| disk.found().clone()).collect();
        require_known(configuration, known, &found, accepted)?;
        match opened.iter_mut().find_map(OpenedThread::take_misfit) {
            Some(misfit) => Err(misfit),
            None => Ok(()),
        }
    };
    match open() {
        Ok(()) => Ok(opened),
        Err(failure) => {
            opened.into_iter().for_each(OpenedThread::close_unchanged);
            Err(failure)
        }
    }
}

/// Prints what is new about the disks.
///
/// # Errors
/// When a disk is another than remembered, or a vdisk lies or was served elsewhere.
pub(crate) fn require_known(
    configuration: &Configuration,
    known: &KnownDisks,
    found: &[FoundDisk],
    accepted: &[String],
) -> CommandResult {
    let file = configuration.file().display().to_string();
    let notes = judge(known, found, accepted, &file)
        .map_err(|refusals| refusal(configuration, &refusals))?;
    for note in notes {
        print_sentence(note);
    }
    Ok(())
}

/// Refuses disks that are others than remembered, whatever vdisks they hold.
///
/// # Errors
/// As described.
pub(crate) fn require_same_disks(
    configuration: &Configuration,
    known: &KnownDisks,
    found: &[FoundDisk],
) -> CommandResult {
    let file = configuration.file().display().to_string();
    judge_disks(known, found, &[], &file)
        .map(drop)
        .map_err(|refusals| refusal(configuration, &refusals))
}

/// All refusals, each at its place in the file.
pub(crate) fn refusal(configuration: &Configuration, refusals: &[Refusal]) -> Failure {
    let shown = refusals.iter().filter_map(|refusal| {
        let vdisk = refusal
            .vdisk
            .as_ref()
            .and_then(|name| configuration.vdisk(name));
        let span = match vdisk {
            Some(vdisk) => vdisk.disk.span,
            None => configuration.disk(&refusal.disk)?.medium.span,
        };
        Some(configuration.error_at(span, &refusal.message, &refusal.help))
    });
    match shown.reduce(DocumentErrors::and) {
        Some(errors) => errors.into(),
        None => Failure::new("a disk is another than remembered; no disk was changed"),
    }
}
