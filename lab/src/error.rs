//! What can go wrong while experiments are run: one sentence each, with cause and remedy.

use disktime_disks::BackingError;
use disktime_drive_models::HddError;
use disktime_workloads::WorkloadError;
use thiserror::Error;

/// A failure, as a sentence.
#[derive(Debug, Error)]
pub enum LabError {
    /// Something that a sentence says.
    #[error("{0}")]
    Sentence(String),
    /// A workload that cannot be run.
    #[error("{0}")]
    Workload(#[from] WorkloadError),
    /// A modelled disk that cannot be made.
    #[error("the modelled disk cannot be made: {0}")]
    Model(#[from] HddError),
    /// A real disk or file that cannot be used.
    #[error("{0}")]
    Backing(#[from] BackingError),
}

impl LabError {
    /// A failure with that sentence.
    pub fn new(sentence: impl Into<String>) -> LabError {
        LabError::Sentence(sentence.into())
    }
}

/// The result of what may fail.
pub type LabResult<T = ()> = Result<T, LabError>;
