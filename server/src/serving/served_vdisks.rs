//! Between the frontends and the reactors: the export and the file of a vdisk, and which disk's
//! reactor serves it.

use crate::assembly::{self, CloneSettings};
use disktime_disks::Disk;
use disktime_engine::{ClientCount, LastChange, NoSpaceCount, ReactorHandle, StoredBytes, VdiskId};
use disktime_fuse::{FileIdentity, FuseFile};
use disktime_nbd::{Export, ExportAccess, ExportHandle};
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
    size_bytes: u64,
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

/// What a vdisk was cloned from, and what it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CloneOrigin {
    /// The vdisk's name.
    pub(crate) parent: String,
    /// The moment.
    pub(crate) seq: u64,
    pub(crate) settings: CloneSettings,
}

/// A clone that a disk serves.
#[derive(Debug, Clone)]
pub(crate) struct FoundClone {
    pub(crate) name: String,
    pub(crate) entry: CatalogEntry,
    pub(crate) origin: CloneOrigin,
}

/// A vdisk as the frontends see it.
pub(crate) struct ServedVdisk<S> {
    entry: CatalogEntry,
    /// The name of its disk,
    disk: String,
    /// and that of the disk of its log, if that is another.
    log_disk: Option<String>,
    /// Its name, which is also that of its export and its file.
    name: String,
    /// What it is entitled to, for people.
    description: String,
    /// Whether clients may only read it.
    read_only: bool,
    /// What becomes of its trims.
    trims: TrimHandling,
    /// Whether the file gives it a history, or it is a clone.
    has_history: bool,
    /// The number of the thread that serves its disk.
    thread: usize,
    traits: DiskTraits,
    /// Who may use it by NBD, and its clients by every frontend.
    access: ExportAccess,
    /// What it was cloned from, if it is a clone.
    origin: Option<CloneOrigin>,
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
        CatalogEntry::of(service, service.vdisk_id(name)?)
    }

    fn of<D: Disk>(service: &VolumeSet<D>, id: VdiskId) -> Option<CatalogEntry> {
        Some(CatalogEntry {
            uuid: service.uuid(id)?,
            id,
            size_bytes: service.size_bytes(id)?,
            stored: service.stored(id)?,
            held: service.held_trims(id),
            last_change: service.last_change(id)?,
            no_space: service.no_space(id)?,
            is_kept: service.disk_loop().properties().capabilities.holds_data,
        })
    }
}

impl FoundClone {
    /// The clones that a disk serves. `settings`: of each, by its name.
    pub(crate) fn all<D: Disk>(
        service: &VolumeSet<D>,
        settings: impl Fn(&str) -> CloneSettings,
    ) -> Vec<FoundClone> {
        let ids = service.vdisk_ids();
        let found = ids.filter_map(|id| {
            let name = service.name(id)?;
            FoundClone::of(service, id, settings(name))
        });
        found.collect()
    }

    /// The clone with that handle.
    pub(crate) fn of<D: Disk>(
        service: &VolumeSet<D>,
        id: VdiskId,
        settings: CloneSettings,
    ) -> Option<FoundClone> {
        let (parent, seq) = service.origin(id)?;
        Some(FoundClone {
            name: service.name(id)?.to_owned(),
            entry: CatalogEntry::of(service, id)?,
            origin: CloneOrigin {
                parent: parent.to_owned(),
                seq,
                settings,
            },
        })
    }
}

impl FoundClone {
    /// Its identity, as text.
    pub(crate) fn uuid(&self) -> String {
        self.entry.uuid.to_string()
    }

    pub(crate) fn size_bytes(&self) -> u64 {
        self.entry.size_bytes
    }
}

