//! The disks of a running server, each on a thread of its own from the moment it is opened to the
//! moment it is closed: a ring belongs to the thread that uses it first.
//!
//! Two steps, so that nothing is written before all disks of the file are found in order: a thread
//! opens its disk, reads the label, checks that the vdisks fit, and waits; told to go on, it writes
//! what has to be written and serves.

use crate::assembly::{self, AnyDisk, DiskService};
use crate::diagnostics::say;
use crate::disk_report::{DiskReport, DiskStreams};
use crate::failure::{Failure, Outcome};
use crate::serving::created_file::Untouched;
use crate::serving::served_vdisks::DoorVdisk;
use disktime_engine::{
    PortHost, Reactor, ReactorHandle, Reply, Request, RequestKind, Service, StoredBytes, VdiskId,
};
use disktime_reservations::{Admission, Configuration, Disk as DiskConfig};
use disktime_units::{Nanos, format_size};
use disktime_volumes::{
    Driver, Format, LabelledDisk, OpenOptions, OpenReport, RealDriver, VdiskSpec,
};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::{oneshot, watch};

/// A disk whose label was read and found in order; its thread waits to be told to serve it.
pub(crate) struct OpenedDisk {
    name: String,
    policy: &'static str,
    facts: DiskFacts,
    /// What the user should be told.
    pub(crate) notices: Vec<String>,
    go: SyncSender<()>,
    started: Receiver<Outcome<Started>>,
    running: watch::Receiver<()>,
    thread: JoinHandle<Outcome>,
}

/// What the doors tell clients of a disk.
#[derive(Debug, Clone, Copy)]
struct DiskFacts {
    /// Whether it seeks.
    rotational: bool,
    /// Whether trims do anything.
    discards: bool,
}

/// What a thread tells when it has found its disk in order.
struct Found {
    facts: DiskFacts,
    notices: Vec<String>,
}

/// What a thread tells when it serves its disk.
struct Started {
    description: String,
    streams: DiskStreams,
    /// Of the vdisks in their order.
    stored: Vec<StoredBytes>,
    reactor: ReactorHandle<DiskService>,
}

/// A disk that is being served.
pub(crate) struct DiskThread {
    name: String,
    policy: &'static str,
    facts: DiskFacts,
    started: Started,
    /// Its sender is dropped when the thread ends.
    running: watch::Receiver<()>,
    thread: JoinHandle<Outcome>,
}

fn clock(epoch: Instant) -> impl FnMut() -> Nanos {
    move || Nanos::from(epoch.elapsed())
}

/// A number that no other disk gets, for its uuid.
fn uuid_seed() -> u64 {
    let time = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    (time.as_nanos() as u64) ^ (u64::from(std::process::id()) << 40)
}

/// Opens a disk on this thread and reads its label. Nothing is written to it; until the guard is
/// told to keep it, a file that was made for it is taken back: by the guard when it goes, so the
/// disk has to go first (what is bound later is dropped earlier).
///
/// # Errors
/// A device that is missing, in use, too small, or that holds something else.
pub(crate) fn open_here(
    configuration: &Configuration,
    config: &DiskConfig,
    admission: &Admission,
    epoch: Instant,
    force: bool,
) -> Outcome<(Untouched, LabelledDisk<AnyDisk>)> {
    let missing = config.path().filter(|path| !path.exists());
    if !force {
        assembly::refuse_to_grow_foreign(configuration, config)?;
    }
    let (disk, known_zero) = assembly::open_real(configuration, config)?;
    let untouched = Untouched::after_opening(missing);
    let disk_loop = assembly::schedule(disk, admission, config);
    let format = if force {
        Format::Force { known_zero }
    } else {
        Format::IfBlank { known_zero }
    };
    let options = OpenOptions {
        format,
        uuid_seed: uuid_seed(),
        system: assembly::system_stream(admission),
    };
    LabelledDisk::open(disk_loop, &mut RealDriver::new(clock(epoch)), options)
        .map(|labelled| (untouched, labelled))
        .map_err(|error| at_disk(configuration, config, &error))
}

