//! Mounting and unmounting the directory.
//!
//! Invariants: after [`MountHandle::unmount`] no request is in flight that takes less than its
//! timeout; a handle that is dropped unmounts too; a program that the server starts does not
//! inherit the connection.

use crate::connection::KernelConnection;
use crate::device::Device;
use crate::directory::{Directory, Owner};
use crate::handler::OperationHandler;
use crate::mounted_files::{FileChanges, MountedFiles};
use crate::mountpoint::{self, Unmounted};
use crate::open_files::OpenFiles;
use crate::port::{FusePort, MountState};
use crate::read_buffer::REQUEST_BYTES_MAX;
use crate::transport::Transport;
use crate::{FuseError, FuseFile, fusermount, handshake};
use disktime_engine::PortHost;
use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::oneshot;

/// How long an unmount waits for requests in flight.
const REQUESTS_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the kernel or `fusermount3` may take to unmount.
const UNMOUNT_TIMEOUT: Duration = Duration::from_secs(10);

/// A mounted directory. Dropping it unmounts it at once; [`MountHandle::unmount`] waits for
/// requests in flight.
pub struct MountHandle {
    path: PathBuf,
    state: Arc<MountState>,
    /// The reactor that serves the port.
    host: Arc<dyn PortHost>,
    /// Ends when the port has no request in flight and accepts no more.
    drained: oneshot::Receiver<()>,
    is_over_io_uring: bool,
    is_unmounted: bool,
    open_files: OpenFiles,
    files: MountedFiles,
}

impl fmt::Debug for MountHandle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "MountHandle({:?})", self.path)
    }
}

/// Prepares `directory` for a mount, as [`mount`] does first, and returns its absolute path: for a
/// caller that has to know before it changes anything else.
///
/// # Errors
/// As [`mount`].
pub async fn prepare(directory: &Path) -> Result<PathBuf, FuseError> {
    off_thread(directory, mountpoint::prepare).await
}

/// Whether `directory` could be mounted on, as far as that is known without changing anything.
///
/// # Errors
/// As [`mount`].
pub fn check_mount_point(directory: &Path) -> Result<(), FuseError> {
    mountpoint::check(directory)
}

/// Whether a directory that was mounted on this absolute path still is: another program may have
/// unmounted it, and open files of it go on until they are closed.
pub fn is_mounted(directory: &Path) -> bool {
    mountpoint::is_mounted(directory)
}

/// Unmounts a directory that [`prepare`] prepared and another program serves under the type
/// [`SUBTYPE`]; returns whether no file of it was open. Files that are open go on until they are
/// closed.
///
/// # Errors
/// If the directory is still mounted, or after ten seconds.
pub async fn unmount(directory: &Path) -> Result<bool, FuseError> {
    let work = off_thread(directory, mountpoint::unmount);
    let unmounted = tokio::time::timeout(UNMOUNT_TIMEOUT, work).await;
    Ok(unmounted.unwrap_or_else(|_| Err(too_slow(directory)))? == Unmounted::Now)
}

fn too_slow(directory: &Path) -> FuseError {
    FuseError::Unmount {
        path: directory.into(),
        reason: format!("it takes more than {} s", UNMOUNT_TIMEOUT.as_secs()),
    }
}

/// Mounts these files on `directory`, which is created if it is missing; the stale mount of a
/// server that was killed is removed first. `hosts` are the reactors of the disks; the one at
/// `home` serves the directory and its own disk's files, and passes requests for other disks on to
/// their reactors. `transport` says how the kernel's requests come to it.
///
/// # Errors
/// A sentence that says what to do. [`FuseError::is_missing_support`] says whether this machine has
/// no FUSE at all.
///
/// # Panics
/// If `home` or the disk of a file is not among the hosts.
pub async fn mount(
    directory: &Path,
    files: Vec<FuseFile>,
    hosts: Vec<Arc<dyn PortHost>>,
    home: usize,
    transport: Transport,
) -> Result<MountHandle, FuseError> {
    assert!(files.iter().all(|file| file.disk < hosts.len()));
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
    let created_ns = u64::try_from(since_1970.unwrap_or_default().as_nanos()).unwrap_or(u64::MAX);
    let handler = OperationHandler::new(Directory::new(files, current_user(), created_ns)?);
    let path = prepare(directory).await?;
    let connected = off_thread(&path, move |path| connect(path, transport)).await?;
    let (connection, device) = connected;
    let changes = Arc::new(FileChanges::of(handler.directory().inodes()));
    let host = Arc::clone(&hosts[home]);
    let open_files = OpenFiles::new(device, Arc::clone(&changes), host);
    let host = Arc::clone(&hosts[home]);
    let files = MountedFiles::new(Arc::clone(&changes), open_files.clone(), host);
    let (drained_sender, drained) = oneshot::channel();
    let handle = MountHandle {
        path,
        state: Arc::default(),
        host: Arc::clone(&hosts[home]),
        drained,
        is_over_io_uring: connection.has_ring(),
        is_unmounted: false,
        open_files,
        files,
    };
    let state = Arc::clone(&handle.state);
    let port = FusePort::new(
        connection,
        (handler, changes),
        hosts,
        home,
        state,
        drained_sender,
    );
    match handle.host.open_port(Box::new(port)) {
        Ok(()) => Ok(handle),
        Err(error) => Err(failed(&handle.path, io::Error::other(error))),
    }
}

