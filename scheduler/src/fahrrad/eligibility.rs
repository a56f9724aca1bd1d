//! Who may start a request without endangering anybody's deadline: the slack test.
//!
//! `slack(D) = (D − now)·(1 − U_idle − u_sw) − outstanding − Σ_{e_i ≤ D} (β_i + u_i·(D − e_i))`
//! is the disk time left over before D when everything promised by then has been delivered; U_idle
//! is the share of idle streams, counted as a slower disk, u_sw that of the switching account,
//! `outstanding` the price of what is in flight, (e_i, β_i) the demand of stream i. Between two
//! effective deadlines slack only grows, so it is looked at in the e_i alone.
//!
//! A stream may go on its own account iff it has budget and slack(D) ≥ 0 for every D before its own
//! effective deadline: one request of lateness is the price of non-preemption, and W is what the
//! promise allows for it. Spare time may be used iff slack is ≥ 0 everywhere.
//!
//! Invariant (proved in ARCHITECTURE.md, "The promise"): with nothing in flight, if slack is
//! negative somewhere, then some stream with requests or in grace is eligible.

use crate::config::StreamId;
use crate::ledger::Ledger;
use crate::stream::{Virtual, scaled};
use disktime_units::Nanos;

/// One stream's demand in the scan.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    /// e: effective deadline.
    pub(crate) deadline: Nanos,
    /// β: demand at e.
    budget: i128,
    share_ppm: i64,
    pub(crate) stream: StreamId,
    /// Whether it is active; an idle one only counts.
    pub(crate) active: bool,
    /// The least slack over all D before e; at least 0 if the stream is eligible.
    pub(crate) slack_before: i128,
}

/// The result of one look at all demands, reusing its memory.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    entries: Vec<Entry>,
    /// The least slack over all D.
    pub(crate) slack_min: i128,
}

impl Scan {
    /// Looks at all demands at time `now`.
    pub(crate) fn run(&mut self, ledger: &mut Ledger, now: Nanos) {
        self.collect(ledger, now);
        self.entries
            .sort_unstable_by_key(|entry| (entry.deadline, entry.stream));
        let idle_ppm = ledger.idle_share_ppm + ledger.switching_share_ppm;
        let mut rate_ppm = i128::from(1_000_000 - idle_ppm);
        let mut claimed = scaled(ledger.outstanding);
        self.slack_min = i128::MAX;
        let mut index = 0;
        while index < self.entries.len() {
            let deadline = self.entries[index].deadline;
            let ahead = i128::from(deadline.0 - now.0);
            let slack_before = self.slack_min;
            while let Some(entry) = self.entries.get_mut(index) {
                if entry.deadline != deadline {
                    break;
                }
                entry.slack_before = slack_before;
                claimed += entry.budget - i128::from(entry.share_ppm) * ahead;
                rate_ppm -= i128::from(entry.share_ppm);
                index += 1;
            }
            self.slack_min = self.slack_min.min(ahead * rate_ppm - claimed);
        }
    }

    fn collect(&mut self, ledger: &mut Ledger, now: Nanos) {
        self.entries.clear();
        let worst_case = ledger.worst_case;
        for id in &ledger.active {
            let stream = ledger.stream(*id);
            if stream.is_reserved() {
                let demand = stream.current_demand(worst_case);
                self.push(
                    *id,
                    stream.share_ppm(),
                    demand.deadline,
                    demand.budget,
                    true,
                );
            }
        }
        let mut index = 0;
        while let Some(id) = ledger.held.get(index).copied() {
            let stream = ledger.stream(id);
            match stream.if_woken(now, worst_case) {
                Virtual::Fresh => ledger.held_becomes_fresh(index),
                Virtual::Held { budget, deadline } => {
                    let demand = stream.demand(budget, deadline, worst_case);
                    self.push(
                        id,
                        stream.share_ppm(),
                        demand.deadline,
                        demand.budget,
                        false,
                    );
                    index += 1;
                }
            }
        }
    }

    fn push(
        &mut self,
        stream: StreamId,
        share_ppm: i64,
        deadline: Nanos,
        budget: i128,
        active: bool,
    ) {
        self.entries.push(Entry {
            deadline,
            budget,
            share_ppm,
            stream,
            active,
            slack_before: 0,
        });
    }

    /// Streams that may go on their own account, most urgent first, as far as slack is concerned
    /// (whether they have budget and requests is the caller's to see).
    pub(crate) fn eligible(&self) -> impl Iterator<Item = &Entry> {
        self.entries
            .iter()
            .take_while(|entry| entry.slack_before >= 0)
            .filter(|entry| entry.active)
    }

    /// The entry of a stream, if slack lets it go on its own account.
    pub(crate) fn eligible_entry(&self, stream: StreamId) -> Option<&Entry> {
        self.eligible().find(|entry| entry.stream == stream)
    }
}
