//! Streams that come and go while others are served, against a model: every request goes out under
//! the identity of its own stream, a stream is charged for its own requests and no others, charges
//! add up, slots are used again and never by two streams at a time, and the promise to those that
//! stay holds (I2, I3, I5, I8).

mod model;

use disktime_lab::oracle::disks::every_policy;
use disktime_scheduler::{
    Arrival, PolicyKind, RequestId, RequestKind, Reservation, Scheduler, StreamConfig, StreamId,
};
use disktime_units::{Nanos, Share};
use model::{DISK_BYTES, Known, Model, config, step};
use proptest::collection::vec;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn i8_streams_that_come_and_go_break_no_promise_and_mix_nothing_up(
        steps in vec(step(), 1..160),
        has_seeks: bool,
        seed: u64,
    ) {
        let mut model = Model::new(PolicyKind::Fahrrad, has_seeks, 1, seed);
        steps.into_iter().for_each(|step| model.take(step));
        model.end();
    }

    #[test]
    fn streams_come_and_go_under_every_policy_and_with_several_requests_in_flight(
        steps in vec(step(), 1..80),
        has_seeks: bool,
        depth in prop::sample::select(vec![1usize, 4]),
        policy in prop::sample::select(every_policy()),
        seed: u64,
    ) {
        let mut model = Model::new(policy, has_seeks, depth, seed);
        steps.into_iter().for_each(|step| model.take(step));
        model.end();
    }
}

fn stream_of(percent: u32) -> StreamConfig {
    StreamConfig {
        reservation: Some(Reservation {
            share: Share::from_percent(percent),
            period: Nanos::from_millis(100),
        }),
        ..StreamConfig::BEST_EFFORT
    }
}

#[test]
fn ten_thousand_streams_one_after_the_other_use_the_same_few_slots() {
    for policy in every_policy() {
        let mut model = Model::new(policy, true, 1, 7);
        for round in 0..10_000 {
            let id = model.scheduler.add_stream(model.now, stream_of(10));
            assert!(id.index() <= 3, "{}: slot {}", policy.name(), id.index());
            model.joined(
                id,
                Known {
                    depth: 2,
                    ..Known::default()
                },
            );
            model.decide();
            let leaver = model.choose(round, |own| !own.is_leaving);
            if model.streams.len() == 3 {
                model.remove(leaver.expect("three are there"));
                while model.streams.len() == 3 {
                    model.run(model.now + Nanos::from_millis(5));
                }
            }
            model.check();
        }
        model.end();
    }
}

#[test]
fn an_idle_stream_is_gone_at_once_and_a_busy_one_when_its_last_request_is_done() {
    let mut model = Model::new(PolicyKind::Fahrrad, false, 1, 3);
    let idle = model.scheduler.add_stream(Nanos::ZERO, stream_of(40));
    let busy = model.scheduler.add_stream(Nanos::ZERO, stream_of(40));
    model.joined(idle, Known::default());
    model.joined(
        busy,
        Known {
            depth: 3,
            ..Known::default()
        },
    );
    model.decide();
    model.remove(idle);
    assert!(!model.scheduler.contains(idle) && model.scheduler.contains(busy));
    model.remove(busy);
    assert!(model.scheduler.contains(busy) && model.scheduler.is_leaving(busy));
    model.run(Nanos::from_millis(35));
    assert!(!model.scheduler.contains(busy));
    assert_eq!(
        model.measured,
        model.scheduler.disk_counters(model.now).charged_to_removed
    );
}

#[test]
fn a_group_goes_with_its_last_member_and_a_member_leaves_the_account_to_the_others() {
    let mut model = Model::new(PolicyKind::Fahrrad, false, 1, 5);
    let group = model.scheduler.add_group(Nanos::ZERO, stream_of(60));
    let first = model.scheduler.add_member(Nanos::ZERO, group, 100);
    let second = model.scheduler.add_member(Nanos::ZERO, group, 100);
    let greedy = StreamConfig {
        weight: 1_000_000,
        ..StreamConfig::BEST_EFFORT
    };
    let other = model.scheduler.add_stream(Nanos::ZERO, greedy);
    model.joined(
        group,
        Known {
            is_group: true,
            ..Known::default()
        },
    );
    let member = || Known {
        depth: 2,
        group: Some(group),
        ..Known::default()
    };
    model.joined(first, member());
    model.joined(second, member());
    model.joined(
        other,
        Known {
            depth: 2,
            ..Known::default()
        },
    );
    model.decide();
    model.run(Nanos::from_secs(5));
    model.remove(first);
    model.run(Nanos::from_secs(6));
    assert!(!model.scheduler.contains(first));
    let before = model.scheduler.stream_counters(second).reserved;
    model.run(Nanos::from_secs(16));
    let got = (model.scheduler.stream_counters(second).reserved - before).as_secs_f64();
    assert!((got - 6.0).abs() < 0.1, "{got} s of the group's 6");
    model.remove(group);
    assert!(model.scheduler.contains(group), "it has a member");
    model.remove(second);
    model.run(Nanos::from_secs(17));
    assert!(!model.scheduler.contains(second) && !model.scheduler.contains(group));
    model.check();
}

fn removed_and_succeeded() -> (Scheduler, StreamId) {
    let mut scheduler = Scheduler::new(config(PolicyKind::Fahrrad, false, 1), DISK_BYTES);
    let old = scheduler.add_stream(Nanos::ZERO, stream_of(40));
    scheduler.remove_stream(Nanos::ZERO, old);
    let new = scheduler.add_stream(Nanos::ZERO, stream_of(40));
    assert_eq!((old.index(), old == new), (new.index(), false));
    assert!(!scheduler.contains(old) && scheduler.contains(new));
    (scheduler, old)
}

#[test]
#[should_panic(expected = "was removed")]
fn a_removed_streams_identity_takes_no_requests_to_its_successor() {
    let (mut scheduler, old) = removed_and_succeeded();
    let arrival = Arrival {
        id: RequestId(0),
        offset_bytes: None,
        len_bytes: 0,
        price: Nanos(1),
        lone: Nanos(1),
        kind: RequestKind::Read,
        merge_class: None,
    };
    scheduler.arrive(Nanos::ZERO, old, arrival);
}

#[test]
#[should_panic(expected = "was removed")]
fn a_removed_streams_identity_does_not_show_its_successors_counters() {
    let (scheduler, old) = removed_and_succeeded();
    scheduler.stream_counters(old);
}

#[test]
#[should_panic(expected = "was removed")]
fn a_removed_streams_identity_does_not_remove_its_successor() {
    let (mut scheduler, old) = removed_and_succeeded();
    scheduler.remove_stream(Nanos::ZERO, old);
}
