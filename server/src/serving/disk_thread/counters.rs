//! What a disk's loop has counted, asked of its reactor. While the reactor does not answer, because
//! a call into the kernel does not return, it is what was counted when it answered last.
//!
//! Invariants: an answer takes a bounded time, whatever the disk does; at most one question is on
//! its way to a reactor.

use crate::assembly::DiskService;
use crate::failure::{CommandResult, Failure};
use disktime_engine::{LoopReport, ReactorGone, ReactorHandle};
use disktime_units::Nanos;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// How long a reactor may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// The same while an earlier question is not answered.
const PATIENCE_AFTER_SILENCE: Duration = Duration::from_millis(50);

/// The counters at a time.
#[derive(Debug, Clone)]
pub(super) struct Reading {
    pub(super) counted: LoopReport,
    /// What people should know of how the disk was found.
    pub(super) notices: Vec<String>,
    taken_at: Instant,
}

impl Reading {
    /// The counters of a service at `now` on its clock.
    pub(super) fn of(service: &DiskService, now: Nanos) -> Reading {
        Reading {
            counted: service.report(now),
            notices: service.notices(),
            taken_at: Instant::now(),
        }
    }
}

/// Asks one reactor.
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
    ///
    /// # Errors
    /// When the reactor has ended.
    pub(super) async fn read(
        &self,
        reactor: &ReactorHandle<DiskService>,
    ) -> CommandResult<(Reading, Option<Duration>)> {
        let mut asked = self.asked.lock().await;
        let mut patience = PATIENCE_AFTER_SILENCE;
        if asked.is_none() {
            patience = PATIENCE;
            *asked = ask(reactor)?;
        }
        let answer = match asked.as_mut() {
            Some(receiver) => timeout(patience, receiver).await.ok(),
            None => None,
        };
        let Some(answer) = answer else {
            let last = self.last().clone();
            let age = last.taken_at.elapsed();
            return Ok((last, Some(age)));
        };
        *asked = None;
        let reading = answer.map_err(|_| Failure::from(ReactorGone))?;
        self.last().clone_from(&reading);
        Ok((reading, None))
    }

    fn last(&self) -> std::sync::MutexGuard<'_, Reading> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks; `None` if the reactor's mailbox is full.
fn ask(
    reactor: &ReactorHandle<DiskService>,
) -> Result<Option<oneshot::Receiver<Reading>>, ReactorGone> {
    let (sender, receiver) = oneshot::channel();
    let is_taken = reactor.try_visit(Box::new(move |service, now| {
        // It fails when the control connection was closed meanwhile.
        let _ = sender.send(Reading::of(service, now));
    }))?;
    Ok(is_taken.then_some(receiver))
}
