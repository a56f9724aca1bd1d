//! A modelled flash drive (SSD): requests overlap on its dies and wait for each other on its shared
//! parts.
//!
//! A command goes through the controller; a read then occupies the die (LUN) of each stripe that it
//! touches, the die's channel and the link to the host. A write goes over the link into a buffer
//! and is answered there; full stripes are programmed to the dies in turn, and a buffer without
//! room lets the writes wait. Programs are short while the fast part of the flash (SLC cache) has
//! room, and each brings its share of erases and of garbage collection: more reads and programs on
//! dies taken at random.
//!
//! - `parameters`: the figures of a drive, [`FlashParameters`].
//! - `model`: [`FlashModel`], the events of requests; `dies`: dies, channels, programs and garbage
//!   collection; `in_flight`: requests in flight, and when the next one can end.
//!
//! What is not known here: which data is where (a stripe's address gives its die), reads that hit
//! the buffer, wear, temperature.

mod dies;
mod in_flight;
mod model;
mod parameters;

pub use model::FlashModel;
pub use parameters::FlashParameters;

#[cfg(test)]
mod tests;