impl CloneOrigin {
    /// The moment, as people write it.
    pub(crate) fn text(&self) -> String {
        format!("{}@seq:{}", self.parent, self.seq)
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
            disk: config.disk.value.clone(),
            log_disk: config
                .log_disk()
                .filter(|log| *log != config.disk.value)
                .map(str::to_owned),
            name: config.name.value.clone(),
            description: assembly::entitlement(config),
            read_only: config.read_only || traits.read_only,
            trims,
            has_history: config.history.is_some(),
            thread,
            traits,
            access: access_of(config),
            origin: None,
            reactor,
        }
    }

    /// A clone of this vdisk, which is on the same disks; who may use this one may use the clone.
    pub(crate) fn cloned(&self, clone: FoundClone) -> ServedVdisk<S> {
        let FoundClone {
            name,
            entry,
            origin,
        } = clone;
        let disks: Vec<&str> = self.disks().collect();
        let entitlement = origin.settings.entitlement(&disks);
        ServedVdisk {
            entry,
            disk: self.disk.clone(),
            log_disk: self.log_disk.clone(),
            name,
            description: format!("{entitlement}, clone of {}", origin.text()),
            read_only: self.traits.read_only,
            trims: TrimHandling::Pass,
            has_history: true,
            thread: self.thread,
            traits: self.traits,
            access: ExportAccess {
                clients: ClientCount::default(),
                ..self.access.clone()
            },
            origin: Some(origin),
            reactor: self.reactor.clone(),
        }
    }

    /// The same clone, as its entry in the file says.
    pub(crate) fn overridden(self, entry: &Vdisk) -> ServedVdisk<S> {
        ServedVdisk {
            read_only: entry.read_only || self.read_only,
            access: access_of(entry),
            ..self
        }
    }

    /// The number of the thread that serves its disk.
    pub(crate) fn thread(&self) -> usize {
        self.thread
    }

    /// The name of its disk.
    pub(crate) fn disk(&self) -> &str {
        &self.disk
    }

    /// The names of its disk, and of the disk of its log if that is another.
    pub(crate) fn disks(&self) -> impl Iterator<Item = &str> {
        let log = self.log_disk.as_deref();
        [self.disk.as_str()].into_iter().chain(log)
    }

    /// What it was cloned from, if it is a clone.
    pub(crate) fn origin(&self) -> Option<&CloneOrigin> {
        self.origin.as_ref()
    }

    /// Who may use it by NBD.
    pub(crate) fn access(&self) -> &ExportAccess {
        &self.access
    }

    pub(crate) fn size_bytes(&self) -> u64 {
        self.entry.size_bytes
    }

    /// Whether the file gives it a history, or it is a clone.
    pub(crate) fn has_history(&self) -> bool {
        self.has_history
    }

    /// Its clients by every frontend.
    pub(crate) fn clients(&self) -> &ClientCount {
        &self.access.clients
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

    /// Enters what is known of it here into the status.
    pub(crate) fn report(&self, status: &mut ServerStatus) {
        if let Some(vdisk) = status.vdisks.get_mut(&self.name) {
            let entry = &self.entry;
            // A disk that keeps nothing stores nothing.
            vdisk.stored_bytes = if entry.is_kept { entry.stored.get() } else { 0 };
            self.trims.name().clone_into(&mut vdisk.trim);
            vdisk.trim_held_bytes = entry.held.as_ref().map(StoredBytes::get);
            vdisk.clients = self.access.clients.get();
            vdisk.read_only = self.read_only;
            vdisk.no_space = entry.no_space.get();
            vdisk.clone_of = self.origin.as_ref().map(CloneOrigin::text);
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

    /// The identity of its export.
    pub(crate) fn export_handle(&self) -> ExportHandle {
        ExportHandle(number(self.entry.uuid))
    }

    /// Its export; the export's identity is the vdisk's.
    pub(crate) fn export(&self) -> Export {
        let handle = self.export_handle();
        let mut export = Export::new(handle, self.entry.id, &self.name, self.entry.size_bytes);
        export.description.clone_from(&self.description);
        export.flags.rotational = self.traits.rotational;
        export.ignores_trims = self.trims == TrimHandling::Ignore;
        export.flags.trim = self.traits.discards && !export.ignores_trims;
        export.flags.read_only = self.read_only;
        export
    }

    /// Its file.
    pub(crate) fn file(&self) -> FuseFile {
        FuseFile {
            identity: self.file_identity(),
            name: self.name.clone(),
            size_bytes: self.entry.size_bytes,
            stored: Some(self.entry.stored.clone()),
            last_change: self.entry.last_change.clone(),
            clients: self.access.clients.clone(),
            read_only: self.read_only,
            punches_holes: self.trims != TrimHandling::Ignore,
            optimal_io_bytes: 64 << 10,
            disk: self.thread,
            vdisk: self.entry.id,
        }
    }
}

/// Who may use a vdisk of the file by NBD.
pub(crate) fn access_of(vdisk: &Vdisk) -> ExportAccess {
    ExportAccess {
        allow: vdisk.allow.clone().into(),
        connections: vdisk.connections.map(|count| count.value as usize),
        clients: ClientCount::default(),
    }
}

fn number(uuid: Uuid) -> u128 {
    u128::from_be_bytes(uuid.to_bytes())
}
