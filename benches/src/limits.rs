//! How far the scheduler goes on the modelled hard disk, in virtual time: efficiency beside every
//! other policy, isolation under every adversary, and latency at a period of the length of a request.
//!
//! Each part runs set-ups of the lab and returns cells: what was run, what was
//! measured, what is asked for. The same figures every time.

pub mod efficiency;
pub mod isolation;
pub mod latency;
