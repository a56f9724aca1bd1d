//! What the tests of several packages need. Only dev-dependencies name this package.
//!
//! Invariant: what is here panics instead of returning an error, so that the test fails with the
//! reason.
//!
//! What is not known here: what is tested.

pub mod allocations;
pub mod bytes;
pub mod memory;
pub mod programs;
pub mod sentences;
