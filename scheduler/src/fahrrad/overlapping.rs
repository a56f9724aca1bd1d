//! `fahrrad` on disks that overlap requests: fill the disk far enough, and run it empty in time.
//!
//! # Why
//!
//! A disk that works on many requests at once is only efficient while it has many. A client that
//! keeps one outstanding then waits behind those of the others for most of the time, and gets a
//! small part of what it would have alone. Waiting for it always would waste most of the disk.
//!
//! # Rules (docs/design/overlapping-devices.md)
//!
//! Streams pay in *solo time*, what they would have needed for the same requests alone. The slack
//! test is the one of `slack_index.rs`, with *drain*, how long the disk takes to run empty, in
//! place of what is in flight.
//!
//! 1. *Slack everywhere.* All requests overlap. The stream that is most behind its fluid share
//!    goes first and pays from its budget; streams that are not behind use spare time by weight. No
//!    request is sent while the disk is full to H: more would lengthen the drain and hardly the
//!    throughput.
//! 2. *Shortage*: slack(D) < 0 for some D. The disk goes to one stream alone, the *focus*: the
//!    first by effective deadline of those that are due by the first such D. While it is alone it
//!    is charged the time that passes, so that a second makes good a second of what is owed,
//!    whatever the prices say. Its client is waited for while it thinks.
//! 3. *No stream to focus on*: those that are owed time have no requests and were waited for. One
//!    request at a time goes from the others, on spare time, and a stream that returns then loses
//!    what that request still takes.
//!
//! With slack everywhere the disk is now and then kept for one stream for some requests, to see
//! what they take (`price_probes.rs`).
//!
//! Time uses slack up without any event, so a disk that is held back names the time of the next
//! decision: when slack ends, when a held write leaves, when an account changes by itself.
//!
//! # Numbers
//!
//! H is twice the lone latency of a small random read, or a little more than that of the longest
//! request. The focus may fill the disk to 2 H, for a deep client alone would fill it further than
//! H as well. For a stream beside which no other with a reservation is active, H is larger by a
//! factor where that gains anything, bounded so that the drain fits into the slack that is not
//! reserved; and for all while slack is many times that and no stream was behind lately.

use super::gate::set_gates;
use super::price_probes::PriceProbes;
use super::slack_index::{SlackScan, SlackTerms};
use super::stream_index::StreamIndex;
use crate::ledger::{Account, Ledger, Stream};
use crate::policy::{Pick, Policy};
use crate::ppm_time::{length, proportion, scaled};
use crate::stream_id::StreamId;
use disktime_units::Nanos;

/// A stream with nothing in flight may exceed the bound by this many per cent, so that a large
/// request of a stream that keeps one outstanding is not kept out for ever.
const FIRST_PERCENT: u64 = 125;

/// For so long after a stream was behind, the disk is filled to H and not further.
const CALM_AFTER: Nanos = Nanos::from_millis(20);

/// The policy.
#[derive(Debug)]
pub(crate) struct Overlapping {
    index: StreamIndex,
    scan: SlackScan,
    /// The scan's drain, and what had been refunded then.
    scan_drain: i128,
    scan_refunded: i128,
    /// Since the scan nothing happened but time, requests, and what the terms above account for.
    scan_holds: bool,
    /// When a stream was behind last, or slack was short.
    behind_at: Nanos,
    /// Streams that are behind and are not waited for any more, found in the last search.
    absent: Vec<StreamId>,
    probes: PriceProbes,
}

/// Where slack stands.
#[derive(Debug, Clone, Copy)]
enum Slack {
    /// At least this much everywhere, in ppm-nanoseconds.
    Left(i128),
    /// Negative at this time first.
    ShortAt(Nanos),
}

impl Overlapping {
    pub(crate) fn new() -> Overlapping {
        Overlapping {
            index: StreamIndex::for_overlap(),
            scan: SlackScan::NOTHING,
            scan_drain: 0,
            scan_refunded: 0,
            scan_holds: false,
            behind_at: Nanos::ZERO,
            absent: Vec::new(),
            probes: PriceProbes::default(),
        }
    }