/// Opens the disk at position `index` of the file on a thread of its own, and checks that its
/// vdisks fit.
///
/// # Errors
/// As [`open_here`]; vdisks that shrank or do not fit.
pub(crate) fn open(
    configuration: &Arc<Configuration>,
    index: usize,
    admission: &Admission,
    epoch: Instant,
) -> Outcome<OpenedDisk> {
    let config = &configuration.disks[index];
    let name = config.name.value.clone();
    let (found_sender, found) = sync_channel(1);
    let (started_sender, started) = sync_channel(1);
    let (go, may_go) = sync_channel(1);
    let (runs, running) = watch::channel(());
    let (configuration, admission) = (Arc::clone(configuration), admission.clone());
    let policy = config.policy.name();
    let thread = std::thread::Builder::new()
        .name(format!("disk {name}"))
        .spawn(move || {
            let _runs = runs;
            let config = &configuration.disks[index];
            let opened = open_and_check(&configuration, config, &admission, epoch);
            let (untouched, labelled) = match opened {
                Ok((untouched, labelled, found)) => {
                    let _ = found_sender.send(Ok(found));
                    (untouched, labelled)
                }
                Err(failure) => {
                    let _ = found_sender.send(Err(failure));
                    return Ok(());
                }
            };
            // The sender is dropped when another disk of the file is not in order.
            if may_go.recv().is_err() {
                return Ok(());
            }
            untouched.keep();
            serve(&configuration, config, labelled, epoch, &started_sender)
        })?;
    let found: Found = found.recv()??;
    Ok(OpenedDisk {
        name,
        policy,
        facts: found.facts,
        notices: found.notices,
        go,
        started,
        running,
        thread,
    })
}

fn open_and_check(
    configuration: &Configuration,
    config: &DiskConfig,
    admission: &Admission,
    epoch: Instant,
) -> Outcome<(Untouched, LabelledDisk<AnyDisk>, Found)> {
    let (untouched, labelled) = open_here(configuration, config, admission, epoch, false)?;
    let vdisks = assembly::vdisk_configs(configuration, &config.name.value);
    let specs: Vec<VdiskSpec> = vdisks.into_iter().map(|vdisk| vdisk.spec).collect();
    disktime_volumes::reconcile(labelled.label(), &specs)
        .map_err(|error| at_disk(configuration, config, &error))?;
    let properties = labelled.disk_loop().properties();
    let facts = DiskFacts {
        rotational: properties.has_seeks,
        discards: properties.capabilities.discards(),
    };
    let found = Found {
        facts,
        notices: properties.notices.clone(),
    };
    Ok((untouched, labelled, found))
}

/// Writes what has to be written, serves until told to stop, makes everything durable.
fn serve(
    configuration: &Configuration,
    config: &DiskConfig,
    labelled: LabelledDisk<AnyDisk>,
    epoch: Instant,
    started: &SyncSender<Outcome<Started>>,
) -> Outcome {
    let name = &config.name.value;
    let vdisks = assembly::vdisk_configs(configuration, name);
    let mut driver = RealDriver::new(clock(epoch));
    let (service, report) = match DiskService::from_labelled(labelled, &mut driver, &vdisks) {
        Ok(served) => served,
        Err(error) => {
            let _ = started.send(Err(at_disk(configuration, config, &error)));
            return Ok(());
        }
    };
    tell(configuration, name, &report);
    let stored = (0..vdisks.len() as u32)
        .filter_map(|vdisk| service.stored(VdiskId(vdisk)))
        .collect();
    let description = service.disk_loop().properties().description.clone();
    let streams = DiskStreams::of(configuration, name, &service);
    let (reactor, handle) = Reactor::new(service, epoch)?;
    let _ = started.send(Ok(Started {
        description,
        streams,
        stored,
        reactor: handle,
    }));
    flush_all(reactor.run()?, name, epoch)
}

/// What was found on the disk that the file does not say.
fn tell(configuration: &Configuration, name: &str, report: &OpenReport) {
    for message in &report.messages {
        say(format_args!("disktime: {name}: {message}"));
    }
    for (orphan, size_bytes) in &report.orphans {
        say(format_args!(
            "disktime: {name} still holds vdisk `{orphan}` ({}), which the file does not name; it \
             is kept until `disktime remove {} {orphan}` frees it",
            format_size(*size_bytes),
            configuration.file().display()
        ));
    }
}

fn at_disk(
    configuration: &Configuration,
    config: &DiskConfig,
    error: &dyn std::error::Error,
) -> Failure {
    let message = format!("disk `{}`: {error}", config.name.value);
    configuration
        .error_at(config.medium.span, message, "")
        .into()
}

