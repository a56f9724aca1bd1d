//! Finding a drive by what the user wrote: a preset's name, or `FILE#NAME` for the drive NAME in a
//! JSON file of drives; and the command overheads of drives whose published parameters lack them.

use super::parameters::{
    CommandOverheads, HddError, HddParameters, ReadAheadPolicy, ReadBefore, WriteInvalidation,
};
use super::presets::{CHEETAH_15K5_OVERHEADS, Provenance, preset, preset_names};
use crate::OverlapDrive;
use serde::Serialize;
use serde_json::Value;
use std::path::Path;

/// Where a drive's command overheads come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OverheadSource {
    /// Given by the parameters.
    Given,
    /// Fitted to the first half of the measured trace, judged on the second.
    FittedToMeasuredTrace,
    /// The drive's parameters for the DiskSim 4.0 simulator.
    DiskSim,
    /// Not known; medium figures are assumed.
    Assumed,
}

/// A drive with its parameters and what they are based on.
#[derive(Debug, Clone, PartialEq)]
pub struct Drive {
    /// The preset's name, or NAME of `FILE#NAME`.
    pub name: String,
    /// Its parameters, complete with overheads.
    pub parameters: HddParameters,
    /// The parameters of its file, before overheads and cache were filled in: a fit starts from
    /// them, so that no earlier fit influences it.
    pub published: HddParameters,
    /// What the parameters are based on.
    pub provenance: Provenance,
    /// Where the overheads come from.
    pub overheads: OverheadSource,
}

/// Finds a drive by a preset's name or by `FILE#NAME`.
///
/// # Errors
/// A sentence that lists the presets, or says what is wrong with the file or the drive in it.
pub fn find_drive(text: &str) -> Result<Drive, HddError> {
    if let Some((parameters, provenance)) = preset(text) {
        let name = text.to_owned();
        return Ok(Drive {
            name,
            published: parameters.clone(),
            parameters,
            provenance,
            overheads: OverheadSource::Given,
        });
    }
    match text.rsplit_once('#') {
        Some((file, name)) => load_drive(Path::new(file), name),
        None => Err(HddError::new(format!(
            "`{text}` is no modelled disk; the presets are {}, and FILE#NAME takes the drive NAME \
             from a JSON file of drives",
            all_names().join(", ")
        ))),
    }
}

/// The presets of hard disks, then those of drives that overlap requests.
fn all_names() -> Vec<&'static str> {
    preset_names()
        .iter()
        .copied()
        .chain(OverlapDrive::names())
        .collect()
}

/// The drive `name` of a JSON file whose members are drives.
///
/// # Errors
/// A sentence with the file, the drive and the field.
pub(super) fn load_drive(path: &Path, name: &str) -> Result<Drive, HddError> {
    let shown = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| HddError::new(format!("the file {shown} cannot be read: {error}")))?;
    let file: Value = serde_json::from_str(&text)
        .map_err(|error| HddError::new(format!("{shown} is not JSON: {error}")))?;
    let Value::Object(drives) = file else {
        return Err(HddError::new(format!(
            "{shown} must hold an object whose members are drives, as in {{\"NAME\": {{...}}}}"
        )));
    };
    let Some(value) = drives.get(name) else {
        let names: Vec<&str> = drives.keys().map(String::as_str).take(50).collect();
        return Err(HddError::new(format!(
            "{shown} has no drive `{name}`; it has {}",
            names.join(", ")
        )));
    };
    let mut parameters = HddParameters::from_json(value)
        .map_err(|error| HddError::new(format!("{shown}, drive `{name}`: {error}")))?;
    let published = parameters.clone();
    let known = KNOWN.iter().find(|known| known.name == name);
    let (provenance, overheads) = match known {
        _ if parameters.overhead_ms.is_some() => (Provenance::GivenByUser, OverheadSource::Given),
        Some(known) => {
            known.complete(&mut parameters);
            (known.provenance(), known.source)
        }
        None => {
            parameters.overhead_ms = Some(CommandOverheads::default());
            (Provenance::GivenByUser, OverheadSource::Assumed)
        }
    };
    Ok(Drive {
        name: name.to_owned(),
        parameters,
        published,
        provenance,
        overheads,
    })
}

