//! The disks of a running server, each opened, served and closed on a thread of its own: an
//! io_uring belongs to the thread that uses it first.
//!
//! Two steps, so that nothing is written before all disks of the file were checked: the thread
//! opens its disk, reads the label, checks that the vdisks fit, and waits; when all disks are in
//! order it writes what is due (format, new vdisks) and serves.

use crate::assembly::{self, AnyDisk, DiskService};
use crate::diagnostics::print_diagnostic;
use crate::disk_report::{DiskReport, DiskStreams};
use crate::failure::{CommandResult, Failure};
use crate::serving::created_file::CreatedFileGuard;
use crate::serving::served_vdisks::{CatalogEntry, DiskTraits, ServedVdisk};
use disktime_engine::{PortHost, Reactor, ReactorHandle, Reply, Request, RequestKind, Service};
use disktime_reservations::{Admission, Configuration, Disk as DiskConfig, Policy};
use disktime_units::{Nanos, format_size};
use disktime_volumes::{
    Driver, Format, LabelledDisk, OpenOptions, OpenReport, RealDriver, VdiskConfig, VdiskSpec,
};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::{oneshot, watch};

/// A disk that was opened and checked; its thread waits for [`OpenedDisk::serve`].
pub(crate) struct OpenedDisk {
    name: String,
    policy: Policy,
    traits: DiskTraits,
    /// Sentences for the user.
    notices: Vec<String>,
    go: SyncSender<()>,
    started: Receiver<CommandResult<StartedDisk>>,
    running: watch::Receiver<()>,
    thread: JoinHandle<CommandResult>,
}

/// What a thread reports when its disk was checked.
struct CheckedDisk {
    traits: DiskTraits,
    notices: Vec<String>,
}

/// What a thread reports when it serves its disk.
struct StartedDisk {
    description: String,
    streams: DiskStreams,
    /// In the order of the file.
    vdisks: Vec<CatalogEntry>,
    reactor: ReactorHandle<DiskService>,
}

/// A disk that is being served.
pub(crate) struct DiskThread {
    name: String,
    policy: Policy,
    traits: DiskTraits,
    started: StartedDisk,
    /// Its sender is dropped when the thread ends.
    running: watch::Receiver<()>,
    thread: JoinHandle<CommandResult>,
}

fn clock(epoch: Instant) -> impl FnMut() -> Nanos {
    move || Nanos::from(epoch.elapsed())
}

/// A seed that differs for each disk, for its uuid.
fn uuid_seed() -> u64 {
    let time = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    (time.as_nanos() as u64) ^ (u64::from(std::process::id()) << 40)
}

