//! What is reported of disks that work on several requests at once, and of the streams on them.
//!
//! Streams pay in *solo time* there: what they would have needed for the same requests alone. The
//! *solo ratio* is what a stream received of its reservation: 1 is all of it.
//!
//! Invariant: nothing of this is reported of disks that do one request at a time.

use crate::text::percent;
use crate::{DiskStatus, Windows};
use disktime_units::{Nanos, Share};
use serde::{Deserialize, Serialize};

/// How full a disk is, and how often one stream had it alone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct DiskOverlap {
    /// H: the work in the disk beyond which no request is sent to it.
    pub occupancy_bound_ms: f64,
    /// The work in the disk now: acknowledged writes that it has not done yet included.
    pub occupancy_ms: f64,
    /// The most since the start.
    pub occupancy_most_ms: f64,
    /// How long the disk takes now to run empty.
    pub drain_ms: f64,
    /// The part of the time in which the disk was kept for one stream, because a reservation would
    /// have been broken otherwise.
    pub focus_share: Windows<f64>,
    /// While the disk is slower than its prices say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slower_than_priced: Option<SlowerDisk>,
}

/// A disk that is slower than its prices say: throttled, or another disk than was measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct SlowerDisk {
    /// What a request alone takes, compared with the prices.
    pub latency_factor: f64,
    /// What requests take of the throughput, compared with the prices.
    pub occupancy_factor: f64,
    /// How long it has been so.
    pub since_ms: f64,
}

/// The solo time of a stream or group, since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct SoloTime {
    /// What it would have needed alone for what was done for it.
    pub received_ms: f64,
    /// How long it had requests queued or in flight.
    pub backlogged_ms: f64,
    /// `received_ms` ÷ (reserved share × `backlogged_ms`); null for best effort, and before the
    /// first request.
    pub solo_ratio: Option<f64>,
    /// What its requests took when it was alone, compared with the prices: 1 is as priced.
    pub price_correction: f64,
}

impl SoloTime {
    /// The heading of a table of solo times.
    pub const HEADING: [&'static str; 5] = [
        "vdisk",
        "solo time ms",
        "backlogged ms",
        "solo ratio",
        "price correction",
    ];

    /// The row of a vdisk or group of that name.
    pub fn row(&self, name: String) -> Vec<String> {
        let ratio = self.solo_ratio;
        vec![
            name,
            format!("{:.1}", self.received_ms),
            format!("{:.1}", self.backlogged_ms),
            ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.3}")),
            format!("{:.3}", self.price_correction),
        ]
    }

    /// Of a stream that has reserved that share; zero for best effort.
    pub fn new(
        received: Nanos,
        backlogged: Nanos,
        reserved: Share,
        price_correction_ppm: u64,
    ) -> SoloTime {
        let due = reserved.of(backlogged);
        let ratio = received.0 as f64 / due.0.max(1) as f64;
        SoloTime {
            received_ms: received.as_millis_f64(),
            backlogged_ms: backlogged.as_millis_f64(),
            solo_ratio: (due > Nanos::ZERO).then(|| (ratio * 1e4).round() / 1e4),
            price_correction: price_correction_ppm as f64 / 1e6,
        }
    }
}

impl DiskOverlap {
    /// What it says, for people.
    pub(crate) fn sentence(&self) -> String {
        let kept = self.focus_share.by_name();
        let kept = kept.map(|(window, share)| format!("{} ({window})", percent(share)));
        format!(
            "it overlaps requests: H {:.2} ms, work in it {:.2} ms (the most {:.2} ms), empty in \
             {:.2} ms; kept for one stream {}",
            self.occupancy_bound_ms,
            self.occupancy_ms,
            self.occupancy_most_ms,
            self.drain_ms,
            kept.join(", ")
        )
    }
}

impl DiskStatus {
    /// Whether requests take longer than the prices say.
    pub(crate) fn is_slower_than_priced(&self) -> bool {
        self.slower().is_some()
    }

    fn slower(&self) -> Option<SlowerDisk> {
        self.overlap?.slower_than_priced
    }

    /// A sentence, if the disk is slower than its prices say.
    pub(crate) fn slowness(&self) -> Option<String> {
        let slower = self.slower()?;
        Some(format!(
            "slower than its prices for {:.1} s: latency × {:.1}, throughput ÷ {:.1}; \
             reservations are kept of what it does now",
            slower.since_ms / 1e3,
            slower.latency_factor,
            slower.occupancy_factor
        ))
    }
}

#[cfg(test)]
mod tests;
