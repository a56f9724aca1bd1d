//! Mounting the directory. The place was prepared, and is unmounted, by the caller.

use crate::attributes::Defaults;
use crate::filesystem::Files;
use crate::tree::Tree;
use crate::{Past, PastVdisk};
use fuse3::raw::{MountHandle, Session};
use fuse3::{MountOptions, Timestamp};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::task::JoinHandle;

/// How often moments that are not used are looked for.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// The mounted directory. When this is dropped, requests to files that are still open fail.
pub struct PastMount {
    path: PathBuf,
    session: MountHandle,
    closing: JoinHandle<()>,
}

impl std::fmt::Debug for PastMount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("PastMount").field(&self.path).finish()
    }
}

/// Mounts the past of these virtual disks on a directory that is there and empty, under a type of
/// file system that is `fuse.` and `subtype`. Runs within a tokio runtime.
///
/// # Errors
/// Why it cannot be mounted.
pub async fn mount(
    directory: &Path,
    subtype: &str,
    vdisks: Vec<PastVdisk>,
    past: Arc<dyn Past>,
) -> io::Result<PastMount> {
    let for_others = vdisks.iter().any(|vdisk| vdisk.group.is_some());
    // SAFETY: both calls only return a number and cannot fail.
    let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
    let time = Timestamp::from(SystemTime::now());
    let tree = Arc::new(Tree::new(vdisks, past, Defaults { uid, gid, time }));
    let mut options = MountOptions::default();
    options
        .fs_name("disktime-past")
        .uid(uid)
        .gid(gid)
        .read_only(true)
        // Where others may come in, the kernel judges them by owners and modes.
        .allow_other(for_others)
        .default_permissions(for_others)
        .custom_options(format!("nosuid,nodev,subtype={subtype}"));
    let session = Session::new(options)
        .mount_with_unprivileged(Files::new(tree.clone()), directory)
        .await?;
    not_inherited()?;
    let closing = tokio::spawn(async move {
        loop {
            tokio::time::sleep(LOOK_INTERVAL).await;
            tree.moments().close_idle(Instant::now());
        }
    });
    Ok(PastMount {
        path: directory.to_owned(),
        session,
        closing,
    })
}

/// Programs that this one starts do not inherit the descriptors of mounts: such a program would
/// keep the mount of a killed server alive, and programs that access it would hang. The crate does
/// not give its descriptor out, so all of this process are looked through.
fn not_inherited() -> io::Result<()> {
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let entry = entry?;
        let is_mount =
            std::fs::read_link(entry.path()).is_ok_and(|to| to == Path::new("/dev/fuse"));
        let number = entry.file_name().to_string_lossy().parse::<i32>();
        if let (true, Ok(number)) = (is_mount, number) {
            // SAFETY: changes a flag of a descriptor; one that was closed meanwhile is an error.
            unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) };
        }
    }
    Ok(())
}

impl PastMount {
    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The directory was unmounted: closes all moments. Files that are still open fail from now on.
    pub async fn close(self) {
        self.closing.abort();
        let _ = self.closing.await;
        // The session ends by itself unless files are open; then it is ended.
        let _ = tokio::time::timeout(Duration::from_secs(2), self.session).await;
    }
}
