//! The end of a disk: a flush of every vdisk that needs one, and the times of the last changes.

use super::clock;
use crate::assembly::DiskService;
use crate::failure::{CommandResult, Failure};
use disktime_engine::{Reply, Request, RequestKind, Service};
use disktime_volumes::{Driver, RealDriver};
use std::time::Instant;

/// Makes everything durable, through the loop like every other request.
pub(super) fn flush_all(mut service: DiskService, name: &str, epoch: Instant) -> CommandResult {
    let mut driver = RealDriver::new(clock(epoch));
    let vdisks = service.vdisks_to_flush();
    service.share_flushes();
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
            driver.wait(service.next_wake(), service.wake_fd())?;
        }
    }
    if replies.iter().any(|reply| reply.result.is_err()) {
        return Err(Failure::new(format!(
            "the last flush of disk {name} failed; what was written since the last flush that \
             succeeded may be lost"
        )));
    }
    service.close_histories(&mut driver)?;
    if let Err(error) = service.close(&mut driver) {
        // No data is lost: the next start gives the files the time of that start.
        tracing::warn!("disk {name}: {error}; the times of its files were not kept");
    }
    Ok(())
}
