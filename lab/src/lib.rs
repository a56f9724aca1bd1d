//! What experiments share: set-ups, mixes, runs, measures, figures and tables drawn one way.
//!
//! The way through this room: a [`setup::Setup`] says what is run (drive, policy, streams with
//! their clients), [`simulate`] runs it in virtual time and [`real::RealDisk`] in real time, both
//! over
//! `raw_vdisks`; a [`Run`] holds the counters, [`measures`] computes ratios from them, [`figure`]
//! and [`Table`] show them. [`mixes`], [`adversaries`], [`efficiency`] and [`wake_up`] are what
//! several experiments run, [`scheduling`] the ways that they compare. [`client_kind`] is for those
//! that run the program itself.
//!
//! Invariant: in virtual time the same set-up gives the same run, byte for byte.
//!
//! What is not known here: which claims are made of a run, and who reads the figures.

pub mod adversaries;
pub mod client_kind;
pub mod efficiency;
mod error;
pub mod figure;
pub mod measures;
pub mod mixes;
mod number;
pub mod oracle;
pub mod overlap;
pub mod parallel;
mod progress;
mod raw_vdisks;
pub mod real;
mod run;
mod runner;
pub mod scheduling;
pub mod setup;
mod table;
pub mod wake_up;

pub use error::{LabError, LabResult};
pub use number::{json_number, number, with_unit};
pub use progress::Progress;
pub use run::{DiskFacts, Run, Sample, StreamSample, StreamSpan, simulate};
pub use runner::{Lab, Length};
pub use scheduling::Scheduling;
pub use setup::Setup;
pub use table::Table;
