//! Clones of moments, made and dropped while the server runs.
//!
//! ```text
//!   make:  name, admission ─► the disk's thread makes it ─► the catalog has it
//!   drop:  closed to clients ─► the disk's thread drops it ─► the catalog has it no more
//! ```
//!
//! Invariants: what is refused has changed nothing; what has begun is ended, whether or not the one
//! who asked waits for it; a clone that a disk's thread serves is in the catalog.

use crate::assembly::{CloneAdmission, CloneSettings, DiskService};
use crate::failure::{CommandResult, Failure};
use crate::serving::catalog::{ServedCatalog, Vdisk};
use crate::serving::control_socket::CloneRequest;
use crate::serving::disconnecting::{end_clients, end_moments};
use crate::serving::history_control::{found, report};
use crate::serving::known_disks::DiskMemory;
use crate::serving::served_vdisks::FoundClone;
use disktime_engine::{StillInUse, VdiskId};
use disktime_fuse::OpenFiles;
use disktime_history::Moment;
use disktime_reservations::check_file_name;
use disktime_volumes::{CloneConfig, DropDone, MomentDone};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::oneshot;

/// Makes clones, and drops them.
pub(crate) struct Cloning(Arc<Work>);

struct Work {
    catalog: Arc<ServedCatalog>,
    admission: CloneAdmission,
    memory: DiskMemory,
}

impl Cloning {
    pub(crate) fn new(
        catalog: &Arc<ServedCatalog>,
        admission: CloneAdmission,
        memory: DiskMemory,
    ) -> Cloning {
        let catalog = Arc::clone(catalog);
        Cloning(Arc::new(Work {
            catalog,
            admission,
            memory,
        }))
    }

    /// Makes a clone of a moment of the vdisk of that name.
    ///
    /// # Errors
    /// A sentence: why there is none.
    pub(crate) async fn make(&self, parent: String, wanted: CloneRequest) -> CommandResult<Value> {
        let work = Arc::clone(&self.0);
        tokio::spawn(async move { work.make(&parent, wanted).await }).await?
    }

    /// Drops the clone of that name. `files`: the open files of the FUSE frontend, if there is one.
    ///
    /// # Errors
    /// A sentence: who uses it, or why it was not done.
    pub(crate) async fn give_up(
        &self,
        name: String,
        disconnect: bool,
        files: Option<&OpenFiles>,
    ) -> CommandResult<Value> {
        let (work, files) = (Arc::clone(&self.0), files.cloned());
        tokio::spawn(async move { work.give_up(&name, disconnect, files.as_ref()).await }).await?
    }
}

impl Work {
    async fn make(&self, parent: &str, wanted: CloneRequest) -> CommandResult<Value> {
        let change = self.catalog.change().await;
        let vdisks = self.catalog.list();
        let (parent, name) = (found(&vdisks, parent)?, &wanted.name);
        check_file_name(name).map_err(Failure::new)?;
        if vdisks.iter().any(|vdisk| vdisk.name() == name) {
            return Err(Failure::new(format!(
                "there is a vdisk `{name}`; give the clone another name"
            )));
        }
        if holder_of_recorded(&vdisks, name).await?.is_some() {
            return Err(Failure::new(format!(
                "there is a clone `{name}` that is not served; give the clone another name, or give \
                 that one up (`disktime drop {name}`)"
            )));
        }
        let log_bytes = report(parent).await?.max_bytes;
        let max_bytes = wanted.max_bytes.unwrap_or(log_bytes);
        let settings = CloneSettings::new(wanted.reservation, max_bytes);
        self.require_admitted(&vdisks, parent.disk(), (name, settings))?;
        let config = CloneConfig {
            name: name.clone(),
            stream: settings.stream(),
            max_bytes,
            settings: settings.text(),
        };
        let found = on_thread(parent, settings, wanted.moment.clone(), config).await?;
        self.memory.note_clone(parent.disk(), name, found.uuid());
        let clone = change.add(parent.cloned(found));
        let seq = clone.origin().map(|origin| origin.seq);
        let uris = self.catalog.uris(name);
        Ok(json!({
            "vdisk": parent.name(),
            "clone": name,
            "seq": seq,
            "size_bytes": clone.size_bytes(),
            "entitlement": settings.entitlement(parent.disk()),
            "max_bytes": max_bytes,
            "uris": uris.iter().map(ToString::to_string).collect::<Vec<String>>(),
            "file": self.catalog.file_path(name),
        }))
    }

    /// Whether a disk has the time for one clone more.
    fn require_admitted(
        &self,
        vdisks: &[Vdisk],
        disk: &str,
        (name, settings): (&str, CloneSettings),
    ) -> CommandResult {
        let of_disk = vdisks.iter().filter(|vdisk| vdisk.disk() == disk);
        let clones = of_disk.filter_map(|vdisk| {
            let origin = vdisk.origin()?;
            Some((vdisk.name().as_str(), &origin.settings))
        });
        let all = clones.chain([(name, &settings)]);
        self.admission
            .admit(disk, all)
            .map_err(|why| Failure::new(format!("`{name}` is not admitted: {why}")))
    }

