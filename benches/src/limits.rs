//! How far the scheduler goes on the modelled hard disk, in virtual time: efficiency beside every
//! other policy, isolation under every adversary, and latency at a period of the length of a
//! request.
//!
//! Each part runs set-ups of the lab and returns what was run, what was measured, and what is asked
//! for. The same figures every time.

pub mod efficiency;
pub mod isolation;
pub mod latency;

use disktime_lab::{Lab, Length};

/// Where all of it is run.
fn lab() -> Lab<'static> {
    Lab::simulated(Length::Full)
}
