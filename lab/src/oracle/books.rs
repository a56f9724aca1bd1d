//! The books of one stream as they are seen from outside: backlogs, time received, time used in the
//! periods of its limit. They do not use the scheduler's own account.

use super::windows::Windows;
use disktime_scheduler::{Limit, Reservation, StreamConfig, StreamCounters};
use disktime_units::Nanos;

/// Grace, and pauses that are taken for thinking, are shorter than this.
const LONGEST_GRACE: Nanos = Nanos::from_secs(1);

/// Disk time between `start` and `end`: `own` of it, from the start.
#[derive(Debug, Clone, Copy)]
pub struct Segment {
    /// When it began.
    pub start: Nanos,
    /// When it ended.
    pub end: Nanos,
    /// How much of it was the stream's.
    pub own: Nanos,
}

/// Time used in the limit's periods, which begin with the first request.
#[derive(Debug, Clone, Copy)]
struct LimitBooks {
    limit: Limit,
    base: Option<Nanos>,
    number: u64,
    used_before: Nanos,
    used: Nanos,
    /// The most used in one period.
    most: Nanos,
}

/// The books of one stream.
#[derive(Debug)]
pub(super) struct Books {
    reservation: Option<Reservation>,
    worst_case: Nanos,
    backlogged: bool,
    idle_since: Option<Nanos>,
    /// Whole periods inside backlogs. What a limit holds back is not owed, so a limited stream is
    /// promised less, and has none.
    windows: Option<Windows>,
    limit: Option<LimitBooks>,
    first_backlog: Option<Nanos>,
    /// Own time, and own and spare time together; empty unless they are kept.
    segments: Vec<Segment>,
    used: Vec<Segment>,
    keeps_segments: bool,
    seen_own: Nanos,
    seen_used: Nanos,
}

impl Books {
    pub(super) fn new(config: &StreamConfig, worst_case: Nanos, keeps_segments: bool) -> Books {
        let promised = config.reservation.filter(|_| config.limit.is_none());
        Books {
            reservation: config.reservation,
            worst_case,
            backlogged: false,
            idle_since: None,
            windows: promised.map(|own| Windows::new(own.share.0, own.period)),
            limit: config.limit.map(|limit| LimitBooks {
                limit,
                base: None,
                number: 0,
                used_before: Nanos::ZERO,
                used: Nanos::ZERO,
                most: Nanos::ZERO,
            }),
            first_backlog: None,
            segments: Vec::new(),
            used: Vec::new(),
            keeps_segments,
            seen_own: Nanos::ZERO,
            seen_used: Nanos::ZERO,
        }
    }

    /// After a longer pause the stream starts afresh: grace time, rest of the period, debt.
    fn long_pause(&self) -> Nanos {
        self.reservation.map_or(Nanos::ZERO, |own| {
            let debt = self.worst_case.0 * 2 * 1_000_000 / u64::from(own.share.0.max(1));
            LONGEST_GRACE + own.period + own.period + Nanos(debt)
        })
    }

    pub(super) fn is_backlogged(&self) -> bool {
        self.backlogged
    }

    /// A backlog begins. A reservation that is not yet `settled` begins later.
    pub(super) fn begins(&mut self, now: Nanos, settled: bool) {
        self.backlogged = true;
        self.first_backlog.get_or_insert(now);
        let pause = self.long_pause();
        let rested = self.idle_since.is_none_or(|idle| now - idle > pause);
        if let Some(windows) = self.windows.as_mut().filter(|_| rested && settled) {
            windows.begin(now);
        }
        if let Some(limit) = &mut self.limit {
            limit.base.get_or_insert(now);
        }
    }

    /// No request is outstanding, and none will be at this very time.
    pub(super) fn rests(&mut self, now: Nanos) {
        self.backlogged = false;
        self.idle_since = Some(now);
        if let Some(windows) = &mut self.windows {
            windows.end(now);
        }
    }

