//! Mounting and unmounting the directory.
//!
//! Invariants: after [`MountHandle::unmount`] no request that takes less than its patience is with the
//! backend; a handle that is dropped unmounts too; a program that the server starts does not inherit the
//! session.

use crate::answers::Answers;
use crate::device::Device;
use crate::directory::{Directory, Owner};
use crate::inbox::REQUEST_BYTES_MAX;
use crate::mountpoint::{self, Unmounted};
use crate::port::{FusePort, Shared};
use crate::source::Source;
use crate::{FuseError, FuseFile, fusermount, handshake};
use disktime_engine::PortHost;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::oneshot;

/// How long an unmount waits for what is under way.
const PATIENCE: Duration = Duration::from_secs(5);

/// How requests come from the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Transport {
    /// Over io_uring if the kernel offers it (Linux 6.14, `enable_uring` of its module `fuse` set to
    /// `Y` before the mount), or else by `/dev/fuse`.
    #[default]
    Best,
    /// By reading and writing `/dev/fuse`.
    Device,
}

/// A mounted directory. Dropping it unmounts it; [`MountHandle::unmount`] does so in good order.
pub struct MountHandle {
    path: PathBuf,
    shared: Arc<Shared>,
    /// The reactor that has the port.
    host: Arc<dyn PortHost>,
    /// Ends when the port has nothing under way and takes nothing more.
    drained: oneshot::Receiver<()>,
    over_io_uring: bool,
    unmounted: bool,
}

impl fmt::Debug for MountHandle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "MountHandle({:?})", self.path)
    }
}

/// Makes `directory` fit to be mounted on, as [`mount`] does first, and returns its absolute path:
/// for a caller that wants to know before it changes anything else.
///
/// # Errors
/// As [`mount`].
pub async fn prepare(directory: &Path) -> Result<PathBuf, FuseError> {
    off_thread(directory, mountpoint::prepare).await
}

/// Mounts these files on `directory`, which is created if it is missing; the dead mount of a
/// server that was killed is cleaned up first. `hosts` are the reactors of the disks; the one at `home`
/// serves the directory and its own disk's files, and passes on what concerns the other disks.
/// `transport` says how the kernel's requests come there.
///
/// # Errors
/// A sentence with the remedy. [`FuseError::is_missing_support`] tells whether this machine has
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
    let made_seconds = since_1970.unwrap_or_default().as_secs();
    let answers = Answers::new(Directory::new(files, current_user(), made_seconds)?);
    let path = prepare(directory).await?;
    let source = off_thread(&path, move |path| mount_source(path, transport)).await?;
    let (drained_sender, drained) = oneshot::channel();
    let handle = MountHandle {
        path,
        shared: Arc::default(),
        host: Arc::clone(&hosts[home]),
        drained,
        over_io_uring: source.has_ring(),
        unmounted: false,
    };
    let shared = Arc::clone(&handle.shared);
    let port = FusePort::new(source, answers, hosts, home, shared, drained_sender);
    match handle.host.open_port(Box::new(port)) {
        Ok(()) => Ok(handle),
        Err(gone) => Err(failed(&handle.path, io::Error::other(gone))),
    }
}

/// Mounts, and greets the kernel. What fails on the way is unmounted.
fn mount_source(path: &Path, transport: Transport) -> Result<Source, FuseError> {
    let options = format!(
        "nosuid,nodev,fsname=disktime,subtype={},max_read={REQUEST_BYTES_MAX}",
        mountpoint::SUBTYPE
    );
    let descriptor = fusermount::mount(&options, path).map_err(|source| failed(path, source))?;
    let greeted = Device::new(descriptor).and_then(|device| {
        let ring = handshake::greet(&device, transport)?;
        Ok(Source::new(device, ring))
    });
    greeted.map_err(|source| {
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
    /// Where it is mounted, as an absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether requests come over io_uring, not by `/dev/fuse`.
    pub fn is_over_io_uring(&self) -> bool {
        self.over_io_uring
    }

    /// Unmounts, and returns when every request that was under way is answered, or five seconds later:
    /// what takes longer is given up with its reactor. Later ones get ESHUTDOWN. Returns whether nobody had
    /// a file open: one that is open (a loop device, say) keeps its connection until it is closed or its
    /// reactor ends.
    ///
    /// # Errors
    /// If `fusermount3` fails; the requests are answered all the same.
    pub async fn unmount(mut self) -> Result<bool, FuseError> {
        self.shared.unmounting.store(true, Ordering::Release);
        let unmounted = off_thread(&self.path, mountpoint::unmount).await;
        self.close();
        // It ends by being dropped, by a port that is drained or by a reactor that has ended.
        let _ = tokio::time::timeout(PATIENCE, &mut self.drained).await;
        self.unmounted = unmounted.is_ok();
        match unmounted? {
            Unmounted::Now => Ok(true),
            Unmounted::WhenFilesAreClosed => {
                tracing::warn!(
                    "{:?} is unmounted while files in it are open; they fail from now on",
                    self.path
                );
                Ok(false)
            }
        }
    }

    /// Takes no more requests.
    fn close(&self) {
        self.shared.closing.store(true, Ordering::Release);
        self.host.wake();
    }
}

impl Drop for MountHandle {
    fn drop(&mut self) {
        if self.unmounted {
            return;
        }
        self.shared.unmounting.store(true, Ordering::Release);
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