/// Opens a disk on this thread and reads its label. Nothing is written to it. The guard removes a
/// file that was created for the disk unless it is told to keep it; so the disk has to be dropped
/// before the guard (variables are dropped in reverse order of their binding).
///
/// # Errors
/// A device that is missing, in use, too small, or that holds something else.
pub(crate) fn open_here(
    configuration: &Configuration,
    config: &DiskConfig,
    admission: &Admission,
    epoch: Instant,
    force: bool,
) -> CommandResult<(CreatedFileGuard, LabelledDisk<AnyDisk>)> {
    let missing = config.path().filter(|path| !path.exists());
    if !force {
        assembly::refuse_to_grow_foreign(configuration, config)?;
    }
    let (disk, known_zero) = assembly::open_real(configuration, config)?;
    let created_file = CreatedFileGuard::after_opening(missing);
    let disk_loop = assembly::schedule(disk, admission, config);
    let format = if force {
        Format::Force { known_zero }
    } else {
        Format::IfBlank { known_zero }
    };
    let options = OpenOptions {
        format,
        uuid_seed: uuid_seed(),
        background: assembly::background_streams(admission),
    };
    LabelledDisk::open(disk_loop, &mut RealDriver::new(clock(epoch)), options)
        .map(|labelled| (created_file, labelled))
        .map_err(|error| disk_failure(configuration, config, &error))
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
) -> CommandResult<OpenedDisk> {
    let config = &configuration.disks[index];
    let name = config.name.value.clone();
    let (checked_sender, checked) = sync_channel(1);
    let (started_sender, started) = sync_channel(1);
    let (go, may_go) = sync_channel(1);
    let (runs, running) = watch::channel(());
    let (configuration, admission) = (Arc::clone(configuration), admission.clone());
    let policy = config.policy;
    let thread = std::thread::Builder::new()
        .name(format!("disk {name}"))
        .spawn(move || {
            let _runs = runs;
            let config = &configuration.disks[index];
            let opened = open_and_check(&configuration, config, &admission, epoch);
            let (created_file, labelled) = match opened {
                Ok((created_file, labelled, checked)) => {
                    let _ = checked_sender.send(Ok(checked));
                    (created_file, labelled)
                }
                Err(failure) => {
                    let _ = checked_sender.send(Err(failure));
                    return Ok(());
                }
            };
            // The sender is dropped when another disk of the file is refused.
            if may_go.recv().is_err() {
                return Ok(());
            }
            created_file.keep();
            serve(&configuration, config, labelled, epoch, &started_sender)
        })?;
    let checked: CheckedDisk = checked.recv()??;
    Ok(OpenedDisk {
        name,
        policy,
        traits: checked.traits,
        notices: checked.notices,
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
) -> CommandResult<(CreatedFileGuard, LabelledDisk<AnyDisk>, CheckedDisk)> {
    let (created_file, labelled) = open_here(configuration, config, admission, epoch, false)?;
    let vdisks = assembly::vdisk_configs(configuration, &config.name.value);
    let specs: Vec<VdiskSpec> = vdisks.into_iter().map(|vdisk| vdisk.spec).collect();
    disktime_volumes::reconcile(labelled.label(), &specs)
        .map_err(|error| disk_failure(configuration, config, &error))?;
    let properties = labelled.disk_loop().properties();
    let checked = CheckedDisk {
        traits: DiskTraits::of(properties),
        notices: properties.notices.clone(),
    };
    Ok((created_file, labelled, checked))
}

/// Writes what is due, serves until the reactor is stopped, then flushes.
fn serve(
    configuration: &Configuration,
    config: &DiskConfig,
    labelled: LabelledDisk<AnyDisk>,
    epoch: Instant,
    started: &SyncSender<CommandResult<StartedDisk>>,
) -> CommandResult {
    let name = &config.name.value;
    let vdisks = assembly::vdisk_configs(configuration, name);
    let mut driver = RealDriver::new(clock(epoch));
    let (service, report) = match DiskService::from_labelled(labelled, &mut driver, &vdisks) {
        Ok(served) => served,
        Err(error) => {
            let _ = started.send(Err(disk_failure(configuration, config, &error)));
            return Ok(());
        }
    };
    print_open_report(configuration, name, &report);
    let of = |vdisk: &VdiskConfig| CatalogEntry::find(&service, &vdisk.spec.name);
    let served = vdisks.iter().filter_map(of).collect();
    let description = service.disk_loop().properties().description.clone();
    let streams = DiskStreams::of(configuration, name, &service);
    let (reactor, handle) = Reactor::new(service, epoch)?;
    let _ = started.send(Ok(StartedDisk {
        description,
        streams,
        vdisks: served,
        reactor: handle,
    }));
    flush_all(reactor.run()?, name, epoch)
}

/// Prints what opening the disk did and found that the file does not say.
fn print_open_report(configuration: &Configuration, name: &str, report: &OpenReport) {
    for message in &report.messages {
        print_diagnostic(format_args!("disktime: {name}: {message}"));
    }
    for (orphan, size_bytes) in &report.orphans {
        print_diagnostic(format_args!(
            "disktime: {name} still holds vdisk `{orphan}` ({}), which the file does not name; it \
             is kept until `disktime remove {} {orphan}` frees it",
            format_size(*size_bytes),
            configuration.file().display()
        ));
    }
}

fn disk_failure(
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
    /// Sentences for the user about the disk.
    pub(crate) fn notices(&self) -> &[String] {
        &self.notices
    }

    /// Closes the disk; it is as it was before it was opened.
    pub(crate) fn close_unchanged(self) {
        let OpenedDisk {
            name, go, thread, ..
        } = self;
        drop(go);
        if !matches!(thread.join(), Ok(Ok(()))) {
            tracing::warn!("disk {name} was not closed in good order");
        }
    }

    /// Lets the thread write what is due, and serve.
    ///
    /// # Errors
    /// The disk's failures.
    pub(crate) fn serve(self) -> CommandResult<DiskThread> {
        let _ = self.go.send(());
        let started = self.started.recv()??;
        let OpenedDisk {
            name,
            policy,
            traits,
            running,
            thread,
            ..
        } = self;
        Ok(DiskThread {
            name,
            policy,
            traits,
            started,
            running,
            thread,
        })
    }
}

impl DiskThread {
    /// Its reactor, for a frontend that is a port of it.
    pub(crate) fn port_host(&self) -> Arc<dyn PortHost> {
        Arc::new(self.started.reactor.clone())
    }

    /// Whether its disk seeks.
    pub(crate) fn is_rotational(&self) -> bool {
        self.traits.is_rotational()
    }

    /// Its vdisks as the frontends see them; `disk` is its position in the file.
    pub(crate) fn served_vdisks(
        &self,
        configuration: &Configuration,
        disk: usize,
    ) -> Vec<ServedVdisk<DiskService>> {
        configuration
            .vdisks_on(&self.name)
            .zip(&self.started.vdisks)
            .map(|(vdisk, entry)| {
                let reactor = self.started.reactor.clone();
                ServedVdisk::new(vdisk, entry.clone(), disk, self.traits, reactor)
            })
            .collect()
    }

    /// What its loop has counted since the start.
    ///
    /// # Errors
    /// When the disk's thread has stopped.
    pub(crate) async fn report(&self) -> CommandResult<DiskReport> {
        let (sender, receiver) = oneshot::channel();
        self.started.reactor.visit(Box::new(move |service, now| {
            // It fails when the control connection was closed meanwhile.
            let _ = sender.send(service.report(now));
        }))?;
        let counted = receiver.await?;
        let (description, streams) = (&self.started.description, &self.started.streams);
        Ok(DiskReport::new(
            self.name.clone(),
            description.clone(),
            self.policy,
            streams.clone(),
            counted,
        ))
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

    /// The result of its thread.
    ///
    /// # Errors
    /// When the last flush fails: then what was written since the last one may be lost.
    pub(crate) fn join(self) -> CommandResult {
        let name = self.name;
        self.thread
            .join()
            .map_err(|_| Failure::new(format!("the thread of disk {name} panicked")))?
    }
}

/// Makes everything durable, through the loop like every other request.
fn flush_all(mut service: DiskService, name: &str, epoch: Instant) -> CommandResult {
    let mut driver = RealDriver::new(clock(epoch));
    let vdisks = service.vdisks_to_flush();
    for vdisk in &vdisks {
        let request = Request {
            origin: 0,
            handle: vdisk.0,
            vdisk: *vdisk,
            kind: RequestKind::Flush,
            offset_bytes: 0,
            len_bytes: 0,
            fua: false,
            buffer: None,
        };
        let _ = service.submit(driver.now(), request);
    }
    let mut replies: Vec<Reply> = Vec::new();
    while replies.len() < vdisks.len() {
        service.turn(driver.now(), &mut replies);
        if replies.len() < vdisks.len() {
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
