//! A mark of several vdisks at one moment: one cut through all of them, whatever disks they lie on.
//!
//! ```text
//!   hold each ─► all held ─► mark each ─► all marks durable ─► release each
//! ```
//!
//! Invariants: what was held is released, whatever fails; a mark that is not set on all of them is
//! dropped again, also one that a disk sets when it was given up; both whether or not the one who
//! asked waits. A crash between the marks leaves the cut incomplete, which is told from then on
//! ([`incomplete_cuts`]).

use crate::assembly::ThreadService;
use crate::failure::{CommandResult, Failure};
use crate::serving::catalog::Vdisk;
use crate::serving::history_control::{ask, ask_reactor, found, report};
use disktime_engine::{ReactorHandle, VdiskId};
use disktime_volumes::{HistoryReport, Uuid};
use futures_util::future::join_all;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::timeout;

/// How long the changes of the vdisks may be held until all of them are, and then until all marks
/// are durable.
const HOLD_TIME: Duration = Duration::from_secs(4);
/// How long the one who asked waits for marks that are dropped again: with the times before, less
/// than for an answer.
const DROP_TIME: Duration = Duration::from_secs(1);
/// How long a disk has to say how its histories stand; one that hangs is left out.
const REPORT_TIME: Duration = Duration::from_secs(1);

/// A vdisk whose changes are held, or will be: released when this is dropped.
struct HeldVdisk {
    name: String,
    reactor: ReactorHandle<ThreadService>,
    vdisk: VdiskId,
    cut: Uuid,
}

impl Drop for HeldVdisk {
    fn drop(&mut self) {
        let (reactor, vdisk, cut) = (self.reactor.clone(), self.vdisk, self.cut);
        let release = move |sets: &mut ThreadService, _| {
            sets.set_of_mut(vdisk).release(vdisk, cut);
        };
        if let Ok(false) = reactor.try_visit(Box::new(release)) {
            std::thread::spawn(move || reactor.visit(Box::new(release)));
        }
    }
}

/// Marks the vdisks of these names, separated by commas, at one moment.
///
/// # Errors
/// A sentence; then none of them has the mark.
pub(super) async fn mark(vdisks: &[Vdisk], names: &str, mark: &str) -> CommandResult<Value> {
    let names: Vec<&str> = names.split(',').collect();
    let different: BTreeSet<&str> = names.iter().copied().collect();
    if different.len() < names.len() {
        return Err(Failure::new(
            "a vdisk is named twice; a cut has each vdisk once",
        ));
    }
    let chosen = names.iter().map(|name| found(vdisks, name));
    let chosen: Vec<&Vdisk> = chosen.collect::<CommandResult<_>>()?;
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
    let seed = since_1970.unwrap_or_default().as_nanos() as u64;
    let process = std::process::id().to_le_bytes();
    let cut = Uuid::derive(seed, &[b"cut", mark.as_bytes(), &process]);
    let count = chosen.len() as u32;

    let held = hold(&chosen, cut, mark).await?;
    // It goes on when the one who asked does not wait.
    let marking = tokio::spawn(mark_held(held, mark.to_owned(), (cut, count)));
    let seqs = marking.await??;
    Ok(json!({ "mark": mark, "cut": cut.to_string(), "vdisks": seqs }))
}

/// Marks them all, or none of them; their seqs.
async fn mark_held(
    held: Vec<HeldVdisk>,
    mark: String,
    cut: (Uuid, u32),
) -> CommandResult<Map<String, Value>> {
    let marks = held.iter().map(|vdisk| mark_in_time(vdisk, &mark, cut));
    let marks: Vec<CommandResult<u64>> = join_all(marks).await;
    let (mut seqs, mut drops) = (Map::new(), Vec::new());
    let mut failure = None;
    for (vdisk, marked) in held.iter().zip(marks) {
        match marked {
            Ok(seq) => {
                seqs.insert(vdisk.name.clone(), seq.into());
                drops.push(drop_mark(vdisk, &mark));
            }
            Err(why) => failure = failure.or(Some(why)),
        }
    }
    drop(held);
    let Some(failure) = failure else {
        return Ok(seqs);
    };
    let drops = drops.into_iter().map(tokio::spawn);
    // Those that take longer go on.
    let _ = timeout(DROP_TIME, join_all(drops)).await;
    Err(failure)
}

