//! The figures of the papers, run again: *Virtualizing Disk Performance* (RTAS 2008), *Fahrrad*
//! (EuroSys 2008), *Zygaria* (RTAS 2006), and some of this project's own, labelled as such.
//!
//! The way through this room: `experiments/` has one file per experiment; each builds set-ups, has
//! its `Lab` run them, and returns a `finding`: checks, figures, tables, notes. `session` runs
//! many,
//! `report` and `page` show them, `output` writes them. To add an experiment: one file, and its
//! line in `experiments.rs`.
//!
//! Invariants: in virtual time the same program gives the same bytes; a verdict is computed from
//! data and can fail. What is not known here: how a set-up is run (`disktime-lab`).

pub mod cli;
mod experiment;
pub mod experiments;
mod finding;
mod output;
mod page;
mod report;
pub mod session;

pub use experiment::{Experiment, Origin, Real};
pub use finding::{Check, Finding, Verdict};
pub use output::Output;
pub use page::page;
pub use report::{Conditions, Entry, report_text};
