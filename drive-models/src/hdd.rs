//! The modelled hard disk: from a drive's figures to the time of each request.
//!
//! - `parameters`, `validation`: the figures in JSON, and their checks.
//! - `presets`, `drives`: drives by name, and what each is based on.
//! - `seek`, `geometry`, `timing`, `arm`: the place of a sector and the time to move there.
//! - `cache`, `model`, `model/reading`: the drive itself, request by request.
//! - `model/bounds`, `positioning`: what a scheduler needs to know of it: W, s, R, the seek curve;
//!   and places, angles and seeks, to estimate positioning times.
//! - `trace`, `fit`, `bus_fit`, `cache_fit`, `judge`, `report`: the comparison with service times
//!   measured on real drives.
//!
//! What is not known here: real time, data, who sends the requests.

mod arm;
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
mod report;
mod seek;
mod timing;
mod trace;
mod validation;

pub use drives::{Drive, OverheadSource, find_drive};
pub use judge::{CacheReport, CachedReads, KindReport, QuantilePoint, TraceReport};
pub use model::{HddModel, MeanTime, ZoneSummary};
pub use parameters::{
    CommandOverheads, HddError, HddParameters, ReadAheadPolicy, ReadBefore, SeekParameters,
    WriteInvalidation, ZoneParameters,
};
pub use positioning::{DiskPlace, PositioningMap};
pub use presets::{Provenance, preset, preset_names};
pub use report::{ModelReport, SeekCurvePoint};
pub use trace::{MeasuredRequest, read_measured_trace};
