//! Streams on a disk that overlaps requests, in virtual time: who gets how much of what it would
//! have alone.
//!
//! A *run* has clients, a scheduler and a device. The same clients alone on the same device,
//! without a scheduler's bound, give the *solo* rates that isolation and efficiency are divided by.
//!
//! Invariants: one seed, one result; a client answers an answer after its turnaround. With 0 it
//! hears of the answer after the next decision.
//!
//! What is not known here: what is promised; callers compare.

mod asking;
pub mod cases;
mod client;
mod device;
mod drives;
mod file;
mod measure;
mod peers;
mod run;
pub mod sets;
mod slices;
mod solo;
mod within;

pub use asking::StreamResult;
pub use cases::Case;
pub use client::{Class, OverlapClient};
pub use device::{DeviceRequest, OverlapDevice, Pipe};
pub use disktime_drive_models::Slowdown;
pub use drives::{LabDrive, QUANTUM_BYTES};
pub use file::{DiscardTimes, LockedFile, OneAtATime};
pub use measure::{CaseMeasure, PeerRun, Span, StreamMeasure, measure};
pub use peers::{DEPTH, Peer};
pub use run::OverlapRun;
pub use slices::{Slice, in_slices};
pub use solo::{Solo, SoloRuns};
pub use within::Mood;
