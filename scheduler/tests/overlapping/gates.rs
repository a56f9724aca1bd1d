//! How long discards and flushes wait at their gates, with a disk that the test plays by hand.

use super::rules::{ByHand, Request};
use super::{ms, us};
use disktime_scheduler::{FlightId, RequestKind, StreamId};
use disktime_units::Nanos;

fn dataless(kind: RequestKind) -> Request {
    Request {
        kind,
        occupancy: us(10),
        lone: us(10),
    }
}

/// A stream with 80 % per 20 ms that is always active, so that there is never slack for a request
/// of 4 ms more than W.
fn keep_busy(disk: &mut ByHand, now: Nanos, reserved: StreamId) {
    disk.ask(now, reserved, Request::read(us(100), us(100)));
}

/// Plays a disk that takes 100 µs for each read, from `now` on until `until` or until a request of
/// `stream` goes. When that was.
fn play(
    disk: &mut ByHand,
    now: &mut Nanos,
    until: Nanos,
    (busy, stream): (StreamId, StreamId),
) -> Option<(Nanos, FlightId)> {
    keep_busy(disk, *now, busy);
    let mut reads: Vec<FlightId> = Vec::new();
    while *now < until {
        let (sent, _) = disk.dispatch(*now);
        if let Some((_, flight)) = sent.iter().find(|(id, _)| *id == stream) {
            return Some((*now, *flight));
        }
        reads.extend(sent.into_iter().map(|(_, flight)| flight));
        *now += us(100);
        for flight in reads.drain(..) {
            disk.scheduler.complete(*now, flight);
            keep_busy(disk, *now, busy);
        }
    }
    None
}

/// A flush that took 10 s, once, does not make the next wait for minutes: it goes after a second,
/// and one that waits with it does not wait for another second.
#[test]
fn a_flush_waits_a_second_after_one_that_was_slow() {
    let mut disk = ByHand::new();
    let (reserved, other) = (disk.reserve(80, ms(20)), disk.best_effort());
    disk.ask(Nanos::ZERO, other, dataless(RequestKind::Flush));
    let (sent, _) = disk.dispatch(Nanos::ZERO);
    disk.scheduler.complete(ms(10_000), sent[0].1);
    let mut now = ms(10_000);
    disk.ask(now, other, dataless(RequestKind::Flush));
    disk.ask(now, other, dataless(RequestKind::Flush));
    let first = play(&mut disk, &mut now, ms(13_000), (reserved, other));
    let (at, flight) = first.expect("it goes");
    assert!(at <= ms(11_100), "the first goes at {at}");
    now += ms(20);
    disk.scheduler.complete(now, flight);
    let second = play(&mut disk, &mut now, ms(13_000), (reserved, other));
    let (at, _) = second.expect("it goes");
    assert!(at <= ms(11_200), "the second goes at {at}");
}

/// Flushes of streams with reservations, of which one is always in the disk, hold a flush of best
/// effort up for a second and a discard for not much longer.
#[test]
fn flushes_of_others_do_not_hold_best_effort_up_for_ever() {
    for kind in [RequestKind::Flush, RequestKind::Discard] {
        let mut disk = ByHand::new();
        let flushers = [disk.reserve(20, ms(20)), disk.reserve(20, ms(20))];
        let other = disk.best_effort();
        let mut flights: Vec<(Nanos, FlightId, StreamId)> = Vec::new();
        let mut went = None;
        for flusher in flushers {
            disk.ask(Nanos::ZERO, flusher, dataless(RequestKind::Flush));
        }
        for step in 0..30_000 {
            let now = us(100 * step);
            if step == 10 {
                disk.ask(now, other, dataless(kind));
            }
            let (sent, _) = disk.dispatch(now);
            for (stream, flight) in sent {
                if stream == other {
                    went = went.or(Some(now));
                    disk.scheduler.complete(now, flight);
                } else {
                    // Of different length, so that one always goes on.
                    let takes = if stream == flushers[0] {
                        us(700)
                    } else {
                        us(900)
                    };
                    flights.push((now + takes, flight, stream));
                }
            }
            let done: Vec<_> = flights.extract_if(.., |flight| flight.0 <= now).collect();
            for (_, flight, stream) in done {
                disk.scheduler.complete(now, flight);
                disk.ask(now, stream, dataless(RequestKind::Flush));
            }
        }
        let at = went.unwrap_or(Nanos::MAX);
        assert!(at <= ms(1100), "{kind:?} goes at {at}");
    }
}

/// A flush does not wait behind the discards of its own stream.
#[test]
fn a_flush_goes_before_discards_of_its_stream() {
    let mut disk = ByHand::new();
    let other = disk.best_effort();
    for _ in 0..3 {
        disk.ask(Nanos::ZERO, other, dataless(RequestKind::Discard));
    }
    disk.ask(Nanos::ZERO, other, dataless(RequestKind::Flush));
    assert_eq!(
        disk.next_request(Nanos::ZERO),
        Some(4),
        "the flush was asked for last"
    );
}

/// Short discards of a stream that pays for them go beside each other, though another stream with a
/// reservation is active: one at a time they would get a part of what is reserved for them.
#[test]
fn short_discards_that_are_paid_do_not_wait_for_each_other() {
    let mut disk = ByHand::new();
    let (reader, trimmer) = (disk.reserve(20, ms(20)), disk.reserve(40, ms(20)));
    // What one takes is measured first.
    disk.ask(Nanos::ZERO, trimmer, dataless(RequestKind::Discard));
    let (sent, _) = disk.dispatch(Nanos::ZERO);
    let now = us(20);
    disk.scheduler.complete(now, sent[0].1);
    keep_busy(&mut disk, now, reader);
    for _ in 0..4 {
        disk.ask(now, trimmer, dataless(RequestKind::Discard));
    }
    let (sent, _) = disk.dispatch(now);
    let discards = sent.iter().filter(|(stream, _)| *stream == trimmer);
    assert!(discards.count() >= 2, "{sent:?}");
}
