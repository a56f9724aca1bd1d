//! Disk time where requests overlap: every account pays in solo time, what it would have needed for
//! the same requests alone (docs/design/overlapping-devices.md).
//!
//! A request is debited its price when it goes to the disk and charged when it is done. The account
//! that pays can be a group's: then the group's private device prices the request for the budget,
//! and the member's own for the turn among the members.
//!
//! Invariants: a debit is given back exactly once; `refunded` is what budgets got back beyond their
//! charges in all, and never falls, so that a slack scan can be corrected by it.

use super::device_speed::{DeviceSpeed, FinishedRead};
use super::occupancy::Leaving;
use super::solo_account::Finished;
use super::{Account, Ledger, Stream};
use crate::config::{Arrival, RequestKind};
use crate::ppm_time::scaled;
use crate::stream_id::StreamId;
use disktime_units::Nanos;

/// What a request adds to private devices: its account's, and its own stream's in a group.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SoloPrice {
    pub(crate) account: Nanos,
    pub(crate) member: Nanos,
}

impl std::ops::AddAssign for SoloPrice {
    fn add_assign(&mut self, other: SoloPrice) {
        self.account += other.account;
        self.member += other.member;
    }
}

/// A dispatch that goes to the disk, as far as solo time is concerned.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SoloSent {
    pub(crate) occupancy: Nanos,
    pub(crate) price: SoloPrice,
    pub(crate) is_write: bool,
}

/// A dispatch in flight, as far as solo time is concerned.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SoloDispatch {
    pub(crate) stream: StreamId,
    /// The stream whose account pays: itself, or its group.
    pub(crate) payer: StreamId,
    pub(crate) account: Account,
    pub(crate) price: SoloPrice,
    pub(crate) occupancy: Nanos,
    /// Its lone latency by the prices; zero if it is merged of several requests.
    pub(crate) lone: Nanos,
    pub(crate) kind: RequestKind,
    pub(crate) dispatched_at: Nanos,
    /// What was taken from the account.
    pub(crate) debit: Nanos,
}

/// Requests of which so many fit into the disk's lone latency gain by more in flight.
const DEEP: u64 = 16;

/// Whether a few such requests at a time fill the disk.
pub(crate) fn is_shallow(occupancy: Nanos, lone: Nanos) -> bool {
    lone.0 < occupancy.0.saturating_mul(DEEP)
}

/// What the reservations are together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reservations {
    exist: bool,
    idle_factor: u32,
    /// A hundredth of what is not reserved of the shortest period.
    idle_fill: Nanos,
    /// Σ σ/p in ppm, at most half of what is not reserved; 0 for a single one.
    settle_ppm: i64,
    /// Σ H/p in ppm, at most half of what is not reserved; 0 for a single one.
    change_ppm: i64,
}

/// So long after its last write an account counts as one that writes.
const WRITES_FOR: Nanos = Nanos::from_secs(1);

impl Ledger {
    /// Whether any stream has a reservation, or is to have one.
    pub(crate) fn has_reserved(&mut self) -> bool {
        self.reservations().exist
    }

    /// k: how many times the bound on the occupancy holds while no stream with a reservation is
    /// active. The drain, which can be 2.5 times the occupancy when requests collide, fits into
    /// what is not reserved of the shortest period.
    pub(crate) fn idle_factor(&mut self) -> u32 {
        self.reservations().idle_factor
    }

    /// How far the disk may be filled while no stream with a reservation is active, whatever is
    /// queued: when one wakes the drain costs it a hundredth of what is not reserved of its period.
    /// Where only the server's own work is reserved for, with a period of seconds, that is as good
    /// as no bound.
    pub(crate) fn idle_fill(&mut self) -> Nanos {
        self.reservations().idle_fill
    }

