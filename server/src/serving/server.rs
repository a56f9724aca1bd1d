//! A running server: the wiring of disks, frontends and control socket.
//!
//! Invariants: everything is checked before anything is changed; what is opened is closed in the
//! opposite order, and disks drain before the control socket closes.

use crate::assembly::CloneAdmission;
use crate::diagnostics::{log_announcement, print_sentence};
use crate::disk_report;
use crate::failure::{CommandResult, Failure};
use crate::serving::backing_watch::{BackingWatch, FileProblems, WatchedFile};
use crate::serving::catalog::{ServedCatalog, Vdisk};
use crate::serving::cloning::Cloning;
use crate::serving::control_socket::{CloneRequest, Commands, ControlSocket, HistoryRequest};
use crate::serving::disk_space::DiskSpaces;
use crate::serving::disk_thread::DiskThread;
use crate::serving::export_directory::ServedExports;
use crate::serving::group_marks;
use crate::serving::history_control;
use crate::serving::known_disks::{DiskMemory, KnownDisks};
use crate::serving::last_exit::close_connections;
use crate::serving::nbd::NbdFrontend;
use crate::serving::past;
use crate::serving::run_command::{self, CommandEnvironment};
use crate::serving::starting::{StartedDisks, start_disks};
use crate::serving::state_dir;
use crate::serving::stop_step::{DISK_TIME, STEP_TIME, within};
use crate::serving::verification::{self, Verification};
use disktime_fuse::{FuseError, MountHandle, OpenFiles};
use disktime_nbd::{Deliver, LocalConnections, NbdListener};
use disktime_nbd_protocol::NbdUri;
use disktime_observe::{FilesStatus, ServerStatus};
use disktime_past::PastMount;
use disktime_reservations::{AdmissionReport, Configuration, Spanned};
use futures_util::future::join_all;
use serde_json::Value;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::UnixStream;
use tokio::process::Child;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

/// How long the last look at the disks' files may take; below a mount that hangs it takes longer.
const LOOK_TIME: Duration = Duration::from_secs(2);

/// A server that runs until it is stopped.
pub(crate) struct Server {
    disks: Arc<Disks>,
    catalog: Arc<ServedCatalog>,
    nbd: Option<(JoinHandle<std::io::Result<()>>, watch::Sender<bool>)>,
    fuse: Option<MountHandle>,
    past: Option<PastMount>,
    control: (JoinHandle<CommandResult>, watch::Sender<bool>),
    /// The space of the disks' files.
    spaces: DiskSpaces,
    /// Looks after the disks' files.
    watch: (JoinHandle<()>, watch::Sender<bool>),
    /// Holds the lock of the state directory.
    _memory: DiskMemory,
}

struct Disks(Vec<DiskThread>);

impl Disks {
    async fn status(&self) -> ServerStatus {
        // All at the same time, as one that does not answer takes some seconds.
        let reports = join_all(self.0.iter().map(DiskThread::report)).await;
        disk_report::status(&reports)
    }
}

/// Answers the control socket.
struct Reporter {
    disks: Arc<Disks>,
    /// The FUSE frontend, if there is one.
    files: Option<FilesStatus>,
    /// Where the files of the past are, if they are served.
    past: Option<PathBuf>,
    /// What is wrong with the disks' files.
    problems: FileProblems,
    /// The space of these files.
    spaces: DiskSpaces,
    /// The open files of the FUSE frontend, if there is one.
    open_files: Option<OpenFiles>,
    catalog: Arc<ServedCatalog>,
    /// Makes clones, and drops them.
    cloning: Cloning,
    /// Serves commands that read files of a moment.
    connections: LocalConnections,
}

impl Disks {
    /// Returns when a disk's thread has ended without being stopped.
    pub(crate) async fn until_one_ends(&self) {
        let mut threads: JoinSet<()> = self.0.iter().map(DiskThread::until_it_ends).collect();
        threads.join_next().await;
    }
}

impl Commands for Reporter {
    async fn status(&self) -> CommandResult<ServerStatus> {
        let mut status = self.disks.status().await;
        for (name, disk) in &mut status.disks {
            disk.file_problem = self.problems.of(name);
            self.spaces.report(name, disk);
        }
        let vdisks = self.catalog.list();
        vdisks.iter().for_each(|vdisk| vdisk.report(&mut status));
        let files = self.files.clone().map(|files| FilesStatus {
            unmounted: !disktime_fuse::is_mounted(&files.mount),
            ..files
        });
        let past = self.past.as_deref().map(past::status);
        Ok(ServerStatus {
            files,
            past,
            ..status
        })
    }

