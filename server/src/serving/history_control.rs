//! Requests about histories: from the control socket to the disk's thread and back.

use crate::assembly::{DiskService, ThreadService};
use crate::failure::{CommandResult, Failure};
use crate::serving::control_socket::HistoryRequest;
use crate::serving::reverting::revert;
use crate::serving::served_vdisks::ServedVdisk;
use disktime_engine::VdiskId;
use disktime_fuse::OpenFiles;
use disktime_history::Holder;
use disktime_observe::{HistoryBranch, HistoryHolder, HistoryMark, HistoryStatus};
use disktime_units::Nanos;
use disktime_volumes::{HistoryReport, SeqDone};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::oneshot;

/// Answers a request about the history of the vdisk of that name.
///
/// # Errors
/// A sentence: no such vdisk, no history, or why it was not done.
pub(crate) async fn answer(
    vdisks: &[ServedVdisk<ThreadService>],
    files: Option<&OpenFiles>,
    name: &str,
    request: HistoryRequest,
) -> CommandResult<Value> {
    let vdisk = vdisks.iter().find(|vdisk| vdisk.name() == name);
    let vdisk = vdisk.ok_or_else(|| Failure::new(unknown(vdisks, name)))?;
    match request {
        HistoryRequest::Show => show(vdisk).await,
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
        HistoryRequest::Revert(wanted) => revert(vdisk, wanted, files).await,
    }
}

fn unknown(vdisks: &[ServedVdisk<ThreadService>], name: &str) -> String {
    let names: Vec<String> = vdisks
        .iter()
        .map(|one| format!("`{}`", one.name()))
        .collect();
    match names.as_slice() {
        [] => format!("there is no vdisk `{name}`; the server has none"),
        names => format!("there is no vdisk `{name}`; there are {}", names.join(", ")),
    }
}

/// Has the disk's thread do something, and waits until it is done.
pub(super) async fn ask(
    vdisk: &ServedVdisk<ThreadService>,
    begin: impl FnOnce(&mut DiskService, VdiskId, SeqDone) + Send + 'static,
) -> CommandResult<u64> {
    let (sender, receiver) = oneshot::channel();
    let id = vdisk.id();
    let done: SeqDone = Box::new(move |result| {
        // It fails when the client that asked is gone.
        let _ = sender.send(result);
    });
    vdisk.reactor().visit(Box::new(move |sets, _| {
        begin(sets.set_of_mut(id), id, done)
    }))?;
    receiver.await?.map_err(Failure::new)
}

async fn show(vdisk: &ServedVdisk<ThreadService>) -> CommandResult<Value> {
    let (sender, receiver) = oneshot::channel();
    let id = vdisk.id();
    vdisk.reactor().visit(Box::new(move |sets, _| {
        let _ = sender.send(sets.set_of_mut(id).history(id));
    }))?;
    let report = receiver.await?.ok_or_else(|| {
        Failure::new(format!(
            "`{}` has no history, or it could not be opened (`disktime status` says why)",
            vdisk.name()
        ))
    })?;
    Ok(serde_json::to_value(status(vdisk.name(), report))?)
}

fn status(vdisk: &str, report: HistoryReport) -> HistoryStatus {
    let log = report.status;
    let marks = log
        .marks
        .into_iter()
        .map(|(name, seq, time_ns)| HistoryMark {
            name,
            seq,
            time: rfc3339(time_ns),
        });
    let branches = log.branches.into_iter();
    let branches = branches.map(|(id, parent, fork, head, dropped)| HistoryBranch {
        id,
        parent,
        fork,
        head: (head != 0).then_some(head),
        dropped,
    });
    let holders = report
        .holders
        .into_iter()
        .map(|(seq, holder)| HistoryHolder {
            seq,
            what: match holder {
                Holder::Mark(name) => format!("the mark {name}"),
                Holder::Branch(id) => format!("the branch {id}"),
                Holder::Moment(seq) => format!("the moment seq:{seq}, which is open"),
            },
        });
    HistoryStatus {
        vdisk: vdisk.to_owned(),
        window_ms: Nanos(report.window_ns).as_millis_f64(),
        oldest: log.oldest_restorable,
        newest: log.newest,
        durable: log.durable,
        floor: log.floor,
        branch: log.branch,
        area_bytes: report.area_bytes,
        used_bytes: log.used_units * 4096,
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

fn rfc3339(since_1970_ns: u64) -> String {
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(since_1970_ns));
    let text = time.ok().and_then(|time| time.format(&Rfc3339).ok());
    text.unwrap_or_else(|| format!("{since_1970_ns} ns since 1970"))
}
