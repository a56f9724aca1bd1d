//! How full a disk is that overlaps requests, and how long it takes to run empty.
//!
//! *Occupancy* is what requests take of the disk's throughput at its sustained rate. A request's
//! occupancy counts while it is in flight. A write is acknowledged early, by a buffer, and the work
//! is still to be done: its occupancy counts until the disk can have done it, one write after the
//! other. After the last write reads are slower for a while (programs that are not done), the
//! *settle time* σ.
//!
//! `drain = max(occupancy, what is left of settling)` is how long the disk needs until it is as
//! good as empty. The slack test subtracts it, so that no deadline counts on time in which the disk
//! is still busy with what others sent.
//!
//! Invariants: the occupancy is the sum over requests in flight and held writes; held writes leave
//! in the order of their times; memory is bounded, for when the list is full the last one takes the
//! next in.
//!
//! What is not known here: budgets, and what requests really took.

use super::device_speed::DeviceSpeed;
use super::write_hold::WriteHold;
use crate::config::OverlapConfig;
use crate::stream_id::StreamId;
use disktime_units::Nanos;
use std::collections::VecDeque;

/// So many held writes besides those that can be in flight.
const HOLDS: usize = 64;

/// Acknowledged writes that the disk is still busy with.
#[derive(Debug, Clone, Copy)]
struct Hold {
    until: Nanos,
    occupancy: Nanos,
}

/// Until when an account was in the disk: its requests, or its writes that settle, behind which
/// reads are slower.
#[derive(Debug, Clone, Copy, Default)]
struct Presence {
    account: Option<StreamId>,
    until: Nanos,
}

/// A request that leaves the disk.
#[derive(Debug, Clone, Copy)]
pub(super) struct Leaving {
    pub(super) account: StreamId,
    pub(super) occupancy: Nanos,
    pub(super) dispatched_at: Nanos,
    pub(super) is_write: bool,
    /// Its account has a reservation and is active.
    pub(super) is_reserved: bool,
    /// Its account has no other request in flight.
    pub(super) is_last: bool,
}

/// The occupancy of one disk.
#[derive(Debug)]
pub(crate) struct Occupancy {
    config: OverlapConfig,
    /// X.
    filled: Nanos,
    /// The most of it since the start.
    most_filled: Nanos,
    /// Accounts with requests in flight.
    accounts: usize,
    /// The last event before which two accounts or more had requests in flight.
    mixed_at: Nanos,
    write_hold: WriteHold,
    holds: VecDeque<Hold>,
    most_holds: usize,
    /// When the disk has done the acknowledged writes, by their held times.
    write_clock: Nanos,
    /// The account that was in the disk last, and the last of all others.
    present: [Presence; 2],
    /// Writes of this account are not held longer than they take.
    focus: Option<StreamId>,
    /// Since when the disk is kept for one account, and how long it was before.
    focused_since: Option<Nanos>,
    focused: Nanos,
    /// Nor are those of an account while no other with a reservation is active: so many are.
    active_reserved: usize,
    speed: DeviceSpeed,
}

impl Occupancy {
    pub(super) fn new(config: OverlapConfig, max_in_flight: usize) -> Occupancy {
        let most_holds = max_in_flight + HOLDS;
        Occupancy {
            config,
            filled: Nanos::ZERO,
            most_filled: Nanos::ZERO,
            accounts: 0,
            mixed_at: Nanos::ZERO,
            write_hold: WriteHold::new(),
            holds: VecDeque::with_capacity(most_holds),
            most_holds,
            write_clock: Nanos::ZERO,
            present: [Presence::default(); 2],
            focus: None,
            focused_since: None,
            focused: Nanos::ZERO,
            active_reserved: 0,
            speed: DeviceSpeed::new(config.fast_read_percent),
        }
    }

    /// X: what is in the disk.
    #[inline]
    pub(crate) fn filled(&self) -> Nanos {
        self.filled
    }

    /// The most that was in the disk since the start.
    pub(crate) fn most_filled(&self) -> Nanos {
        self.most_filled
    }

    /// How long the disk was kept for one account, up to `now`.
    pub(crate) fn focused(&self, now: Nanos) -> Nanos {
        let open = self.focused_since.map(|since| now.saturating_sub(since));
        self.focused + open.unwrap_or_default()
    }

    /// H, without regard to who is active.
    pub(crate) fn bound(&self) -> Nanos {
        self.speed.bound(self.config.occupancy_bound)
    }

    /// How long what is in the disk before a request can take at most: the focus fills it to 2.5 H.
    pub(super) fn most_ahead(&self) -> Nanos {
        let bound = self.bound();
        let filled = bound
            .saturating_add(bound)
            .saturating_add(Nanos(bound.0 / 2));
        filled.saturating_add(self.config.settle)
    }

    /// σ.
    pub(super) fn settle_time(&self) -> Nanos {
        self.speed.occupancy(self.config.settle)
    }

    /// How much slower the disk is than its prices say.
    pub(crate) fn speed(&self) -> &DeviceSpeed {
        &self.speed
    }