    async fn history(&self, vdisk: String, request: HistoryRequest) -> CommandResult<Value> {
        let files = self.open_files.as_ref();
        history_control::answer(&self.catalog.list(), files, &vdisk, request).await
    }

    async fn clone_vdisk(&self, vdisk: String, wanted: CloneRequest) -> CommandResult<Value> {
        self.cloning.make(vdisk, wanted).await
    }

    async fn drop_clone(&self, vdisk: String, disconnect: bool) -> CommandResult<Value> {
        let files = self.open_files.as_ref();
        self.cloning.give_up(vdisk, disconnect, files).await
    }

    async fn verify(&self, vdisk: String) -> CommandResult<Verification> {
        verification::begin(&self.catalog.list(), &vdisk)
    }

    async fn nbd(&self, connection: UnixStream) {
        let name = "a command".to_owned();
        self.connections.serve(connection, name).await;
    }
}

impl Server {
    /// Starts everything; runs within a tokio runtime.
    ///
    /// # Errors
    /// What is wrong and what to do. No disk is changed before everything was checked. `accepted`
    /// are the disks that may be others than remembered.
    pub(crate) async fn start(
        configuration: &Configuration,
        report: &AdmissionReport<'_>,
        frontend: NbdFrontend,
        sockets: Vec<(String, OwnedFd)>,
        accepted: &[String],
    ) -> CommandResult<Server> {
        let lock = state_dir::lock(configuration)?;
        let known = KnownDisks::load(&lock, configuration.file())?;
        let shared = known.with_ended_logs(&known.with_clones_apart(configuration));
        let shared = Arc::new(shared);
        let configuration = &*shared;
        let listener = frontend.open(configuration, sockets)?;
        let control = ControlSocket::bind(&configuration.control.socket.value)?;
        past::vdisks(configuration)?;
        let fuse_directory = fuse_directory(configuration).await?;
        let past_directory = match &fuse_directory {
            Some(_) => past_directory(configuration).await?,
            None => None,
        };
        let StartedDisks {
            mut disks,
            vdisks,
            memory,
        } = start_disks(&shared, report, lock, accepted)?;
        let files = disks.iter_mut().filter_map(DiskThread::take_file);
        let files: Vec<WatchedFile> = files.collect();
        let spaces = DiskSpaces::of(files.iter().filter_map(WatchedFile::space).collect());
        let (disks, catalog) = (Arc::new(Disks(disks)), Arc::new(ServedCatalog::new(vdisks)));
        for sentence in group_marks::incomplete_cuts(&catalog.list()).await {
            print_sentence(sentence);
        }
        if let Some(listener) = &listener {
            catalog.tell_nbd(listener.rules(), listener.export_addresses());
        }
        let fuse = match fuse_directory {
            Some(place) => Some(mount(configuration, place, &disks.0, &catalog).await?),
            None => None,
        };
        let exports = Arc::new(ServedExports::new(Arc::clone(&catalog)));
        let deliver = delivery(&catalog);
        let connections =
            LocalConnections::new(past::CONNECTIONS, exports.clone(), deliver.clone());
        let past = match past_directory {
            Some(place) => {
                let (exports, connections) = (exports.clone(), connections.clone());
                Some(past::mount(configuration, &place, exports, connections).await?)
            }
            None => None,
        };
        let nbd = listener.map(|listener| serve_nbd(listener, exports, deliver));
        let (stop, stopped) = stop_switch();
        let problems = FileProblems::default();
        let (stop_watch, watch_stopped) = stop_switch();
        let watch = BackingWatch::new(files, problems.clone(), spaces.clone(), memory.clone());
        let watch = (tokio::spawn(watch.run(watch_stopped)), stop_watch);
        let reporter = Reporter {
            disks: Arc::clone(&disks),
            files: fuse.as_ref().map(files_status),
            past: past.as_ref().map(|past| past.path().to_owned()),
            problems,
            spaces: spaces.clone(),
            open_files: fuse.as_ref().map(|mount| mount.open_files().clone()),
            catalog: Arc::clone(&catalog),
            cloning: Cloning::new(
                &catalog,
                CloneAdmission::new(&shared, &report.disks),
                memory.clone(),
            ),
            connections,
        };
        let control = (
            tokio::spawn(control.serve(Arc::new(reporter), stopped)),
            stop,
        );
        Ok(Server {
            disks,
            catalog,
            nbd,
            fuse,
            past,
            control,
            spaces,
            watch,
            _memory: memory,
        })
    }

    /// Tells the space of the disks' files, and what is short.
    pub(crate) fn tell_space(&self) {
        self.spaces.tell();
    }

