//! Ratios that need a run alone: isolation and sharing efficiency.

/// What one stream got, and what it is measured by.
#[derive(Debug, Clone, Copy)]
pub struct Shared {
    /// Requests per second beside the others.
    pub iops: f64,
    /// Requests per second with the disk for itself.
    pub alone: f64,
    /// The share that is reserved for it.
    pub share: f64,
}

impl Shared {
    /// Throughput over share × throughput alone: 1 is what was promised.
    pub fn isolation(self) -> f64 {
        self.iops / (self.alone * self.share)
    }

    /// Throughput over throughput alone.
    pub fn part(self) -> f64 {
        self.iops / self.alone
    }
}

/// Σ throughput over throughput alone: 1 is perfect time slicing with free switches.
pub fn efficiency(streams: &[Shared]) -> f64 {
    streams.iter().map(|stream| stream.part()).sum()
}

/// The isolation of the stream that has least of it.
pub fn worst(streams: &[Shared]) -> f64 {
    streams
        .iter()
        .map(|stream| stream.isolation())
        .fold(f64::MAX, f64::min)
}
