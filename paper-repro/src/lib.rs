//! The figures of the papers, run again: *Virtualizing Disk Performance* (RTAS 2008), *Fahrrad*
//! (EuroSys 2008), *Zygaria* (RTAS 2006), and some of this project's own, labelled as such.
//!
//! The way through this room: `experiments/` has one file per experiment; each builds `setup`s,
//! has its `lab` run them (`run` in virtual time over `service`, `real/` on a disk), and returns a
//! `finding`: checks, figures, tables, notes. `session` runs many, `report` and `page` show them,
//! `output` writes them. To add an experiment: one file, and its line in `experiments/mod.rs`.
//!
//! Invariants: in virtual time the same program gives the same bytes; a verdict is computed from
//! data and can fail. What is not known here: the insides of schedulers, disks and clients.

pub mod cli;
mod error;
pub mod experiment;
pub mod experiments;
pub mod figure;
mod finding;
mod lab;
pub mod measures;
pub mod mixes;
mod output;
mod page;
mod progress;
pub mod real;
mod report;
mod run;
mod service;
pub mod session;
pub mod setup;

pub use error::{Outcome, ReproError};
pub use experiment::{Experiment, Origin, Real};
pub use finding::{Bound, Check, Finding, Table, Verdict, json_number, number, with_unit};
pub use lab::{Lab, Length};
pub use output::Output;
pub use page::page;
pub use report::{Conditions, Entry, GENERATOR, report_text};
pub use run::{DiskFacts, Run, Sample, StreamSample, StreamSpan, simulate};
pub use setup::Setup;