    pub(super) fn speed_mut(&mut self) -> &mut DeviceSpeed {
        &mut self.speed
    }

    /// k, the most that is asked for.
    pub(crate) fn idle_factor(&self) -> u32 {
        self.config.idle_factor.max(1)
    }

    /// How long the disk takes to run empty.
    #[inline]
    pub(crate) fn drain(&self, now: Nanos) -> Nanos {
        let filled = self.speed.occupancy(self.filled);
        filled.max(self.present[0].until.saturating_sub(now))
    }

    /// When the next held write leaves.
    #[inline]
    pub(crate) fn next_release(&self) -> Option<Nanos> {
        self.holds.front().map(|hold| hold.until)
    }

    /// Takes out the held writes whose time is over.
    #[inline]
    pub(crate) fn release(&mut self, now: Nanos) {
        while let Some(hold) = self.holds.front()
            && hold.until <= now
        {
            self.filled -= hold.occupancy;
            self.holds.pop_front();
        }
    }

    /// Whose writes are not held longer than they take: in focus time passes at rate 1, so its
    /// progress must too. So many accounts with a reservation are active.
    pub(crate) fn set_focus(
        &mut self,
        now: Nanos,
        account: Option<StreamId>,
        active_reserved: usize,
    ) {
        if account.is_some() != self.focused_since.is_some() {
            self.focused = self.focused(now);
            self.focused_since = account.map(|_| now);
        }
        self.focus = account;
        self.active_reserved = active_reserved;
    }

    /// A request goes to the disk; `is_first`: its account had none in flight.
    pub(super) fn enter(&mut self, occupancy: Nanos, is_first: bool) {
        self.filled += occupancy;
        self.most_filled = self.most_filled.max(self.filled);
        self.accounts += usize::from(is_first);
    }

    /// An event: what was in flight until now was in flight together.
    pub(super) fn note_mixing(&mut self, now: Nanos) {
        if self.accounts >= 2 {
            self.mixed_at = now;
        }
    }

    /// Whether an account had the disk to itself since then.
    pub(super) fn was_alone(&self, account: StreamId, since: Nanos) -> bool {
        self.alone_since(account) <= since
    }

    /// Since when an account has the disk to itself: no other had a request in flight, or writes
    /// that settled, or was waited for. In the future while writes of others settle.
    fn alone_since(&self, account: StreamId) -> Nanos {
        let [last, other] = self.present;
        let others = if last.account == Some(account) {
            other.until
        } else {
            last.until
        };
        self.mixed_at.max(others)
    }

    /// An account in focus without requests in flight sends one: since when it has had the disk to
    /// itself, and waited for its own writes to run off. Other accounts' times are theirs.
    pub(super) fn kept_since(&self, now: Nanos, account: StreamId) -> Nanos {
        if self.focus != Some(account) || self.accounts > 0 {
            return now;
        }
        self.alone_since(account).min(now)
    }

    /// The disk was kept for an account up to now.
    pub(super) fn note_presence(&mut self, account: StreamId, until: Nanos) {
        self.settle(account, until);
    }

    /// A request is done.
    pub(super) fn leave(&mut self, now: Nanos, leaving: Leaving) {
        self.accounts -= usize::from(leaving.is_last);
        if !leaving.is_write {
            self.filled -= leaving.occupancy;
            self.settle(leaving.account, now);
            return;
        }
        let others = self
            .active_reserved
            .saturating_sub(usize::from(leaving.is_reserved));
        let is_light = others == 0 || self.focus == Some(leaving.account);
        let occupancy = self.speed.occupancy(leaving.occupancy);
        let held = if is_light {
            occupancy
        } else {
            self.write_hold.hold(occupancy)
        };
        self.write_clock = self.write_clock.max(leaving.dispatched_at) + held;
        let done = self.write_clock.max(now);
        self.settle(leaving.account, done + self.settle_time());
        if self.write_clock <= now {
            self.filled -= leaving.occupancy;
        } else {
            self.hold(leaving.occupancy);
        }
    }

    /// A read that had the disk alone took so long, and its price is this.
    pub(super) fn note_read_alone(&mut self, took: Nanos, price: Nanos) {
        self.write_hold.note_read_alone(took, price);
    }

    fn hold(&mut self, occupancy: Nanos) {
        let until = self.write_clock;
        if self.holds.len() == self.most_holds
            && let Some(last) = self.holds.back_mut()
        {
            last.until = until;
            last.occupancy += occupancy;
            return;
        }
        self.holds.push_back(Hold { until, occupancy });
    }

    fn settle(&mut self, account: StreamId, until: Nanos) {
        let [last, other] = &mut self.present;
        if last.account == Some(account) {
            last.until = last.until.max(until);
        } else if until > last.until {
            *other = *last;
            *last = Presence {
                account: Some(account),
                until,
            };
        } else if until > other.until {
            *other = Presence {
                account: Some(account),
                until,
            };
        }
    }
}

#[cfg(test)]
mod tests;