    /// Prints one line per vdisk, then `ready`; to the log if standard output belongs to the
    /// program that started the server (`quiet`).
    pub(crate) fn announce(&self, configuration: &Configuration, quiet: bool) -> CommandResult {
        let vdisks = self.catalog.list();
        let mut lines = Vec::with_capacity(vdisks.len() + 2);
        for vdisk in vdisks.iter() {
            let mut line = format!("{}: {}", vdisk.name(), vdisk.description());
            for uri in self.catalog.uris(vdisk.name()) {
                line.push_str(&format!("  {uri}"));
            }
            if let Some(file) = self.catalog.file_path(vdisk.name()) {
                line.push_str(&format!("  {}", file.display()));
            }
            lines.push(line);
        }
        if let Some(past) = &self.past {
            lines.push(format!("files of the past: {}", past.path().display()));
        }
        let control = configuration.control.socket.value.display();
        lines.push(format!("control: {control}"));
        lines.push("ready".to_owned());
        if quiet {
            lines.iter().for_each(|line| log_announcement(line));
            return Ok(());
        }
        let mut out = std::io::stdout().lock();
        for line in lines {
            writeln!(out, "{line}")?;
        }
        out.flush()?;
        Ok(())
    }

    /// Starts the command of `--run`, if there is one.
    pub(crate) fn start_command(
        &self,
        command: Option<&str>,
        configuration: &Configuration,
    ) -> CommandResult<Option<Child>> {
        let Some(command) = command else {
            return Ok(None);
        };
        let tls = configuration.nbd.as_ref().and_then(|nbd| nbd.tls.as_ref());
        let vdisks = self.catalog.list();
        let with_uris = |vdisk: &Vdisk| (vdisk.name().clone(), self.catalog.uris(vdisk.name()));
        let environment = CommandEnvironment::new(
            vdisks.iter().map(with_uris).collect(),
            tls.and_then(|tls| run_command::certificates(&tls.dir.value)),
            self.fuse.as_ref().map(|fuse| fuse.path().to_owned()),
        );
        run_command::start(command, &environment).map(Some)
    }

    /// How many vdisks it serves.
    pub(crate) fn vdisk_count(&self) -> usize {
        self.catalog.list().len()
    }

    /// Returns when a disk's thread has ended without being stopped.
    pub(crate) async fn until_a_disk_ends(&self) {
        self.disks.until_one_ends().await;
    }

    /// The URIs of a vdisk, the preferred one first.
    pub(crate) fn uris(&self, vdisk: &str) -> Vec<NbdUri> {
        self.catalog.uris(vdisk)
    }

    /// The status.
    pub(crate) async fn status(&self) -> ServerStatus {
        self.disks.status().await
    }

    /// The disk at a position of the file.
    pub(crate) fn disk(&self, position: usize) -> Option<&DiskThread> {
        self.disks.0.get(position)
    }

    /// Stops accepting connections, unmounts, drains and flushes the disks, closes the control
    /// socket. Each step takes a bounded time.
    ///
    /// # Errors
    /// What could not be flushed or unmounted, or took too long.
    pub(crate) async fn stop(self) -> CommandResult {
        let mut failures = Vec::new();
        if let Some((task, stop)) = self.nbd {
            let _ = stop.send(true);
            within(STEP_TIME, "NBD handshakes", task).await;
        }
        if let Some(past) = self.past {
            past::unmount(past, &mut failures).await;
        }
        if let Some(fuse) = self.fuse {
            unmount(fuse, &mut failures).await;
        }
        // All disks at the same time, as each may take seconds; the control socket answers
        // meanwhile.
        let drains: Vec<_> = self.disks.0.iter().map(DiskThread::drain).collect();
        let until = Instant::now() + DISK_TIME;
        let mut have_ended = Vec::with_capacity(drains.len());
        for (disk, drain) in self.disks.0.iter().zip(drains) {
            let left = until.saturating_duration_since(Instant::now());
            let name = format_args!("disk {}", disk.name());
            have_ended.push(within(left, name, drain).await.is_some());
        }
        // Once more, so that what became of a file while the server stopped is remembered.
        let (task, stop) = self.watch;
        let _ = stop.send(true);
        let _ = timeout(LOOK_TIME, task).await;
        let (task, stop) = self.control;
        let _ = stop.send(true);
        within(STEP_TIME, "control connections", task).await;
        let disks = Arc::try_unwrap(self.disks)
            .map_err(|_| Failure::new("a status request outlived the server"))?;
        for (disk, has_ended) in disks.0.into_iter().zip(have_ended) {
            if !has_ended {
                close_connections();
                failures.push(format!(
                    "disk {} did not end within {} s; what was written since its last flush may be lost",
                    disk.name(),
                    DISK_TIME.as_secs()
                ));
                continue;
            }
            let stopped = tokio::task::spawn_blocking(move || disk.join()).await?;
            failures.extend(stopped.err().map(|failure| failure.to_string()));
        }
        if failures.is_empty() {
            Ok(())
        } else {
            Err(Failure::new(failures.join("\n")))
        }
    }
}

