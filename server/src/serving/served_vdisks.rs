//! Between the frontends and the reactors: which exports and files there are, and which disk's
//! reactor serves each.

use disktime_engine::{ReactorHandle, StoredBytes, VdiskId};
use disktime_fuse::{FileIdentity, FuseFile};
use disktime_nbd::{Accepted, Export, ExportHandle};
use disktime_volumes::Uuid;

/// A vdisk as the frontends see it.
pub(crate) struct ServedVdisk<S> {
    /// Its identity, which its label keeps for ever.
    pub(crate) uuid: Uuid,
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
    /// Its handle at its disk's service.
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

/// The exports of all vdisks, in file order; an export's identity is its vdisk's.
pub(crate) fn exports<S>(vdisks: &[ServedVdisk<S>]) -> Vec<Export> {
    vdisks
        .iter()
        .map(|vdisk| {
            let handle = export_handle(vdisk.uuid);
            let mut export = Export::new(handle, vdisk.vdisk, &vdisk.name, vdisk.size_bytes);
            export.description.clone_from(&vdisk.description);
            export.flags.rotational = vdisk.rotational;
            export.flags.trim = vdisk.discards;
            export.flags.read_only = vdisk.read_only;
            export
        })
        .collect()
}

fn export_handle(uuid: Uuid) -> ExportHandle {
    ExportHandle(number(uuid))
}

fn number(uuid: Uuid) -> u128 {
    u128::from_be_bytes(uuid.to_bytes())
}

/// Hands a connection to the reactor of the disk that its vdisk is on.
pub(crate) fn deliver<S>(vdisks: &[ServedVdisk<S>], accepted: Accepted) {
    let is_meant = |vdisk: &&ServedVdisk<S>| export_handle(vdisk.uuid) == accepted.export.handle;
    let Some(vdisk) = vdisks.iter().find(is_meant) else {
        tracing::debug!(
            "{} chose a vdisk that is not served any more",
            accepted.peer
        );
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
        identity: FileIdentity(number(vdisk.uuid)),
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
