//! The disks of a running server, each on a thread of its own, or with others that histories join
//! with it: an io_uring belongs to the thread that uses it first.
//!
//! Two steps, so that nothing is written before all disks of the file were checked: the thread
//! opens its disks, reads the labels, checks that the vdisks fit, and waits (`opening`); when all
//! disks are in order it writes what is due (format, new vdisks) and serves (here), and flushes at
//! its end (`last_flush`).

mod changes;
mod clones;
mod counters;
mod hidden_clones;
mod inspecting;
mod label_reading;
mod last_flush;
mod opening;

use crate::assembly::{self, DiskService, ThreadService};
use crate::diagnostics::print_sentence;
use crate::disk_report::DiskReport;
use crate::failure::{CommandResult, Failure};
use crate::serving::backing_watch::WatchedFile;
use crate::serving::known_disks::FoundDisk;
use crate::serving::served_vdisks::{CatalogEntry, DiskTraits, FoundClone, ServedVdisk};
use clones::ClonesAtStart;
use counters::{CountedDisk, Counters, Reading};
use disktime_engine::{PortHost, Reactor, ReactorHandle, Service};
use disktime_reservations::{Admission, Configuration, Policy, Vdisk};
use disktime_units::{Nanos, format_size, format_sizes};
use disktime_volumes::{LabelledDisk, OpenReport, RealDriver, VdiskConfig};
use label_reading::disk_failure;
use last_flush::flush_all;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::thread::JoinHandle;
use std::time::Instant;
use tokio::sync::{oneshot, watch};

pub(crate) use hidden_clones::hidden;
pub(crate) use inspecting::{InspectedDisk, inspect, overwrites, read_disk, would_change};
pub(crate) use label_reading::{found_disk, open_here};
pub(crate) use opening::{OpenedDisk, OpenedThread, open};

/// A disk that is being served.
pub(crate) struct DiskThread {
    /// Its position in the file.
    position: usize,
    /// Counts the threads.
    thread_number: usize,
    counted: CountedDisk,
    policy: Policy,
    traits: DiskTraits,
    /// Its file or device, until it is watched.
    file: Option<WatchedFile>,
    started: StartedDisk,
    counters: Counters,
    /// Its sender is dropped when the thread ends.
    running: watch::Receiver<()>,
    /// With the first disk of a thread.
    thread: Option<JoinHandle<CommandResult>>,
}

/// What a thread reports of a disk that it serves.
struct StartedDisk {
    description: String,
    /// In the order of the file.
    vdisks: Vec<CatalogEntry>,
    clones: Vec<FoundClone>,
    /// The disk by its label, with all that was created.
    found: FoundDisk,
    reactor: ReactorHandle<ThreadService>,
    /// What its loop had counted before.
    first: Reading,
    counted: CountedDisk,
}

impl DiskThread {
    /// The disk's name.
    pub(crate) fn name(&self) -> &str {
        &self.counted.name
    }

    /// Its position in the file.
    pub(crate) fn position(&self) -> usize {
        self.position
    }

    /// The number of its thread.
    pub(crate) fn thread_number(&self) -> usize {
        self.thread_number
    }

    /// The disk by its label, with all that was created.
    pub(crate) fn found(&self) -> &FoundDisk {
        &self.started.found
    }

    /// Its file or device, to be watched.
    pub(crate) fn take_file(&mut self) -> Option<WatchedFile> {
        self.file.take()
    }

    /// Its reactor, for a frontend that is a port of it.
    pub(crate) fn port_host(&self) -> Arc<dyn PortHost> {
        Arc::new(self.started.reactor.clone())
    }

    /// Whether its disk seeks.
    pub(crate) fn is_rotational(&self) -> bool {
        self.traits.is_rotational()
    }

    /// The clones on it: names and identities.
    pub(crate) fn clones(&self) -> impl Iterator<Item = (&str, String)> {
        let clones = self.started.clones.iter();
        clones.map(|clone| (clone.name.as_str(), clone.uuid()))
    }