async fn unmount(fuse: MountHandle, failures: &mut Vec<String>) {
    let place = fuse.path().display().to_string();
    match within(STEP_TIME, &place, fuse.unmount()).await {
        Some(Ok(true)) => {}
        Some(Ok(false)) => print_sentence(
            "a file of the FUSE directory is still open (a loop device?); its requests get errors \
             from now on",
        ),
        Some(Err(error)) => failures.push(error.to_string()),
        None => failures.push(format!("{place} was not unmounted in time")),
    }
}

fn files_status(mount: &MountHandle) -> FilesStatus {
    FilesStatus {
        mount: mount.path().to_owned(),
        over_io_uring: mount.is_over_io_uring(),
        unmounted: false,
    }
}

fn serve_nbd(
    listener: NbdListener,
    exports: Arc<ServedExports>,
    deliver: Deliver,
) -> (JoinHandle<std::io::Result<()>>, watch::Sender<bool>) {
    let (stop, stopped) = stop_switch();
    let task = tokio::spawn(listener.serve(exports, deliver, stopped));
    (task, stop)
}

/// Hands connections to the disks.
fn delivery(catalog: &Arc<ServedCatalog>) -> Deliver {
    let catalog = Arc::clone(catalog);
    Arc::new(move |accepted| catalog.deliver(accepted))
}

/// A switch, and a future that ends when it is set or dropped.
fn stop_switch() -> (watch::Sender<bool>, impl Future<Output = ()>) {
    let (stop, mut stopped) = watch::channel(false);
    let done = async move {
        let _ = stopped.wait_for(|stop| *stop).await;
    };
    (stop, done)
}

/// The directory of the FUSE frontend, checked before any disk is changed; `None` if there is none,
/// or if this machine has no FUSE and NBD is served alone.
async fn fuse_directory(configuration: &Configuration) -> CommandResult<Option<&Spanned<PathBuf>>> {
    let Some(fuse) = &configuration.fuse else {
        return Ok(None);
    };
    match disktime_fuse::prepare(&fuse.mount.value).await {
        Ok(_) => Ok(Some(&fuse.mount)),
        Err(error) if error.is_missing_support() && configuration.nbd.is_some() => {
            print_sentence(format_args!("{error}; serving NBD alone"));
            Ok(None)
        }
        Err(error) => Err(mount_failure(configuration, &fuse.mount, &error)),
    }
}

/// The directory of the files of the past, checked before any disk is changed.
async fn past_directory(configuration: &Configuration) -> CommandResult<Option<PathBuf>> {
    let Some(place) = past::place(configuration) else {
        return Ok(None);
    };
    let prepared = disktime_fuse::prepare(&place.value).await;
    let prepared = prepared.map_err(|error| mount_failure(configuration, place, &error));
    Ok(Some(prepared?))
}

/// Mounts the directory. One thread's reactor serves it and passes requests for disks of others to
/// theirs. That hop costs most on a disk without seeks, so it is that of the first of those, if
/// there is one.
async fn mount(
    configuration: &Configuration,
    place: &Spanned<PathBuf>,
    disks: &[DiskThread],
    catalog: &ServedCatalog,
) -> CommandResult<MountHandle> {
    // A reactor is there once, or it would pass requests to itself and could wait for itself.
    let mut hosts = Vec::new();
    for disk in disks {
        if disk.thread_number() == hosts.len() {
            hosts.push(disk.port_host());
        }
    }
    let home = disks.iter().find(|disk| !disk.is_rotational());
    let home = home.map_or(0, DiskThread::thread_number);
    let transport = disktime_fuse::Transport::Best;
    let mounted = disktime_fuse::mount(&place.value, catalog.files(), hosts, home, transport).await;
    let mounted = mounted.map_err(|error| mount_failure(configuration, place, &error))?;
    catalog.tell_fuse(mounted.files().clone(), mounted.path());
    Ok(mounted)
}

fn mount_failure(
    configuration: &Configuration,
    place: &Spanned<PathBuf>,
    error: &FuseError,
) -> Failure {
    configuration
        .error_at(place.span, error.to_string(), "")
        .into()
}