    /// Makes what is known of slack true as of now, with a scan of all demands if need be.
    fn slack(&mut self, ledger: &mut Ledger, now: Nanos) -> Slack {
        self.index.refresh(ledger);
        if self.absent.capacity() < ledger.slots() {
            self.absent.reserve(ledger.slots());
        }
        if self.scan_holds && ledger.woken_since_scan() >= self.scan.first {
            let left = self.left(ledger, now);
            if left >= 0 {
                return Slack::Left(left);
            }
        }
        self.scan_all(ledger, now);
        if self.scan.spare() < 0 {
            // Both, whatever the first finds.
            if ledger.charge_gaps(now) | ledger.refine_held(now) {
                self.scan_all(ledger, now);
            }
        }
        if ledger.has_pending() && self.scan.spare() >= 0 {
            ledger.apply_pending(now);
            self.scan_all(ledger, now);
        }
        if self.scan.short_at == Nanos::MAX {
            Slack::Left(self.scan.slack)
        } else {
            Slack::ShortAt(self.scan.short_at)
        }
    }

    /// At least the least slack now: it falls no faster than time passes, except by what was sent
    /// to the disk since the scan and what budgets got back.
    fn left(&self, ledger: &Ledger, now: Nanos) -> i128 {
        if self.scan.short_at < Nanos::MAX {
            return -1;
        }
        let sent = (scaled(ledger.drain(now)) - self.scan_drain).max(0);
        let refunded = ledger.refunded() - self.scan_refunded;
        self.scan.slack - scaled(now - self.scan.at) - sent - refunded
    }

    fn scan_all(&mut self, ledger: &mut Ledger, now: Nanos) {
        ledger.scan_begins();
        let terms = terms(ledger, now);
        self.scan = self.index.scan(ledger, terms);
        (self.scan_drain, self.scan_refunded) = (terms.outstanding, ledger.refunded());
        self.scan_holds = true;
    }

    /// Lets requests without data go, or not. Slack as it is known then.
    fn open_gates(&mut self, ledger: &mut Ledger, now: Nanos, slack: Slack) -> Slack {
        if !ledger.gates_are_due(now) {
            return slack;
        }
        let mut slack = slack;
        if ledger.slack_is_wanted(now) {
            self.scan_holds = false;
            slack = self.slack(ledger, now);
        }
        let least = match slack {
            Slack::Left(least) => least,
            Slack::ShortAt(_) => -1,
        };
        let terms = terms(ledger, now);
        if set_gates(&mut self.index, ledger, terms, least) {
            self.scan_holds = false;
            slack = self.slack(ledger, now);
        }
        slack
    }

    /// The stream that has the disk alone in a shortage: the first by effective deadline up to
    /// `short_at` that has requests or is waited for.
    fn focus(&mut self, ledger: &Ledger, now: Nanos, short_at: Nanos) -> Option<StreamId> {
        self.absent.clear();
        for demand in self.index.demands_until(short_at) {
            let stream = ledger.stream(demand.stream);
            if !stream.is_active() || !stream.has_budget() {
                continue;
            }
            let is_held = stream.has_queue() && !stream.has_ready() && stream.in_flight() == 0;
            if !is_held && (stream.is_busy() || now < stream.solo().wait_until()) {
                return Some(demand.stream);
            }
            // One that waits at its gate is there.
            if !is_held && stream.budget() > stream.fluid_budget(now) {
                self.absent.push(demand.stream);
            }
        }
        None
    }

    /// Serves the focus, or waits for it.
    fn serve_focus(&mut self, ledger: &mut Ledger, now: Nanos, focus: StreamId) -> Pick {
        let stream = ledger.stream(focus);
        let account = Account::Reserved;
        if stream.has_ready() {
            let bound = Nanos(bound(ledger).0.saturating_mul(2));
            if may_enter(ledger, stream, bound) {
                return Pick::Serve {
                    stream: focus,
                    account,
                };
            }
            return self.sleep(ledger, None);
        }
        let wait_until = stream.solo().wait_until();
        if ledger.in_flight() > 0 {
            let until = (!stream.is_busy()).then_some(wait_until);
            return self.sleep(ledger, until);
        }
        // The wait lowers its budget. When that falls below W its effective deadline moves, and
        // another stream can be first.
        let (budget, worst_case) = (stream.budget(), ledger.worst_case());
        let moves_after = if budget > worst_case {
            budget - worst_case
        } else {
            budget
        };
        let moves_at = now.saturating_add(length(moves_after).max(Nanos(1)));
        let timer = ledger.next_timer().unwrap_or(Nanos::MAX);
        Pick::Wait {
            stream: ledger.may_come_back(focus).unwrap_or(focus),
            account,
            until: wait_until.min(moves_at).min(timer),
        }
    }

