//! What is asked of a device while it is measured, and what came of it.
//!
//! Invariant: a [`Sample`] counts what ended within the measured time; how the time is kept is the
//! prober's matter.
//!
//! What is not known here: which probes are needed, and what follows from them.

use disktime_drive_models::Operation;
use disktime_units::Nanos;
use thiserror::Error;

/// Parts of a probe's time of which each is counted for itself.
pub const TENTHS: usize = 10;

/// Where the requests of a probe lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Places {
    /// At any multiple of their length.
    Random,
    /// Each behind the one before it.
    Sequential,
    /// Each about so many bytes from the one before it, in either direction.
    Apart(u64),
}

/// Requests of one kind, `depth` in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probe {
    /// What is asked for.
    pub operation: Operation,
    /// Length of each request; 0 for flushes.
    pub len_bytes: u64,
    /// Where they lie.
    pub places: Places,
    /// Requests in flight.
    pub depth: u32,
    /// Each request is followed by a flush, and the flush is what is measured.
    pub flushes: bool,
    /// Time between a completion and the next request of the same client.
    pub turnaround: Nanos,
    /// Time that is measured.
    pub duration: Nanos,
}

/// What a probe measured.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sample {
    /// The measured time.
    pub elapsed: Nanos,
    /// Requests that ended in each tenth of it.
    pub tenths: [u64; TENTHS],
    /// The sum of their latencies.
    pub latency_sums: [Nanos; TENTHS],
    /// Latencies, ascending; at most the first million.
    pub latencies: Vec<Nanos>,
}

impl Sample {
    /// Requests that ended in the measured time.
    pub fn requests(&self) -> u64 {
        self.tenths.iter().sum()
    }

    /// Time for each request in the second half, if they follow each other: what is left of a cache
    /// or of credit is used up in the first.
    pub fn late_time_per_request(&self) -> Nanos {
        let requests: u64 = self.tenths[TENTHS / 2..].iter().sum();
        Nanos(self.elapsed.0 / 2 / requests.max(1))
    }

    /// Requests each second in the second half.
    pub fn late_per_second(&self) -> u64 {
        let requests: u64 = self.tenths[TENTHS / 2..].iter().sum();
        let twice = u128::from(requests) * 2_000_000_000;
        u64::try_from(twice / u128::from(self.elapsed.0.max(1))).unwrap_or(u64::MAX)
    }

    /// Mean latency; 0 without requests.
    pub fn mean(&self) -> Nanos {
        let sum: u64 = self.latency_sums.iter().map(|sum| sum.0).sum();
        Nanos(sum / self.requests().max(1))
    }

    /// The latency that so many per mille of the requests do not exceed; 0 without requests.
    pub fn quantile(&self, per_mille: usize) -> Nanos {
        let last = self.latencies.len().saturating_sub(1);
        let index = (self.latencies.len() * per_mille / 1000).min(last);
        self.latencies.get(index).copied().unwrap_or(Nanos::ZERO)
    }
}

/// Bursts of random writes, each followed by reads one at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BurstProbe {
    /// Length of each write.
    pub write_bytes: u64,
    /// Writes in flight.
    pub depth: u32,
    /// How long a burst lasts.
    pub burst: Nanos,
    /// Length of each read.
    pub read_bytes: u64,
    /// How long reads follow.
    pub watch: Nanos,
    /// How often.
    pub repeats: u32,
}

/// One burst and the reads behind it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Burst {
    /// When the first write was sent.
    pub started_at: Nanos,
    /// When the last write was answered.
    pub answered_at: Nanos,
    /// Writes of the burst.
    pub writes: u64,
    /// The reads behind it: when each ended, and its latency.
    pub reads: Vec<(Nanos, Nanos)>,
}

/// What a plan has to know of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceFacts {
    /// Its size.
    pub size_bytes: u64,
    /// Requests that it takes at once.
    pub max_depth: u32,
    /// Whether a change of place costs a seek.
    pub rotational: bool,
    /// Whether discards do anything.
    pub discards: bool,
}

/// Why a probe ended early.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProbeError {
    /// A request failed.
    #[error(
        "a request failed while it was measured ({0}); nothing is kept of the measurement. Check \
             that the device is still there (`lsblk`, `dmesg`), then measure again"
    )]
    Failed(String),
    /// No request was answered any more.
    #[error(
        "it has answered no request for {0} s; nothing is kept of the measurement. Check that the \
             device is still there (`lsblk`, `dmesg`), then measure again"
    )]
    Silent(u64),
    /// A probe wants to write and there is no consent.
    #[error(
        "the plan wants to write and there is no consent to writing; this is a mistake of the \
             program, and nothing was written"
    )]
    NoConsent,
}

/// What runs probes.
pub trait Prober {
    /// What the plan has to know.
    fn facts(&self) -> DeviceFacts;

    /// Runs a probe, and waits for the requests that are in flight at its end.
    ///
    /// # Errors
    /// A request failed or was not answered.
    fn run(&mut self, probe: &Probe) -> Result<Sample, ProbeError>;

    /// Runs bursts of writes with reads behind them.
    ///
    /// # Errors
    /// A request failed or was not answered.
    fn bursts(&mut self, probe: &BurstProbe) -> Result<Vec<Burst>, ProbeError>;
}
