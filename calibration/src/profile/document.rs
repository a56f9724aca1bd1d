//! The profile as a JSON document, written and read strictly.
//!
//! - `tables`: its keys. `reading`: from its objects to a profile.
//!
//! Invariants: what is written is read back as the same profile; keys that are not known, missing
//! keys and numbers out of their bounds are errors with line and column; a profile of a later
//! version is refused.

mod reading;
mod tables;

use super::{Class, DepthPoint, Device, Implausible, LoneLatency, LonePair, Profile};
use disktime_documents::{Document, DocumentErrors, read_document};
use disktime_drive_models::{ClassCost, SeekPoint};
use serde_json::{Map, Value, json};
use std::path::Path;
use thiserror::Error;

/// The version that is written.
const VERSION: u64 = 1;

/// Why a profile cannot be used.
#[derive(Debug, Error)]
pub enum ProfileError {
    /// It is not a profile document.
    #[error(transparent)]
    Document(#[from] DocumentErrors),
    /// A number in it is impossible.
    #[error(
        "the profile {file}: {source}; mend it, or measure the device again with `disktime calibrate`"
    )]
    Implausible {
        /// The file.
        file: String,
        /// The number.
        source: Implausible,
    },
    /// It is of another device.
    #[error(
        "the profile {file} is of another device: it was measured on {expected}, and this is {found}; \
             measure this one with `disktime calibrate`, or name its own profile"
    )]
    OtherDevice {
        /// The file.
        file: String,
        /// The device of the profile.
        expected: String,
        /// The device at hand.
        found: String,
    },
}

impl Profile {
    /// The document, indented, with a line end.
    pub fn to_json(&self) -> String {
        let rates = self.coefficients();
        let classes: Map<String, Value> = Class::ALL
            .into_iter()
            .zip(&self.lone)
            .map(|(class, lone)| {
                (
                    class.name().to_owned(),
                    class_json(class.of(&self.cost), lone),
                )
            })
            .collect();
        let mut value = json!({
            "version": VERSION,
            "device": device_json(&self.device),
            "seconds": self.seconds,
            "measured_writes": self.measured_writes,
            "coefficients": {
                "rbps": rates.rbps, "rseqiops": rates.rseqiops, "rrandiops": rates.rrandiops,
                "wbps": rates.wbps, "wseqiops": rates.wseqiops, "wrandiops": rates.wrandiops,
            },
            "classes": classes,
            "quantum_bytes": self.quantum_bytes,
            "worst_case_ns": self.worst_case.0,
            "occupancy_bound_ns": self.cost.occupancy_bound.0,
            "settle_ns": self.cost.settle.0,
            "knee_depth": self.knee_depth,
            "max_in_flight": self.max_in_flight,
            "depths": self.depths.iter().map(depth_json).collect::<Vec<_>>(),
            "remarks": self.remarks,
        });
        if let Some(seeks) = &self.seeks {
            let point = |point: &SeekPoint| json!({ "distance_bytes": point.distance_bytes, "seek_ns": point.seek.0 });
            value["seeks"] = json!({
                "rotation_ns": seeks.rotation.0,
                "curve": seeks.curve.iter().map(point).collect::<Vec<_>>(),
            });
        }
        format!("{value:#}\n")
    }

    /// Reads a profile from its file, and checks its numbers.
    ///
    /// # Errors
    /// The file cannot be read, is not a profile, or holds an impossible number.
    pub fn load(path: &Path) -> Result<Profile, ProfileError> {
        Profile::read(&Document::load(path, "a profile")?)
    }

    /// The same, from a document.
    ///
    /// # Errors
    /// As [`Profile::load`].
    pub fn read(document: &Document) -> Result<Profile, ProfileError> {
        let profile = read_document(document, &tables::ROOT, reading::read_root)?;
        let implausible = |source| ProfileError::Implausible {
            file: document.path().display().to_string(),
            source,
        };
        profile.check().map_err(implausible)?;
        Ok(profile)
    }

    /// Whether it is of a device of that size and model.
    ///
    /// # Errors
    /// A sentence with both devices.
    pub fn require_device(
        &self,
        file: &Path,
        size_bytes: u64,
        model: Option<&str>,
    ) -> Result<(), ProfileError> {
        let other_model = match (self.device.model.as_deref(), model) {
            (Some(expected), Some(found)) => expected != found,
            _ => false,
        };
        if self.device.size_bytes == size_bytes && !other_model {
            return Ok(());
        }
        let shown = |model: Option<&str>, size: u64| match model {
            Some(model) => format!("a {model} of {size} bytes"),
            None => format!("a device of {size} bytes"),
        };
        Err(ProfileError::OtherDevice {
            file: file.display().to_string(),
            expected: shown(self.device.model.as_deref(), self.device.size_bytes),
            found: shown(model, size_bytes),
        })
    }
}

fn device_json(device: &Device) -> Value {
    let mut value = json!({
        "path": device.path,
        "size_bytes": device.size_bytes,
        "rotational": device.rotational,
    });
    let texts = [
        ("model", &device.model),
        ("serial", &device.serial),
        ("scheduler", &device.scheduler),
    ];
    for (key, text) in texts {
        if let Some(text) = text {
            value[key] = text.as_str().into();
        }
    }
    if let Some(cache) = device.write_cache {
        value["write_cache"] = cache.into();
    }
    value
}

fn class_json(cost: &ClassCost, lone: &Option<LonePair>) -> Value {
    let mut value = json!({
        "occupancy_base_ns": cost.occupancy_base.0,
        "occupancy_per_mib_ns": cost.occupancy_per_mib.0,
        "lone_base_ns": cost.lone_base.0,
        "lone_per_mib_ns": cost.lone_per_mib.0,
    });
    if let Some(lone) = lone {
        let latency = |one: &LoneLatency| json!({ "p10_ns": one.p10.0, "mean_ns": one.mean.0, "p99_ns": one.p99.0 });
        value["small"] = latency(&lone.small);
        value["quantum"] = latency(&lone.quantum);
    }
    value
}

fn depth_json(point: &DepthPoint) -> Value {
    json!({
        "len_bytes": point.len_bytes, "depth": point.depth, "per_second": point.per_second,
        "mean_ns": point.mean.0, "p99_ns": point.p99.0,
    })
}