    async fn give_up(
        &self,
        name: &str,
        disconnect: bool,
        files: Option<&OpenFiles>,
    ) -> CommandResult<Value> {
        let change = self.catalog.change().await;
        let vdisks = self.catalog.list();
        let served = self.catalog.find(name);
        let is_clone = served.is_some_and(|vdisk| vdisk.origin().is_some());
        if !is_clone && let Some(holder) = holder_of_recorded(&vdisks, name).await? {
            drop_recorded(holder, name).await?;
            self.memory.forget_clone(name);
            return Ok(json!({ "clone": name, "disconnected": 0 }));
        }
        let vdisk = found(&vdisks, name)?;
        if vdisk.origin().is_none() {
            return Err(Failure::new(format!(
                "`{name}` is no clone, so it is not dropped; a mark of it is (`disktime drop \
                 {name}@MARK`), or what a revert left behind (--branch ID). `disktime remove` frees \
                 a vdisk that the file does not name any more"
            )));
        }
        let begins_with_it = |one: &&Vdisk| one.origin().is_some_and(|of| of.parent == name);
        if let Some(clone) = vdisks.iter().find(begins_with_it) {
            return Err(Failure::new(format!(
                "`{name}` cannot be dropped: the clone `{}` begins with a moment of it; drop that \
                 first",
                clone.name()
            )));
        }
        let clients = vdisk.clients();
        let closed = match disconnect {
            true => clients.close(),
            false => clients.close_if_unused(),
        };
        let closed = closed.map_err(|used| in_use(name, &used))?;
        let disconnected = match disconnect {
            true => end_clients(vdisk, &closed, files).await?,
            false => 0,
        };
        let moments = end_moments(vdisk, disconnect).await?;
        drop_on_thread(vdisk).await?;
        self.memory.forget_clone(name);
        change.remove(vdisk).await;
        drop(closed);
        Ok(json!({ "clone": name, "disconnected": disconnected + moments }))
    }
}

fn in_use(name: &str, used: &StillInUse) -> Failure {
    match used {
        StillInUse::By(_) => Failure::new(format!(
            "`{name}` is in use: {used}; end them and try again, or disconnect them with \
             --disconnect"
        )),
        StillInUse::Closed => Failure::new(format!("`{name}`: {used}; try again when it is done")),
    }
}

/// Has the disk's thread make and serve a clone.
async fn on_thread(
    parent: &Vdisk,
    settings: CloneSettings,
    moment: Moment,
    config: CloneConfig,
) -> CommandResult<FoundClone> {
    let id = parent.id();
    let (sender, receiver) = oneshot::channel();
    let done: MomentDone = Box::new(move |made| drop(sender.send(made)));
    parent.reactor().visit(Box::new(move |sets, _| {
        let set = sets.set_of_mut(id);
        set.clone_vdisk(id, &moment, config, done);
    }))?;
    let (clone, _) = receiver.await?.map_err(Failure::new)?;
    let entry = look(parent, clone, move |set| {
        FoundClone::of(set, clone, settings)
    })
    .await?;
    entry.ok_or_else(|| Failure::new("the clone has gone again; try once more"))
}

/// What the set of a vdisk knows.
async fn look<T: Send + 'static>(
    vdisk: &Vdisk,
    id: VdiskId,
    read: impl FnOnce(&DiskService) -> T + Send + 'static,
) -> CommandResult<T> {
    let (sender, receiver) = oneshot::channel();
    vdisk.reactor().visit(Box::new(move |sets, _| {
        let _ = sender.send(read(sets.set_of_mut(id)));
    }))?;
    Ok(receiver.await?)
}

/// A vdisk that is on the thread of a disk on which a clone of that name is recorded and not
/// served.
async fn holder_of_recorded<'v>(
    vdisks: &'v [Vdisk],
    name: &str,
) -> CommandResult<Option<&'v Vdisk>> {
    let mut asked = BTreeSet::new();
    for vdisk in vdisks {
        if !vdisk.has_history() || !asked.insert(vdisk.thread()) {
            continue;
        }
        let (sender, receiver) = oneshot::channel();
        let wanted = name.to_owned();
        vdisk.reactor().visit(Box::new(move |sets, _| {
            let records = |set: &DiskService| set.records_clone(&wanted);
            let _ = sender.send(sets.sets().iter().any(records));
        }))?;
        if receiver.await? {
            return Ok(Some(vdisk));
        }
    }
    Ok(None)
}

/// Has the thread of a vdisk drop a clone that is recorded there and not served.
async fn drop_recorded(holder: &Vdisk, name: &str) -> CommandResult {
    let (sender, receiver) = oneshot::channel();
    let done: DropDone = Box::new(move |dropped| drop(sender.send(dropped)));
    let name = name.to_owned();
    holder.reactor().visit(Box::new(move |sets, _| {
        let mut sets = sets.sets_mut().iter_mut();
        if let Some(set) = sets.find(|set| set.records_clone(&name)) {
            set.drop_recorded_clone(&name, done);
        }
    }))?;
    receiver.await?.map_err(Failure::new)
}

/// Has the disk's thread drop a clone; it is not served any more then.
async fn drop_on_thread(clone: &Vdisk) -> CommandResult {
    let id = clone.id();
    let (sender, receiver) = oneshot::channel();
    let done: DropDone = Box::new(move |dropped| drop(sender.send(dropped)));
    clone.reactor().visit(Box::new(move |sets, _| {
        sets.set_of_mut(id).drop_clone(id, done);
    }))?;
    receiver.await?.map_err(Failure::new)
}
