//! What experiments share: set-ups, mixes, runs, measures, figures and tables drawn one way.
//!
//! The way through this room: a [`setup::Setup`] says what is run (drive, policy, streams with their
//! clients), [`simulate`] runs it in virtual time and [`real::RealDisk`] in real time, both over
//! `raw_vdisks`; a [`Run`] holds the counters, [`measures`] computes ratios from them, [`figure`] and
//! [`table`] show them. `mixes` has the sets of streams that several experiments run.
//!
//! Invariant: in virtual time the same set-up gives the same run, byte for byte.
//!
//! What is not known here: which claims are made of a run, and who reads the figures.

#![warn(unreachable_pub)]

mod error;
pub mod figure;
pub mod measures;
pub mod mixes;
mod number;
mod progress;
mod raw_vdisks;
pub mod real;
mod run;
mod runner;
pub mod setup;
mod table;

pub use error::{LabError, LabResult};
pub use number::{json_number, number, with_unit};
pub use progress::Progress;
pub use run::{DiskFacts, Run, Sample, StreamSample, StreamSpan, simulate};
pub use runner::{Lab, Length};
pub use setup::Setup;
pub use table::Table;
