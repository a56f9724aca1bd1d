//! Unit tests of `counters`: what is old is not taken for new, and the last reading outlives the
//! reactor.

use super::*;
use disktime_engine::Windows;
use disktime_units::Share;
use std::collections::BTreeMap;

/// A reading of now that can be told from others.
fn reading(name: &str) -> Reading {
    Reading {
        counted: LoopReport {
            windows: Windows::default(),
            streams: BTreeMap::new(),
            worst_case: Nanos::ZERO,
            unspent_bound: Nanos::ZERO,
            switching_share: Share::default(),
            pacing: None,
            occupancy: None,
            slowdown: None,
        },
        streams: DiskStreams::default(),
        notices: vec![name.to_owned()],
        taken_at: Instant::now(),
    }
}

/// A reactor that answers at once.
fn answers(name: &str) -> Asked {
    let (sender, receiver) = oneshot::channel();
    let _ = sender.send(reading(name));
    Ok(Some(receiver))
}

fn read(counters: &Counters, ask: impl Fn() -> Asked) -> (String, bool) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.expect("a runtime");
    let (reading, age) = runtime.block_on(counters.read_by(ask));
    (reading.notices[0].clone(), age.is_some())
}

#[test]
fn the_answer_to_an_earlier_question_is_not_taken_for_the_counters_of_now() {
    let counters = Counters::new(reading("first"));
    // Asked by a reading that gave up; answered when the disk went on.
    *counters.asked.try_lock().expect("no other reads") = answers("late").expect("it is asked");
    assert_eq!(
        read(&counters, || answers("now")),
        ("now".to_owned(), false)
    );
    // Nor if the disk hangs again: then it is the last that is known, with its age.
    *counters.asked.try_lock().expect("no other reads") = answers("later").expect("it is asked");
    assert_eq!(read(&counters, || Ok(None)), ("later".to_owned(), true));
}

#[test]
fn a_disk_that_has_ended_is_reported_as_it_was_last() {
    let counters = Counters::new(reading("first"));
    let gone = || Err(ReactorGone);
    assert_eq!(read(&counters, gone), ("first".to_owned(), true));
    assert_eq!(
        read(&counters, || answers("now")),
        ("now".to_owned(), false)
    );
    // It ends while a question is on its way.
    let dropped = || Ok(Some(oneshot::channel().1));
    assert_eq!(read(&counters, dropped), ("now".to_owned(), true));
    assert_eq!(read(&counters, gone), ("now".to_owned(), true));
}