/// What the published parameters of a drive do not give.
struct KnownDrive {
    name: &'static str,
    source: OverheadSource,
    overheads: CommandOverheads,
    /// Changes the cache's parameters where they differ from the defaults.
    cache: fn(&mut HddParameters),
}

impl KnownDrive {
    fn complete(&self, parameters: &mut HddParameters) {
        parameters.overhead_ms = Some(self.overheads);
        (self.cache)(parameters);
    }

    fn provenance(&self) -> Provenance {
        match self.source {
            OverheadSource::FittedToMeasuredTrace => Provenance::ValidatedOnHardware,
            _ => Provenance::ExtractedFromHardware,
        }
    }
}

fn default_cache(_: &mut HddParameters) {}

/// Overheads in ms. The fitted ones are those that [`super::fit_overheads`] finds in the first half
/// of the trace that was measured on the drive; a test compares the two.
const KNOWN: [KnownDrive; 6] = [
    KnownDrive {
        name: "seagate_barracuda_4lp_st32171w",
        source: OverheadSource::FittedToMeasuredTrace,
        overheads: CommandOverheads {
            read_hit: [0.462, 0.477],
            read_miss: [1.059, 0.931],
            read_ready: [2.358, 2.218],
            read_stream: Some(0.457),
            write_hit: [0.891, 0.944],
            write_miss: [1.143, 1.137],
        },
        cache: |parameters| {
            parameters.write_invalidates = WriteInvalidation::All;
            parameters.reads_hit_writes = true;
        },
    },
    KnownDrive {
        name: "quantum_atlas_iii",
        source: OverheadSource::FittedToMeasuredTrace,
        overheads: CommandOverheads {
            read_hit: [0.331, 0.338],
            read_miss: [0.0, 0.0],
            read_ready: [1.448, 1.293],
            read_stream: Some(0.327),
            write_hit: [0.436, 0.386],
            write_miss: [0.452, 0.451],
        },
        cache: |parameters| {
            parameters.seg_sectors = 512;
            parameters.read_ahead = ReadAheadPolicy::Sequential;
            parameters.read_ahead_keeps = true;
            parameters.read_before = ReadBefore::Track;
            parameters.write_invalidates = WriteInvalidation::Overlap;
            parameters.reads_hit_writes = true;
        },
    },
    KnownDrive {
        name: "ibm_dnes_309170w",
        source: OverheadSource::FittedToMeasuredTrace,
        overheads: CommandOverheads {
            read_hit: [0.091, 0.091],
            read_miss: [0.346, 0.346],
            read_ready: [1.298, 1.298],
            read_stream: Some(0.091),
            write_hit: [0.087, 0.088],
            write_miss: [0.088, 0.088],
        },
        cache: |parameters| parameters.read_ahead_keeps = true,
    },
    KnownDrive {
        name: "seagate_cheetah_9lp",
        source: OverheadSource::FittedToMeasuredTrace,
        overheads: CommandOverheads {
            read_hit: [0.261, 0.279],
            read_miss: [0.315, 0.315],
            read_ready: [0.844, 0.844],
            read_stream: Some(0.078),
            write_hit: [0.692, 0.472],
            write_miss: [0.748, 0.706],
        },
        cache: |parameters| {
            parameters.write_invalidates = WriteInvalidation::Overlap;
            parameters.reads_hit_writes = true;
        },
    },
    KnownDrive {
        name: "quantum_atlas_10k",
        source: OverheadSource::DiskSim,
        overheads: CommandOverheads {
            read_hit: [0.184, 0.184],
            read_miss: [0.0, 0.0],
            read_ready: [0.0, 0.0],
            read_stream: None,
            write_hit: [0.19, 0.19],
            write_miss: [0.345, 0.497],
        },
        cache: default_cache,
    },
    KnownDrive {
        name: "seagate_cheetah_15k5_146",
        source: OverheadSource::DiskSim,
        overheads: CHEETAH_15K5_OVERHEADS,
        cache: default_cache,
    },
];
