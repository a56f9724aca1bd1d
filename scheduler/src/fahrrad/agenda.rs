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
//! promise allows for it. Spare time may be used iff slack is ≥ 0 everywhere. So one number says who
//! is eligible: the first D with slack(D) < 0, here `short_at`.
//!
//! Invariant (proved in ARCHITECTURE.md, "The promise"): with nothing in flight, if slack is
//! negative somewhere, then some stream with requests or in grace is eligible.
//!
//! **How it is computed.** With U(D) and C(D) the sums of u_i and of β_i − u_i·e_i over e_i ≤ D,
//! `slack(D) = D·(R − U(D)) − C(D) − now·R − outstanding`. Demands lie in blocks in order of e; a block
//! keeps its own sums, and the least `D·(a − U(D)) − C(D)` within it for the rate `a` that was left when
//! it was last looked at. With another rate a' left, that least value is off by at most
//! (a' − a)·D at one of the block's ends: a bound from below, which is enough for all blocks but those that
//! could be short or hold the minimum; these are computed anew. The answers are exact.
//!
//! **How long it holds.** Whatever happens, the slack at a given D falls no faster than time passes, but
//! for the prices of what is in flight: service on one's own account lowers it for D before one's
//! deadline by what was used, spare service everywhere, ends of periods, wakes and going idle nowhere (in
//! the exact form, of which the one here is a bound from below). Between two D slack grows. So a look vouches for all D from
//! the first that was seen until its least slack has passed; only a stream that wakes with an
//! earlier deadline asks for another.

use super::blocks::{Block, Blocks, Keyed};
use crate::stream_id::StreamId;
use disktime_units::Nanos;
use std::cmp::Reverse;

/// One stream's demand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Demanded {
    /// e: effective deadline.
    pub(crate) deadline: Nanos,
    pub(crate) stream: StreamId,
    /// u.
    pub(crate) share_ppm: i64,
    /// β − u·e, where β is the demand at e: what it adds to C.
    pub(crate) constant: i128,
    /// Behind its fluid share, up to the time that passes for all: b/u − d in ns. `None`: it has no
    /// request or no budget, so it only counts.
    pub(crate) lag: Option<i64>,
}

impl Keyed for Demanded {
    type Key = (Nanos, StreamId);

    fn key(&self) -> Self::Key {
        (self.deadline, self.stream)
    }
}

impl Demanded {
    /// The demand `budget` at `deadline` of a stream of that share.
    pub(crate) fn new(
        stream: StreamId,
        share_ppm: i64,
        deadline: Nanos,
        budget: i128,
        lag: Option<i64>,
    ) -> Demanded {
        Demanded {
            deadline,
            stream,
            share_ppm,
            constant: budget - product(deadline, share_ppm),
            lag,
        }
    }
}

fn product(time: Nanos, rate_ppm: i64) -> i128 {
    i128::from(time.0) * i128::from(rate_ppm)
}

/// The most behind: lag first, then the lower number.
type MostBehind = Option<(i64, Reverse<StreamId>)>;

/// A block in a few numbers.
#[derive(Debug, Clone, Copy)]
struct Summary {
    first: Nanos,
    last: Nanos,
    share_ppm: i64,
    constant: i128,
    /// a: the rate that was left before this block when `least` was computed.
    rate_ppm: i64,
    least: i128,
    candidates: usize,
    most_behind: MostBehind,
}

/// What slack depends on besides the demands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    pub(crate) now: Nanos,
    /// R = 1 − U_idle − u_sw.
    pub(crate) rate_ppm: i64,
    /// The price of what is in flight, in ppm-nanoseconds.
    pub(crate) outstanding: i128,
}

/// The state of things at one time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    /// When.
    pub(crate) at: Nanos,
    /// The first D that was looked at.
    pub(crate) first: Nanos,
    /// The first D with slack(D) < 0; streams with e up to it are eligible. `MAX`: there is none.
    pub(crate) short_at: Nanos,
    /// The least slack over all D before `short_at`; too low, but not negative, where several share
    /// that deadline.
    pub(crate) slack: i128,
    /// Eligible streams with requests and budget.
    pub(crate) candidates: usize,
    /// The one of them most behind: b/u − d.
    pub(crate) most_behind: Option<(i64, StreamId)>,
}

impl Look {
    /// Before anybody was looked at.
    pub(crate) const NOTHING: Look = Look {
        at: Nanos::ZERO,
        first: Nanos::ZERO,
        short_at: Nanos::MAX,
        slack: -1,
        candidates: 0,
        most_behind: None,
    };

    /// The slack that is there for spare time: negative if there is a shortage.
    pub(crate) fn spare(&self) -> i128 {
        if self.short_at == Nanos::MAX {
            self.slack
        } else {
            -1
        }
    }
}

/// The demands of all streams, in order of effective deadline.
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    demands: Blocks<Demanded, Summary>,
}

/// Slack along the way through the blocks.
#[derive(Debug, Clone, Copy)]
struct Walk {
    /// R − U so far.
    rate_ppm: i64,
    /// −now·R − outstanding − C so far.
    offset: i128,
}

impl Walk {
    fn new(terms: Terms) -> Walk {
        Walk {
            rate_ppm: terms.rate_ppm,
            offset: -product(terms.now, terms.rate_ppm) - terms.outstanding,
        }
    }

    fn pass(&mut self, summary: &Summary) {
        self.rate_ppm -= summary.share_ppm;
        self.offset -= summary.constant;
    }

    /// Slack at the deadline of `demand`, which is added.
    fn step(&mut self, demand: &Demanded) -> i128 {
        self.rate_ppm -= demand.share_ppm;
        self.offset -= demand.constant;
        product(demand.deadline, self.rate_ppm) + self.offset
    }
}