impl OpenedDisk {
    /// Leaves the disk as it was before it was opened.
    pub(crate) fn give_up(self) {
        let OpenedDisk {
            name, go, thread, ..
        } = self;
        drop(go);
        if !matches!(thread.join(), Ok(Ok(()))) {
            tracing::warn!("disk {name} could not be closed in good order");
        }
    }

    /// Lets the thread write what has to be written, and serve.
    ///
    /// # Errors
    /// The disk's failures.
    pub(crate) fn serve(self) -> Outcome<DiskThread> {
        let _ = self.go.send(());
        let started = self.started.recv()??;
        let OpenedDisk {
            name,
            policy,
            facts,
            running,
            thread,
            ..
        } = self;
        Ok(DiskThread {
            name,
            policy,
            facts,
            started,
            running,
            thread,
        })
    }
}

impl DiskThread {
    /// Its reactor, for a door that lives there.
    pub(crate) fn port_host(&self) -> Arc<dyn PortHost> {
        Arc::new(self.started.reactor.clone())
    }

    /// Whether its disk seeks.
    pub(crate) fn is_rotational(&self) -> bool {
        self.facts.rotational
    }

    /// Its vdisks as the doors see them; `disk` is its position in the file.
    pub(crate) fn door_vdisks(
        &self,
        configuration: &Configuration,
        disk: usize,
    ) -> Vec<DoorVdisk<DiskService>> {
        configuration
            .vdisks_on(&self.name)
            .zip(&self.started.stored)
            .enumerate()
            .map(|(position, (vdisk, stored))| DoorVdisk {
                name: vdisk.name.value.clone(),
                stored: stored.clone(),
                description: assembly::entitlement(vdisk),
                size_bytes: vdisk.size_bytes.value,
                disk,
                vdisk: VdiskId(position as u32),
                rotational: self.facts.rotational,
                discards: self.facts.discards,
                read_only: vdisk.read_only,
                reactor: self.started.reactor.clone(),
            })
            .collect()
    }

    /// What happened so far.
    ///
    /// # Errors
    /// When the disk's thread has stopped.
    pub(crate) async fn report(&self) -> Outcome<DiskReport> {
        let (sender, receiver) = oneshot::channel();
        self.started.reactor.visit(Box::new(move |service, now| {
            // Nobody waits any more when the client has gone.
            let _ = sender.send(service.report(now));
        }))?;
        let counted = receiver.await?;
        Ok(DiskReport {
            name: self.name.clone(),
            description: self.started.description.clone(),
            policy: self.policy,
            streams: self.started.streams.clone(),
            counted,
        })
    }

    /// Begins to drain the disk, and returns when it is drained, durable and closed. The status can be
    /// asked for meanwhile.
    pub(crate) fn drain(&self) -> impl Future<Output = ()> + use<> {
        // It fails when the thread has ended already.
        let _ = self.started.reactor.stop();
        self.until_it_ends()
    }

    /// Returns when its thread has ended.
    pub(crate) fn until_it_ends(&self) -> impl Future<Output = ()> + use<> {
        let mut running = self.running.clone();
        async move { while running.changed().await.is_ok() {} }
    }

    /// What came of it.
    ///
    /// # Errors
    /// When the last flush fails: then what was written since the last one may be lost.
    pub(crate) fn join(self) -> Outcome {
        let name = self.name;
        self.thread
            .join()
            .map_err(|_| Failure::new(format!("the thread of disk {name} panicked")))?
    }
}

/// One flush per vdisk, through the loop like everything else.
fn flush_all(mut service: DiskService, name: &str, epoch: Instant) -> Outcome {
    let mut driver = RealDriver::new(clock(epoch));
    let vdisks = service.vdisks().count();
    for vdisk in 0..vdisks as u32 {
        let request = Request {
            origin: 0,
            handle: u64::from(vdisk),
            vdisk: VdiskId(vdisk),
            kind: RequestKind::Flush,
            offset_bytes: 0,
            len_bytes: 0,
            fua: false,
            buffer: None,
        };
        let _ = service.submit(driver.now(), request);
    }
    let mut replies: Vec<Reply> = Vec::new();
    while replies.len() < vdisks {
        service.turn(driver.now(), &mut replies);
        if replies.len() < vdisks {
            driver.wait(service.next_wake(), service.wake_fd())?;
        }
    }
    match replies.iter().find(|reply| reply.result.is_err()) {
        Some(_) => Err(Failure::new(format!(
            "the last flush of disk {name} failed; what was written since the last flush that \
             succeeded may be lost"
        ))),
        None => Ok(()),
    }
}