    /// It is entitled to something else from now on: what it receives is counted again from the
    /// start of its next backlog.
    pub(super) fn entitled(&mut self, reservation: Option<Reservation>, now: Nanos) {
        self.reservation = reservation;
        self.idle_since = Some(now);
        match (&mut self.windows, reservation) {
            (Some(windows), Some(own)) => {
                windows.abandon();
                windows.change(own);
            }
            _ => self.windows = None,
        }
    }

    /// Notes what it was charged since the last note, for time from `start` on.
    #[inline]
    pub(super) fn note(&mut self, counters: &StreamCounters, start: Nanos, now: Nanos) {
        let segment = |own: Nanos| Segment {
            start: start.min(now.saturating_sub(own)),
            end: now,
            own,
        };
        let own = counters.reserved - self.seen_own;
        if own > Nanos::ZERO {
            self.seen_own = counters.reserved;
            let segment = segment(own);
            if let Some(windows) = &mut self.windows {
                windows.receive(segment.start, now, own);
            }
            if self.keeps_segments {
                self.segments.push(segment);
            }
        }
        let used = counters.reserved + counters.spare;
        if self.keeps_segments && used > self.seen_used {
            self.used.push(segment(used - self.seen_used));
            self.seen_used = used;
        }
        if let Some(limit) = &mut self.limit {
            limit.note(used, now);
        }
    }

    pub(super) fn windows(&self) -> Option<&Windows> {
        self.windows.as_ref()
    }

    pub(super) fn is_limited(&self) -> bool {
        self.limit.is_some()
    }

    pub(super) fn first_backlog(&self) -> Option<Nanos> {
        self.first_backlog
    }

    pub(super) fn segments(&self) -> &[Segment] {
        &self.segments
    }

    pub(super) fn used(&self) -> &[Segment] {
        &self.used
    }

    pub(super) fn idle_since(&self) -> Option<Nanos> {
        self.idle_since
    }

    /// Most time used in one of its limit's periods, beyond the limit.
    pub(super) fn over_limit(&self) -> Option<i64> {
        let books = self.limit?;
        let limit = books.limit;
        let allowed = u128::from(limit.share.0) * u128::from(limit.period.0) / 1_000_000;
        Some(books.most.0 as i64 - allowed as i64)
    }
}

impl LimitBooks {
    fn note(&mut self, used: Nanos, now: Nanos) {
        let Some(base) = self.base else {
            return;
        };
        let number = (now - base).0 / self.limit.period.0;
        if number != self.number {
            self.number = number;
            self.used_before = self.used;
        }
        self.used = used;
        self.most = self.most.max(used - self.used_before);
    }
}

/// The largest shortfall against the line u·t over any window between `from` and `to`, in ns.
pub fn any_window(segments: &[Segment], share_ppm: u32, from: Nanos, to: Nanos) -> i128 {
    let due = |at: Nanos| i128::from(at.0) * i128::from(share_ppm) / 1_000_000;
    let (mut got, mut highest, mut worst) = (0i128, -due(from), 0i128);
    let within = segments
        .iter()
        .filter(|one| one.start >= from && one.end <= to);
    for segment in within {
        // Behind the line most just before service, ahead of it most just after.
        worst = worst.max(highest - (got - due(segment.start)));
        got += i128::from(segment.own.0);
        highest = highest.max(got - due(segment.end));
    }
    worst
}

/// Time received until each of `times`, which ascend.
pub fn received(segments: &[Segment], times: &[Nanos]) -> Vec<i128> {
    let (mut index, mut sum) = (0, 0i128);
    let mut result = Vec::with_capacity(times.len());
    for time in times {
        while index < segments.len() && segments[index].end <= *time {
            sum += i128::from(segments[index].own.0);
            index += 1;
        }
        let open = segments.get(index).filter(|open| open.start < *time);
        let part = open.map_or(0, |open| (time.0 - open.start.0).min(open.own.0));
        result.push(sum + i128::from(part));
    }
    result
}
