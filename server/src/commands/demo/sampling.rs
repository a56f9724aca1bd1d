//! Disk time over time while the demo's clients run: the counters of the disk are read at regular
//! times that are in phase with the periods of the first client, so that an interval of the picture
//! is one of its periods, from deadline to deadline.
//!
//! Invariant: reading the counters holds the disk up no longer than any status request.

use super::CLIENTS;
use crate::commands::simulate::timeline::{DiskReading, Timeline};
use crate::disk_report::DiskReport;
use crate::failure::{CommandResult, Failure};
use crate::serving::server::Server;
use disktime_engine::StreamId;
use disktime_units::Nanos;
use std::time::{Duration, Instant};

/// The clients' period.
pub(super) const PERIOD: Nanos = Nanos::from_millis(500);
/// Time between two readings; a part of the period.
const EVERY: Nanos = Nanos::from_millis(25);

/// What was read.
pub(super) struct Sampled {
    /// The streams, with what was counted until the end.
    pub(super) report: DiskReport,
    /// From the beginning of the first period to the end of the last whole one.
    pub(super) timeline: Timeline,
    /// How long that is.
    pub(super) duration: Nanos,
}

/// Reads the counters until `is_over`.
///
/// # Errors
/// The disk's thread has stopped, or the first client never had a period.
pub(super) async fn sample(server: &Server, is_over: impl Fn() -> bool) -> CommandResult<Sampled> {
    let disk = server
        .disk(0)
        .ok_or_else(|| Failure::new("the demo has no disk"))?;
    let streams = disk.report().await;
    let (name, _) = CLIENTS[0];
    let stream = (streams.streams().vdisks().iter())
        .find_map(|(vdisk, stream)| (vdisk == name).then_some(*stream))
        .ok_or_else(|| Failure::new(format!("the demo has no vdisk `{name}`")))?;
    let mut readings = Vec::new();
    let mut origin: Option<Nanos> = None;
    while !is_over() {
        let (reading, period_end) = read(server, stream).await?;
        let (now, read_at) = (reading.at(), Instant::now());
        readings.push(reading);
        if origin.is_none() {
            origin = period_end.filter(|end| *end > now).map(|end| end - PERIOD);
        }
        let next = next_reading(now, origin.unwrap_or(Nanos::ZERO));
        let pause = Duration::from(next - now).saturating_sub(read_at.elapsed());
        tokio::time::sleep(pause).await;
    }
    let origin = origin.ok_or_else(|| Failure::new("the clients of the demo sent no requests"))?;
    let last = readings.last().map_or(origin, DiskReading::at);
    let periods = (last.saturating_sub(origin).0 / PERIOD.0).max(1);
    let duration = Nanos(periods * PERIOD.0);
    // The reading at the end of the last period comes a little after it.
    let timeline = Timeline::between(readings, origin, origin + duration + Nanos(EVERY.0 / 2));
    Ok(Sampled {
        report: disk.report().await,
        timeline,
        duration,
    })
}

async fn read(server: &Server, stream: StreamId) -> CommandResult<(DiskReading, Option<Nanos>)> {
    let disk = server
        .disk(0)
        .ok_or_else(|| Failure::new("the demo has no disk"))?;
    disk.visit(move |service, now| {
        let scheduler = service.disk_loop().scheduler();
        let is_used = scheduler.stream_counters(stream).requests > 0;
        let period_end = scheduler.period_end(stream).filter(|_| is_used);
        (DiskReading::take(now, scheduler), period_end)
    })
    .await
}

/// The first of the regular times that is at least half of their distance away.
fn next_reading(now: Nanos, origin: Nanos) -> Nanos {
    let since = now.saturating_sub(origin).0 + EVERY.0 / 2;
    origin + Nanos((since / EVERY.0 + 1) * EVERY.0)
}

#[cfg(test)]
mod tests;
