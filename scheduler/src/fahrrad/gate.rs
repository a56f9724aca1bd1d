//! When a request without data may go: the rules of the gate (`ledger/dataless.rs`).
//!
//! 1. *One at a time* while another stream with a reservation is active. The exceptions are paid
//!    from a reservation: a flush, since a stream has one at most and flushes do not add up, and
//!    what takes W at most, since H bounds it as it bounds reads. Without that a reservation of
//!    discards got an eighth of its share: while they wait here, others are served.
//!    Else as many as fit into the hundredth of what is not reserved that `idle_fill` allows, once
//!    it was measured what they take.
//! 2. *W.* A request of T > W that starts with slack(D) ≥ T − W leaves slack(D) ≥ −W, as any other
//!    does that starts with slack(D) ≥ 0. Where it is paid from a budget only the D before that
//!    stream's deadline count, else all.
//! 3. *Patience.* One that has waited longer than its patience goes all the same: a flush at once,
//!    a discard or zeroing as soon as no other is in the disk. So what a request waits here does
//!    not depend on what other streams send, nor on one that took long.
//!
//! A stream that is idle counts as a slower disk: one that wakes while such a request is in the
//! disk waits for it.

use super::slack_index::SlackTerms;
use super::stream_index::StreamIndex;
use crate::config::RequestKind;
use crate::ledger::{AtGate, Ledger};
use crate::ppm_time::scaled;
use crate::stream_id::StreamId;
use disktime_units::Nanos;

/// Sets all gates. `slack` is the least slack, or negative where there is a shortage. Whether any
/// changed.
pub(super) fn set_gates(
    index: &mut StreamIndex,
    ledger: &mut Ledger,
    terms: SlackTerms,
    slack: i128,
) -> bool {
    let mut any = false;
    ledger.gate_setting_begins();
    for at in 0..ledger.gate_count() {
        let id = ledger.at_gate(at);
        let Some(next) = ledger.next_at_gate(id) else {
            continue;
        };
        let is_overdue = ledger.is_overdue(terms.now, at, next);
        let has_turn = has_turn(index, ledger, terms.now, (id, is_overdue), next);
        let is_open =
            has_turn && (is_overdue || fits(index, ledger, terms, (id, next.takes), slack));
        any |= ledger.set_gate(id, is_open);
        if !is_open {
            ledger.note_closed(terms.now, at, next, has_turn);
        }
    }
    any
}

fn has_turn(
    index: &StreamIndex,
    ledger: &mut Ledger,
    now: Nanos,
    (id, is_overdue): (StreamId, bool),
    next: AtGate,
) -> bool {
    let Some(busy) = ledger.gate_busy(now) else {
        return true;
    };
    let is_flush = next.kind == RequestKind::Flush;
    if is_overdue && (is_flush || !ledger.has_discards_in_flight()) {
        return true;
    }
    let payer = ledger.payer(id);
    let stream = ledger.stream(payer);
    let is_short = next.is_measured && scaled(next.takes) <= ledger.worst_case();
    if stream.is_reserved() && stream.has_budget() && (is_flush || is_short) {
        return true;
    }
    if index.other_active_reserved(payer) > 0 {
        return false;
    }
    let fits = busy.saturating_add(next.takes) <= ledger.idle_fill();
    !ledger.has_reserved() || (next.is_measured && fits)
}

fn fits(
    index: &mut StreamIndex,
    ledger: &mut Ledger,
    terms: SlackTerms,
    (id, takes): (StreamId, Nanos),
    slack: i128,
) -> bool {
    let excess = scaled(takes) - ledger.worst_case();
    if excess <= 0 || slack >= excess {
        return true;
    }
    let stream = ledger.stream(ledger.payer(id));
    let is_paid = stream.is_active()
        && stream.is_reserved()
        && stream.has_budget()
        && stream.budget() >= stream.fluid_budget(terms.now);
    if is_paid {
        let deadline = stream.current_demand(ledger.worst_case()).deadline;
        if index.slack_before(terms, deadline) >= excess {
            return true;
        }
    }
    false
}
