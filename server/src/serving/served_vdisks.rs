//! Between the frontends and the reactors: which exports and files there are, and which disk's
//! reactor serves each.

use crate::assembly;
use disktime_disks::Disk;
use disktime_engine::{ClientCount, LastChange, NoSpaceCount, ReactorHandle, StoredBytes, VdiskId};
use disktime_fuse::{FileIdentity, FuseFile};
use disktime_nbd::{Accepted, Export, ExportHandle};
use disktime_observe::ServerStatus;
use disktime_reservations::Vdisk;
use disktime_units::TrimHandling;
use disktime_volumes::{Uuid, VolumeSet};

/// What the frontends tell clients of a disk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DiskTraits {
    /// Whether it seeks.
    rotational: bool,
    /// Whether trims do anything.
    discards: bool,
    /// Whether it cannot be written to.
    read_only: bool,
}

/// What the catalog of a disk's volume set says of a vdisk.
#[derive(Debug, Clone)]
pub(crate) struct CatalogEntry {
    /// Its identity, which its label keeps for ever.
    uuid: Uuid,
    /// Its handle at its disk's service.
    id: VdiskId,
    /// How much of it is stored.
    stored: StoredBytes,
    /// How much was trimmed and is not given back to the disk, if trims are held.
    held: Option<StoredBytes>,
    /// When its content changed last.
    last_change: LastChange,
    /// How many of its requests found no space below.
    no_space: NoSpaceCount,
    /// Whether its disk keeps what is written.
    is_kept: bool,
}

/// How a vdisk is used, for the status.
#[derive(Debug, Clone)]
pub(crate) struct VdiskUse {
    name: String,
    /// `None` on a disk that keeps nothing.
    stored: Option<StoredBytes>,
    trims: TrimHandling,
    held: Option<StoredBytes>,
    no_space: NoSpaceCount,
    clients: ClientCount,
    read_only: bool,
}

impl VdiskUse {
    /// Enters it into the status.
    pub(crate) fn report(&self, status: &mut ServerStatus) {
        if let Some(vdisk) = status.vdisks.get_mut(&self.name) {
            vdisk.stored_bytes = self.stored.as_ref().map_or(0, StoredBytes::get);
            self.trims.name().clone_into(&mut vdisk.trim);
            vdisk.trim_held_bytes = self.held.as_ref().map(StoredBytes::get);
            vdisk.clients = self.clients.get();
            vdisk.read_only = self.read_only;
            vdisk.no_space = self.no_space.get();
        }
    }
}

/// A vdisk as the frontends see it.
pub(crate) struct ServedVdisk<S> {
    entry: CatalogEntry,
    /// Its name, which is also that of its export and its file.
    name: String,
    /// What it is entitled to, for people.
    description: String,
    size_bytes: u64,
    /// Whether clients may only read it.
    read_only: bool,
    /// What becomes of its trims.
    trims: TrimHandling,
    /// Whether the file gives it a history.
    has_history: bool,
    /// The number of the thread that serves its disk.
    thread: usize,
    traits: DiskTraits,
    /// Its clients by every frontend.
    clients: ClientCount,
    /// The disk's reactor.
    reactor: ReactorHandle<S>,
}

impl DiskTraits {
    /// The traits of a disk.
    pub(crate) fn of(disk: &impl Disk) -> DiskTraits {
        let properties = disk.properties();
        DiskTraits {
            read_only: disk.is_read_only(),
            rotational: properties.has_seeks,
            discards: properties.capabilities.discards(),
        }
    }

    /// Whether it seeks.
    pub(crate) fn is_rotational(self) -> bool {
        self.rotational
    }
}

impl CatalogEntry {
    /// The entry of the vdisk of that name.
    pub(crate) fn find<D: Disk>(service: &VolumeSet<D>, name: &str) -> Option<CatalogEntry> {
        let id = service.vdisk_id(name)?;
        Some(CatalogEntry {
            uuid: service.uuid(id)?,
            id,
            stored: service.stored(id)?,
            held: service.held_trims(id),
            last_change: service.last_change(id)?,
            no_space: service.no_space(id)?,
            is_kept: service.disk_loop().properties().capabilities.holds_data,
        })
    }
}

