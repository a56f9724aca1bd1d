//! What a client asks for, when, and within which bounds.

use super::*;
use crate::Pattern;

const SECOND: Nanos = Nanos::from_secs(1);

fn generated(client: &mut Client) -> &mut Generated {
    match &mut client.source {
        Source::Generated(generated) => generated,
        Source::Trace(_) => unreachable!("new clients are generated"),
    }
}

fn machine(client: &Client) -> ClientMachine {
    ClientMachine::new(client, 1, 1 << 30).expect("it fits")
}

fn poll(machine: &mut ClientMachine, now: Nanos) -> Option<Operation> {
    machine.poll(now).expect("no trace, no error")
}

#[test]
fn a_closed_loop_keeps_its_depth_and_thinks() {
    let mut client = Client::new("c", "v", SECOND);
    client.depth = 2;
    client.start = Nanos(100);
    generated(&mut client).pace = Pace::Closed { think: Nanos(50) };
    let mut machine = machine(&client);
    assert_eq!(machine.next_event(), Some(Nanos(100)));
    assert_eq!(poll(&mut machine, Nanos(99)), None);
    assert!(poll(&mut machine, Nanos(100)).is_some());
    assert!(poll(&mut machine, Nanos(100)).is_some());
    assert_eq!(poll(&mut machine, Nanos(100)), None);
    assert_eq!(machine.next_event(), None);
    machine.completed(Nanos(300), true);
    assert_eq!(machine.next_event(), Some(Nanos(350)));
    assert_eq!(
        poll(&mut machine, Nanos(360)).map(|op| op.arrived_at),
        Some(Nanos(360))
    );
}

#[test]
fn a_failed_request_is_followed_by_a_pause() {
    let mut machine = machine(&Client::new("c", "v", SECOND));
    assert!(poll(&mut machine, Nanos::ZERO).is_some());
    machine.completed(Nanos::ZERO, false);
    assert_eq!(machine.next_event(), Some(PAUSE_AFTER_ERROR));
}

#[test]
fn an_open_loop_comes_by_the_clock_and_counts_what_the_depth_held_back() {
    let mut client = Client::new("c", "v", SECOND);
    client.depth = 2;
    generated(&mut client).pace = Pace::Constant {
        rate: Rate {
            events: 1000,
            per: SECOND,
        },
    };
    let mut machine = machine(&client);
    for index in 0..2 {
        let due = Nanos::from_millis(index);
        assert_eq!(machine.next_event(), Some(due));
        assert_eq!(poll(&mut machine, due).map(|op| op.arrived_at), Some(due));
    }
    assert_eq!(
        machine.next_event(),
        None,
        "the depth bounds what is under way"
    );
    machine.completed(Nanos::from_millis(10), true);
    let late = poll(&mut machine, Nanos::from_millis(10)).expect("it was due at 2 ms");
    assert_eq!(late.arrived_at, Nanos::from_millis(2));
    assert_eq!(machine.delayed(), 1);
    machine.completed(Nanos::from_millis(11), true);
    assert!(poll(&mut machine, Nanos::from_millis(11)).is_some());
    assert_eq!(machine.delayed(), 2);
}

#[test]
fn an_odd_rate_does_not_drift() {
    let rate = Rate {
        events: 3,
        per: SECOND,
    };
    assert_eq!(rate.time_of(3_000_000_001).0, 1_000_000_000_333_333_333);
}

#[test]
fn nothing_is_asked_at_or_after_the_stop() {
    let mut client = Client::new("c", "v", Nanos::from_millis(10));
    client.depth = 100;
    generated(&mut client).pace = Pace::Constant {
        rate: Rate {
            events: 1000,
            per: SECOND,
        },
    };
    let mut machine = machine(&client);
    let mut asked = 0;
    while poll(&mut machine, SECOND).is_some() {
        asked += 1;
    }
    assert_eq!(asked, 10);
    assert!(machine.is_done(Nanos::from_millis(10)));
}

#[test]
fn directions_follow_the_share_and_leave_the_places_alone() {
    let places = |read: Share| {
        let mut client = Client::new("c", "v", SECOND);
        client.depth = 20_000;
        generated(&mut client).read = read;
        let mut machine = machine(&client);
        let operations: Vec<_> = std::iter::from_fn(|| poll(&mut machine, Nanos::ZERO)).collect();
        let reads = operations
            .iter()
            .filter(|op| op.kind == RequestKind::Read)
            .count();
        (
            reads,
            operations
                .iter()
                .map(|op| op.offset_bytes)
                .collect::<Vec<_>>(),
        )
    };
    let (reads, mixed) = places(Share::from_percent(70));
    // Four standard deviations of 20,000 draws at 70 % are 260.
    assert!(reads.abs_diff(14_000) < 260, "{reads} reads");
    let (all, only_reads) = places(Share::WHOLE);
    assert_eq!((all, places(Share::ZERO).0), (20_000, 0));
    assert_eq!(mixed, only_reads);
}

#[test]
fn the_range_is_kept_to() {
    let mut client = Client::new("c", "v", SECOND);
    client.depth = 1000;
    client.offset_bytes = 1 << 20;
    client.span_bytes = Some(10 * 4096 + 5);
    generated(&mut client).pattern = Pattern::Random;
    let mut machine = machine(&client);
    while let Some(op) = poll(&mut machine, Nanos::ZERO) {
        assert!(op.offset_bytes >= 1 << 20);
        assert!(op.offset_bytes + op.len_bytes <= (1 << 20) + 10 * 4096 + 5);
    }
    client.span_bytes = Some(1 << 30);
    assert!(
        ClientMachine::new(&client, 1, 1 << 30).is_err(),
        "beyond the end"
    );
    client.span_bytes = Some(4095);
    assert!(
        ClientMachine::new(&client, 1, 1 << 30).is_err(),
        "less than a block"
    );
}
