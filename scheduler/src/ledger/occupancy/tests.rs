//! Unit tests of `occupancy`.

use super::*;

const A: StreamId = StreamId::for_test(1);
const B: StreamId = StreamId::for_test(2);
const C: StreamId = StreamId::for_test(3);

fn us(micros: u64) -> Nanos {
    Nanos::from_micros(micros)
}

fn device(settle: Nanos) -> Occupancy {
    let config = OverlapConfig {
        occupancy_bound: us(142),
        settle,
        fast_read_percent: 100,
        idle_factor: 1,
    };
    let mut device = Occupancy::new(config, 4);
    device.set_focus(Nanos::ZERO, None, 2);
    device
}

fn done(account: StreamId, occupancy: Nanos, is_write: bool) -> Leaving {
    Leaving {
        account,
        occupancy,
        dispatched_at: Nanos::ZERO,
        is_write,
        is_reserved: false,
        is_last: true,
    }
}

#[test]
fn reads_leave_when_they_are_done_and_writes_when_the_disk_has_worked_them_off() {
    let mut device = device(Nanos::ZERO);
    device.enter(us(10), true);
    device.enter(us(20), true);
    device.leave(us(5), done(A, us(10), false));
    assert_eq!(device.filled(), us(20));
    device.leave(us(5), done(B, us(20), true));
    assert_eq!(device.filled(), us(20), "acknowledged, and held");
    assert_eq!(device.next_release(), Some(us(25)), "a quarter longer");
    device.release(us(24));
    assert_eq!(device.filled(), us(20));
    device.release(us(25));
    assert_eq!(device.filled(), Nanos::ZERO);
}

#[test]
fn writes_of_the_stream_in_focus_are_held_as_long_as_they_take() {
    let mut device = device(Nanos::ZERO);
    device.enter(us(20), true);
    device.set_focus(Nanos::ZERO, Some(A), 2);
    device.leave(us(5), done(A, us(20), true));
    assert_eq!(device.next_release(), Some(us(20)));
}

#[test]
fn the_drain_covers_the_settling_of_writes() {
    let mut device = device(us(300));
    device.enter(us(20), true);
    device.leave(us(5), done(A, us(20), true));
    device.release(us(25));
    assert_eq!(device.filled(), Nanos::ZERO);
    assert_eq!(device.drain(us(25)), us(300));
    assert_eq!(device.drain(us(325)), Nanos::ZERO);
}

#[test]
fn an_account_is_not_alone_while_the_writes_of_another_settle() {
    let mut device = device(us(100));
    device.enter(us(20), true);
    device.leave(us(5), done(A, us(20), true));
    assert!(device.was_alone(A, us(50)), "its own writes do not count");
    assert!(!device.was_alone(B, us(50)));
    assert!(device.was_alone(B, us(125)));
}

#[test]
fn the_two_latest_settling_accounts_are_kept() {
    let mut device = device(us(100));
    for (account, at) in [(A, 10), (B, 20), (C, 30), (B, 40)] {
        device.enter(us(1), true);
        let mut write = done(account, us(1), true);
        write.dispatched_at = us(at);
        device.leave(us(at), write);
    }
    // B last, until 141.25; C until 131.25.
    assert!(!device.was_alone(B, us(131)), "C still settles");
    assert!(device.was_alone(B, us(132)));
    assert!(!device.was_alone(C, us(141)), "B still settles");
    assert!(device.was_alone(C, us(142)));
}

#[test]
fn requests_that_were_in_flight_together_are_mixed() {
    let mut device = device(Nanos::ZERO);
    device.enter(us(10), true);
    device.note_mixing(us(1));
    assert!(device.was_alone(A, us(0)));
    device.enter(us(10), true);
    device.note_mixing(us(9));
    device.leave(us(9), done(B, us(10), false));
    assert!(!device.was_alone(A, us(3)), "B was there until 9");
    assert!(device.was_alone(A, us(9)));
}

#[test]
fn the_list_of_held_writes_is_bounded_and_loses_nothing() {
    let mut device = device(Nanos::ZERO);
    let most = device.most_holds;
    for _ in 0..3 * most {
        device.enter(us(8), true);
        device.leave(us(1), done(A, us(8), true));
    }
    assert_eq!(device.holds.len(), most);
    let last = us(10 * 3 * most as u64);
    device.release(Nanos(last.0 - 1));
    assert!(device.filled() > Nanos::ZERO);
    device.release(last);
    assert_eq!(device.filled(), Nanos::ZERO);
}

#[test]
fn the_time_in_focus_is_counted_while_it_lasts() {
    let mut device = device(Nanos::ZERO);
    device.set_focus(us(10), Some(A), 2);
    assert_eq!(device.focused(us(15)), us(5));
    // The disk goes from one account to another, and then to all.
    device.set_focus(us(20), Some(B), 2);
    device.set_focus(us(30), None, 2);
    assert_eq!(device.focused(us(100)), us(20));
    device.set_focus(us(100), Some(A), 2);
    assert_eq!(device.focused(us(101)), us(21));
}

#[test]
fn the_most_that_was_in_the_disk_is_kept() {
    let mut device = device(Nanos::ZERO);
    device.enter(us(10), true);
    device.enter(us(20), true);
    device.leave(us(5), done(A, us(10), false));
    device.enter(us(5), false);
    assert_eq!((device.filled(), device.most_filled()), (us(25), us(30)));
}

#[test]
fn a_write_is_held_longer_only_for_the_sake_of_another_reservation() {
    for (active, is_reserved, until) in [(0, false, 20), (1, true, 20), (1, false, 25)] {
        let mut device = device(Nanos::ZERO);
        device.set_focus(Nanos::ZERO, None, active);
        device.enter(us(20), true);
        let write = Leaving {
            is_reserved,
            ..done(A, us(20), true)
        };
        device.leave(us(5), write);
        assert_eq!(device.next_release(), Some(us(until)), "{active} active");
    }
}
