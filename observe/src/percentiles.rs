//! Percentiles of a time, in microseconds.

use serde::{Deserialize, Serialize};

/// Percentiles of a time, in microseconds; all zero where nothing was measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Percentiles {
    /// How many times were measured.
    pub count: u64,
    /// The median.
    pub p50: f64,
    /// 10 % were longer.
    pub p90: f64,
    /// 1 % were longer.
    pub p99: f64,
    /// 0.1 % were longer.
    pub p99_9: f64,
    /// The longest.
    pub max: f64,
}
