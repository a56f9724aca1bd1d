//! Measuring a disk, and the profile that keeps what was measured.
//!
//! The way through this room: a [`Plan`] says which probes are to be run for how long; [`measure`]
//! runs them on a [`Prober`]; [`Measurements`] become a [`Profile`], which is written as a JSON
//! document and read back strictly. [`OnDisk`] is the prober of every disk: with a [`VirtualClock`]
//! it measures a model, with a [`RealClock`] a device.
//!
//! Invariants: the plan, the analysis and the profile are pure: no I/O, no clock. Without consent
//! no probe writes. A profile that was read holds no impossible number.
//!
//! What is not known here: reservations, schedulers, how a user is asked for consent.

mod analysis;
mod clock;
mod first_probe;
mod measurements;
mod on_disk;
mod places;
mod plan;
mod probe;
mod profile;

pub use clock::{Clock, RealClock, VirtualClock};
pub use first_probe::FirstProbe;
pub use measurements::{Measurements, measure};
pub use on_disk::OnDisk;
pub use plan::{Part, Plan, PlanOptions, Step};
pub use probe::{
    Burst, BurstProbe, DeviceFacts, Places, Probe, ProbeError, Prober, Sample, TENTHS,
};
pub use profile::{
    Class, Coefficients, DepthPoint, Device, Implausible, LoneLatency, LonePair, Profile,
    ProfileError, Seeks,
};
