//! Workloads: which clients send which requests to which virtual disk, and the figures of a run.
//!
//! One language, two clocks. A [`Workload`] is read from a file ([`Workload::read`]) or built in
//! code; its clients are state machines without I/O ([`ClientMachine`]). [`run_virtual`] runs them
//! against any [`disktime_engine::Service`] in virtual time, byte-identical for the same seed;
//! [`run_real`] runs them against a server over NBD in real time. Both return a [`LoadReport`].
//!
//! The way through this room: `workload` and `generated` are a workload as values, `kinds` the
//! named generators; `language` (with `keys` and `values`) reads them from a document
//! (`disktime_documents`), `command_line` from arguments. `requests` (with `positions` and `zipf`)
//! generates a client's requests, `arrivals` and `closed_loop` their times, `trace` reads and
//! replays recorded requests, and `machine` makes a client of them. `simulate` and `load` are the
//! two runners, `meter` the measurements, `report` their output. `stamps` (with `stamped_sector`
//! and `stamp_load`) checks after a crash that no promised data are lost.
//!
//! What is not known here: the insides of the server, of volumes, schedulers and disks. Shares of
//! disk time come from the caller, who asks the server for them.
#![forbid(unsafe_code)]

/// The examples in `docs/workloads.md` are tests.
#[cfg(doctest)]
#[doc = include_str!("../../docs/workloads.md")]
pub struct Documentation;

mod arrivals;
mod closed_loop;
mod command_line;
mod error;
mod generated;
mod help;
mod keys;
mod kinds;
mod language;
mod language_client;
mod language_generated;
mod load;
mod load_client;
mod machine;
mod meter;
mod operation;
mod positions;
mod progress;
mod reference;
mod report;
mod requests;
mod simulate;
mod stamp_load;
mod stamped_sector;
mod stamps;
#[cfg(test)]
mod statistics;
mod trace;
mod values;
mod workload;
mod zipf;

pub use error::WorkloadError;
pub use generated::{Blocks, Files, Generated, MixPart, Pace, Rate, Requests, Times};
pub use help::help;
pub use kinds::GeneratorKind;
pub use load::run_real;
pub use machine::ClientMachine;
pub use operation::{MAX_REQUEST_BYTES, Operation};
pub use positions::{Pattern, Popularity};
pub use progress::{ClientProgress, Progress};
pub use reference::reference_tables;
pub use report::{ClientReport, Latencies, LoadReport, VdiskLoad};
pub use simulate::{Moment, VirtualTarget, run_virtual};
pub use stamp_load::{StampAction, StampLoad};
pub use stamped_sector::STAMP_BLOCK_BYTES;
pub use stamps::{FlushTicket, Found, StampChecker, Violation, WriteTicket};
pub use trace::{
    Fit, Timing, TraceEvent, TraceFormat, TraceOptions, TraceReader, TraceRecord, TraceSource,
    TraceSurvey, Unsorted, survey,
};
pub use workload::{Client, ClientExcerpts, MAX_DEPTH, OPEN_DEPTH, RequestSource, Workload};
