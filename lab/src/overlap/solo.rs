//! What clients do alone on a drive: what isolation and efficiency are divided by.
//!
//! Invariant: one run for each drive, client, turnaround and length, whichever thread asks.

use super::client::OverlapClient;
use super::drives::LabDrive;
use super::run::OverlapRun;
use disktime_scheduler::PolicyKind;
use disktime_units::Nanos;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Measured at least so long.
const LEAST: Nanos = Nanos::from_secs(1);

/// What a client does alone.
#[derive(Debug, Clone, Copy)]
pub struct Solo {
    /// Requests a second.
    pub rate: f64,
    /// Median latency.
    pub p50: Nanos,
    /// 99th percentile.
    pub p99: Nanos,
}

/// Solo runs that were made.
#[derive(Debug, Default)]
pub struct SoloRuns {
    known: Mutex<BTreeMap<String, Solo>>,
}

impl SoloRuns {
    /// What the client does alone on the drive, warmed up so long.
    pub fn of(
        &self,
        drive: &LabDrive,
        client: &OverlapClient,
        turnaround: Nanos,
        warm: Nanos,
    ) -> Solo {
        let alone = client.alone();
        let key = format!("{drive:?} {turnaround} {warm} {alone:?}");
        let lock = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(solo) = lock().get(&key) {
            return *solo;
        }
        let solo = run_alone(drive, alone, turnaround, warm);
        lock().insert(key, solo);
        solo
    }
}

fn run_alone(drive: &LabDrive, alone: OverlapClient, turnaround: Nanos, warm: Nanos) -> Solo {
    let config = drive.config(PolicyKind::Fifo);
    let pause = alone.wakes.map_or(Nanos::ZERO, |(every, _)| every);
    let length = LEAST.max(Nanos(pause.0 * 20));
    let device = drive.device(1);
    let mut run = OverlapRun::new(config, device, drive.cost(), vec![alone], turnaround, 1);
    run.run(warm, length);
    let result = run.results().swap_remove(0);
    Solo {
        rate: result.requests as f64 / length.as_secs_f64(),
        p50: Nanos(result.latency.value_at_quantile(0.5)),
        p99: Nanos(result.latency.value_at_quantile(0.99)),
    }
}
