//! The users of a closed loop, and the transactions that they and open loops make.
//!
//! Invariants: a user has one request under way at most; of the users that are ready at one time, who
//! came first asks first; nothing is allocated once the loop is made. What is not known here: what
//! is asked for, and how long an answer takes.

use crate::Operation;
use crate::arrivals::Clockwork;
use crate::requests::{Chooser, Wanted};
use disktime_engine::RequestKind;
use disktime_units::Nanos;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::num::NonZeroU32;

/// A user whose request failed waits so long before the next one: a disk that fails at once
/// would otherwise be asked without end, and virtual time would stand still.
pub(crate) const PAUSE_AFTER_ERROR: Nanos = Nanos::from_millis(1);

const FLUSH: Wanted = Wanted {
    kind: RequestKind::Flush,
    offset_bytes: 0,
    len_bytes: 0,
    fua: false,
};

/// How far a transaction is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Commits {
    every: Option<NonZeroU32>,
    done: u32,
}

impl Commits {
    pub(crate) fn new(every: Option<NonZeroU32>) -> Commits {
        Commits { every, done: 0 }
    }

    /// The next request: the flush that ends the transaction, or one of `chooser`'s.
    #[inline]
    pub(crate) fn next(&mut self, chooser: &mut Chooser) -> Wanted {
        match self.every {
            Some(every) if self.done >= every.get() => {
                self.done = 0;
                FLUSH
            }
            Some(_) => {
                self.done += 1;
                chooser.next()
            }
            None => chooser.next(),
        }
    }
}

/// The users of a closed loop.
#[derive(Debug)]
pub(crate) struct Closed {
    chooser: Chooser,
    think: Clockwork,
    /// Users that are ready to ask, each at its time; of those at one time, who came first.
    ready: BinaryHeap<Reverse<(Nanos, u64, u32)>>,
    turn: u64,
    /// The transaction that each user is in; empty without transactions.
    commits: Vec<Commits>,
}

impl Closed {
    /// Users that all are ready at `start`.
    pub(crate) fn new(
        users: u32,
        start: Nanos,
        chooser: Chooser,
        think: Clockwork,
        commit_every: Option<NonZeroU32>,
    ) -> Closed {
        let transactions = if commit_every.is_some() { users } else { 0 };
        let mut closed = Closed {
            chooser,
            think,
            ready: BinaryHeap::with_capacity(users as usize),
            turn: 0,
            commits: vec![Commits::new(commit_every); transactions as usize],
        };
        (0..users).for_each(|user| closed.ready_at(start, user));
        closed
    }

    fn ready_at(&mut self, at: Nanos, user: u32) {
        self.ready.push(Reverse((at, self.turn, user)));
        self.turn += 1;
    }

    /// When the next user is ready.
    #[inline]
    pub(crate) fn next(&self) -> Option<Nanos> {
        self.ready.peek().map(|Reverse((at, _, _))| *at)
    }

    /// Who is ready first, and what it asks for.
    #[inline]
    pub(crate) fn ask(&mut self) -> Option<(u32, Wanted)> {
        let Reverse((_, _, user)) = self.ready.pop()?;
        let wanted = match self.commits.get_mut(user as usize) {
            Some(commits) => commits.next(&mut self.chooser),
            None => self.chooser.next(),
        };
        Some((user, wanted))
    }

    /// A user has its answer, and thinks; within a transaction it goes on at once.
    #[inline]
    pub(crate) fn answered(&mut self, now: Nanos, operation: &Operation, success: bool) {
        let within = !self.commits.is_empty() && operation.kind != RequestKind::Flush;
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
