//! Clones of moments, made and dropped while the server runs.
//!
//! ```text
//!   make:  names, admission ─► the disk's thread makes them ─► the catalog has them
//!   drop:  closed to clients ─► the disk's thread drops it ─► the catalog has it no more
//! ```
//!
//! Invariants: what is refused has changed nothing; what has begun is ended, whether or not the one
//! who asked waits for it; a clone that a disk's thread serves is in the catalog.

use crate::assembly::{CloneAdmission, CloneSettings, DiskService};
use crate::failure::{CommandResult, Failure};
use crate::serving::catalog::{ServedCatalog, Vdisk};
use crate::serving::control_socket::{CloneRequest, Names};
use crate::serving::disconnecting::{end_clients, end_moments};
use crate::serving::history_control::{found, report};
use crate::serving::known_disks::DiskMemory;
use crate::serving::served_vdisks::FoundClone;
use disktime_engine::StillInUse;
use disktime_fuse::OpenFiles;
use disktime_history::Moment;
use disktime_reservations::check_file_name;
use disktime_volumes::{CloneConfig, ClonesDone, DropDone};
use serde_json::{Map, Value, json};
use std::collections::{BTreeSet, HashSet};
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

    /// Makes clones of a moment of the vdisk of that name, all of them or none.
    ///
    /// # Errors
    /// A sentence: why there are none.
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
        let (parent, names) = (found(&vdisks, parent)?, wanted.names.as_slice());
        require_free(&vdisks, names).await?;
        let log_bytes = report(parent).await?.max_bytes;
        let max_bytes = wanted.max_bytes.unwrap_or(log_bytes);
        let settings = CloneSettings::new(wanted.reservation, max_bytes);
        for disk in parent.disks() {
            self.require_admitted(&vdisks, disk, (names, settings))?;
        }
        let config = |name: &String| CloneConfig {
            name: name.clone(),
            stream: settings.stream(),
            max_bytes,
            settings: settings.text(),
        };
        let configs = names.iter().map(config).collect();
        let found = on_thread(parent, settings, wanted.moment.clone(), configs).await?;
        let noted = found.iter().map(|one| (one.name.as_str(), one.uuid()));
        self.memory.note_clones(parent.disk(), noted);
        let clones = found.into_iter().map(|one| parent.cloned(one)).collect();
        Ok(self.made(parent, &wanted.names, &change.add(clones)))
    }

    /// The answer: what was made.
    fn made(&self, parent: &Vdisk, names: &Names, clones: &[Vdisk]) -> Value {
        let first = clones.first();
        let origin = first.and_then(|clone| clone.origin());
        let settings = origin.map(|origin| origin.settings).unwrap_or_default();
        let disks: Vec<&str> = parent.disks().collect();
        let mut answer = json!({
            "vdisk": parent.name(),
            "seq": origin.map(|origin| origin.seq),
            "size_bytes": first.map(|clone| clone.size_bytes()),
            "entitlement": settings.entitlement(&disks),
            "max_bytes": settings.max_bytes,
        });
        let place = |name: &String| {
            let uris = self.catalog.uris(name);
            let mut place = Map::new();
            place.insert("clone".to_owned(), json!(name));
            let uris: Vec<String> = uris.iter().map(ToString::to_string).collect();
            place.insert("uris".to_owned(), json!(uris));
            place.insert("file".to_owned(), json!(self.catalog.file_path(name)));
            place
        };
        match names {
            Names::One(name) => answer
                .as_object_mut()
                .into_iter()
                .for_each(|answer| answer.extend(place(name))),
            Names::Several(names) => {
                answer["clones"] = names.iter().map(place).collect();
            }
        }
        answer
    }

    /// Whether a disk has the time for these clones more.
    fn require_admitted(
        &self,
        vdisks: &[Vdisk],
        disk: &str,
        (names, settings): (&[String], CloneSettings),
    ) -> CommandResult {
        let lies_there = |vdisk: &&Vdisk| vdisk.disks().any(|one| one == disk);
        let of_disk = vdisks.iter().filter(lies_there);
        let clones = of_disk.filter_map(|vdisk| {
            let origin = vdisk.origin()?;
            Some((vdisk.name().as_str(), &origin.settings))
        });
        let new = names.iter().map(|name| (name.as_str(), &settings));
        self.admission
            .admit(disk, clones.chain(new))
            .map_err(|why| {
                Failure::new(match names {
                    [name] => format!("`{name}` is not admitted: {why}"),
                    _ => format!("{} clones are not admitted: {why}", names.len()),
                })
            })
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
        let recorded = match is_clone {
            true => None,
            false => holder_of_recorded(&vdisks, &[name.to_owned()]).await?,
        };
        if let Some((holder, _)) = recorded {
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

/// Whether clones can have these names: no two of them one, none that is there or recorded.
async fn require_free(vdisks: &[Vdisk], names: &[String]) -> CommandResult {
    let served: HashSet<&str> = vdisks.iter().map(|vdisk| vdisk.name().as_str()).collect();
    let mut new = HashSet::new();
    for name in names {
        check_file_name(name).map_err(Failure::new)?;
        if served.contains(name.as_str()) {
            return Err(Failure::new(format!(
                "there is a vdisk `{name}`; give the clone another name"
            )));
        }
        if !new.insert(name) {
            return Err(Failure::new(format!(
                "`{name}` is named twice; give each clone a name of its own"
            )));
        }
    }
    match holder_of_recorded(vdisks, names).await? {
        None => Ok(()),
        Some((_, name)) => Err(Failure::new(format!(
            "there is a clone `{name}` that is not served; give the clone another name, or give \
             that one up (`disktime drop {name}`)"
        ))),
    }
}

/// Has the disk's thread make and serve clones; they are in the order in which they were asked for.
async fn on_thread(
    parent: &Vdisk,
    settings: CloneSettings,
    moment: Moment,
    configs: Vec<CloneConfig>,
) -> CommandResult<Vec<FoundClone>> {
    let id = parent.id();
    let (sender, receiver) = oneshot::channel();
    let done: ClonesDone = Box::new(move |made| drop(sender.send(made)));
    parent.reactor().visit(Box::new(move |sets, _| {
        let set = sets.set_of_mut(id);
        set.clone_vdisks(id, &moment, configs, done);
    }))?;
    let (clones, _) = receiver.await?.map_err(Failure::new)?;
    let entries = look(parent, move |set| {
        let entry = |clone| FoundClone::of(set, clone, settings);
        clones.into_iter().map(entry).collect::<Option<Vec<_>>>()
    })
    .await?;
    entries.ok_or_else(|| Failure::new("a clone has gone again; try once more"))
}

/// What the set of a vdisk knows.
async fn look<T: Send + 'static>(
    vdisk: &Vdisk,
    read: impl FnOnce(&DiskService) -> T + Send + 'static,
) -> CommandResult<T> {
    let id = vdisk.id();
    let (sender, receiver) = oneshot::channel();
    vdisk.reactor().visit(Box::new(move |sets, _| {
        let _ = sender.send(read(sets.set_of_mut(id)));
    }))?;
    Ok(receiver.await?)
}

/// A vdisk that is on the thread of a disk on which a clone of one of these names is recorded and
/// not served, and that name.
async fn holder_of_recorded<'v>(
    vdisks: &'v [Vdisk],
    names: &[String],
) -> CommandResult<Option<(&'v Vdisk, String)>> {
    let mut asked = BTreeSet::new();
    for vdisk in vdisks {
        if !vdisk.has_history() || !asked.insert(vdisk.thread()) {
            continue;
        }
        let (sender, receiver) = oneshot::channel();
        let wanted = names.to_owned();
        vdisk.reactor().visit(Box::new(move |sets, _| {
            let recorded = |set: &DiskService| Some(set.first_recorded(&wanted)?.to_owned());
            let _ = sender.send(sets.sets().iter().find_map(recorded));
        }))?;
        if let Some(name) = receiver.await? {
            return Ok(Some((vdisk, name)));
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
