//! Between the frontends and the reactors: which exports and files there are, and which disk's
//! reactor serves each.

use disktime_engine::{ReactorHandle, StoredBytes, VdiskId};
use disktime_fuse::FuseFile;
use disktime_nbd::{Accepted, Export, ExportHandle};

/// A vdisk as the frontends see it.
pub(crate) struct ServedVdisk<S> {
    /// Its name, which is also that of its export and its file.
    pub(crate) name: String,
    /// What it is entitled to, for people.
    pub(crate) description: String,
    /// Its size.
    pub(crate) size_bytes: u64,
    /// How much of it is stored.
    pub(crate) stored: StoredBytes,
    /// The position of its disk in the file.
    pub(crate) disk: usize,
    /// Its number on its disk.
    pub(crate) vdisk: VdiskId,
    /// Whether its disk seeks.
    pub(crate) rotational: bool,
    /// Whether trims do anything.
    pub(crate) discards: bool,
    /// Whether clients may only read it.
    pub(crate) read_only: bool,
    /// The disk's reactor.
    pub(crate) reactor: ReactorHandle<S>,
}

/// The exports of all vdisks, in file order; the handle is the position.
pub(crate) fn exports<S>(vdisks: &[ServedVdisk<S>]) -> Vec<Export> {
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
pub(crate) fn deliver<S>(vdisks: &[ServedVdisk<S>], accepted: Accepted) {
    let Some(vdisk) = vdisks.get(accepted.export.handle.0 as usize) else {
        return;
    };
    tracing::debug!("{} uses vdisk {}", accepted.peer, vdisk.name);
    if vdisk
        .reactor
        .connect(accepted.socket, accepted.session)
        .is_err()
    {
        tracing::debug!("{} was dropped: its disk is stopping", accepted.peer);
    }
}

/// The files of all vdisks, in file order.
pub(crate) fn files<S>(vdisks: &[ServedVdisk<S>]) -> Vec<FuseFile> {
    let file = |vdisk: &ServedVdisk<S>| FuseFile {
        name: vdisk.name.clone(),
        size_bytes: vdisk.size_bytes,
        stored: Some(vdisk.stored.clone()),
        read_only: vdisk.read_only,
        optimal_io_bytes: 64 << 10,
        disk: vdisk.disk,
        vdisk: vdisk.vdisk,
    };
    vdisks.iter().map(file).collect()
}
