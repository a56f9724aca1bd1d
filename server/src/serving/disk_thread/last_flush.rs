//! The end of a thread's disks: a flush of every vdisk that needs one, the logs closed in good
//! order, and the times of the last changes.

use super::clock;
use crate::assembly::{DiskService, ThreadService};
use crate::failure::{CommandResult, Failure};
use disktime_engine::{Reply, Request, RequestKind, Service, VdiskId};
use disktime_volumes::{Driver, RealDriver};
use std::time::Instant;

/// Makes everything durable, through the loop like every other request.
pub(super) fn flush_all(
    mut service: ThreadService,
    names: &[&str],
    epoch: Instant,
) -> CommandResult {
    let mut driver = RealDriver::new(clock(epoch));
    let sets = service.sets().iter();
    let vdisks: Vec<VdiskId> = sets.flat_map(DiskService::vdisks_to_flush).collect();
    for set in service.sets_mut() {
        set.share_flushes();
    }
    for vdisk in &vdisks {
        let request = Request {
            origin: 0,
            handle: vdisk.0,
            vdisk: *vdisk,
            kind: RequestKind::Flush,
            offset_bytes: 0,
            len_bytes: 0,
            fua: false,
            buffer: None,
        };
        let _ = service.submit(driver.now(), request);
    }
    let mut replies: Vec<Reply> = Vec::new();
    while replies.len() < vdisks.len() {
        service.turn(driver.now(), &mut replies);
        if replies.len() < vdisks.len() {
            driver.wait(service.next_wake(), &service.wake_fds())?;
        }
    }
    if replies.iter().any(|reply| reply.result.is_err()) {
        return Err(Failure::new(format!(
            "the last flush of disk {} failed; what was written since the last flush that \
             succeeded may be lost",
            names.join(" or ")
        )));
    }
    service.close_histories(&mut driver)?;
    for (set, name) in service.sets_mut().iter_mut().zip(names) {
        if let Err(error) = set.close(&mut driver) {
            // No data is lost: the next start gives the files the time of that start.
            tracing::warn!("disk {name}: {error}; the times of its files were not kept");
        }
    }
    Ok(())
}