    /// Its vdisks as the frontends see them, clones behind those of the file.
    pub(crate) fn served_vdisks(
        &self,
        configuration: &Configuration,
    ) -> Vec<ServedVdisk<ThreadService>> {
        let of_file = configuration.vdisks_on(self.name());
        let of_file = of_file.zip(&self.started.vdisks).map(|(vdisk, entry)| {
            let reactor = self.started.reactor.clone();
            let config = (vdisk, configuration.trims_of(vdisk));
            let traits = self.traits;
            ServedVdisk::new(config, entry.clone(), self.thread_number, traits, reactor)
        });
        let mut served: Vec<_> = of_file.collect();
        // A clone of a clone comes behind that.
        let mut left = self.started.clones.clone();
        while !left.is_empty() {
            let before = left.len();
            left.retain(|clone| {
                let of = &clone.origin.parent;
                let parent = served.iter().find(|one| one.name() == of);
                let mut entries = configuration.clones.iter();
                let entry = entries.find(|entry| entry.name.value == clone.name);
                entry
                    .and_then(|entry| wrong_size(entry, clone))
                    .iter()
                    .for_each(print_sentence);
                let cloned = parent.map(|parent| {
                    let cloned = parent.cloned(clone.clone());
                    match entry {
                        None => cloned,
                        Some(entry) => cloned.overridden(entry),
                    }
                });
                let is_served = cloned.is_some();
                served.extend(cloned);
                !is_served
            });
            debug_assert!(left.len() < before, "a clone is served beside its parent");
            if left.len() == before {
                break;
            }
        }
        served
    }

    /// What `read` finds on the disk's thread, between two of its turns.
    ///
    /// # Errors
    /// When the disk's thread has stopped.
    pub(crate) async fn visit<T: Send + 'static>(
        &self,
        read: impl FnOnce(&DiskService, Nanos) -> T + Send + 'static,
    ) -> CommandResult<T> {
        let (sender, receiver) = oneshot::channel();
        let at = self.counted.at;
        self.started.reactor.visit(Box::new(move |service, now| {
            // It fails when the client that asked is gone.
            let _ = sender.send(read(&service.sets()[at], now));
        }))?;
        Ok(receiver.await?)
    }

    /// What its loop has counted since the start; of a disk whose thread does not answer or has
    /// ended, what it had counted when it answered last.
    pub(crate) async fn report(&self) -> DiskReport {
        let read = self.counters.read(&self.counted, &self.started.reactor);
        let (reading, silence) = read.await;
        DiskReport::new(
            self.name().to_owned(),
            self.started.description.clone(),
            self.policy,
            reading.streams,
            reading.counted,
        )
        .with_notices(reading.notices)
        .with_silence(silence)
    }

    /// Begins to drain the disk; the future ends when it is drained, flushed and closed. Its status
    /// can be asked for meanwhile.
    pub(crate) fn drain(&self) -> impl Future<Output = ()> + use<> {
        // It fails if the thread has ended already.
        let _ = self.started.reactor.stop();
        self.until_it_ends()
    }

    /// Returns when its thread has ended.
    pub(crate) fn until_it_ends(&self) -> impl Future<Output = ()> + use<> {
        let mut running = self.running.clone();
        async move { while running.changed().await.is_ok() {} }
    }

    /// The result of its thread; nothing for a disk that shares the thread of an earlier one.
    ///
    /// # Errors
    /// When the last flush fails: then what was written since the last one may be lost.
    pub(crate) fn join(self) -> CommandResult {
        let name = self.counted.name;
        let Some(thread) = self.thread else {
            return Ok(());
        };
        let ended = thread.join();
        ended.map_err(|_| Failure::new(format!("the thread of disk {name} panicked")))?
    }
}