    /// No stream that is owed time has requests: one request of the others goes to the empty disk.
    fn serve_in_place(&mut self, ledger: &mut Ledger, now: Nanos) -> Pick {
        while let Some(absent) = self.absent.pop() {
            ledger.let_go(now, absent);
        }
        // An answered write is not gone: without this, those in place would be as many as the
        // disk's buffer takes.
        if ledger.in_flight() > 0 || filled(ledger) > Nanos::ZERO {
            return self.sleep(ledger, None);
        }
        let reserved = self.index.first_candidate();
        let stream = reserved.or_else(|| self.index.least_spare().map(|(_, stream)| stream));
        match stream {
            Some(stream) => Pick::Serve {
                stream,
                account: Account::Spare,
            },
            None => self.sleep(ledger, None),
        }
    }

    /// With slack everywhere: the stream most behind, else spare time by weight.
    fn share(&mut self, ledger: &mut Ledger, now: Nanos, slack: i128) -> Pick {
        if let Some(probe) = self.probes.current(ledger, now) {
            return self.serve_probe(ledger, now, slack, probe);
        }
        let behind = self.index.most_behind();
        let behind = behind.filter(|(lag, _)| i128::from(*lag) + i128::from(now.0) >= 0);
        let spare = || self.index.least_spare().map(|(_, stream)| stream);
        let next = behind.map(|(_, stream)| stream).or_else(spare);
        if let Some(next) = next
            && let Some(probe) = self.probes.begin(ledger, now, slack, next)
        {
            return self.serve_probe(ledger, now, slack, probe);
        }
        if let Some((lag, stream)) = behind {
            if scaled(Nanos((lag + now.0 as i64) as u64)) > longest_drain(deep_bound(ledger)) {
                self.behind_at = now;
            }
            let bound = match self.index.other_active_reserved(stream) {
                0 => wide_bound(ledger),
                _ => bound(ledger),
            };
            if may_enter(ledger, ledger.stream(stream), bound) {
                return Pick::Serve {
                    stream,
                    account: Account::Reserved,
                };
            }
        } else if let Some((tag, stream)) = self.index.least_spare()
            && filled(ledger) < self.spare_bound(ledger, now, slack, stream)
        {
            ledger.advance_spare_clock(tag);
            return Pick::Serve {
                stream,
                account: Account::Spare,
            };
        }
        self.sleep(ledger, Some(slack_ends(now, slack)))
    }

    /// Serves the stream whose prices are probed, as in focus, or waits for it.
    fn serve_probe(
        &self,
        ledger: &Ledger,
        now: Nanos,
        slack: i128,
        (id, until): (StreamId, Nanos),
    ) -> Pick {
        let stream = ledger.stream(id);
        let bound = Nanos(bound(ledger).0.saturating_mul(2));
        let is_behind = stream.has_budget() && stream.budget() >= stream.fluid_budget(now);
        let account = if is_behind {
            Account::Reserved
        } else {
            Account::Spare
        };
        if stream.has_ready() && may_enter(ledger, stream, bound) {
            return Pick::Serve {
                stream: id,
                account,
            };
        }
        let mut until = until.min(slack_ends(now, slack));
        if !stream.is_busy() {
            until = until.min(stream.solo().wait_until());
        }
        // While writes of others that were answered run off, the disk is not idle.
        if ledger.in_flight() > 0 || stream.has_ready() {
            return self.sleep(ledger, Some(until));
        }
        // The disk stands idle for it, and it pays for that.
        Pick::Wait {
            stream: ledger.may_come_back(id).unwrap_or(id),
            account,
            until: until.min(ledger.next_timer().unwrap_or(Nanos::MAX)),
        }
    }

