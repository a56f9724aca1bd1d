//! The catalog of a running server: the one place that knows which vdisks are served, and that
//! tells the frontends when one comes or goes.
//!
//! ```text
//!   start, clone, drop ──► ServedCatalog ──► rules of NBD exports, files of the FUSE directory
//!                               ▲
//!   handshakes, commands, status: the list as it is now
//! ```
//!
//! Invariants: no two served vdisks have one name; changes come one after the other
//! ([`ServedCatalog::change`]); a vdisk that comes has its rules before it is listed, and one that
//! goes is listed no more before they are gone; who only reads the list waits for no change.
//!
//! Not known here: how a disk's thread comes to serve a vdisk, and whether clients use one.

use crate::assembly::ThreadService;
use crate::serving::served_vdisks::ServedVdisk;
use disktime_fuse::{FuseFile, MountedFiles};
use disktime_nbd::{Accepted, ExportAddresses, ExportRules};
use disktime_nbd_protocol::NbdUri;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

/// A vdisk that is served.
pub(crate) type Vdisk = Arc<ServedVdisk<ThreadService>>;

/// The list at one time.
pub(crate) type ServedList = Arc<Vec<Vdisk>>;

/// What is served.
pub(crate) struct ServedCatalog {
    /// In file order, then in the order in which they came.
    vdisks: RwLock<ServedList>,
    nbd: OnceLock<NbdExports>,
    fuse: OnceLock<FuseDirectory>,
    changing: Arc<tokio::sync::Mutex<()>>,
}

/// The exports of the NBD frontend.
struct NbdExports {
    rules: ExportRules,
    addresses: ExportAddresses,
}

/// The directory of the FUSE frontend.
struct FuseDirectory {
    files: MountedFiles,
    path: PathBuf,
}

/// While it is held, no other task changes what is served.
pub(crate) struct CatalogChange<'c> {
    catalog: &'c ServedCatalog,
    _guard: tokio::sync::OwnedMutexGuard<()>,
}

impl ServedCatalog {
    /// Of these vdisks.
    pub(crate) fn new(vdisks: Vec<ServedVdisk<ThreadService>>) -> ServedCatalog {
        let vdisks = vdisks.into_iter().map(Arc::new).collect();
        ServedCatalog {
            vdisks: RwLock::new(Arc::new(vdisks)),
            nbd: OnceLock::new(),
            fuse: OnceLock::new(),
            changing: Arc::default(),
        }
    }

    /// From now on the NBD frontend has a rule for each vdisk.
    pub(crate) fn tell_nbd(&self, rules: ExportRules, addresses: ExportAddresses) {
        for vdisk in self.list().iter() {
            rules.add(vdisk.name(), vdisk.access().clone());
        }
        let _ = self.nbd.set(NbdExports { rules, addresses });
    }

    /// From now on the FUSE frontend, which has the [files](ServedCatalog::files), hears of
    /// changes.
    pub(crate) fn tell_fuse(&self, files: MountedFiles, path: &Path) {
        let path = path.to_owned();
        let _ = self.fuse.set(FuseDirectory { files, path });
    }

    /// What is served now.
    pub(crate) fn list(&self) -> ServedList {
        let list = self.vdisks.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&list)
    }

    /// The vdisk of that name.
    pub(crate) fn find(&self, name: &str) -> Option<Vdisk> {
        let list = self.list();
        list.iter().find(|vdisk| vdisk.name() == name).cloned()
    }

    /// The files of all vdisks.
    pub(crate) fn files(&self) -> Vec<FuseFile> {
        self.list().iter().map(|vdisk| vdisk.file()).collect()
    }

    /// The URIs of a vdisk's export, the preferred one first; none without the NBD frontend.
    pub(crate) fn uris(&self, name: &str) -> Vec<NbdUri> {
        let nbd = self.nbd.get();
        nbd.map_or_else(Vec::new, |nbd| nbd.addresses.uris(name))
    }

    /// The path of a vdisk's file, if there is a FUSE directory.
    pub(crate) fn file_path(&self, name: &str) -> Option<PathBuf> {
        Some(self.fuse.get()?.path.join(name))
    }

    /// Hands a connection to the reactor of the disk that its vdisk is on.
    pub(crate) fn deliver(&self, accepted: Accepted) {
        let list = self.list();
        let mut vdisks = list.iter();
        let Some(vdisk) = vdisks.find(|one| one.export_handle() == accepted.export.handle) else {
            let peer = accepted.peer;
            tracing::debug!("{peer} chose a vdisk that is not served any more");
            return;
        };
        tracing::debug!("{} uses vdisk {}", accepted.peer, vdisk.name());
        let reactor = vdisk.reactor();
        if reactor.connect(accepted.socket, accepted.session).is_err() {
            tracing::debug!("{} was dropped: its disk is stopping", accepted.peer);
        }
    }

    /// Begins to change what is served, when every earlier change is over.
    pub(crate) async fn change(&self) -> CatalogChange<'_> {
        CatalogChange {
            catalog: self,
            _guard: Arc::clone(&self.changing).lock_owned().await,
        }
    }

    fn replace(&self, change: impl FnOnce(&mut Vec<Vdisk>)) {
        let mut list = self.vdisks.write().unwrap_or_else(PoisonError::into_inner);
        let mut next = Vec::clone(&list);
        change(&mut next);
        *list = Arc::new(next);
    }
}

impl CatalogChange<'_> {
    /// Serves vdisks that the thread of their disk serves already. No served vdisk has one of their
    /// names.
    pub(crate) fn add(&self, vdisks: Vec<ServedVdisk<ThreadService>>) -> Vec<Vdisk> {
        let vdisks: Vec<Vdisk> = vdisks.into_iter().map(Arc::new).collect();
        if let Some(nbd) = self.catalog.nbd.get() {
            for vdisk in &vdisks {
                debug_assert!(self.catalog.find(vdisk.name()).is_none());
                nbd.rules.add(vdisk.name(), vdisk.access().clone());
            }
        }
        self.catalog.replace(|list| list.extend_from_slice(&vdisks));
        if let Some(fuse) = self.catalog.fuse.get() {
            vdisks.iter().for_each(|vdisk| fuse.files.add(vdisk.file()));
        }
        vdisks
    }

    /// Serves a vdisk no more: no client finds it when this returns. Its disk's thread refuses what
    /// is still asked of it.
    pub(crate) async fn remove(&self, vdisk: &Vdisk) {
        let is_another = |one: &Vdisk| !Arc::ptr_eq(one, vdisk);
        self.catalog.replace(|list| list.retain(is_another));
        if let Some(nbd) = self.catalog.nbd.get() {
            nbd.rules.remove(vdisk.name());
        }
        if let Some(fuse) = self.catalog.fuse.get() {
            fuse.files.remove(vdisk.file_identity(), vdisk.name()).await;
        }
    }
}
