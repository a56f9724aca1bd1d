//! Which stream is next: on spare time by weight, between streams by the seek curve, and on a disk
//! without seeks by who is most behind.
//!
//! Spare time is shared by start-time tags that persist: a stream's tag moves on only when it is
//! served from spare time, so that running on its reservation does not cost it spare time. A stream
//! may be served from spare time while its tag is within a window of the smallest; the window buys
//! long visits (few seeks) for a bounded unfairness.

use super::{Fahrrad, can_use_own};
use crate::config::{StreamId, SwitchingAccount};
use crate::ledger::{Account, Ledger, spare_tag};
use crate::policy::Pick;
use crate::stream::{divide, scaled};
use disktime_units::Nanos;

/// Δ: how much disk time a stream may be ahead of the one most behind on spare time.
const SPARE_WINDOW: Nanos = Nanos::from_millis(100);

/// Whose spare turn it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct SpareWindow {
    smallest_tag: u128,
}

impl SpareWindow {
    fn allows(self, ledger: &Ledger, id: StreamId) -> bool {
        let stream = ledger.stream(id);
        let window = spare_tag(SPARE_WINDOW, stream.config.weight);
        stream.tag <= self.smallest_tag + window
    }
}

/// Whether spare time is what the stream would have to use.
fn lives_on_spare(ledger: &Ledger, id: StreamId) -> bool {
    let stream = ledger.stream(id);
    ledger.is_active(id) && (!stream.is_reserved() || stream.budget <= 0)
}

impl Fahrrad {
    /// The spare window, if there is spare time now and somebody to use it. While somebody can be
    /// served on its own account, spare time is begun only if there is slack for the way back.
    pub(super) fn spare_window(&self, ledger: &mut Ledger) -> Option<SpareWindow> {
        let own_waits = self
            .scan
            .eligible()
            .any(|entry| can_use_own(ledger, entry.stream));
        let pays_return = matches!(ledger.config.switching, SwitchingAccount::Reserved { .. });
        let needed = if own_waits && pays_return {
            scaled(ledger.config.worst_seek)
        } else {
            0
        };
        if self.scan.slack_min < needed {
            return None;
        }
        let candidates = ledger
            .active
            .iter()
            .filter(|id| lives_on_spare(ledger, **id) && ledger.stream(**id).has_queue());
        let smallest_tag = candidates.map(|id| ledger.stream(*id).tag).min()?;
        ledger.spare_clock = ledger.spare_clock.max(smallest_tag);
        Some(SpareWindow { smallest_tag })
    }

    /// On which account a stream could be served or waited for now, whether it has requests or not.
    pub(super) fn account_for(
        &self,
        ledger: &Ledger,
        id: StreamId,
        spare: Option<SpareWindow>,
    ) -> Option<Account> {
        let stream = ledger.stream(id);
        if !ledger.is_active(id) {
            return None;
        }
        if stream.is_reserved() && stream.budget > 0 {
            return self.scan.eligible_entry(id).map(|_| Account::Own);
        }
        spare
            .filter(|window| window.allows(ledger, id))
            .map(|_| Account::Spare)
    }

    /// The nearest request that may go.
    pub(super) fn nearest(
        &self,
        ledger: &Ledger,
        spare: Option<SpareWindow>,
    ) -> Option<(StreamId, Account)> {
        let own = self
            .scan
            .eligible()
            .filter(|entry| can_use_own(ledger, entry.stream))
            .map(|entry| (entry.deadline, entry.stream, Account::Own));
        let on_spare = spare.into_iter().flat_map(|window| {
            ledger
                .active
                .iter()
                .filter(move |id| {
                    lives_on_spare(ledger, **id)
                        && ledger.stream(**id).has_queue()
                        && window.allows(ledger, **id)
                })
                .map(|id| (Nanos::MAX, *id, Account::Spare))
        });
        own.chain(on_spare)
            .min_by_key(|(deadline, id, _)| (self.seek_to(ledger, *id), *deadline, *id))
            .map(|(_, id, account)| (id, account))
    }

    fn seek_to(&self, ledger: &Ledger, id: StreamId) -> Nanos {
        let next = ledger
            .stream(id)
            .queue
            .peek()
            .and_then(|queued| queued.offset_bytes);
        next.map_or(Nanos::ZERO, |offset| {
            ledger
                .config
                .seek_curve
                .seek(offset.abs_diff(self.head_bytes))
        })
    }

    /// Without seeks: the one most behind its fluid share on its own account, unless all are ahead
    /// of theirs and there is spare time; then the smallest tag.
    pub(super) fn pick_without_seeks(&mut self, ledger: &mut Ledger, now: Nanos) -> Pick {
        self.scan.run(ledger, now);
        if let Some(wait) = self.wait_for_laggard(ledger, now) {
            return wait;
        }
        if let Some(pick) = self.most_behind(ledger, now) {
            return pick;
        }
        while ledger.outstanding == Nanos::ZERO && self.yield_blockers(ledger, now) {
            self.scan.run(ledger, now);
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
        let behind = ledger.config.max_in_flight == 1
            && ledger.is_active(current)
            && stream.is_reserved()
            && !stream.is_busy()
            && stream.budget > stream.fluid_budget(now).max(0);
        if !behind {
            return None;
        }
        self.wait_for(ledger, now, current, Account::Own)
    }

    fn most_behind(&self, ledger: &mut Ledger, now: Nanos) -> Option<Pick> {
        let own = self
            .scan
            .eligible()
            .filter(|entry| can_use_own(ledger, entry.stream))
            .map(|entry| (lag(ledger, entry.stream, now), entry.stream))
            .max_by_key(|(lag, id)| (*lag, std::cmp::Reverse(*id)));
        let spare = if self.scan.slack_min >= 0 {
            let users = ledger
                .active
                .iter()
                .filter(|id| lives_on_spare(ledger, **id) && ledger.stream(**id).has_queue());
            users.map(|id| (ledger.stream(*id).tag, *id)).min()
        } else {
            None
        };
        if let Some((tag, _)) = spare {
            ledger.spare_clock = ledger.spare_clock.max(tag);
        }
        match (own, spare) {
            (Some((lag, stream)), spare) if lag >= 0 || spare.is_none() => Some(Pick::Serve {
                stream,
                account: Account::Own,
            }),
            (_, Some((_, stream))) => Some(Pick::Serve {
                stream,
                account: Account::Spare,
            }),
            (_, None) => None,
        }
    }
}

/// How far a stream is behind the line of its share, in time of its own: (b − u·(d − now)) / u.
fn lag(ledger: &Ledger, id: StreamId, now: Nanos) -> i128 {
    let stream = ledger.stream(id);
    let behind = stream.budget - stream.fluid_budget(now);
    divide(behind, i128::from(stream.share_ppm().max(1)))
}