impl<S> ServedVdisk<S> {
    /// A vdisk of the file that the thread of that number serves by its `reactor`.
    pub(crate) fn new(
        (config, trims): (&Vdisk, TrimHandling),
        entry: CatalogEntry,
        thread: usize,
        traits: DiskTraits,
        reactor: ReactorHandle<S>,
    ) -> ServedVdisk<S> {
        ServedVdisk {
            entry,
            name: config.name.value.clone(),
            description: assembly::entitlement(config),
            size_bytes: config.size_bytes.value,
            read_only: config.read_only || traits.read_only,
            trims,
            has_history: config.history.is_some(),
            thread,
            traits,
            clients: ClientCount::default(),
            reactor,
        }
    }

    /// Counts its clients with those of its export.
    pub(crate) fn share_clients(&mut self, clients: ClientCount) {
        self.clients = clients;
    }

    /// Whether the file gives it a history.
    pub(crate) fn has_history(&self) -> bool {
        self.has_history
    }

    /// Its clients by every frontend.
    pub(crate) fn clients(&self) -> &ClientCount {
        &self.clients
    }

    /// Its handle at its disk's service.
    pub(crate) fn id(&self) -> VdiskId {
        self.entry.id
    }

    /// The disk's reactor.
    pub(crate) fn reactor(&self) -> &ReactorHandle<S> {
        &self.reactor
    }

    /// The identity of its file.
    pub(crate) fn file_identity(&self) -> FileIdentity {
        FileIdentity(number(self.entry.uuid))
    }

    /// How it is used.
    pub(crate) fn usage(&self) -> VdiskUse {
        let stored = self.entry.is_kept.then(|| self.entry.stored.clone());
        VdiskUse {
            name: self.name.clone(),
            stored,
            trims: self.trims,
            held: self.entry.held.clone(),
            no_space: self.entry.no_space.clone(),
            clients: self.clients.clone(),
            read_only: self.read_only,
        }
    }

    /// Its name, which is also that of its export and its file.
    pub(crate) fn name(&self) -> &String {
        &self.name
    }

    /// What it is entitled to, for people.
    pub(crate) fn description(&self) -> &str {
        &self.description
    }

    /// Its export; the export's identity is the vdisk's.
    fn export(&self) -> Export {
        let handle = export_handle(self.entry.uuid);
        let mut export = Export::new(handle, self.entry.id, &self.name, self.size_bytes);
        export.description.clone_from(&self.description);
        export.flags.rotational = self.traits.rotational;
        export.ignores_trims = self.trims == TrimHandling::Ignore;
        export.flags.trim = self.traits.discards && !export.ignores_trims;
        export.flags.read_only = self.read_only;
        export
    }

    /// Its file.
    fn file(&self) -> FuseFile {
        FuseFile {
            identity: self.file_identity(),
            name: self.name.clone(),
            size_bytes: self.size_bytes,
            stored: Some(self.entry.stored.clone()),
            last_change: self.entry.last_change.clone(),
            clients: self.clients.clone(),
            read_only: self.read_only,
            punches_holes: self.trims != TrimHandling::Ignore,
            optimal_io_bytes: 64 << 10,
            disk: self.thread,
            vdisk: self.entry.id,
        }
    }
}

/// The exports of all vdisks, in file order.
pub(crate) fn exports<S>(vdisks: &[ServedVdisk<S>]) -> Vec<Export> {
    vdisks.iter().map(ServedVdisk::export).collect()
}

fn export_handle(uuid: Uuid) -> ExportHandle {
    ExportHandle(number(uuid))
}

fn number(uuid: Uuid) -> u128 {
    u128::from_be_bytes(uuid.to_bytes())
}

/// Hands a connection to the reactor of the disk that its vdisk is on.
pub(crate) fn deliver<S>(vdisks: &[ServedVdisk<S>], accepted: Accepted) {
    let is_meant =
        |vdisk: &&ServedVdisk<S>| export_handle(vdisk.entry.uuid) == accepted.export.handle;
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
    vdisks.iter().map(ServedVdisk::file).collect()
}
