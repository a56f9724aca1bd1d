//! Whether to wait for the next request of a stream whose queue just ran empty.
//!
//! A client that reads the next block when it has the last would lose the disk after every request:
//! one request per visit, a seek each time. Keeping the disk idle for it, about eight times its
//! mean think time, costs less than the switch. Half a wait is worse than none, so there is no
//! wait at all where the allowance is too short. Think times have a long tail (a client that was not
//! scheduled for some milliseconds), and leaving costs the way there and back and a whole visit of
//! somebody else; so a stream that has come back so far is waited for at least as long as the round
//! trip takes, whatever its mean, and on spare time as long as one way. The waiting is charged to the stream waited for:
//! its own budget pays, and its solo run has the same think time in it.
//!
//! A client that goes by the clock (a media player) is not waited for: its requests come whether or not it
//! is answered, gather while others are served, and are done in one go when its turn is.
//!
//! What is not known: think times that depend on what was read.

use crate::ledger::{Account, GRACE_MAX};
use crate::stream::{Habits, Stream};
use disktime_units::Nanos;

/// A wait lasts this many mean think times.
const THINK_FACTOR: u64 = 8;
/// And at least so long: a client may answer at the very instant, and still come after a decision.
const WAIT_MIN: Nanos = Nanos::from_micros(200);
/// On spare time, waiting pays only for think times this many times shorter than a switch.
const SPARE_FACTOR: u64 = 4;
/// A new observation counts for one part in this many of the moving averages.
const MEMORY: u64 = 8;
/// Below this hit rate a stream is not waited for,
const HIT_RATE_MIN_PPM: u32 = 300_000;
/// but for one opportunity in this many.
const RETRY_EVERY: u32 = 50;
/// Think times beyond this are pauses, not thinking.
const PAUSE: Nanos = Nanos::from_secs(1);

/// Of late, this often in a row, requests came while none was answered: by the clock.
const UNPROMPTED: u8 = 2;
/// The count goes no higher, so that it can fall again.
const UNPROMPTED_MAX: u8 = 4;
/// So many at least have to wait to tell.
const QUEUE_MIN: usize = 2;

/// Until when to wait for `stream` on that account, as far as its habits go; `None`: not at all.
/// `has_budget` and slack are the caller's to see to.
pub(crate) fn wait_until(
    stream: &mut Stream,
    account: Account,
    now: Nanos,
    switch_cost: Nanos,
) -> Option<Nanos> {
    let habits = &mut stream.habits;
    if habits.gave_up || habits.unprompted >= UNPROMPTED {
        return None;
    }
    let longest = match account {
        Account::Own => {
            let round_trip = Nanos(switch_cost.0 * 2);
            let wanted = Nanos(habits.think.0.saturating_mul(THINK_FACTOR));
            wanted.max(round_trip).clamp(WAIT_MIN, GRACE_MAX)
        }
        Account::Spare if habits.think.0 * SPARE_FACTOR <= switch_cost.0 => switch_cost,
        Account::Spare => return None,
    };
    let until = stream.last_completion + longest;
    if now >= until {
        missed(habits);
        return None;
    }
    if habits.hit_rate_ppm < HIT_RATE_MIN_PPM {
        habits.waits_skipped += 1;
        if habits.waits_skipped < RETRY_EVERY {
            habits.gave_up = true;
            return None;
        }
        habits.waits_skipped = 0;
        habits.hit_rate_ppm = HIT_RATE_MIN_PPM;
    }
    Some(until)
}

/// The disk comes back to a stream: did requests go on coming while it was away? A client that sends the next
/// when it has an answer sends nothing after the first moments; one that goes by the clock did
/// until now, and loses nothing by not being waited for.
pub(crate) fn returned_to(stream: &mut Stream, now: Nanos) {
    let away = now.saturating_sub(stream.last_completion);
    let quiet = now.saturating_sub(stream.last_arrival);
    let is_quiet = quiet.0.saturating_mul(4) >= away.0;
    let unprompted = &mut stream.habits.unprompted;
    if is_quiet {
        *unprompted = unprompted.saturating_sub(1);
    } else if stream.queue.len() >= QUEUE_MIN {
        *unprompted = (*unprompted + 1).min(UNPROMPTED_MAX);
    }
}

fn missed(habits: &mut Habits) {
    habits.gave_up = true;
    habits.hit_rate_ppm -= habits.hit_rate_ppm / MEMORY as u32;
}

/// A request came for a stream that had none: learns its think time, and whether waiting paid.
pub(crate) fn arrived(stream: &mut Stream, now: Nanos, was_waited_for: bool) {
    if stream.counters.dispatches == 0 {
        return;
    }
    let think = now.saturating_sub(stream.last_completion);
    let habits = &mut stream.habits;
    if think <= PAUSE {
        habits.think = Nanos((habits.think.0 * (MEMORY - 1) + think.0) / MEMORY);
    }
    if was_waited_for {
        habits.hit_rate_ppm += (1_000_000 - habits.hit_rate_ppm) / MEMORY as u32;
    }
}
