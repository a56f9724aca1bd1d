//! A client's requests, their times, and their bounds.

use super::*;
use crate::closed_loop::PAUSE_AFTER_ERROR;
use crate::generated::{Blocks, Rate, Requests, Times};
use crate::{GeneratorKind, Pattern};
use disktime_engine::RequestKind;
use disktime_units::Share;
use std::num::NonZeroU32;

const SECOND: Nanos = Nanos::from_secs(1);

fn generated(client: &mut Client) -> &mut Generated {
    match &mut client.source {
        RequestSource::Generated(generated) => generated,
        RequestSource::Trace(_) => unreachable!("new clients are generated"),
    }
}

fn blocks(client: &mut Client) -> &mut Blocks {
    match &mut generated(client).requests {
        Requests::Blocks(blocks) => blocks,
        _ => unreachable!("new clients ask for blocks"),
    }
}

const OP: Operation = Operation {
    kind: RequestKind::Read,
    offset_bytes: 0,
    len_bytes: 4096,
    fua: false,
    user: 0,
    arrived_at: Nanos::ZERO,
};

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
    generated(&mut client).pace = Pace::Closed {
        think: Times::Constant(Nanos(50)),
    };
    let mut machine = machine(&client);
    assert_eq!(machine.next_event(), Some(Nanos(100)));
    assert_eq!(poll(&mut machine, Nanos(99)), None);
    assert!(poll(&mut machine, Nanos(100)).is_some());
    assert!(poll(&mut machine, Nanos(100)).is_some());
    assert_eq!(poll(&mut machine, Nanos(100)), None);
    assert_eq!(machine.next_event(), None);
    machine.completed(Nanos(300), &OP, true);
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
    machine.completed(Nanos::ZERO, &OP, false);
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
        "the depth bounds the requests in flight"
    );
    machine.completed(Nanos::from_millis(10), &OP, true);
    let late = poll(&mut machine, Nanos::from_millis(10)).expect("it was due at 2 ms");
    assert_eq!(late.arrived_at, Nanos::from_millis(2));
    assert_eq!(machine.delayed(), 1);
    machine.completed(Nanos::from_millis(11), &OP, true);
    assert!(poll(&mut machine, Nanos::from_millis(11)).is_some());
    assert_eq!(machine.delayed(), 2);
    assert_eq!(machine.longest_delay(), Nanos::from_millis(8));
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
        blocks(&mut client).read = read;
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
    blocks(&mut client).pattern = Pattern::Random;
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

#[test]
fn each_user_of_a_database_flushes_after_its_own_requests_and_then_thinks() {
    let think = Times::Constant(Nanos::from_millis(5));
    let mut client = Client::of_kind(GeneratorKind::Oltp, "db", "v", Nanos::MAX)
        .depth(3)
        .pace(Pace::Closed { think });
    generated(&mut client).commit_every = NonZeroU32::new(4);
    let mut machine = machine(&client);
    let mut random = Random::new(3);
    let mut now = Nanos::ZERO;
    let mut in_flight: Vec<Operation> = Vec::new();
    let mut since_flush = [0; 3];
    let mut idle_until = [Nanos::ZERO; 3];
    for _ in 0..5_000 {
        while let Some(operation) = poll(&mut machine, now) {
            let user = operation.user as usize;
            assert!(in_flight.iter().all(|other| other.user != operation.user));
            assert!(now >= idle_until[user], "it thinks");
            if operation.kind == RequestKind::Flush {
                assert_eq!(since_flush[user], 4);
                since_flush[user] = 0;
            } else {
                assert_eq!(operation.len_bytes, 8192);
                since_flush[user] += 1;
                assert!(since_flush[user] <= 4);
            }
            in_flight.push(operation);
        }
        now += Nanos::from_micros(700);
        if !in_flight.is_empty() {
            let answered = in_flight.swap_remove(random.below(in_flight.len() as u64) as usize);
            machine.completed(now, &answered, true);
            if answered.kind == RequestKind::Flush {
                idle_until[answered.user as usize] = now + Nanos::from_millis(5);
            }
        }
    }
}

#[test]
fn an_open_loop_flushes_after_so_many_requests() {
    let mut client = Client::of_kind(GeneratorKind::Constant, "c", "v", Nanos::MAX);
    generated(&mut client).commit_every = NonZeroU32::new(2);
    let mut machine = machine(&client);
    let kinds: Vec<_> = std::iter::from_fn(|| poll(&mut machine, SECOND))
        .take(6)
        .map(|operation| operation.kind)
        .collect();
    use RequestKind::{Flush, Read};
    assert_eq!(kinds, [Read, Read, Flush, Read, Read, Flush]);
}

#[test]
fn thinking_starts_when_the_answer_is_handed_out() {
    let mut client = Client::of_kind(GeneratorKind::ClosedLoop, "c", "v", Nanos::MAX);
    let least = Nanos::from_millis(5);
    let most = Nanos::from_millis(6);
    client = client.pace(Pace::Closed {
        think: Times::Uniform { least, most },
    });
    let mut machine = machine(&client);
    for step in 1..100 {
        let handed_out = Nanos::from_millis(20 * step);
        let operation = poll(&mut machine, handed_out).expect("it has thought");
        machine.completed(handed_out, &operation, true);
        let next = machine.next_event().expect("it asks again");
        assert!((handed_out + least..=handed_out + most).contains(&next));
    }
}

#[test]
fn every_kind_asks_within_its_range_and_repeats_itself() {
    for kind in GeneratorKind::ALL {
        let client = Client::of_kind(kind, "c", "v", Nanos::MAX).within(12_288, 64 << 20);
        let run = || {
            let mut machine = machine(&client);
            let mut operations = Vec::new();
            for _ in 0..2_000 {
                let at = machine.next_event().expect("it goes on");
                let operation = poll(&mut machine, at).expect("it is due");
                machine.completed(at, &operation, true);
                operations.push((at, operation));
            }
            operations
        };
        let operations = run();
        assert_eq!(operations, run(), "{}", kind.name());
        for (_, operation) in &operations {
            if operation.kind == RequestKind::Flush {
                continue;
            }
            assert!(operation.offset_bytes >= 12_288, "{}", kind.name());
            assert!(operation.offset_bytes + operation.len_bytes <= 12_288 + (64 << 20));
        }
        let of = |kind| move |(_, operation): &&(Nanos, Operation)| operation.kind == kind;
        let writes = operations.iter().filter(of(RequestKind::Write)).count();
        let flushes = operations.iter().filter(of(RequestKind::Flush)).count();
        match kind {
            GeneratorKind::LogWriter => {
                assert_eq!(writes, 2_000);
                assert!(operations.iter().all(|(_, operation)| operation.fua));
            }
            GeneratorKind::Oltp => {
                assert_eq!(flushes, 181, "every eleventh of 2,000 asks for a flush");
                // 1,819 draws at 30 %: four standard deviations are 78.
                assert!(writes.abs_diff(546) < 78, "{writes} writes");
            }
            _ => assert_eq!((writes, flushes), (0, 0)),
        }
    }
}

#[test]
fn a_player_keeps_its_rate_and_its_order() {
    let client = Client::of_kind(GeneratorKind::MediaPlayer, "m", "v", Nanos::MAX);
    let mut machine = machine(&client);
    for frame in 0..1_000 {
        let at = machine.next_event().expect("it goes on");
        assert_eq!(at, Nanos::from_millis(25 * frame));
        let operation = poll(&mut machine, at).expect("it is due");
        assert_eq!(operation.offset_bytes, frame * 65_536);
        machine.completed(at, &operation, true);
    }
}
