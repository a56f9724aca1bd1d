//! Drives that overlap requests, by name: their figures, their prices, and their models.
//!
//! - `bounds`: σ and W from the figures.
//! - `presets`: the drives.
//! - `report`: what `disktime model` prints of them.
//! - `measure`: what probes of a drive's model measure, from which its prices come.
//!
//! Invariant: the prices and bounds of a preset are what its model shows; a test compares them.
//!
//! What is not known here: hard disks, and whether a model runs in virtual time or paces a disk.

mod bounds;
mod measure;
mod presets;
mod report;

pub use report::{OverlapReport, list_presets};

use crate::slowdown::Slowdown;
use crate::{
    CloudModel, CloudParameters, CostModel, DriveProperties, FlashModel, FlashParameters,
    OverlapCost, OverlapModel,
};
use disktime_units::Nanos;

const BLOCK_BYTES: u32 = 512;

/// Longest request that goes to such a drive in one piece.
const QUANTUM_BYTES: u32 = 128 << 10;

/// The figures of a drive's model, by its kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OverlapParameters {
    /// A flash drive.
    Flash(FlashParameters),
    /// A cloud volume.
    Cloud(CloudParameters),
}

/// A drive that overlaps requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverlapDrive {
    /// Its name.
    pub name: &'static str,
    /// What it is and where its figures come from, as a sentence.
    pub about: &'static str,
    /// The figures of its model.
    pub parameters: OverlapParameters,
    /// Its prices and bounds.
    pub cost: OverlapCost,
    /// W: bound on a read or write of the quantum alone behind what writes before it left, and on a
    /// flush. It follows from the figures (`bounds.rs`).
    pub worst_case: Nanos,
}

impl OverlapDrive {
    /// The names of all presets.
    pub fn names() -> impl Iterator<Item = &'static str> {
        presets::ALL.iter().map(|preset| preset().name)
    }

    /// The preset of that name.
    pub fn find(name: &str) -> Option<OverlapDrive> {
        presets::ALL
            .iter()
            .map(|preset| preset())
            .find(|drive| drive.name == name)
    }

    /// Its model; chances repeat for the same seed.
    pub fn model(&self, seed: u64) -> Box<dyn OverlapModel + Send> {
        self.slowed_model(seed, Slowdown::NONE)
    }

    /// Its model, slower for a time.
    pub fn slowed_model(&self, seed: u64, slowdown: Slowdown) -> Box<dyn OverlapModel + Send> {
        match &self.parameters {
            OverlapParameters::Flash(flash) => {
                Box::new(FlashModel::new(flash.clone(), seed).with_slowdown(slowdown))
            }
            OverlapParameters::Cloud(cloud) => {
                Box::new(CloudModel::new(cloud.clone(), seed).with_slowdown(slowdown))
            }
        }
    }

    /// Requests that it takes at once.
    pub fn queue_depth(&self) -> u32 {
        match &self.parameters {
            OverlapParameters::Flash(flash) => flash.queue_depth,
            OverlapParameters::Cloud(cloud) => cloud.queue_depth,
        }
    }

    /// What it says of itself at that size.
    pub fn properties(&self, size_bytes: u64) -> DriveProperties {
        DriveProperties {
            size_bytes: size_bytes - size_bytes % u64::from(BLOCK_BYTES),
            block_bytes: BLOCK_BYTES,
            has_seeks: false,
            worst_case: self.worst_case,
            switch_cost: Nanos::ZERO,
            worst_seek: Nanos::ZERO,
            seek_curve: Vec::new(),
            positioning: None,
            cost: CostModel::Overlapping(self.cost),
            max_in_flight: self.queue_depth() as usize,
            quantum_bytes: QUANTUM_BYTES,
            discards: true,
            write_cache: matches!(self.parameters, OverlapParameters::Flash(_)),
            notices: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests;
