//! Streams on a disk that overlaps requests, in virtual time: who gets how much of what it would
//! have alone.
//!
//! A *run* has clients, a scheduler and a device. The same clients alone on the same device,
//! without a scheduler's bound, give the *solo* rates that isolation and efficiency are divided by.
//!
//! Invariants: one seed, one result; a client answers an answer after its turnaround, never at the
//! same instant, for a test in which clients do not pause hides what waiting for them is for.
//!
//! What is not known here: what is promised; callers compare.

mod client;
mod device;
mod run;

pub use client::{Class, OverlapClient};
pub use device::DeviceRequest;
pub use device::{OverlapDevice, Pipe};
pub use run::{OverlapRun, StreamResult, classes};
