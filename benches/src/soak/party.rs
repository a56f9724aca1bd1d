//! One stream and its client as the world sees them: what is under way, and what was received.

use super::case::{Behaviour, DISK_BYTES, Member};
use super::random::Rng;
use super::windows::Windows;
use disktime_scheduler::{Arrival, RequestId, StreamCounters};
use disktime_units::Nanos;

/// Length of a request.
const BLOCK_BYTES: u64 = 4096;
/// What it costs by the linear model.
const PRICE: Nanos = Nanos(51_200);
/// Grace, and pauses that are taken for thinking, are shorter than this.
const LONGEST_GRACE: Nanos = Nanos::from_secs(1);

/// A stream with its client.
#[derive(Debug)]
pub(super) struct Party {
    pub(super) member: Member,
    /// Names of requests that are not under way.
    pub(super) free: Vec<RequestId>,
    /// Issued and not answered, and those of them that wait.
    pub(super) outstanding: u32,
    pub(super) queued: u32,
    /// A waker that is ready to be woken.
    pub(super) armed: bool,
    backlogged: bool,
    zone: (u64, u64),
    next_offset: u64,
    /// After a longer pause it starts afresh.
    long_pause: Nanos,
    /// The largest debt, in ppm-nanoseconds.
    debt: Nanos,
    idle_since: Option<Nanos>,
    pub(super) windows: Option<Windows>,
    seen_own: Nanos,
    limit: Option<LimitBooks>,
}

/// Time used in the limit's periods, which begin with the first request.
#[derive(Debug, Clone, Copy)]
struct LimitBooks {
    base: Option<Nanos>,
    number: u64,
    used_before: Nanos,
    used: Nanos,
    /// The most used in one period.
    most: Nanos,
}

impl Party {
    pub(super) fn new(member: Member, index: usize, worst_case: Nanos, first_id: u32) -> Party {
        let sixth = DISK_BYTES / 6 / BLOCK_BYTES * BLOCK_BYTES;
        let start = index as u64 % 6 * sixth;
        let reservation = member.config.reservation;
        let debt = Nanos(worst_case.0 * 2 * 1_000_000);
        let long_pause = reservation.map_or(Nanos::ZERO, |own| {
            LONGEST_GRACE + own.period + own.period + Nanos(debt.0 / u64::from(own.share.0))
        });
        let has_limit = member.config.limit.is_some();
        // What a limit holds back is not owed, so its stream is promised less.
        let windows = reservation
            .filter(|_| !has_limit)
            .map(|own| Windows::new(own.share.0, own.period));
        Party {
            free: (first_id..first_id + member.client.depth)
                .map(RequestId)
                .collect(),
            member,
            outstanding: 0,
            queued: 0,
            armed: false,
            backlogged: false,
            zone: (start, start + sixth),
            next_offset: start,
            long_pause,
            debt,
            idle_since: None,
            windows,
            seen_own: Nanos::ZERO,
            limit: has_limit.then_some(LimitBooks {
                base: None,
                number: 0,
                used_before: Nanos::ZERO,
                used: Nanos::ZERO,
                most: Nanos::ZERO,
            }),
        }
    }

    /// Its next request, if it has a name left for one. A reservation that is not yet `settled`
    /// begins later than the backlog does.
    pub(super) fn issue(&mut self, now: Nanos, rng: &mut Rng, settled: bool) -> Option<Arrival> {
        let id = self.free.pop()?;
        if !self.backlogged {
            self.backlogged = true;
            let pause = self.long_pause;
            let rested = self.idle_since.is_none_or(|idle| now - idle > pause);
            let fresh = rested && settled;
            if let Some(windows) = self.windows.as_mut().filter(|_| fresh) {
                windows.begin(now);
            }
            if let Some(limit) = &mut self.limit {
                limit.base.get_or_insert(now);
            }
        }
        self.outstanding += 1;
        let client = &self.member.client;
        let (low, high) = self.zone;
        let follows = match client.sequential {
            0 => false,
            100 => true,
            percent => rng.percent(percent),
        };
        if !follows || self.next_offset + BLOCK_BYTES > high {
            self.next_offset = low + rng.range(0, (high - low) / BLOCK_BYTES) * BLOCK_BYTES;
        }
        let offset = self.next_offset;
        self.next_offset += BLOCK_BYTES;
        Some(Arrival {
            id,
            offset_bytes: Some(offset),
            len_bytes: BLOCK_BYTES,
            price: PRICE,
            write: false,
            merge_class: client.merge.then_some(0),
        })
    }

    /// It is entitled to something else from now on: what it receives is looked at again from the start of
    /// its next backlog.
    pub(super) fn entitled(&mut self, share_ppm: u32, now: Nanos) {
        let Some(own) = &mut self.member.config.reservation else {
            return;
        };
        own.share.0 = share_ppm;
        let debt = Nanos(self.debt.0 / u64::from(share_ppm.max(1)));
        self.long_pause = LONGEST_GRACE + own.period + own.period + debt;
        self.idle_since = Some(now);
        if let Some(windows) = &mut self.windows {
            windows.abandon();
            windows.change(share_ppm);
        }
    }

    /// A request is answered.
    pub(super) fn answered(&mut self, id: RequestId) {
        self.free.push(id);
        self.outstanding -= 1;
    }

    /// Nothing is under way, and nothing will be at this very time.
    pub(super) fn rests(&mut self, now: Nanos) {
        self.backlogged = false;
        self.idle_since = Some(now);
        if let Some(windows) = &mut self.windows {
            windows.end(now);
        }
    }

    /// Whether the answer is followed by the next request at once.
    pub(super) fn asks_at_once(&self, now: Nanos) -> bool {
        matches!(self.member.client.behaviour, Behaviour::Greedy) && now < self.member.leaves
    }

    /// Looks what it was charged since the last look, for time from `start` on.
    #[inline]
    pub(super) fn note(&mut self, counters: &StreamCounters, start: Nanos, now: Nanos) {
        let own = counters.reserved - self.seen_own;
        if own > Nanos::ZERO {
            self.seen_own = counters.reserved;
            if let Some(windows) = &mut self.windows {
                windows.receive(start.min(now.saturating_sub(own)), now, own);
            }
        }
        if let Some(limit) = &mut self.limit {
            let period = self.member.config.limit.map_or(Nanos(1), |own| own.period);
            limit.note(counters.reserved + counters.spare, period, now);
        }
    }

    /// Most time used in one of its limit's periods, beyond the limit.
    pub(super) fn over_limit(&self) -> Option<i64> {
        let (books, limit) = (self.limit?, self.member.config.limit?);
        let allowed = u128::from(limit.share.0) * u128::from(limit.period.0) / 1_000_000;
        Some(books.most.0 as i64 - allowed as i64)
    }
}

impl LimitBooks {
    fn note(&mut self, used: Nanos, period: Nanos, now: Nanos) {
        let Some(base) = self.base else {
            return;
        };
        let number = (now - base).0 / period.0;
        if number != self.number {
            self.number = number;
            self.used_before = self.used;
        }
        self.used = used;
        self.most = self.most.max(used - self.used_before);
    }
}
