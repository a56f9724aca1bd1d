//! A modelled cloud volume: its provider admits so many operations and so many bytes a second, and
//! what is admitted takes a latency that varies.
//!
//! - `bucket`: one rate with its credit, [`Bucket`](bucket::Bucket).
//! - `model`: [`CloudModel`], both rates and the latency; its figures, [`CloudParameters`].
//!
//! What is not known here: neighbours on the provider's machines, and what the content is.

mod bucket;
mod model;

pub use bucket::Credit;
pub use model::{CloudModel, CloudParameters};

#[cfg(test)]
mod tests;