    /// H for a stream that uses spare time. Beside others with reservations the disk is filled
    /// further only while none is behind, and slack has space for the longest drain of that.
    fn spare_bound(&self, ledger: &mut Ledger, now: Nanos, slack: i128, id: StreamId) -> Nanos {
        if self.index.other_active_reserved(id) == 0 {
            return wide_bound(ledger);
        }
        let plain = bound(ledger);
        if now < self.behind_at.saturating_add(CALM_AFTER) {
            return plain;
        }
        let deep = deep_bound(ledger);
        if slack < longest_drain(deep) {
            plain
        } else {
            deep
        }
    }

    fn sleep(&self, ledger: &Ledger, until: Option<Nanos>) -> Pick {
        let release = ledger.occupancy().and_then(|device| device.next_release());
        let until = earliest(until, release);
        let until = earliest(until, ledger.next_gate_check());
        Pick::Sleep {
            until: earliest(until, ledger.next_timer()),
        }
    }
}

impl Policy for Overlapping {
    fn pick(&mut self, ledger: &mut Ledger, now: Nanos) -> Pick {
        if let Some(device) = ledger.occupancy_mut() {
            device.release(now);
        }
        let slack = self.slack(ledger, now);
        match self.open_gates(ledger, now, slack) {
            Slack::Left(slack) => {
                if let Some(device) = ledger.occupancy_mut() {
                    device.set_focus(now, None, self.index.active_reserved());
                }
                self.share(ledger, now, slack)
            }
            Slack::ShortAt(short_at) => {
                self.behind_at = now;
                self.probes.end(now);
                let focus = self.focus(ledger, now, short_at);
                if let Some(device) = ledger.occupancy_mut() {
                    device.set_focus(now, focus, self.index.active_reserved());
                }
                match focus {
                    Some(focus) => self.serve_focus(ledger, now, focus),
                    None => self.serve_in_place(ledger, now),
                }
            }
        }
    }

    fn dispatched(
        &mut self,
        _ledger: &mut Ledger,
        _stream: StreamId,
        _account: Account,
        _end_bytes: Option<u64>,
    ) {
    }

    fn removed(&mut self, stream: StreamId) {
        self.index.forget(stream);
        self.probes.forget(stream);
        self.absent.retain(|other| *other != stream);
        self.scan_holds = false;
    }
}

/// What slack depends on besides the demands.
fn terms(ledger: &mut Ledger, now: Nanos) -> SlackTerms {
    SlackTerms {
        now,
        rate_ppm: ledger.rate_left_ppm() - ledger.settle_rate_ppm(now) - ledger.change_rate_ppm(),
        outstanding: scaled(ledger.drain(now)),
    }
}

/// H, without regard to who is active.
fn bound(ledger: &Ledger) -> Nanos {
    ledger
        .occupancy()
        .map_or(Nanos::MAX, |device| device.bound())
}

/// H where all that is queued gains by more in flight: k times as much.
fn deep_bound(ledger: &mut Ledger) -> Nanos {
    let plain = bound(ledger);
    let factor = ledger.idle_factor();
    if factor <= 1 || ledger.queues_shallow() {
        return plain;
    }
    Nanos(plain.0.saturating_mul(u64::from(factor)))
}

/// How long a disk that is filled so far takes to run empty at most, in ppm-nanoseconds: random
/// reads can meet at one place.
fn longest_drain(filled: Nanos) -> i128 {
    scaled(filled) * 5 / 2
}

/// H while no stream with a reservation is active, or none but the one that is served.
fn wide_bound(ledger: &mut Ledger) -> Nanos {
    if !ledger.has_reserved() {
        return Nanos::MAX;
    }
    deep_bound(ledger).max(ledger.idle_fill())
}

/// X.
fn filled(ledger: &Ledger) -> Nanos {
    ledger
        .occupancy()
        .map_or(Nanos::ZERO, |device| device.filled())
}

/// Whether a request of a stream may go to the disk that may be filled so far. The last one may
/// stick out.
fn may_enter(ledger: &Ledger, stream: &Stream, bound: Nanos) -> bool {
    let filled = filled(ledger);
    let first_bound = || Nanos(proportion(bound.0, FIRST_PERCENT, 100));
    filled < bound || (stream.in_flight() == 0 && filled < first_bound())
}

/// When slack that is left now has passed.
fn slack_ends(now: Nanos, slack: i128) -> Nanos {
    now.saturating_add(length(slack)).saturating_add(Nanos(1))
}

fn earliest(one: Option<Nanos>, other: Option<Nanos>) -> Option<Nanos> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
