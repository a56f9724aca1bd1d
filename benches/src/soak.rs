//! The promise under an adversary, for as long as one likes: random sets of streams at the limit
//! of admission, service times and clients that do their worst, and books of what each stream
//! received that do not use the scheduler's own.
//!
//! `case` makes a set from a seed, `world` runs it, `party` and `windows` keep the books of one stream,
//! `verdict` compares them with what was promised, `outcome` says how close each bound was. A seed gives the same run every time.
//!
//! What is checked, with W the bound on one dispatch and B the bound on what may be unspent (W; with
//! the switching account W + the cap of its credit + one return seek):
//! * the scheduler's own count of unspent time at every period end: at most B;
//! * from the start of a backlog, k periods give at least k·u·p − B: B is what may be unspent;
//! * k whole periods inside a backlog give at least k·u·p − B − W: a stream starts a request only with
//!   budget, so that it enters the periods with a debt of at most W, and leaves them with at most B. With
//!   B = W these are the 2W of the served account;
//! * charges to streams and to the switching account add up to busy time and waiting, exactly;
//! * the disk stands idle with requests queued only for a wait that is charged to somebody, or when
//!   all of them are kept back by limits;
//! * a limited stream has at most its limit + W in any of its limit's periods (2W with the switching
//!   account, which makes a user of spare time pay the way back).
//!
//! A stream is backlogged while it has requests queued or in service at every decision; a client that
//! hears of its answer only after the next decision is not, if that was its only request. What a limit holds back
//! is not owed, so that of limited streams only the limit is checked.
//!
//! Where several requests are in flight nothing is promised of periods, and only the sums and the
//! idleness are checked.

mod case;
mod outcome;
mod party;
mod random;
mod verdict;
mod windows;
mod world;

pub use case::{Account, Case};
pub use outcome::{Closest, SeedOutcome, Totals};

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs one seed until so many requests are served. A panic on the way counts as a violation.
pub fn run(seed: u64, account: Option<Account>, requests: u64) -> SeedOutcome {
    let run = || world::run(Case::random(seed, account), requests);
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
