//! What NBD clients can choose: the vdisks, and past moments of those that have a history, as
//! `VDISK@MOMENT`. Marks are listed; every moment of the window opens by name.
//!
//! A moment is found when a client asks for it and opened when one chooses it. It is closed when
//! the last session that uses it has ended.
//!
//! Invariants: a moment is read-only; what is listed does not wait for a disk that hangs.

use crate::assembly::{DiskService, ThreadService};
use crate::serving::catalog::{ServedCatalog, Vdisk};
use crate::serving::changed_contexts::{self, ChangedLists, Ranges, WantedList};
use disktime_engine::{ReactorHandle, VdiskId};
use disktime_history::{MarkStatus, Moment};
use disktime_nbd::{ChangedRanges, ContextHandle, Export, ExportDirectory, Kept};
use disktime_volumes::{HistoryReport, MomentDone};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;
use tokio::sync::oneshot;

/// Bytes of a block of a history.
const BLOCK_BYTES: u64 = disktime_history::UNIT_BYTES as u64;
/// How long a handshake waits for a disk's thread.
const OPEN_TIME: Duration = Duration::from_secs(10);
/// How long a list of exports waits for the marks of a vdisk.
const LIST_TIME: Duration = Duration::from_secs(1);

/// What a disk's thread was asked, or why it was not done.
type Answer<T> = Result<T, String>;
/// The handle and the seq of a moment.
type Found = (VdiskId, u64);
type Sender<T> = SyncSender<Answer<T>>;

/// The exports of a server.
pub(crate) struct ServedExports {
    catalog: Arc<ServedCatalog>,
    changed: ChangedLists,
}

/// A moment that a session may use: it is closed when this is dropped.
struct KeptMoment {
    reactor: ReactorHandle<ThreadService>,
    vdisk: VdiskId,
    moment: VdiskId,
    seq: u64,
    is_open: AtomicBool,
}

impl Drop for KeptMoment {
    fn drop(&mut self) {
        if !self.is_open.load(Ordering::Acquire) {
            return;
        }
        let (reactor, moment) = (self.reactor.clone(), self.moment);
        let close = move |sets: &mut ThreadService, _| {
            sets.set_of_mut(moment).close_moment(moment);
        };
        // This may be the disk's thread, which must not wait for its own mailbox.
        if let Ok(false) = reactor.try_visit(Box::new(close)) {
            std::thread::spawn(move || reactor.visit(Box::new(close)));
        }
    }
}

impl ServedExports {
    pub(crate) fn new(catalog: Arc<ServedCatalog>) -> ServedExports {
        ServedExports {
            catalog,
            changed: ChangedLists::default(),
        }
    }

    /// The export of a moment, or why there is none. `None`: the name is not that of a moment.
    fn find_moment(&self, name: &str) -> Option<Result<Export, String>> {
        let (of, text) = name.split_once('@')?;
        let vdisk = self.catalog.find(of)?;
        let moment = match Moment::parse(text) {
            Ok(moment) => moment,
            Err(error) => return Some(Err(error.to_string())),
        };
        let id = vdisk.id();
        let found = wait_for(vdisk.reactor(), id, move |service, done| {
            // It fails when the handshake has given up.
            let done = Box::new(move |found| drop(done.send(found)));
            service.find_moment(id, &moment, done);
        });
        Some(found.and_then(|(handle, seq)| {
            let size_bytes = size_bytes_at(&vdisk, seq)?;
            let kept = KeptMoment {
                reactor: vdisk.reactor().clone(),
                vdisk: id,
                moment: handle,
                seq,
                is_open: AtomicBool::new(false),
            };
            Ok(Export {
                vdisk: handle,
                kept: Kept::new(Arc::new(kept)),
                ..past(&vdisk.export(), name.to_owned(), (seq, size_bytes))
            })
        }))
    }

    /// The marks of the vdisk of that name.
    pub(crate) fn marks_of(&self, name: &str) -> Vec<MarkStatus> {
        let found = self.catalog.find(name);
        found.map_or_else(Vec::new, |vdisk| ServedExports::mark_rows(&vdisk))
    }

