//! How well a paced disk kept to its model's times.
//!
//! What is not known here: how they are measured.

use disktime_units::Nanos;

/// What a paced disk reports of its pacing since it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PacingReport {
    /// Requests that were paced. Flushes and durable writes are not counted: they take as long as
    /// the real disk needs.
    pub served: u64,
    /// Of these, the ones whose real I/O took longer than the model said.
    pub overruns: u64,
    /// How late the other completions were collected.
    pub lateness: Lateness,
}

/// How late after the model's time the completions of a paced disk were collected because the
/// process woke late. Overruns, where the real I/O itself was late, are not in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lateness {
    /// How many completions it is drawn from.
    pub count: u64,
    /// Half were at most this late.
    pub p50: Nanos,
    /// 99 % were at most this late.
    pub p99: Nanos,
    /// The latest.
    pub max: Nanos,
}
