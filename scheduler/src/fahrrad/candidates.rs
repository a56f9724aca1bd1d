//! Which stream is next: on spare time by weight, between streams by the seek curve, and on a disk
//! without seeks the one that is most behind.
//!
//! Spare time is shared by start-time tags that persist: a stream's tag moves on only when it is
//! served from spare time, so that running on its reservation does not cost it spare time. A stream
//! may be served from spare time while its tag is within a window of the smallest; the window buys
//! long visits (few seeks) for a bounded unfairness.

use super::Fahrrad;
use crate::ledger::{Account, Ledger, spare_tag};
use crate::policy::Pick;
use crate::ppm_time::scaled;
use crate::stream_id::StreamId;
use disktime_units::Nanos;

/// Δ: how much disk time a stream may be ahead of the one most behind on spare time.
const SPARE_WINDOW: Nanos = Nanos::from_millis(100);
/// So many candidates are compared one by one.
const FEW: usize = 16;

/// Which streams may use spare time now.
#[derive(Debug, Clone, Copy)]
pub(super) struct SpareWindow {
    smallest_tag: u128,
}

impl SpareWindow {
    fn allows(self, ledger: &Ledger, id: StreamId) -> bool {
        let stream = ledger.stream(id);
        let window = spare_tag(SPARE_WINDOW, stream.weight());
        stream.tag() <= self.smallest_tag + window
    }
}

impl Fahrrad {
    /// The spare window, if there is spare time now and a stream to use it. While a stream can be
    /// served on its reserved account, spare time is begun only if there is slack for the way back:
    /// with the switching account spare time pays for it, and without it the stream that waits is
    /// served that much earlier.
    pub(super) fn spare_window(&self, ledger: &mut Ledger) -> Option<SpareWindow> {
        let own_waits = self.scan.candidates > 0;
        let needed = if own_waits {
            scaled(ledger.config().worst_seek)
        } else {
            0
        };
        if self.spare_slack < needed {
            return None;
        }
        let (smallest_tag, _) = self.index.least_spare()?;
        ledger.advance_spare_clock(smallest_tag);
        Some(SpareWindow { smallest_tag })
    }

    /// Whether slack lets a stream with a reservation go on its reserved account.
    pub(super) fn is_eligible(&self, ledger: &Ledger, id: StreamId) -> bool {
        if self.scan.short_at == Nanos::MAX {
            return true;
        }
        let demand = ledger.stream(id).current_demand(ledger.worst_case());
        demand.deadline <= self.scan.short_at
    }

    /// On which account a stream could be served or waited for now, whether it has requests or not.
    pub(super) fn account_for(
        &self,
        ledger: &Ledger,
        id: StreamId,
        spare: Option<SpareWindow>,
    ) -> Option<Account> {
        let stream = ledger.stream(id);
        if !stream.is_active() {
            return None;
        }
        if stream.has_budget() {
            return self.is_eligible(ledger, id).then_some(Account::Reserved);
        }
        spare
            .filter(|window| window.allows(ledger, id))
            .map(|_| Account::Spare)
    }

    /// The nearest request that may go. Where few streams may, on their reserved accounts and with
    /// no spare time, they are compared one by one; else the search goes outwards from the head.
    pub(super) fn nearest(
        &self,
        ledger: &Ledger,
        spare: Option<SpareWindow>,
    ) -> Option<(StreamId, Account)> {
        if self.is_fresh && spare.is_none() && self.scan.candidates <= FEW {
            let own = self.index.candidates_until(self.scan.short_at);
            let nearest = own.min_by_key(|entry| {
                let distance = self.distance(ledger, entry.stream);
                (distance, entry.deadline, entry.stream)
            });
            return nearest.map(|entry| (entry.stream, Account::Reserved));
        }
        let rank = |id| match self.account_for(ledger, id, spare)? {
            Account::Reserved => Some(ledger.stream(id).deadline()),
            Account::Spare => Some(Nanos::MAX),
        };
        let nearest = self.index.nearest(self.head_bytes, rank)?;
        Some((nearest, ledger.account(nearest)))
    }

    fn distance(&self, ledger: &Ledger, id: StreamId) -> u64 {
        let next = ledger.stream(ledger.next_of(id)).queue().peek();
        let offset = next.and_then(|queued| queued.offset_bytes());
        // A request without an offset needs no seek.
        offset.map_or(0, |offset| offset.abs_diff(self.head_bytes) + 1)
    }

    /// Without seeks: the stream most behind its fluid share on its reserved account, unless all
    /// are ahead of theirs and there is spare time; then the smallest tag.
    pub(super) fn pick_without_seeks(&mut self, ledger: &mut Ledger, now: Nanos) -> Pick {
        self.update_slack(ledger, now);
        if let Some(wait) = self.wait_for_laggard(ledger, now) {
            return wait;
        }
        if let Some(pick) = self.most_behind(ledger, now) {
            return pick;
        }
        if !self.is_fresh {
            // The streams that may go have changed since the scan: an effective deadline moved.
            self.scan_all(ledger, now);
            if let Some(pick) = self.most_behind(ledger, now) {
                return pick;
            }
        }
        while ledger.outstanding() == Nanos::ZERO && self.yield_blockers(ledger, now) {
            self.update_slack(ledger, now);
            if let Some(pick) = self.most_behind(ledger, now) {
                return pick;
            }
        }
        self.last_resort(ledger)
    }

    /// On a disk that does one request at a time, a client that asks for the next when it has the
    /// last would get every other turn at most. While it is behind, it is waited for.
    fn wait_for_laggard(&mut self, ledger: &mut Ledger, now: Nanos) -> Option<Pick> {
        let current = self.current?;
        let stream = ledger.stream(current);
        let behind = ledger.config().max_in_flight == 1
            && stream.is_active()
            && stream.is_reserved()
            && !stream.is_busy()
            && stream.budget() > stream.fluid_budget(now).max(0);
        if !behind {
            return None;
        }
        self.wait_for(ledger, now, current, Account::Reserved)
    }

    /// The stream most behind of those that may go on their reserved account.
    fn most_behind_reserved(&mut self, ledger: &mut Ledger, now: Nanos) -> Option<(i64, StreamId)> {
        if self.is_fresh {
            return self.scan.most_behind;
        }
        let (lag, first) = self.index.most_behind()?;
        if self.is_eligible(ledger, first) {
            return Some((lag, first));
        }
        self.scan_all(ledger, now);
        self.scan.most_behind
    }

    fn most_behind(&mut self, ledger: &mut Ledger, now: Nanos) -> Option<Pick> {
        let own = self.most_behind_reserved(ledger, now);
        let spare = if self.spare_slack >= 0 {
            self.index.least_spare()
        } else {
            None
        };
        if let Some((tag, _)) = spare {
            ledger.advance_spare_clock(tag);
        }
        let is_behind = |lag: i64| i128::from(lag) + i128::from(now.0) >= 0;
        match (own, spare) {
            (Some((lag, stream)), spare) if spare.is_none() || is_behind(lag) => {
                Some(Pick::Serve {
                    stream,
                    account: Account::Reserved,
                })
            }
            (_, Some((_, stream))) => Some(Pick::Serve {
                stream,
                account: Account::Spare,
            }),
            (_, None) => None,
        }
    }
}
