//! Pseudo-random numbers that repeat for a seed: the only generators of the workspace.
//!
//! - [`SplitMix64`]: 64 bits of state; for faults, adversaries and tests.
//! - [`Random`]: xoshiro256++ with independent sequences for each label of a seed; for workloads.
//!
//! Why a crate of its own: simulations, fault injection, workload generators and tests of several
//! rooms need it, and none of them lies below all others; `units` holds quantities and how people
//! write them.
//!
//! Invariant: a seed gives the same sequence in every later version, because reports and figures
//! are compared byte by byte; golden values in the tests hold it.
//!
//! What is not known here: what the numbers are used for. None of them is fit for secrets.

mod labelled;
mod splitmix;

pub use labelled::Random;
pub use splitmix::SplitMix64;
