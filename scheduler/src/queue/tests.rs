//! Unit tests of `queue`.

use super::*;
use crate::RequestKind;
use crate::ledger::SoloPrice;

fn arrival(id: u32, offset_bytes: u64) -> Arrival {
    Arrival {
        id: RequestId(id),
        offset_bytes: Some(offset_bytes),
        len_bytes: 4096,
        price: Nanos(1),
        lone: Nanos(1),
        kind: RequestKind::Read,
        merge_class: Some(0),
    }
}

fn drain(queue: &mut StreamQueue) -> Vec<u32> {
    std::iter::from_fn(|| queue.pop().map(|queued| queued.id().0)).collect()
}

#[test]
fn a_sweep_goes_up_from_its_own_place_and_around() {
    let mut queue = StreamQueue::new(QueueOrder::Sweep);
    queue.push(arrival(0, 50_000), SoloPrice::default(), 0);
    assert_eq!(queue.pop().map(|queued| queued.id().0), Some(0));
    for (id, offset) in [(1, 10_000), (2, 90_000), (3, 60_000), (4, 20_000)] {
        queue.push(arrival(id, offset), SoloPrice::default(), u64::from(id));
    }
    assert_eq!(drain(&mut queue), [3, 2, 1, 4]);
}

#[test]
fn requests_without_a_place_go_first_and_equal_places_keep_their_order() {
    let mut queue = StreamQueue::new(QueueOrder::Sweep);
    queue.push(arrival(1, 8192), SoloPrice::default(), 1);
    queue.push(arrival(2, 8192), SoloPrice::default(), 2);
    queue.push(
        Arrival {
            offset_bytes: None,
            merge_class: None,
            ..arrival(3, 0)
        },
        SoloPrice::default(),
        3,
    );
    assert_eq!(drain(&mut queue), [3, 1, 2]);
}

#[test]
fn only_touching_requests_of_one_class_merge() {
    let mut queue = StreamQueue::new(QueueOrder::Sweep);
    queue.push(arrival(1, 0), SoloPrice::default(), 1);
    queue.push(arrival(2, 4096), SoloPrice::default(), 2);
    queue.push(
        Arrival {
            merge_class: Some(1),
            ..arrival(3, 8192)
        },
        SoloPrice::default(),
        3,
    );
    let first = queue.pop().and_then(|queued| queued.end_bytes());
    assert_eq!(first, Some(4096));
    assert!(
        queue.pop_adjacent(4096, 0, 4095).is_none(),
        "merged beyond the room"
    );
    assert_eq!(
        queue
            .pop_adjacent(4096, 0, 1 << 20)
            .map(|queued| queued.id().0),
        Some(2)
    );
    assert!(
        queue.pop_adjacent(8192, 0, 1 << 20).is_none(),
        "merged another class"
    );
}

#[test]
fn the_least_estimate_goes_but_runs_stay_in_order_and_none_is_passed_over_for_ever() {
    let mut queue = StreamQueue::new(QueueOrder::Sweep);
    for (id, offset) in [(1, 80_000), (2, 8_192), (3, 12_288), (4, 40_960)] {
        queue.push(arrival(id, offset), SoloPrice::default(), u64::from(id));
    }
    // The middle of the run has the least estimate; its head goes first, then it follows.
    let estimate = |offset: u64, _| Nanos(offset.abs_diff(12_000));
    let mut pop = |head| queue.pop_least(head, estimate).map(|queued| queued.id().0);
    assert_eq!(
        [pop(0), pop(12_288), pop(16_384), pop(45_056)],
        [2, 3, 4, 1].map(Some)
    );

    queue.push(arrival(1, 1 << 30), SoloPrice::default(), 5);
    for step in 6..2_000u32 {
        queue.push(
            arrival(step, 4096 * u64::from(step % 9)),
            SoloPrice::default(),
            u64::from(step),
        );
        let near = |offset: u64, _| Nanos(offset);
        if queue.pop_least(0, near).map(|queued| queued.id().0) == Some(1) {
            return;
        }
    }
    panic!("the far request was passed over for ever");
}

#[test]
fn a_sweep_fed_ahead_of_itself_does_not_starve_what_lies_behind() {
    let mut queue = StreamQueue::new(QueueOrder::Sweep);
    queue.push(arrival(0, 1 << 30), SoloPrice::default(), 0);
    queue.pop();
    queue.push(arrival(1, 0), SoloPrice::default(), 1);
    let mut passed = 0;
    for step in 2..2_000u32 {
        queue.push(
            arrival(step, (1 << 30) + u64::from(step) * 4096),
            SoloPrice::default(),
            u64::from(step),
        );
        if queue.pop().map(|queued| queued.id().0) == Some(1) {
            return;
        }
        passed = step;
    }
    panic!("passed over {passed} times");
}
