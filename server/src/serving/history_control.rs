//! Requests about histories: from the control socket to the disk's thread and back.

use crate::assembly::{DiskService, ThreadService};
use crate::failure::{CommandResult, Failure};
use crate::serving::catalog::Vdisk;
use crate::serving::control_socket::HistoryRequest;
use crate::serving::group_marks::{self, Cuts};
use crate::serving::reverting::revert;
use disktime_engine::{ReactorHandle, VdiskId};
use disktime_fuse::OpenFiles;
use disktime_history::{Holder, Moment, UNIT_BYTES, time_text};
use disktime_observe::{HistoryBranch, HistoryCut, HistoryHolder, HistoryMark, HistoryStatus};
use disktime_units::Nanos;
use disktime_volumes::{ChangedDone, HistoryReport, SeqDone};
use serde_json::{Value, json};
use std::future::Future;
use tokio::sync::oneshot;

const UNIT: u64 = UNIT_BYTES as u64;

/// Answers a request about the history of the vdisk of that name.
///
/// # Errors
/// A sentence: no such vdisk, no history, or why it was not done.
pub(crate) async fn answer(
    vdisks: &[Vdisk],
    files: Option<&OpenFiles>,
    name: &str,
    request: HistoryRequest,
) -> CommandResult<Value> {
    if let HistoryRequest::Mark(mark) = &request
        && name.contains(',')
    {
        return group_marks::mark(vdisks, name, mark).await;
    }
    let vdisk = found(vdisks, name)?;
    match request {
        HistoryRequest::Show => {
            let cuts = group_marks::cuts(vdisks).await;
            let status = status(vdisk.name(), report(vdisk).await?, &cuts);
            Ok(serde_json::to_value(status)?)
        }
        HistoryRequest::Mark(mark) => {
            let named = mark.clone();
            let seq = ask(vdisk, move |service, id, done| {
                service.mark(id, &named, done)
            })
            .await?;
            Ok(json!({ "vdisk": name, "mark": mark, "seq": seq }))
        }
        HistoryRequest::DropMark(mark) => {
            let named = mark.clone();
            let drop_mark = move |service: &mut DiskService, id, done| {
                service.drop_mark(id, &named, done);
            };
            let seq = ask(vdisk, drop_mark).await?;
            Ok(json!({ "vdisk": name, "mark": mark, "seq": seq }))
        }
        HistoryRequest::DropBranch(branch) => {
            let drop_branch = move |service: &mut DiskService, id, done| {
                service.drop_branch(id, branch, done);
            };
            let seq = ask(vdisk, drop_branch).await?;
            Ok(json!({ "vdisk": name, "branch": branch, "seq": seq }))
        }
        HistoryRequest::AcceptLoss => {
            let seq = ask(vdisk, |service, id, done| service.accept_loss(id, done)).await?;
            Ok(json!({ "vdisk": name, "seq": seq }))
        }
        HistoryRequest::Changed(since, until) => changed(vdisk, since, until).await,
        HistoryRequest::Revert(wanted) => revert(vdisk, wanted, files).await,
    }
}

/// The vdisk of that name.
pub(super) fn found<'v>(vdisks: &'v [Vdisk], name: &str) -> CommandResult<&'v Vdisk> {
    let vdisk = vdisks.iter().find(|vdisk| vdisk.name() == name);
    vdisk.ok_or_else(|| Failure::new(unknown(vdisks, name)))
}

/// Vdisks that a sentence names, at most.
const NAMED_MAX: usize = 16;

fn unknown(vdisks: &[Vdisk], name: &str) -> String {
    let (named, others) = vdisks.split_at(vdisks.len().min(NAMED_MAX));
    let named: Vec<String> = named
        .iter()
        .map(|one| format!("`{}`", one.name()))
        .collect();
    let named = named.join(", ");
    match (named.is_empty(), others.len()) {
        (true, _) => format!("there is no vdisk `{name}`; the server has none"),
        (_, 0) => format!("there is no vdisk `{name}`; there are {named}"),
        (_, more) => format!("there is no vdisk `{name}`; there are {named} and {more} more"),
    }
}

/// Has the disk's thread do something, and waits until it is done.
pub(super) fn ask<B>(
    vdisk: &Vdisk,
    begin: B,
) -> impl Future<Output = CommandResult<u64>> + Send + use<B>
where
    B: FnOnce(&mut DiskService, VdiskId, SeqDone) + Send + 'static,
{
    ask_reactor(vdisk.reactor().clone(), vdisk.id(), begin)
}

/// The same by the reactor of the vdisk's disk.
pub(super) async fn ask_reactor(
    reactor: ReactorHandle<ThreadService>,
    vdisk: VdiskId,
    begin: impl FnOnce(&mut DiskService, VdiskId, SeqDone) + Send + 'static,
) -> CommandResult<u64> {
    let (sender, receiver) = oneshot::channel();
    let done: SeqDone = Box::new(move |result| {
        // It fails when the client that asked is gone.
        let _ = sender.send(result);
    });
    reactor.visit(Box::new(move |sets, _| {
        begin(sets.set_of_mut(vdisk), vdisk, done)
    }))?;
    receiver.await?.map_err(Failure::new)
}

