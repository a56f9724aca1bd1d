//! The promise under an adversary, for as long as one likes: random sets of streams at the limit of
//! admission, in the oracle's world (`disktime_lab::oracle`), which keeps books that do not use the
//! scheduler's own.
//!
//! `case` makes a set from a seed, `check` runs it and compares what was seen with what was
//! promised, `outcome` says how close each bound was. A seed gives the same run every time.
//!
//! What is checked, with W the bound on one dispatch:
//! - what the oracle's audit says of every stream at every period end and over whole periods;
//! - charges to streams and to the switching account add up to busy time and waiting, exactly;
//! - the disk stands idle with requests queued only for a wait that is charged to a stream, or when
//!   all of them are kept back by limits;
//! - a limited stream has at most its limit + W in any of its limit's periods (2W with the
//!   switching account, which makes a user of spare time pay the way back).
//!
//! A stream is backlogged while it has requests queued or in service at every decision; a client
//! that hears of its answer only after the next decision is not, if that was its only request.
//!
//! In that world only the sums and the idleness are checked where several requests are in flight.
//! `overlapping` checks the promise on drives that overlap requests, in a faster world.

mod case;
mod check;
mod outcome;
mod overlapping;

pub use case::{Account, Case};
pub use outcome::{Closest, SeedOutcome, Totals};

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs one seed until so many requests are served. A panic on the way counts as a violation.
pub fn run(seed: u64, account: Option<Account>, requests: u64) -> SeedOutcome {
    caught(seed, || {
        check::run(Case::random(seed, account), seed, requests)
    })
}

/// The same on a drive that overlaps requests.
pub fn run_overlapping(seed: u64, requests: u64) -> SeedOutcome {
    caught(seed, || overlapping::run(seed, requests))
}

fn caught(seed: u64, run: impl FnOnce() -> SeedOutcome) -> SeedOutcome {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        let text = text.unwrap_or_else(|| "no message".to_owned());
        SeedOutcome {
            seed,
            violations: vec![format!("it panicked: {text}")],
            ..SeedOutcome::default()
        }
    })
}
