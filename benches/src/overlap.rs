//! Streams on drives that overlap requests, in virtual time: experiments of which each prints a
//! table. `bin/overlap.rs` is the program.

pub mod cases;