    /// The rate at which disk time is kept for settling, in ppm: while an account with a
    /// reservation writes, each change between accounts can cost the next one σ, and there is about
    /// one for each deadline. Admission has left that much.
    pub(crate) fn settle_rate_ppm(&mut self, now: Nanos) -> i64 {
        let writes = self
            .reserved_write_at
            .is_some_and(|at| now < at.saturating_add(WRITES_FOR));
        if writes {
            self.reservations().settle_ppm
        } else {
            0
        }
    }

    /// The rate at which disk time is kept for changes between accounts, in ppm. At each the drain
    /// can be wrong by what requests meet in the disk, and there is about one for each deadline.
    /// Spare time that used it at the start of a long period would leave nothing for the changes
    /// that streams with short ones bring until its end.
    pub(crate) fn change_rate_ppm(&mut self) -> i64 {
        self.reservations().change_ppm
    }

    /// An account with a reservation wrote.
    fn note_reserved_write(&mut self, now: Nanos) {
        if self.settle_rate_ppm(now) == 0 {
            self.void_scans();
        }
        self.reserved_write_at = Some(now);
    }

    fn reservations(&mut self) -> Reservations {
        if let Some(known) = self.reservations {
            return known;
        }
        let settle = self
            .occupancy
            .as_ref()
            .map_or(Nanos::ZERO, |device| device.settle_time());
        let (bound, most) = self.occupancy.as_ref().map_or((Nanos::MAX, 1), |device| {
            (device.bound(), device.idle_factor())
        });
        let asked = self.streams.iter().filter_map(|(_, stream)| {
            let asked = stream.asked_config().reservation;
            asked.or(stream.config().reservation)
        });
        let (mut share_ppm, mut period) = (0u128, Nanos::MAX);
        let (mut count, mut settle_ppm, mut change_ppm) = (0, 0u128, 0u128);
        for reservation in asked.filter(|reservation| reservation.share.0 > 0) {
            share_ppm += u128::from(reservation.share.0);
            period = period.min(reservation.period);
            count += 1;
            let in_period =
                |cost: Nanos| u128::from(cost.0) * 1_000_000 / u128::from(reservation.period.0);
            settle_ppm += in_period(settle);
            // A disk without H has no bound to keep.
            change_ppm += in_period(if bound == Nanos::MAX {
                Nanos::ZERO
            } else {
                bound
            });
        }
        let left_ppm = 1_000_000u128.saturating_sub(share_ppm);
        let kept = |rate: u128| if count > 1 { rate.min(left_ppm / 2) } else { 0 };
        let unreserved = left_ppm * u128::from(period.0);
        let fits = unreserved / (2_500_000 * u128::from(bound.0.max(1)));
        let computed = Reservations {
            exist: share_ppm > 0,
            idle_factor: u32::try_from(fits).unwrap_or(u32::MAX).clamp(1, most),
            idle_fill: Nanos(u64::try_from(unreserved / 100_000_000).unwrap_or(u64::MAX)),
            settle_ppm: i64::try_from(kept(settle_ppm)).unwrap_or(0),
            change_ppm: i64::try_from(kept(change_ppm)).unwrap_or(0),
        };
        self.reservations = Some(computed);
        computed
    }

    /// Whether a request is queued of which a few at a time fill the disk.
    pub(crate) fn queues_shallow(&self) -> bool {
        self.shallow > 0
    }

    /// Whether solo time is what is charged: the disk overlaps requests.
    #[inline]
    pub(crate) fn overlaps(&self) -> bool {
        self.occupancy.is_some()
    }

    /// A request arrives for a stream, whose account had requests before or not. What it adds to
    /// private devices.
    pub(super) fn solo_arrival(
        &mut self,
        now: Nanos,
        (id, payer): (StreamId, StreamId),
        arrival: &Arrival,
        payer_was_busy: bool,
    ) -> SoloPrice {
        if !payer_was_busy {
            self.solo_gap_ends(payer, now);
        }
        let (mut occupancy, mut lone) = (arrival.price, arrival.lone);
        if let Some(device) = &self.occupancy {
            occupancy = device.speed().occupancy(occupancy);
            lone = device.speed().latency(lone);
        }
        // It goes one at a time, so it takes all of the device's time.
        if let Some(learnt) = self.learnt_price(arrival) {
            occupancy = occupancy.max(learnt);
            lone = lone.max(occupancy);
        }
        let account = self.stream_mut(payer).solo_mut().admit(occupancy, lone);
        let member = if payer == id {
            account
        } else {
            self.stream_mut(id).solo_mut().admit(occupancy, lone)
        };
        SoloPrice { account, member }
    }