fn summarize(entries: &[Demanded], rate_ppm: i64) -> Summary {
    let mut walk = Walk {
        rate_ppm,
        offset: 0,
    };
    let (mut least, mut candidates, mut most_behind) = (i128::MAX, 0, None);
    for demand in entries {
        least = least.min(walk.step(demand));
        if let Some(lag) = demand.lag {
            candidates += 1;
            most_behind = most_behind.max(Some((lag, Reverse(demand.stream))));
        }
    }
    Summary {
        first: entries[0].deadline,
        last: entries[entries.len() - 1].deadline,
        share_ppm: rate_ppm - walk.rate_ppm,
        constant: -walk.offset,
        rate_ppm,
        least,
        candidates,
        most_behind,
    }
}

impl Summary {
    /// The least slack in the block, or less if the rate has changed.
    fn least(&self, walk: Walk) -> i128 {
        let change = walk.rate_ppm - self.rate_ppm;
        let edge = if change >= 0 { self.first } else { self.last };
        self.least + product(edge, change) + walk.offset
    }
}

/// A block's summary, computed anew if its least slack could be below `bound`; if it is not, it may
/// be stated too low, but not below `bound`.
#[inline]
fn summary(block: &mut Block<Demanded, Summary>, walk: Walk, bound: i128) -> (&Summary, i128) {
    let known = block.summary.as_ref();
    let least = known.map_or(i128::MIN, |known| known.least(walk));
    let is_exact = known.is_some_and(|known| known.rate_ppm == walk.rate_ppm);
    if !is_exact && least < bound {
        block.summary = None;
    }
    let entries = &block.entries;
    let summary = block
        .summary
        .get_or_insert_with(|| summarize(entries, walk.rate_ppm));
    let least = if is_exact || least >= bound {
        least
    } else {
        summary.least + walk.offset
    };
    (summary, least)
}

impl Agenda {
    /// Puts a demand in, or changes it: `old` is the key that the stream's last one had.
    pub(crate) fn set(&mut self, old: Option<Nanos>, demand: Demanded) {
        if old == Some(demand.deadline)
            && let Some(entry) = self.demands.get_mut(demand.key())
        {
            *entry = demand;
        } else {
            if let Some(deadline) = old {
                self.remove(deadline, demand.stream);
            }
            self.demands.insert(demand);
        }
    }

    /// Takes a stream's demand out.
    pub(crate) fn remove(&mut self, deadline: Nanos, stream: StreamId) {
        self.demands.remove((deadline, stream));
    }

    /// The first effective deadline.
    fn first_deadline(&self) -> Nanos {
        let first = self.demands.blocks.first();
        first.map_or(Nanos::MAX, |block| block.entries[0].deadline)
    }

    /// Where slack runs out first, and who could go before.
    pub(crate) fn look(&mut self, terms: Terms) -> Look {
        let mut walk = Walk::new(terms);
        let mut look = Look {
            at: terms.now,
            first: self.first_deadline(),
            slack: i128::MAX,
            ..Look::NOTHING
        };
        let mut most_behind: MostBehind = None;
        for index in 0..self.demands.blocks.len() {
            let block = &mut self.demands.blocks[index];
            let (summary, least) = summary(block, walk, look.slack);
            if least < 0 {
                (look.short_at, look.slack) = first_shortage(&block.entries, walk, look.slack);
                let urgent = self.candidates_from(index, look.short_at);
                for (lag, stream) in urgent.filter_map(|demand| Some((demand.lag?, demand.stream)))
                {
                    look.candidates += 1;
                    most_behind = most_behind.max(Some((lag, Reverse(stream))));
                }
                break;
            }
            look.slack = look.slack.min(least);
            look.candidates += summary.candidates;
            most_behind = most_behind.max(summary.most_behind);
            walk.pass(summary);
        }
        look.most_behind = most_behind.map(|(lag, stream)| (lag, stream.0));
        look
    }

    /// The least slack over all D before `deadline`.
    pub(crate) fn slack_before(&mut self, terms: Terms, deadline: Nanos) -> i128 {
        let mut walk = Walk::new(terms);
        let mut slack = i128::MAX;
        for block in &mut self.demands.blocks {
            if block.entries[0].deadline >= deadline {
                break;
            }
            let is_whole = block
                .entries
                .last()
                .is_some_and(|last| last.deadline < deadline);
            if is_whole {
                let (summary, least) = summary(block, walk, slack);
                slack = slack.min(least);
                walk.pass(summary);
                continue;
            }
            for demand in &block.entries {
                if demand.deadline >= deadline {
                    break;
                }
                slack = slack.min(walk.step(demand));
            }
        }
        slack
    }

    /// Streams with requests and budget whose deadline is not beyond `until`, most urgent first.
    pub(crate) fn candidates_until(&self, until: Nanos) -> impl Iterator<Item = &Demanded> {
        self.candidates_from(0, until)
    }

    fn candidates_from(&self, block: usize, until: Nanos) -> impl Iterator<Item = &Demanded> {
        self.demands.blocks[block..]
            .iter()
            .flat_map(|block| &block.entries)
            .take_while(move |demand| demand.deadline <= until)
            .filter(|demand| demand.lag.is_some())
    }
}

/// The first deadline in these entries at which slack is negative, and the least slack before it, or
/// `slack` if that is less.
fn first_shortage(entries: &[Demanded], mut walk: Walk, mut slack: i128) -> (Nanos, i128) {
    for demand in entries {
        let here = walk.step(demand);
        if here < 0 {
            return (demand.deadline, slack);
        }
        slack = slack.min(here);
    }
    (Nanos::MAX, slack)
}

#[cfg(test)]
mod tests;