/// Ranges in one answer, at most: a line stays below some megabytes.
const RANGES_MAX: usize = 100_000;

/// What was written between two moments.
async fn changed(vdisk: &Vdisk, since: Moment, until: Option<Moment>) -> CommandResult<Value> {
    let (sender, receiver) = oneshot::channel();
    let id = vdisk.id();
    let done: ChangedDone = Box::new(move |result| {
        // It fails when the client that asked is gone.
        let _ = sender.send(result);
    });
    vdisk.reactor().visit(Box::new(move |sets, _| {
        sets.set_of_mut(id).changed(id, &since, until, done);
    }))?;
    let found = receiver.await?.map_err(Failure::new)?;
    let bytes: u64 = found.ranges.iter().map(|range| range.1).sum();
    let mut ranges = found.ranges;
    join_nearest(&mut ranges, RANGES_MAX);
    let ranges = ranges
        .into_iter()
        .map(|(offset, length)| json!({ "offset": offset, "length": length }));
    Ok(json!({
        "vdisk": vdisk.name(),
        "since": found.since,
        "until": found.until,
        "changed_bytes": bytes,
        "ranges": ranges.collect::<Vec<Value>>(),
    }))
}

/// Joins ranges over the shortest gaps until there are at most so many: more is listed then, and
/// nothing is missing.
fn join_nearest(ranges: &mut Vec<(u64, u64)>, most: usize) {
    if ranges.len() <= most {
        return;
    }
    let gap = |pair: &[(u64, u64)]| pair[1].0 - (pair[0].0 + pair[0].1);
    let mut gaps: Vec<u64> = ranges.windows(2).map(gap).collect();
    let joined = ranges.len() - most;
    let (_, longest, _) = gaps.select_nth_unstable(joined - 1);
    let longest = *longest;
    ranges.dedup_by(|next, kept| {
        let is_near = next.0 - (kept.0 + kept.1) <= longest;
        if is_near {
            kept.1 = next.0 + next.1 - kept.0;
        }
        is_near
    });
}

/// How the history of a vdisk stands.
pub(super) async fn report(vdisk: &Vdisk) -> CommandResult<HistoryReport> {
    let (sender, receiver) = oneshot::channel();
    let id = vdisk.id();
    vdisk.reactor().visit(Box::new(move |sets, _| {
        let _ = sender.send(sets.set_of_mut(id).history(id));
    }))?;
    receiver.await?.ok_or_else(|| {
        Failure::new(format!(
            "`{}` has no history, or it could not be opened (`disktime status` says why)",
            vdisk.name()
        ))
    })
}

fn status(vdisk: &str, report: HistoryReport, cuts: &Cuts) -> HistoryStatus {
    let log = report.status;
    let marks = log.marks.into_iter().map(|mark| HistoryMark {
        name: mark.name,
        seq: mark.moment,
        time: time_text(mark.time_ns),
        cut: mark.cut.map(|(cut, count)| HistoryCut {
            vdisks: cuts.get(&cut).cloned().unwrap_or_default(),
            count,
        }),
    });
    let branches = log.branches.into_iter();
    let branches = branches.map(|(id, parent, fork, head, dropped)| HistoryBranch {
        id,
        parent,
        fork,
        head: (head != 0).then_some(head),
        dropped,
    });
    let space = report.space;
    let holders = space.holders.into_iter().map(|held| HistoryHolder {
        seq: held.moment,
        what: match held.holder {
            Holder::Mark(name) => format!("the mark {name}"),
            Holder::Clone(name) => format!("the clone {name}"),
            Holder::Branch(id) => format!("the branch {id}"),
            Holder::Moment(seq) => format!("the moment seq:{seq}, which is open"),
        },
        held_bytes: held.held_units * UNIT,
        alone_bytes: held.alone_units * UNIT,
        with_older_bytes: held.with_older_units * UNIT,
    });
    HistoryStatus {
        vdisk: vdisk.to_owned(),
        window_ms: report.window_ns.map(|window| Nanos(window).as_millis_f64()),
        oldest: log.oldest_restorable,
        oldest_time: log.oldest_time_ns.map(time_text),
        newest: log.newest,
        newest_time: time_text(log.newest_time_ns),
        durable: log.durable,
        floor: log.floor,
        branch: log.branch,
        area_bytes: report.area_bytes,
        max_bytes: report.max_bytes,
        used_bytes: log.used_units * UNIT,
        window_bytes: space.window_units * UNIT,
        held_bytes: space.held_units * UNIT,
        held_together_bytes: space.held_together_units * UNIT,
        foldable_bytes: space.foldable_units * UNIT,
        index_bytes: log.index_bytes,
        index_blocks: log.index_blocks,
        folding: log.is_folding,
        fold_problem: report.fold_problem,
        out_of_space: log.is_out_of_space,
        read_only: log.is_read_only,
        lost_from: log.lost_from,
        broken: report.is_broken,
        marks: marks.collect(),
        branches: branches.collect(),
        holders: holders.collect(),
    }
}

#[cfg(test)]
mod tests;
