//! Whether to wait for the next request of a stream whose queue just ran empty.
//!
//! A client that reads the next block when it has the last would lose the disk after every request:
//! one request per visit, a seek each time. Keeping the disk idle for it, for about eight times its
//! mean think time, costs less than the switch. Half a wait is worse than none, so there is no wait
//! at all where the allowance is too short. Think times have a long tail (a client that was not
//! scheduled for some milliseconds), and leaving costs the way there and back and a whole visit to
//! another stream. So a stream that has come back so far is waited for at least as long as the
//! round trip takes, whatever its mean, and on spare time as long as one way. The wait is charged
//! to the stream waited for: its own budget pays, and its solo run has the same think time in it.
//!
//! A client that goes by a clock (a media player) is not waited for: its requests come whether or
//! not it is answered, gather while others are served, and are done in one go when its turn is.
//!
//! What is not known: think times that depend on what was read. What is learnt of a client is in
//! `client_estimates.rs`.

use super::Fahrrad;
use crate::ledger::{Account, GRACE_MAX, Ledger};
use crate::policy::Pick;
use crate::ppm_time::length;
use crate::stream_id::StreamId;
use disktime_units::Nanos;

/// A wait lasts this many mean think times.
const THINK_FACTOR: u64 = 8;
/// And at least so long: a client may answer at the very instant, and still come after a decision.
const WAIT_MIN: Nanos = Nanos::from_micros(200);
/// On spare time, waiting pays only for think times this many times shorter than a switch.
const SPARE_FACTOR: u64 = 4;

impl Fahrrad {
    /// A wait for the next request of a stream, or of a member of a group, if it can pay, slack
    /// allows it, and it is likely to come.
    pub(super) fn wait_for(
        &mut self,
        ledger: &mut Ledger,
        now: Nanos,
        stream: StreamId,
        account: Account,
    ) -> Option<Pick> {
        // While something is in flight the disk is not idle; with no other stream's request to hold
        // back, its idleness costs no stream anything.
        if ledger.outstanding() > Nanos::ZERO || !self.index.has_candidates() {
            return None;
        }
        let bound = match account {
            Account::Reserved => {
                if !self.is_fresh && !self.is_eligible(ledger, stream) {
                    self.scan_all(ledger, now);
                }
                if !self.is_eligible(ledger, stream) {
                    return None;
                }
                let demand = ledger.stream(stream).current_demand(ledger.worst_case());
                let slack = self.slack_before(ledger, now, demand.deadline);
                ledger.stream(stream).budget().min(slack)
            }
            Account::Spare => self.spare_slack,
        };
        let bound = length(bound.min(ledger.limit_left(stream, now)));
        let bound = now.saturating_add(bound);
        let client = ledger.may_come_back(stream)?;
        let until = wait_until(ledger, client, account, now)?;
        let until = until.min(bound);
        if until <= now {
            return None;
        }
        self.waiting_for = Some(client);
        Some(Pick::Wait {
            stream: client,
            account,
            until,
        })
    }
}

/// Until when to wait for a stream on that account, by what is known of its client; `None`: not at
/// all. Budget and slack are the caller's to check.
fn wait_until(ledger: &mut Ledger, id: StreamId, account: Account, now: Nanos) -> Option<Nanos> {
    let switch_cost = ledger.config().switch_cost;
    let last_completion = ledger.stream(id).last_completion();
    let estimates = ledger.estimates_mut(id);
    if estimates.rules_waiting_out() {
        return None;
    }
    let think = estimates.think();
    let longest = match account {
        Account::Reserved => {
            let round_trip = Nanos(switch_cost.0 * 2);
            let wanted = Nanos(think.0.saturating_mul(THINK_FACTOR));
            wanted.max(round_trip).clamp(WAIT_MIN, GRACE_MAX)
        }
        Account::Spare if think.0 * SPARE_FACTOR <= switch_cost.0 => switch_cost,
        Account::Spare => return None,
    };
    let until = last_completion + longest;
    if now >= until {
        estimates.wait_was_in_vain();
        return None;
    }
    estimates.try_waiting().then_some(until)
}

/// The disk comes back to a stream: learns whether its client goes by a clock.
pub(super) fn returned_to(ledger: &mut Ledger, id: StreamId, now: Nanos) {
    let stream = ledger.stream(id);
    let away = now.saturating_sub(stream.last_completion());
    let quiet = now.saturating_sub(stream.last_arrival());
    let queued = stream.queue().len();
    ledger.estimates_mut(id).disk_came_back(away, quiet, queued);
}

/// A request came for a stream that had none: learns its client's think time, and whether waiting
/// paid.
pub(super) fn arrived(ledger: &mut Ledger, id: StreamId, now: Nanos, was_waited_for: bool) {
    let stream = ledger.stream(id);
    if stream.counters().dispatches == 0 {
        return;
    }
    let think = now.saturating_sub(stream.last_completion());
    ledger.estimates_mut(id).request_came(think, was_waited_for);
}
