//! The clients of a vdisk are ended, because its content becomes another one, or it goes.
//!
//! Invariant: the vdisk is closed to new clients meanwhile, and how long that may take is bounded.

use crate::failure::{CommandResult, Failure};
use crate::serving::catalog::Vdisk;
use disktime_engine::{ClosedVdisk, VdiskId};
use disktime_fuse::OpenFiles;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// How long connections have for their end: less than the one who asked waits for an answer.
const END_TIME: Duration = Duration::from_secs(8);
/// A client whose handshake is over while connections are being ended is ended by another try.
const TRY_TIME: Duration = Duration::from_millis(100);
/// Between two looks whether moments are still open.
const LOOK_TIME: Duration = Duration::from_millis(10);

/// Ends the clients of a vdisk that is closed to new ones; how many there were.
///
/// # Errors
/// Those that did not end in time. Nothing else was done.
pub(super) async fn end_clients(
    vdisk: &Vdisk,
    closed: &ClosedVdisk,
    files: Option<&OpenFiles>,
) -> CommandResult<u64> {
    let clients = vdisk.clients();
    let count = clients.get();
    let until = Instant::now() + END_TIME;
    if closed.end_files() > 0
        && let Some(files) = files
        && timeout(END_TIME, files.until_submitted()).await.is_err()
    {
        return Err(Failure::new(format!(
            "`{}`: the thread of the FUSE directory did not answer within {} s (`disktime \
             status`); the vdisk is as it was",
            vdisk.name(),
            END_TIME.as_secs()
        )));
    }
    loop {
        vdisk.reactor().disconnect(vdisk.id())?;
        let waiting = clients.clone();
        let wait = move || waiting.wait_until_unused(TRY_TIME);
        if tokio::task::spawn_blocking(wait).await? {
            return Ok(count);
        }
        if Instant::now() >= until {
            return Err(Failure::new(format!(
                "`{}`: clients did not end within {} s: {}; the vdisk is as it was",
                vdisk.name(),
                END_TIME.as_secs(),
                clients.names().join(", ")
            )));
        }
    }
}

/// Makes sure that no client reads a moment of a vdisk that is about to go; how many moments were
/// closed.
///
/// # Errors
/// One is open, and its clients are not to be disconnected, or do not end.
pub(super) async fn end_moments(vdisk: &Vdisk, disconnect: bool) -> CommandResult<u64> {
    let until = Instant::now() + END_TIME;
    let mut closed = 0;
    loop {
        let open = open_moments(vdisk).await?;
        if open.is_empty() {
            return Ok(closed);
        }
        if !disconnect || Instant::now() >= until {
            return Err(Failure::new(format!(
                "`{}` is in use: {} of its moments are being read; end their readers and try again, \
                 or disconnect them with --disconnect",
                vdisk.name(),
                open.len()
            )));
        }
        closed = closed.max(open.len() as u64);
        for moment in open {
            vdisk.reactor().disconnect(moment)?;
        }
        tokio::time::sleep(LOOK_TIME).await;
    }
}

async fn open_moments(vdisk: &Vdisk) -> CommandResult<Vec<VdiskId>> {
    let (sender, receiver) = oneshot::channel();
    let id = vdisk.id();
    vdisk.reactor().visit(Box::new(move |sets, _| {
        let _ = sender.send(sets.set_of_mut(id).open_moments(id));
    }))?;
    Ok(receiver.await?)
}