/// Writes what is due, serves until the reactor is stopped, then flushes.
fn serve(
    configuration: &Arc<Configuration>,
    (positions, admissions): (&[usize], &[Admission]),
    labelled: Vec<LabelledDisk<assembly::AnyDisk>>,
    epoch: Instant,
    started: &SyncSender<CommandResult<Vec<StartedDisk>>>,
) -> CommandResult {
    let configs = || positions.iter().map(|at| &configuration.disks[*at]);
    let vdisks = configs().map(|config| {
        let name = &config.name.value;
        assembly::vdisk_configs(configuration, name, admissions)
    });
    let vdisks: Vec<Vec<VdiskConfig>> = vdisks.collect();
    let mut driver = RealDriver::new(clock(epoch));
    let names: Vec<&str> = configs().map(|config| &*config.name.value).collect();
    let mut clones = ClonesAtStart::new(configuration, admissions, &names);
    let opened =
        ThreadService::with_clones(labelled, &mut driver, &vdisks, &mut |disks, name, text| {
            clones.config(disks, name, text)
        });
    let (service, reports) = match opened {
        Ok(served) => served,
        Err(misfit) => {
            let config = &configuration.disks[positions[misfit.disk]];
            let failure = disk_failure(configuration, config, &misfit.error);
            let _ = started.send(Err(failure));
            return Ok(());
        }
    };
    for (config, report) in configs().zip(&reports) {
        print_open_report(configuration, &config.name.value, report);
    }
    clones.messages().iter().for_each(print_sentence);
    let now = Nanos::from(epoch.elapsed());
    let (reactor, handle) = Reactor::new(service, epoch)?;
    let disks = configs().zip(reactor.service().sets()).zip(&vdisks);
    let disks = disks.enumerate().map(|(at, ((config, set), vdisks))| {
        let of = |vdisk: &VdiskConfig| CatalogEntry::find(set, &vdisk.spec.name);
        let counted = CountedDisk {
            configuration: Arc::clone(configuration),
            name: config.name.value.clone(),
            at,
        };
        StartedDisk {
            description: set.disk_loop().properties().description.clone(),
            vdisks: vdisks.iter().filter_map(of).collect(),
            clones: FoundClone::all(set, |name| clones.settings(at, name)),
            found: found_disk(configuration, config, set.label(), false),
            reactor: handle.clone(),
            first: Reading::of(&counted, set, now),
            counted,
        }
    });
    let _ = started.send(Ok(disks.collect()));
    drop(handle);
    let service = reactor.run()?;
    if !service.is_idle() {
        return Err(given_up(service, &names));
    }
    flush_all(service, &names, epoch)
}

/// What a disk that hangs has not answered. The disk may still write to the memory of its requests,
/// so nothing of it is dropped.
fn given_up(service: ThreadService, names: &[&str]) -> Failure {
    let counts = service.unanswered();
    let counts = counts.iter().map(|(vdisk, count)| match count {
        1 => format!("one request of `{vdisk}`"),
        count => format!("{count} requests of `{vdisk}`"),
    });
    let failure = Failure::new(format!(
        "disk {} hangs, and was given up; not answered: {}; what was written since the last flush \
         may be lost",
        names.join(" or "),
        counts.collect::<Vec<_>>().join(", ")
    ));
    std::mem::forget(service);
    failure
}

/// Prints what opening the disk did and found that the file does not say.
fn print_open_report(configuration: &Configuration, name: &str, report: &OpenReport) {
    for message in &report.messages {
        print_sentence(format_args!("{name}: {message}"));
    }
    let file = configuration.file().display();
    for (orphan, size_bytes) in &report.orphans {
        let size = format_size(*size_bytes);
        print_sentence(match configuration.vdisk(orphan) {
            None => format!(
                "{name} still holds vdisk `{orphan}` ({size}), which the file does not \
                 name; it is kept until `disktime remove {file} {orphan}` frees it"
            ),
            Some(served) => format!(
                "{name} still holds a vdisk `{orphan}` ({size}); the file has the one on \
                 disk `{}`. It is kept until `disktime remove {file} {orphan} --disk {name}` frees \
                 it",
                served.disk.value
            ),
        });
    }
}

/// A sentence, if the file gives a clone another size than it has.
fn wrong_size(entry: &Vdisk, clone: &FoundClone) -> Option<String> {
    let wanted = entry.size_bytes.value;
    let [has, wanted_text] = format_sizes([clone.size_bytes(), wanted]);
    (wanted != clone.size_bytes()).then(|| {
        format!(
            "the clone `{}` has {has}, as what it was cloned from; the file says {wanted_text}, \
             which has no effect",
            clone.name
        )
    })
}

fn clock(epoch: Instant) -> impl FnMut() -> Nanos {
    move || Nanos::from(epoch.elapsed())
}
