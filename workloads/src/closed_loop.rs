//! The users of a closed loop, and the transactions of closed and open loops.
//!
//! Invariants: a user has at most one request in flight; users that are ready at the same time send
//! their requests in the order in which they became ready; nothing is allocated once the loop is
//! created. What is not known here: what is requested, and how long a request takes.

use crate::Operation;
use crate::arrivals::DurationSampler;
use crate::requests::{RequestGenerator, RequestSpec};
use disktime_engine::RequestKind;
use disktime_units::Nanos;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::num::NonZeroU32;

/// The shortest pause of a user after a failed request. Without it, a disk that fails requests at
/// once would get requests without end, and virtual time would not advance.
pub(crate) const PAUSE_AFTER_ERROR: Nanos = Nanos::from_millis(1);

const FLUSH: RequestSpec = RequestSpec {
    kind: RequestKind::Flush,
    offset_bytes: 0,
    len_bytes: 0,
    fua: false,
};

/// Counts the requests of a transaction.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TransactionCounter {
    every: Option<NonZeroU32>,
    done: u32,
}

impl TransactionCounter {
    pub(crate) fn new(every: Option<NonZeroU32>) -> TransactionCounter {
        TransactionCounter { every, done: 0 }
    }

    /// The next request: the flush that ends the transaction, or one of the generator.
    #[inline]
    pub(crate) fn next(&mut self, generator: &mut RequestGenerator) -> RequestSpec {
        match self.every {
            Some(every) if self.done >= every.get() => {
                self.done = 0;
                FLUSH
            }
            Some(_) => {
                self.done += 1;
                generator.next()
            }
            None => generator.next(),
        }
    }
}

/// The users of a closed loop.
#[derive(Debug)]
pub(crate) struct ClosedLoop {
    generator: RequestGenerator,
    think: DurationSampler,
    /// When each user is ready for its next request; at equal times in order of `sequence`.
    ready: BinaryHeap<Reverse<(Nanos, u64, u32)>>,
    sequence: u64,
    /// The transaction of each user; empty without transactions.
    transactions: Vec<TransactionCounter>,
}

impl ClosedLoop {
    /// A loop whose users are all ready at `start`.
    pub(crate) fn new(
        users: u32,
        start: Nanos,
        generator: RequestGenerator,
        think: DurationSampler,
        commit_every: Option<NonZeroU32>,
    ) -> ClosedLoop {
        let counters = if commit_every.is_some() { users } else { 0 };
        let mut closed = ClosedLoop {
            generator,
            think,
            ready: BinaryHeap::with_capacity(users as usize),
            sequence: 0,
            transactions: vec![TransactionCounter::new(commit_every); counters as usize],
        };
        (0..users).for_each(|user| closed.ready_at(start, user));
        closed
    }

    fn ready_at(&mut self, at: Nanos, user: u32) {
        self.ready.push(Reverse((at, self.sequence, user)));
        self.sequence += 1;
    }

    /// When the next user is ready.
    #[inline]
    pub(crate) fn next(&self) -> Option<Nanos> {
        self.ready.peek().map(|Reverse((at, _, _))| *at)
    }

    /// The user that is ready first, and its request.
    #[inline]
    pub(crate) fn next_request(&mut self) -> Option<(u32, RequestSpec)> {
        let Reverse((_, _, user)) = self.ready.pop()?;
        let spec = match self.transactions.get_mut(user as usize) {
            Some(transactions) => transactions.next(&mut self.generator),
            None => self.generator.next(),
        };
        Some((user, spec))
    }

    /// A user's request is completed: the user thinks; within a transaction it continues at once.
    #[inline]
    pub(crate) fn completed(&mut self, now: Nanos, operation: &Operation, success: bool) {
        let within = !self.transactions.is_empty() && operation.kind != RequestKind::Flush;
        let think = if within {
            Nanos::ZERO
        } else {
            self.think.draw()
        };
        let pause = if success {
            think
        } else {
            think.max(PAUSE_AFTER_ERROR)
        };
        self.ready_at(now.saturating_add(pause), operation.user);
    }
}