    /// The seq of a moment of the vdisk of that name, and the size that the vdisk had then.
    ///
    /// # Errors
    /// Why there is no such moment.
    pub(crate) fn seq_and_size_of(&self, name: &str, moment: &str) -> Result<(u64, u64), String> {
        let found = self.find_moment(&format!("{name}@{moment}"));
        let export = found.unwrap_or_else(|| Err(format!("there is no vdisk `{name}`")))?;
        let kept = export.kept.get::<KeptMoment>();
        Ok((kept.map_or(0, |kept| kept.seq), export.size_bytes))
    }

    /// What has changed in a vdisk up to one moment since each of others. All lists are asked for
    /// at once.
    fn changed_lists(
        &self,
        vdisk: &Vdisk,
        since: impl Iterator<Item = u64>,
        until: u64,
    ) -> Answer<Vec<Arc<Ranges>>> {
        let id = vdisk.id();
        let mut asked = Vec::new();
        let wanted = since.map(|since| match self.changed.find(id, since, until) {
            Some(list) => WantedList::Used(list),
            None => {
                let (sender, list) = oneshot::channel();
                asked.push((since, sender));
                WantedList::Asked(list)
            }
        });
        let wanted: Vec<WantedList> = wanted.collect();
        let ask = move |sets: &mut ThreadService, _| {
            for (since, sender) in asked {
                // It fails when another of the lists could not be made.
                let done = Box::new(move |list| drop(sender.send(list)));
                let until = Some(Moment::Seq(until));
                let service = sets.set_of_mut(id);
                service.changed(id, &Moment::Seq(since), until, done);
            }
        };
        let visited = vdisk.reactor().visit(Box::new(ask));
        visited.map_err(|gone| gone.to_string())?;
        self.changed.wait_for(id, wanted, OPEN_TIME)
    }

    /// The marks of a vdisk, as exports.
    fn marks(&self, vdisk: &Vdisk, export: &Export) -> Vec<Export> {
        let of_mark = |mark: &MarkStatus| {
            let name = format!("{}@{}", export.name, mark.name);
            let size_bytes = mark.vdisk_blocks * BLOCK_BYTES;
            past(export, name, (mark.moment, size_bytes))
        };
        ServedExports::mark_rows(vdisk)
            .iter()
            .map(of_mark)
            .collect()
    }

    /// The marks of a vdisk; none if its disk does not answer.
    fn mark_rows(vdisk: &Vdisk) -> Vec<MarkStatus> {
        let (sender, receiver) = sync_channel(1);
        let id = vdisk.id();
        let sent = vdisk.reactor().try_visit(Box::new(move |sets, _| {
            let _ = sender.send(sets.set_of_mut(id).history(id));
        }));
        if sent != Ok(true) {
            return Vec::new();
        }
        let report = tokio::task::block_in_place(|| receiver.recv_timeout(LIST_TIME));
        match report {
            Ok(Some(HistoryReport { status, .. })) => status.marks,
            _ => Vec::new(),
        }
    }
}

/// The newest moment of a vdisk.
fn newest(vdisk: &Vdisk) -> Answer<u64> {
    let id = vdisk.id();
    wait_for(vdisk.reactor(), id, move |service, done| {
        let report = service.history(id);
        let newest = report.map(|report| report.status.newest);
        // It fails when the handshake has given up.
        let _ = done.send(newest.ok_or_else(|| "it has no history".to_owned()));
    })
}

/// The size that a vdisk had at a moment.
fn size_bytes_at(vdisk: &Vdisk, seq: u64) -> Answer<u64> {
    let id = vdisk.id();
    wait_for(vdisk.reactor(), id, move |service, done| {
        let size_bytes = service.size_bytes_at(id, seq);
        // It fails when the handshake has given up.
        let _ = done.send(size_bytes.ok_or_else(|| "it has no history".to_owned()));
    })
}

/// A past moment of an export, before it has a handle of its own.
fn past(export: &Export, name: String, (seq, size_bytes): (u64, u64)) -> Export {
    let mut past = export.clone();
    past.size_bytes = size_bytes;
    past.name = name;
    past.description = format!("{} at seq:{seq}, read-only", export.name);
    past.moment_of = Some(export.name.clone());
    past.flags.read_only = true;
    past.flags.trim = false;
    past.ignores_trims = false;
    past
}