/// Mounts, and does the handshake with the kernel; with the device of the connection. If that
/// fails, the directory is unmounted.
fn connect(path: &Path, transport: Transport) -> Result<(KernelConnection, Weak<File>), FuseError> {
    let options = format!(
        "nosuid,nodev,fsname=disktime,subtype={},max_read={REQUEST_BYTES_MAX}",
        mountpoint::SUBTYPE
    );
    let descriptor = fusermount::mount(&options, path).map_err(|source| failed(path, source))?;
    let connected = Device::new(descriptor).and_then(|device| {
        let ring = handshake::run(&device, transport)?;
        let borrowed = device.borrowed();
        Ok((KernelConnection::new(device, ring), borrowed))
    });
    connected.map_err(|source| {
        if let Err(error) = mountpoint::unmount(path) {
            tracing::warn!("{error}");
        }
        failed(path, source)
    })
}

fn failed(path: &Path, source: io::Error) -> FuseError {
    FuseError::Mount {
        path: path.into(),
        source,
    }
}

impl MountHandle {
    /// The mounted directory, as an absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether requests come over io_uring, not by `/dev/fuse`.
    pub fn is_over_io_uring(&self) -> bool {
        self.is_over_io_uring
    }

    /// What is done to its open files.
    pub fn open_files(&self) -> &OpenFiles {
        &self.open_files
    }

    /// Its files, which may change.
    pub fn files(&self) -> &MountedFiles {
        &self.files
    }

    /// Unmounts, and returns when every request in flight is completed, or after five seconds: a
    /// request that takes longer fails when its reactor ends. Later requests get ESHUTDOWN. Returns
    /// whether no file was open: an open file (of a loop device, for example) keeps its connection
    /// until it is closed or its reactor ends.
    ///
    /// # Errors
    /// If the directory is still mounted after ten seconds; the requests are completed all the
    /// same.
    pub async fn unmount(mut self) -> Result<bool, FuseError> {
        self.state.begin_unmount();
        // One attempt is all: the handle must not block when it is dropped.
        self.is_unmounted = true;
        let work = off_thread(&self.path, mountpoint::unmount);
        let unmounted = tokio::time::timeout(UNMOUNT_TIMEOUT, work).await;
        self.close();
        // The sender is dropped by a port that is drained, or with a reactor that has ended.
        let _ = tokio::time::timeout(REQUESTS_TIMEOUT, &mut self.drained).await;
        let unmounted = unmounted.unwrap_or_else(|_| Err(too_slow(&self.path)));
        match unmounted? {
            Unmounted::Now => Ok(true),
            Unmounted::WhenFilesAreClosed => {
                tracing::warn!(
                    "{:?} is unmounted while files in it are open; requests to them fail from now \
                        on",
                    self.path
                );
                Ok(false)
            }
        }
    }

    /// Refuses requests from now on.
    fn close(&self) {
        self.state.close();
        self.host.wake();
    }
}

impl Drop for MountHandle {
    fn drop(&mut self) {
        if self.is_unmounted {
            return;
        }
        self.state.begin_unmount();
        self.close();
        if let Err(error) = mountpoint::unmount(&self.path) {
            tracing::warn!("{error}");
        }
    }
}

async fn off_thread<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce(&Path) -> Result<T, FuseError> + Send + 'static,
) -> Result<T, FuseError> {
    let owned = path.to_path_buf();
    let joined = tokio::task::spawn_blocking(move || work(&owned)).await;
    joined.unwrap_or_else(|error| Err(failed(path, io::Error::other(error))))
}

fn current_user() -> Owner {
    // SAFETY: both calls only return a number and cannot fail.
    let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
    Owner { uid, gid }
}
