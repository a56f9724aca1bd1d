//! The files of the past, as the reservation file describes them: which virtual disks are shown and
//! to whom, how moments are read, where the directory is.
//!
//! A moment is read by an NBD connection within this process, so everything that holds for the
//! export of a moment holds here: who pays, back-pressure, what an open moment keeps.

use crate::diagnostics::print_sentence;
use crate::failure::CommandResult;
use crate::moment_image::MomentImage;
use crate::serving::export_directory::ServedExports;
use crate::serving::nbd::group_number;
use crate::serving::stop_step::{STEP_TIME, within};
use disktime_history::MarkStatus;
use disktime_image_files::Image;
use disktime_nbd::LocalConnections;
use disktime_observe::PastStatus;
use disktime_past::{FoundMoment, Mark, Past, PastMount, PastVdisk};
use disktime_reservations::{Configuration, DocumentErrors, Spanned};
use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::runtime::Handle;

/// Connections to the server's own exports at once: moments that are open as files, and commands
/// that read files.
pub(crate) const CONNECTIONS: usize = 128;

/// The directory, where the file asks for one.
pub(crate) fn place(configuration: &Configuration) -> Option<&Spanned<PathBuf>> {
    configuration.fuse.as_ref()?.history.as_ref()
}

/// The virtual disks whose past is shown.
///
/// # Errors
/// A group that this machine does not have.
pub(crate) fn vdisks(configuration: &Configuration) -> Result<Vec<PastVdisk>, DocumentErrors> {
    let mut shown = Vec::new();
    for vdisk in &configuration.vdisks {
        let Some(history) = &vdisk.history else {
            continue;
        };
        let group = history.group.as_ref();
        let group = group.map(|group| group_number(configuration, group));
        shown.push(PastVdisk {
            name: vdisk.name.value.clone(),
            group: group.transpose()?,
        });
    }
    Ok(shown)
}

/// Mounts the directory, which is prepared.
///
/// # Errors
/// Why it cannot be mounted.
pub(crate) async fn mount(
    configuration: &Configuration,
    directory: &Path,
    exports: Arc<ServedExports>,
    connections: LocalConnections,
) -> CommandResult<PastMount> {
    let past = ServedPast {
        exports,
        connections,
        runtime: Handle::current(),
    };
    let vdisks = vdisks(configuration)?;
    let mounted = disktime_past::mount(directory, disktime_fuse::SUBTYPE, vdisks, Arc::new(past));
    mounted.await.map_err(|error| {
        let span = place(configuration).map_or_else(Default::default, |place| place.span);
        let message = format!("the files of the past cannot be mounted: {error}");
        let help = "with `allow_gid` a server that does not run as root needs `user_allow_other` \
                    in /etc/fuse.conf";
        configuration.error_at(span, message, help).into()
    })
}

/// The directory, as it is reported.
pub(crate) fn status(directory: &Path) -> PastStatus {
    PastStatus {
        mount: directory.to_owned(),
        unmounted: !disktime_fuse::is_mounted(directory),
    }
}

/// Takes the directory down when the server stops.
pub(crate) async fn unmount(past: PastMount, failures: &mut Vec<String>) {
    let place = past.path().display().to_string();
    let unmounted = disktime_fuse::unmount(past.path());
    match within(STEP_TIME, &place, unmounted).await {
        Some(Ok(true)) => {}
        Some(Ok(false)) => {
            print_sentence("a file of the past is still open; its requests get errors from now on")
        }
        Some(Err(error)) => failures.push(error.to_string()),
        None => failures.push(format!("{place} was not unmounted in time")),
    }
    within(STEP_TIME, &place, past.close()).await;
}

/// The past of the served virtual disks.
struct ServedPast {
    exports: Arc<ServedExports>,
    connections: LocalConnections,
    runtime: Handle,
}

impl ServedPast {
    fn connect(&self) -> io::Result<UnixStream> {
        let (ours, theirs) = UnixStream::pair()?;
        theirs.set_nonblocking(true)?;
        let _runtime = self.runtime.enter();
        let theirs = tokio::net::UnixStream::from_std(theirs)?;
        let connections = self.connections.clone();
        self.runtime.spawn(async move {
            let name = "the files of the past".to_owned();
            connections.serve(theirs, name).await;
        });
        Ok(ours)
    }
}

impl Past for ServedPast {
    fn marks(&self, vdisk: &str) -> Vec<Mark> {
        let marks = self.exports.marks_of(vdisk).into_iter();
        let mark = |mark: MarkStatus| Mark {
            name: mark.name,
            seq: mark.moment,
            since_1970_ns: mark.time_ns,
        };
        marks.map(mark).collect()
    }

    fn resolve(&self, vdisk: &str, moment: &str) -> Result<FoundMoment, String> {
        let (seq, size_bytes) = self.exports.seq_and_size_of(vdisk, moment)?;
        Ok(FoundMoment { seq, size_bytes })
    }

    fn open(&self, vdisk: &str, seq: u64) -> Result<Arc<dyn Image>, String> {
        let connection = self.connect().map_err(|error| error.to_string())?;
        let image = MomentImage::open(connection, &format!("{vdisk}@seq:{seq}"));
        Ok(Arc::new(image.map_err(|error| error.to_string())?))
    }
}
