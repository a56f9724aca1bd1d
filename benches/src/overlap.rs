//! Streams on drives that overlap requests, in virtual time: experiments of which each prints a
//! table. `bin/overlap.rs` is the program.
//!
//! Invariant: the same arguments give the same tables, whatever the number of threads.

pub mod cases;
pub mod scenarios;
pub mod sets;
pub mod slow;

/// The value below which that part of them lies.
fn quantile(mut values: Vec<f64>, part: f64) -> f64 {
    if values.is_empty() {
        return f64::NAN;
    }
    values.sort_by(f64::total_cmp);
    values[((values.len() as f64 * part) as usize).min(values.len() - 1)]
}

/// Their mean.
fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}
