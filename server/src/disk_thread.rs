//! The disks of a running server: each opened, labelled and on a thread of its own.

use crate::assembly::{self, AnyDisk, DiskService};
use crate::doors::DoorVdisk;
use crate::failure::{Failure, Outcome};
use crate::status::{DiskStatus, SYSTEM};
use disktime_engine::{Reactor, ReactorHandle, Reply, Request, RequestKind, Service, VdiskId};
use disktime_reservations::{Admission, Configuration, Disk as DiskConfig};
use disktime_units::{Nanos, format_size};
use disktime_volumes::{Driver, Format, LabelledDisk, OpenOptions, RealDriver, VdiskSpec};
use std::thread::JoinHandle;
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::oneshot;

/// A disk whose label was read and found in order; nothing is written yet.
pub struct OpenedDisk<'a> {
    config: &'a DiskConfig,
    labelled: LabelledDisk<AnyDisk>,
    /// What the user should be told.
    pub notices: Vec<String>,
}

/// A disk that is being served.
pub struct DiskThread {
    name: String,
    description: String,
    policy: &'static str,
    streams: Vec<(String, usize)>,
    reactor: ReactorHandle<DiskService>,
    thread: JoinHandle<std::io::Result<DiskService>>,
    epoch: Instant,
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

/// Opens a disk and reads its label. Nothing is written to it.
///
/// # Errors
/// A device that is missing, in use, too small, or that holds something else.
pub fn open<'a>(
    configuration: &Configuration,
    config: &'a DiskConfig,
    admission: &Admission,
    epoch: Instant,
    force: bool,
) -> Outcome<OpenedDisk<'a>> {
    let (disk, known_zero) = assembly::open_real(configuration, config)?;
    let notices = disk.properties().notices.clone();
    let disk_loop = assembly::schedule(disk, admission, config.policy);
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
    let mut driver = RealDriver::new(clock(epoch));
    let labelled = LabelledDisk::open(disk_loop, &mut driver, options)
        .map_err(|error| at_disk(configuration, config, &error))?;
    Ok(OpenedDisk {
        config,
        labelled,
        notices,
    })
}

fn at_disk(
    configuration: &Configuration,
    config: &DiskConfig,
    error: &dyn std::error::Error,
) -> Failure {
    let message = format!("disk `{}`: {error}", config.name.value);
    configuration.error_at(config.path.span, message, "").into()
}

impl OpenedDisk<'_> {
    /// Whether its vdisks fit, before any disk is changed.
    ///
    /// # Errors
    /// Vdisks that shrank or do not fit.
    pub fn check(&self, configuration: &Configuration) -> Outcome {
        let specs: Vec<VdiskSpec> = assembly::vdisk_configs(configuration, &self.config.name.value)
            .into_iter()
            .map(|vdisk| vdisk.spec)
            .collect();
        disktime_volumes::reconcile(self.labelled.label(), &specs)
            .map(|_| ())
            .map_err(|error| at_disk(configuration, self.config, &error))
    }

    /// Writes what has to be written, and serves the disk on a thread of its own.
    ///
    /// # Errors
    /// The disk's failures; a thread that cannot be started.
    pub fn serve(self, configuration: &Configuration, epoch: Instant) -> Outcome<DiskThread> {
        let name = self.config.name.value.clone();
        let vdisks = assembly::vdisk_configs(configuration, &name);
        let mut driver = RealDriver::new(clock(epoch));
        let (service, report) = DiskService::from_labelled(self.labelled, &mut driver, &vdisks)
            .map_err(|error| at_disk(configuration, self.config, &error))?;
        for message in &report.messages {
            eprintln!("disktime: {name}: {message}");
        }
        for (orphan, size_bytes) in &report.orphans {
            eprintln!(
                "disktime: {name} still holds vdisk `{orphan}` ({}), which the file does not name; \
                 it is kept until `disktime remove {} {orphan}` frees it",
                format_size(*size_bytes),
                configuration.file().display()
            );
        }
        let mut streams = vec![(SYSTEM.to_owned(), service.system_stream().0 as usize)];
        for (position, vdisk) in vdisks.iter().enumerate() {
            let stream = service
                .stream(VdiskId(position as u32))
                .map_or(0, |stream| stream.0);
            streams.push((vdisk.spec.name.clone(), stream as usize));
        }
        let description = service.disk_loop().properties().description.clone();
        let (reactor, handle) = Reactor::new(service, epoch)?;
        let thread = std::thread::Builder::new()
            .name(format!("disk {name}"))
            .spawn(move || reactor.run())?;
        let policy = self.config.policy.name();
        Ok(DiskThread {
            name,
            description,
            policy,
            streams,
            reactor: handle,
            thread,
            epoch,
        })
    }

    /// The disk with its label, for the commands that run without a server.
    pub fn into_labelled(self) -> LabelledDisk<AnyDisk> {
        self.labelled
    }
}

impl DiskThread {
    /// Its vdisks as the doors see them.
    pub fn door_vdisks(
        &self,
        configuration: &Configuration,
        service: ServiceFacts,
    ) -> Vec<DoorVdisk<DiskService>> {
        configuration
            .vdisks_on(&self.name)
            .enumerate()
            .map(|(position, vdisk)| DoorVdisk {
                name: vdisk.name.value.clone(),
                description: assembly::entitlement(vdisk),
                size_bytes: vdisk.size_bytes.value,
                vdisk: VdiskId(position as u32),
                rotational: service.rotational,
                discards: service.discards,
                reactor: self.reactor.clone(),
            })
            .collect()
    }

    /// What happened so far.
    ///
    /// # Errors
    /// When the disk's thread has stopped.
    pub async fn status(&self) -> Outcome<DiskStatus> {
        let (sender, receiver) = oneshot::channel();
        self.reactor.visit(Box::new(move |service, now| {
            // Nobody waits any more when the client has gone.
            let _ = sender.send(service.report(now));
        }))?;
        let report = receiver.await?;
        Ok(DiskStatus {
            name: self.name.clone(),
            description: self.description.clone(),
            policy: self.policy,
            streams: self.streams.clone(),
            report,
        })
    }

    /// Drains the disk, makes everything durable and closes it.
    ///
    /// # Errors
    /// When the last flush fails: then what was written since the last one may be lost.
    pub fn stop(self) -> Outcome {
        let _ = self.reactor.stop();
        let name = self.name;
        let service = self
            .thread
            .join()
            .map_err(|_| Failure::new(format!("the thread of disk {name} panicked")))??;
        flush_all(service, &name, self.epoch)
    }
}

/// What the doors tell clients of a disk.
#[derive(Debug, Clone, Copy)]
pub struct ServiceFacts {
    /// Whether it seeks.
    pub rotational: bool,
    /// Whether trims do anything.
    pub discards: bool,
}

impl OpenedDisk<'_> {
    /// What the doors tell clients of it.
    pub fn facts(&self) -> ServiceFacts {
        let properties = self.labelled.disk_loop().properties();
        ServiceFacts {
            rotational: properties.has_seeks,
            discards: properties.discards,
        }
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
