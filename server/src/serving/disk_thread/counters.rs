//! What a disk's loop has counted, asked of its reactor. While the reactor does not answer, because
//! a call into the kernel does not return, and after it has ended, it is what was counted when it
//! answered last.
//!
//! Invariants: an answer takes a bounded time, whatever the disk does; at most one question is on
//! its way to a reactor; counters without an age were counted after they were asked for.

use crate::assembly::{DiskService, ThreadService};
use crate::disk_report::DiskStreams;
use disktime_engine::{LoopReport, ReactorGone, ReactorHandle};
use disktime_reservations::Configuration;
use disktime_units::Nanos;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// How long a reactor may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// The same while an earlier question is not answered.
const PATIENCE_AFTER_SILENCE: Duration = Duration::from_millis(50);

/// A question on its way; `None` if it cannot be sent now.
type Asked = Result<Option<oneshot::Receiver<Reading>>, ReactorGone>;

/// The counters at a time.
#[derive(Debug, Clone)]
pub(super) struct Reading {
    pub(super) counted: LoopReport,
    /// Whose streams were counted.
    pub(super) streams: DiskStreams,
    /// What people should know of how the disk was found.
    pub(super) notices: Vec<String>,
    taken_at: Instant,
}

impl Reading {
    /// The counters of a service at `now` on its clock.
    pub(super) fn of(of: &CountedDisk, service: &DiskService, now: Nanos) -> Reading {
        Reading {
            counted: service.report(now),
            streams: DiskStreams::of(&of.configuration, &of.name, service),
            notices: service.notices(),
            taken_at: Instant::now(),
        }
    }
}

/// The disk whose counters are read.
#[derive(Debug, Clone)]
pub(super) struct CountedDisk {
    pub(super) configuration: Arc<Configuration>,
    /// Its name.
    pub(super) name: String,
    /// Which of the disks of its reactor it is.
    pub(super) at: usize,
}

/// Asks one reactor, of one of its disks.
#[derive(Debug)]
pub(super) struct Counters {
    last: Mutex<Reading>,
    /// The question that is on its way.
    asked: tokio::sync::Mutex<Option<oneshot::Receiver<Reading>>>,
}

impl Counters {
    /// `first` was counted before the reactor ran.
    pub(super) fn new(first: Reading) -> Counters {
        Counters {
            last: Mutex::new(first),
            asked: tokio::sync::Mutex::default(),
        }
    }

    /// The counters now; or those of before, and how old they are.
    pub(super) async fn read(
        &self,
        disk: &CountedDisk,
        reactor: &ReactorHandle<ThreadService>,
    ) -> (Reading, Option<Duration>) {
        self.read_by(|| ask(reactor, disk)).await
    }

    /// The same by any way to ask.
    async fn read_by(&self, ask: impl Fn() -> Asked) -> (Reading, Option<Duration>) {
        let begun_at = Instant::now();
        let mut asked = self.asked.lock().await;
        let mut patience = PATIENCE_AFTER_SILENCE;
        loop {
            let Some(receiver) = asked.as_mut() else {
                patience = PATIENCE;
                // A reactor that has ended cannot be asked.
                let Ok(Some(question)) = ask() else { break };
                *asked = Some(question);
                continue;
            };
            let Ok(answer) = timeout(patience, receiver).await else {
                break;
            };
            *asked = None;
            // The reactor ended before it answered.
            let Ok(reading) = answer else { break };
            let is_fresh = reading.taken_at >= begun_at;
            self.last().clone_from(&reading);
            if is_fresh {
                return (reading, None);
            }
            // It answers an earlier question: it may be hours old.
        }
        let last = self.last().clone();
        let age = last.taken_at.elapsed();
        (last, Some(age))
    }

    fn last(&self) -> std::sync::MutexGuard<'_, Reading> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks; `None` if the reactor's mailbox is full.
fn ask(reactor: &ReactorHandle<ThreadService>, disk: &CountedDisk) -> Asked {
    let (sender, receiver) = oneshot::channel();
    let disk = disk.clone();
    let is_taken = reactor.try_visit(Box::new(move |service, now| {
        // It fails when the control connection was closed meanwhile.
        let _ = sender.send(Reading::of(&disk, &service.sets()[disk.at], now));
    }))?;
    Ok(is_taken.then_some(receiver))
}

#[cfg(test)]
mod tests;
