//! The modelled hard disk: from a drive's figures to the time of each request.
//!
//! - `parameters`, `validation`: the figures, as people write them, and their checks.
//! - `presets`, `drives`: drives by name, and what stands behind each.
//! - `seek`, `geometry`, `timing`, `arm`: where things lie and what moving there takes.
//! - `cache`, `model`, `reading`: the drive itself, request by request.
//! - `bounds`, `positioning`: what it says of itself to a scheduler: W, s, R, the seek curve; and
//!   places, angles and seeks, to guess positioning times.
//! - `trace`, `fit`, `bus_fit`, `cache_fit`, `judge`, `report`: the comparison with service times measured on real drives.
//!
//! What is not known here: real time, data, who asked.

mod arm;
mod bounds;
mod bus_fit;
mod cache;
mod cache_fit;
mod drives;
mod fit;
mod geometry;
mod judge;
mod model;
mod parameters;
mod positioning;
mod presets;
mod reading;
mod report;
mod seek;
mod timing;
mod trace;
mod validation;

pub use bounds::{HDD_QUANTUM_BYTES, MeanTime, ZoneSummary};
pub use drives::{Drive, OverheadSource, find_drive, load_drive};
pub use fit::fit_overheads;
pub use judge::{CacheReport, CachedReads, KindReport, QuantilePoint, TraceReport};
pub use model::HddModel;
pub use parameters::{
    CommandOverheads, HddError, HddParameters, ReadAheadPolicy, ReadBefore, SeekParameters,
    WriteInvalidation, ZoneParameters,
};
pub use positioning::{DiskPlace, PositioningMap};
pub use presets::{Provenance, preset, preset_names};
pub use report::{ModelReport, SeekCurvePoint};
pub use trace::{MeasuredRequest, demerit_percent, mean_ms, read_measured_trace, replay};