/// Marks one: the vdisks whose disks answer must not be held for one that hangs. A mark that is set
/// later is dropped then.
async fn mark_in_time(vdisk: &HeldVdisk, mark: &str, cut: (Uuid, u32)) -> CommandResult<u64> {
    let named = mark.to_owned();
    let marked = ask_reactor(
        vdisk.reactor.clone(),
        vdisk.vdisk,
        move |service, id, done| service.mark_cut(id, &named, cut, done),
    );
    let mut marked = tokio::spawn(marked);
    if let Ok(marked) = timeout(HOLD_TIME, &mut marked).await {
        return marked?;
    }
    let drop_mark = drop_mark(vdisk, mark);
    tokio::spawn(async move {
        if let Ok(Ok(_)) = marked.await {
            drop_mark.await;
        }
    });
    Err(Failure::new(format!(
        "`{}` was not marked within {} s: its disk is slow or hangs (`disktime status`)",
        vdisk.name,
        HOLD_TIME.as_secs()
    )))
}

/// Drops a mark again.
fn drop_mark(vdisk: &HeldVdisk, mark: &str) -> impl Future<Output = ()> + Send + use<> {
    let (reactor, id, name) = (vdisk.reactor.clone(), vdisk.vdisk, vdisk.name.clone());
    let mark = mark.to_owned();
    async move {
        let named = mark.clone();
        let dropped = ask_reactor(reactor, id, move |service, id, done| {
            service.drop_mark(id, &named, done);
        });
        if let Err(why) = dropped.await {
            tracing::warn!("the mark `{mark}` of `{name}` is left: {why}");
        }
    }
}

/// Holds the changes of all of them.
async fn hold(chosen: &[&Vdisk], cut: Uuid, mark: &str) -> CommandResult<Vec<HeldVdisk>> {
    let guard = |vdisk: &&Vdisk| HeldVdisk {
        name: vdisk.name().clone(),
        reactor: vdisk.reactor().clone(),
        vdisk: vdisk.id(),
        cut,
    };
    let guards: Vec<HeldVdisk> = chosen.iter().map(guard).collect();
    let holds = chosen.iter().map(|vdisk| {
        let mark = mark.to_owned();
        ask(vdisk, move |service, id, done| {
            service.hold(id, cut, &mark, done);
        })
    });
    let held = timeout(HOLD_TIME, join_all(holds)).await.map_err(|_| {
        Failure::new(format!(
            "the changes of all vdisks were not held within {} s, so none was marked: a disk is \
             slow or hangs (`disktime status`); try again",
            HOLD_TIME.as_secs()
        ))
    })?;
    held.into_iter().collect::<CommandResult<Vec<u64>>>()?;
    Ok(guards)
}

/// The vdisks that have a mark of each cut.
pub(super) type Cuts = BTreeMap<[u8; 16], Vec<String>>;

/// How the histories stand of all vdisks whose disks answer.
async fn reports(vdisks: &[Vdisk]) -> Vec<(&Vdisk, HistoryReport)> {
    let with_history = vdisks.iter().filter(|vdisk| vdisk.has_history());
    let reports = with_history.map(|vdisk| async move {
        // One whose history could not be opened has no marks that could be used.
        let answer = timeout(REPORT_TIME, report(vdisk)).await;
        Some((vdisk, answer.ok()?.ok()?))
    });
    join_all(reports).await.into_iter().flatten().collect()
}

fn cuts_of(reports: &[(&Vdisk, HistoryReport)]) -> Cuts {
    let mut cuts = Cuts::new();
    for (vdisk, report) in reports {
        for (cut, _) in report.status.marks.iter().filter_map(|mark| mark.cut) {
            cuts.entry(cut).or_default().push(vdisk.name().clone());
        }
    }
    cuts
}

/// The cuts of all vdisks.
pub(super) async fn cuts(vdisks: &[Vdisk]) -> Cuts {
    cuts_of(&reports(vdisks).await)
}

/// Sentences about marks of cuts that not all vdisks of the cut have.
pub(super) async fn incomplete_cuts(vdisks: &[Vdisk]) -> Vec<String> {
    let reports = reports(vdisks).await;
    let cuts = cuts_of(&reports);
    let mut sentences = Vec::new();
    for (vdisk, report) in &reports {
        for mark in &report.status.marks {
            let Some((cut, count)) = mark.cut else {
                continue;
            };
            let there = cuts.get(&cut).map_or(0, Vec::len);
            if there < count as usize {
                let (name, mark) = (vdisk.name(), &mark.name);
                sentences.push(format!(
                    "the mark `{mark}` of `{name}` is of a cut through {count} vdisks, of which \
                     {there} have it: a crash came while it was set, or it was dropped; it names \
                     no moment of all of them (`disktime drop {name}@{mark}`)"
                ));
            }
        }
    }
    sentences
}