    /// An account without requests gets one.
    fn solo_gap_ends(&mut self, payer: StreamId, now: Nanos) {
        self.charge_gap(payer, now);
        let drain = self.drain(now);
        let stream = self.stream_mut(payer);
        let was_let_go = stream.solo_mut().becomes_busy(now);
        // Others were let in while it was away. What they still have to do is its own loss, or a
        // client that returns just after the wait is over would cost the others again and again.
        if was_let_go && stream.is_reserved() && stream.is_active() {
            stream.forfeit(drain, now);
            self.budget_changed(payer);
        }
    }

    /// Charges an account's gap up to `now` against what it is behind. Whether it was behind.
    pub(super) fn charge_gap(&mut self, payer: StreamId, now: Nanos) -> bool {
        let stream = self.stream_mut(payer);
        let gap = stream.solo_mut().take_gap(now);
        let counts = gap > Nanos::ZERO && stream.is_reserved() && stream.is_active();
        let was_behind = counts && stream.forfeit(gap, now);
        if was_behind {
            self.budget_changed(payer);
        }
        was_behind
    }

    /// Charges the gaps of all streams in grace up to `now`. Whether any budget changed.
    pub(crate) fn charge_gaps(&mut self, now: Nanos) -> bool {
        let mut any = false;
        for index in 0..self.in_grace.len() {
            any |= self.charge_gap(self.in_grace[index], now);
        }
        any
    }

    /// How long the disk takes to run empty.
    #[inline]
    pub(crate) fn drain(&self, now: Nanos) -> Nanos {
        self.occupancy.as_ref().map_or(Nanos::ZERO, |occupancy| {
            occupancy.drain(now).max(self.gate.drain(now))
        })
    }

    /// What budgets got back beyond their charges, in all, in ppm-nanoseconds.
    pub(crate) fn refunded(&self) -> i128 {
        self.refunded
    }

    /// A stream's requests go to the disk. Call after [`Ledger::dispatch`]. What is debited.
    pub(crate) fn solo_debit(
        &mut self,
        now: Nanos,
        (id, payer): (StreamId, StreamId),
        account: Account,
        sent: SoloSent,
    ) -> Nanos {
        let stream = self.stream_mut(payer);
        let is_first = stream.in_flight() == 1;
        let occupancy = self.occupancy.as_ref();
        let kept_since = occupancy.map_or(now, |device| device.kept_since(now, payer));
        let stream = self.stream_mut(payer);
        let debit =
            stream
                .solo_mut()
                .debit(kept_since, sent.price.account, is_first, sent.is_write);
        stream.use_limit(debit, now);
        if account == Account::Reserved {
            stream.solo_mut().take_debit(debit);
        }
        if payer != id {
            self.stream_mut(id).advance_tag(sent.price.member);
        }
        self.debit(payer, account, debit);
        if let Some(device) = &mut self.occupancy {
            device.enter(sent.occupancy, is_first);
        }
        self.enforce_limit(payer, now);
        debit
    }

