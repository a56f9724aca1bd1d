//! Reverts of a vdisk, as far as its clients are concerned: they have cached what a revert changes.
//!
//! ```text
//!   closed to new clients ─► those that it has are disconnected, or are why it is refused
//!     ─► the disk's thread reverts ─► what the kernel has cached is forgotten ─► open to clients
//! ```
//!
//! Invariants: from the acceptance of a revert until it is done no client is admitted, whether or
//! not the one who asked waits for it; a client has seen content from before a revert or from
//! behind it, and never both.

use crate::failure::{CommandResult, Failure};
use crate::serving::catalog::Vdisk;
use crate::serving::control_socket::Revert;
use crate::serving::disconnecting::end_clients;
use crate::serving::history_control::ask;
use disktime_engine::StillInUse;
use disktime_fuse::OpenFiles;
use disktime_volumes::SeqDone;
use serde_json::{Value, json};
use tokio::runtime::Handle;

/// Reverts a vdisk. `files`: the open files of the FUSE frontend, if there is one.
///
/// # Errors
/// A sentence: which clients use it, or why it was not done.
pub(super) async fn revert(
    vdisk: &Vdisk,
    wanted: Revert,
    files: Option<&OpenFiles>,
) -> CommandResult<Value> {
    let clients = vdisk.clients();
    let closed = match wanted.disconnect {
        true => clients.close(),
        false => clients.close_if_unused(),
    };
    let closed = closed.map_err(|used| refusal(vdisk, &used))?;
    let disconnected = match wanted.disconnect {
        true => end_clients(vdisk, &closed, files).await?,
        false => 0,
    };
    let cache = files.cloned().map(|files| (files, vdisk.file_identity()));
    let runtime = Handle::current();
    let seq = ask(vdisk, move |service, id, done| {
        // Closed until the kernel has forgotten the old content, even if the one who asked is gone.
        let done: SeqDone = Box::new(move |result| {
            runtime.spawn_blocking(move || {
                if let Some((files, file)) = cache {
                    files.forget_cached(file);
                }
                drop(closed);
                done(result);
            });
        });
        match &wanted.to {
            Some(moment) => service.revert(id, moment, done),
            None => service.undo_revert(id, done),
        }
    })
    .await?;
    Ok(json!({ "vdisk": vdisk.name(), "seq": seq, "disconnected": disconnected }))
}

fn refusal(vdisk: &Vdisk, used: &StillInUse) -> Failure {
    let name = vdisk.name();
    match used {
        StillInUse::By(_) => Failure::new(format!(
            "`{name}` is in use, and a revert would change what its clients have cached: {used}; \
             end them and try again, or disconnect them with --disconnect"
        )),
        StillInUse::Closed => Failure::new(format!("`{name}`: {used}; try again when it is done")),
    }
}
