//! Between the doors and the reactors: which exports and files there are, and how a request of the
//! FUSE door, which lives on other threads, gets to the reactor of its disk and back.

use disktime_engine::{
    Buffer, IoError, ReactorHandle, Reply, Request, RequestKind, Service, VdiskId,
};
use disktime_fuse::{FuseBackend, FuseFile};
use disktime_nbd::{Accepted, Export, ExportHandle};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{Semaphore, oneshot};

/// Requests of the FUSE door under way at most; the kernel holds what is above.
const FUSE_REQUESTS: usize = 256;

/// A vdisk as the doors see it.
pub struct DoorVdisk<S> {
    /// Its name, which is its export and its file.
    pub name: String,
    /// What it is entitled to, for people.
    pub description: String,
    /// Its size.
    pub size_bytes: u64,
    /// Its number on its disk.
    pub vdisk: VdiskId,
    /// Whether its disk seeks.
    pub rotational: bool,
    /// Whether trims do anything.
    pub discards: bool,
    /// Whether clients may only read it.
    pub read_only: bool,
    /// The disk's reactor.
    pub reactor: ReactorHandle<S>,
}

/// The exports of all vdisks, in file order; the handle is the position.
pub fn exports<S>(vdisks: &[DoorVdisk<S>]) -> Vec<Export> {
    vdisks
        .iter()
        .enumerate()
        .map(|(position, vdisk)| {
            let handle = ExportHandle(position as u64);
            let mut export = Export::new(handle, vdisk.vdisk, &vdisk.name, vdisk.size_bytes);
            export.description.clone_from(&vdisk.description);
            export.flags.rotational = vdisk.rotational;
            export.flags.trim = vdisk.discards;
            export.flags.read_only = vdisk.read_only;
            export
        })
        .collect()
}

/// Hands a connection to the reactor of the disk that its vdisk is on.
pub fn deliver<S>(vdisks: &[DoorVdisk<S>], accepted: Accepted) {
    let Some(vdisk) = vdisks.get(accepted.export.handle.0 as usize) else {
        return;
    };
    tracing::debug!("{} uses vdisk {}", accepted.peer, vdisk.name);
    if vdisk
        .reactor
        .connect(accepted.socket, accepted.session)
        .is_err()
    {
        tracing::debug!("{} came while its disk was stopping", accepted.peer);
    }
}

/// The FUSE door's way to the reactors.
pub struct FuseDoor<S> {
    vdisks: Arc<Vec<DoorVdisk<S>>>,
    permits: Semaphore,
    next_handle: AtomicU64,
}

impl<S> FuseDoor<S> {
    /// A door to all vdisks.
    pub fn new(vdisks: Arc<Vec<DoorVdisk<S>>>) -> FuseDoor<S> {
        FuseDoor {
            vdisks,
            permits: Semaphore::new(FUSE_REQUESTS),
            next_handle: AtomicU64::new(0),
        }
    }
}

impl<S: Service + 'static> FuseBackend for FuseDoor<S> {
    fn files(&self) -> Vec<FuseFile> {
        self.vdisks
            .iter()
            .map(|vdisk| FuseFile {
                name: vdisk.name.clone(),
                size_bytes: vdisk.size_bytes,
                read_only: vdisk.read_only,
                optimal_io_bytes: 64 << 10,
            })
            .collect()
    }

    async fn submit(
        &self,
        file: usize,
        kind: RequestKind,
        offset_bytes: u64,
        len_bytes: u64,
        fua: bool,
        buffer: Option<Buffer>,
    ) -> Result<Option<Buffer>, IoError> {
        let vdisk = self.vdisks.get(file).ok_or(IoError::Invalid)?;
        let _permit = self
            .permits
            .acquire()
            .await
            .map_err(|_| IoError::Shutdown)?;
        let request = Request {
            origin: 0,
            handle: self.next_handle.fetch_add(1, Ordering::Relaxed),
            vdisk: vdisk.vdisk,
            kind,
            offset_bytes,
            len_bytes,
            fua,
            buffer,
        };
        let (answer, answered) = oneshot::channel();
        let callback = Box::new(move |reply: Reply| {
            // Nobody waits any more when the program was interrupted; that is its business.
            let _ = answer.send(reply);
        });
        vdisk
            .reactor
            .submit(request, callback)
            .map_err(|_| IoError::Shutdown)?;
        let reply = answered.await.map_err(|_| IoError::Shutdown)?;
        reply.result.map(|()| reply.buffer)
    }
}