/// A moment that is opened for a handshake that has given up is closed again.
fn close_if_unheard(reactor: ReactorHandle<ThreadService>, sender: Sender<Found>) -> MomentDone {
    Box::new(move |found| {
        let handle = found.as_ref().ok().map(|(handle, _)| *handle);
        if let (Err(_), Some(handle)) = (sender.send(found), handle) {
            let close = move |sets: &mut ThreadService, _| {
                sets.set_of_mut(handle).close_moment(handle);
            };
            // A full mailbox leaves it open, which holds the floor and loses nothing.
            let _ = reactor.try_visit(Box::new(close));
        }
    })
}

/// Has the disk's thread find or open a moment, and waits for it.
fn wait_for<T: Send + 'static>(
    reactor: &ReactorHandle<ThreadService>,
    vdisk: VdiskId,
    begin: impl FnOnce(&mut DiskService, Sender<T>) + Send + 'static,
) -> Answer<T> {
    let (sender, receiver) = sync_channel(1);
    let visit = Box::new(move |sets: &mut ThreadService, _| {
        begin(sets.set_of_mut(vdisk), sender);
    });
    reactor.visit(visit).map_err(|gone| gone.to_string())?;
    let found = tokio::task::block_in_place(|| receiver.recv_timeout(OPEN_TIME));
    found.unwrap_or_else(|_| {
        Err(format!(
            "the disk did not answer within {} s; try again later",
            OPEN_TIME.as_secs()
        ))
    })
}

impl ExportDirectory for ServedExports {
    fn exports(&self) -> Vec<Export> {
        let vdisks = self.catalog.list();
        let mut all: Vec<Export> = vdisks.iter().map(|vdisk| vdisk.export()).collect();
        for at in 0..vdisks.len() {
            if vdisks[at].has_history() {
                let marks = self.marks(&vdisks[at], &all[at]);
                all.extend(marks);
            }
        }
        all
    }

    fn find(&self, name: &str) -> Option<Export> {
        match self.catalog.find(name) {
            Some(vdisk) => {
                // A revert is short; who comes while one is being done is refused when it is not.
                tokio::task::block_in_place(|| vdisk.clients().wait_until_open(OPEN_TIME));
                Some(vdisk.export())
            }
            None => self.find_moment(name)?.ok(),
        }
    }

    fn why_unknown(&self, name: &str) -> Option<String> {
        self.find_moment(name)?.err()
    }

    fn admit(&self, export: &Export) -> Result<(), String> {
        let Some(kept) = export.kept.get::<KeptMoment>() else {
            return Ok(());
        };
        let (vdisk, moment) = (kept.vdisk, Moment::Seq(kept.seq));
        let reactor = kept.reactor.clone();
        let (opened, _) = wait_for(&kept.reactor, vdisk, move |service, done| {
            let done = close_if_unheard(reactor, done);
            service.open_moment(vdisk, &moment, done);
        })?;
        debug_assert!(opened == kept.moment);
        kept.is_open.store(true, Ordering::Release);
        Ok(())
    }

    fn contexts(&self, export: &Export) -> Vec<String> {
        let of_vdisk = self.catalog.find(export.vdisk_name());
        let Some(vdisk) = of_vdisk.filter(|vdisk| vdisk.has_history()) else {
            return Vec::new();
        };
        let marks = ServedExports::mark_rows(&vdisk);
        marks
            .iter()
            .map(|mark| changed_contexts::context_of(&mark.name))
            .collect()
    }

    fn find_context(&self, export: &Export, name: &str) -> Option<ContextHandle> {
        let moment = changed_contexts::moment_in(name)?;
        let found = self.seq_and_size_of(export.vdisk_name(), moment);
        if let Err(why) = &found {
            tracing::debug!("a client asked for the metadata context {name:?}: {why}");
        }
        found.ok().map(|(seq, _)| ContextHandle(seq))
    }

    fn open_contexts(
        &self,
        export: &Export,
        contexts: &[ContextHandle],
    ) -> Result<Vec<ChangedRanges>, String> {
        if contexts.is_empty() {
            return Ok(Vec::new());
        }
        let vdisk = self.catalog.find(export.vdisk_name());
        let vdisk = vdisk.ok_or("it is not served")?;
        let until = match export.kept.get::<KeptMoment>() {
            Some(kept) => kept.seq,
            None => newest(&vdisk)?,
        };
        let since = contexts.iter().map(|context| context.0);
        let lists = self.changed_lists(&vdisk, since, until)?;
        Ok(lists.into_iter().map(ChangedRanges::new).collect())
    }
}
