//! Models of drives: from a drive's figures to the time of each request, in virtual time.
//!
//! - `operation`: the operations that every disk and every model serves.
//! - `service_model`: the trait of a model, [`ServiceModel`].
//! - `cost`: what a request is expected to cost before it is dispatched, [`CostModel`].
//! - `overlap_model`: the trait of a model that serves several requests at once, [`OverlapModel`];
//!   `flash` and `cloud` are such models, and `overlap_drive` has the presets, [`OverlapDrive`].
//! - `priced`: a device that takes what its prices say.
//! - `probe`: loads on a model, as a benchmark puts them on a drive. `slowdown`: a slow time.
//! - `properties`: what a model says of its drive, [`DriveProperties`].
//! - `linear`: a device without seeks whose requests take a linear time.
//! - `hdd`: the modelled hard disk, its presets, its fitting and its validation.
//!
//! Invariant: a model is a pure function of the calls made to it: no clock, no I/O per request.
//!
//! What is not known here: real devices, data, who sends the requests.

mod cloud;
mod cost;
mod flash;
mod hdd;
mod linear;
mod operation;
mod overlap_drive;
mod overlap_model;
mod priced;
mod probe;
mod properties;
mod service_model;
mod slowdown;

pub use cloud::{CloudModel, CloudParameters, Credit};
pub use cost::{ClassCost, CostModel, LinearCost, OverlapCost, Quote};
pub use flash::{FlashModel, FlashParameters};
pub use hdd::{
    CacheReport, CachedReads, CommandOverheads, DiskPlace, Drive, HddError, HddModel,
    HddParameters, KindReport, MeanTime, MeasuredRequest, ModelReport, OverheadSource,
    PositioningMap, Provenance, QuantilePoint, ReadAheadPolicy, ReadBefore, SeekCurvePoint,
    SeekParameters, TraceReport, WriteInvalidation, ZoneParameters, ZoneSummary, find_drive,
    preset, preset_names, read_measured_trace,
};
pub use linear::LinearModel;
pub use operation::Operation;
pub use overlap_drive::{OverlapDrive, OverlapParameters, OverlapReport, list_presets};
pub use overlap_model::{ModelCompletion, ModelRequest, OverlapModel};
pub use priced::PricedModel;
pub use probe::{Load, Measured, Pattern, Probe};
pub use properties::{DriveProperties, SeekPoint};
pub use service_model::ServiceModel;
pub use slowdown::Slowdown;