    /// A dispatch is done: what its account is charged. The debit is given back. Call before
    /// [`Ledger::complete`], and only where requests overlap.
    pub(crate) fn solo_charge(&mut self, now: Nanos, done: &SoloDispatch, busy: Nanos) -> Nanos {
        let (payer, is_write) = (done.payer, done.kind.writes());
        let stream = self.streams.get_mut(payer);
        let is_reserved = stream.is_active() && stream.is_reserved();
        let since = stream.solo().charged_until();
        let mut was_alone = true;
        if let Some(device) = &mut self.occupancy {
            device.note_mixing(now);
            was_alone = device.was_alone(payer, since);
            device.leave(
                now,
                Leaving {
                    account: payer,
                    occupancy: done.occupancy,
                    dispatched_at: done.dispatched_at,
                    is_write,
                    is_reserved,
                    is_last: stream.in_flight() == 1,
                },
            );
            let is_read = done.kind == RequestKind::Read && done.lone > Nanos::ZERO;
            if is_read && was_alone && stream.in_flight() == 1 && !stream.has_queue() {
                device.note_read_alone(now.saturating_sub(since), done.debit);
            }
            if learn_speed(
                device.speed_mut(),
                stream,
                now,
                done,
                (was_alone, since),
                busy,
            ) {
                self.prices_are_void();
            }
        }
        if is_write && is_reserved {
            self.note_reserved_write(now);
        }
        let stream = self.streams.get_mut(payer);
        let charge = stream.solo_mut().charge(
            now,
            Finished {
                solo: done.price.account,
                debit: done.debit,
                is_read: done.kind == RequestKind::Read,
                is_write,
                was_alone,
            },
        );
        stream.return_limit(done.debit);
        if done.account == Account::Reserved {
            stream.solo_mut().return_debit(done.debit);
            self.refunded += scaled(done.debit.saturating_sub(charge));
        }
        if payer != done.stream {
            let member = self.stream_mut(done.stream);
            member.solo_mut().receive(done.price.member);
        }
        self.undo_debit(payer, done.account, done.debit);
        charge
    }

    /// The disk's speed changed: what was learnt of prices, and of slack, is not true any more.
    fn prices_are_void(&mut self) {
        for index in 0..self.streams.slots() {
            if let Some(id) = self.streams.at(index) {
                self.stream_mut(id).solo_mut().forget_corrections();
            }
        }
        // H changed with it.
        self.reservations = None;
        self.void_scans();
    }

    /// The disk is kept for a stream's next request: the wait is charged, not the gap.
    pub(crate) fn solo_wait_begins(&mut self, now: Nanos, id: StreamId) {
        let payer = self.payer(id);
        self.charge_gap(payer, now);
        self.stream_mut(payer).solo_mut().close_gap();
    }

    pub(super) fn solo_wait_ends(&mut self, now: Nanos, id: StreamId) {
        let payer = self.payer(id);
        self.stream_mut(payer).solo_mut().open_gap(now);
        if let Some(device) = &mut self.occupancy {
            device.note_presence(payer, now);
        }
    }

    /// A stream that is behind and has no requests is waited for no longer: others go in its place.
    pub(crate) fn let_go(&mut self, now: Nanos, payer: StreamId) {
        self.stream_mut(payer).solo_mut().let_go(now);
    }
}

/// Learns from a request that is done how fast the disk is, and what its account's prices are
/// worth. Whether the speed changed so much that what was learnt of prices is void.
fn learn_speed(
    speed: &mut DeviceSpeed,
    stream: &mut Stream,
    now: Nanos,
    done: &SoloDispatch,
    (was_alone, since): (bool, Nanos),
    busy: Nanos,
) -> bool {
    if done.kind == RequestKind::Read && done.lone > Nanos::ZERO {
        let outstanding = (stream.in_flight() + stream.queue().len()) as u64;
        let service = now - done.dispatched_at;
        let elapsed = now.saturating_sub(since);
        speed.note_read(FinishedRead {
            service,
            lone: done.lone,
            alone: was_alone.then_some((elapsed, done.price.account)),
            is_lone: outstanding == 1 && !stream.has_queue(),
            is_deep: outstanding * done.occupancy.0 * 10 >= done.lone.0 * 12,
        });
        let expected = speed.fast_latency(done.lone);
        let share_ppm = u64::try_from(stream.share_ppm()).unwrap_or(0);
        let solo = stream.solo_mut();
        solo.note_read(now, (service, expected), share_ppm);
    }
    speed.note_done(now, done.occupancy, busy)
}
