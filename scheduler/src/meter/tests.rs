//! Unit tests of `meter`.

use super::*;
use proptest::prelude::*;

#[test]
fn a_lone_request_is_charged_its_measured_time() {
    let mut meter = BusyMeter::default();
    let mark = meter.start(Nanos(100), Nanos(7));
    assert_eq!(meter.finish(Nanos(350), mark), Nanos(250));
    assert_eq!(meter.busy(Nanos(1000)), Nanos(250));
}

#[test]
fn overlapping_requests_share_by_price() {
    let mut meter = BusyMeter::default();
    let cheap = meter.start(Nanos(0), Nanos(100));
    let dear = meter.start(Nanos(0), Nanos(300));
    let (cheap, dear) = (
        meter.finish(Nanos(400), cheap),
        meter.finish(Nanos(400), dear),
    );
    assert_eq!((cheap, dear), (Nanos(100), Nanos(300)));
}

proptest! {
    #[test]
    fn charges_add_up_to_the_busy_time_whenever_the_disk_is_empty(
        steps in proptest::collection::vec((0u64..1_000, 1u64..1_000_000, any::<bool>()), 1..200)
    ) {
        let mut meter = BusyMeter::default();
        let mut flights = std::collections::VecDeque::new();
        let (mut now, mut charged) = (Nanos::ZERO, Nanos::ZERO);
        for (wait, price, start) in steps {
            now += Nanos(wait);
            if start || flights.is_empty() {
                flights.push_back(meter.start(now, Nanos(price)));
            } else if let Some(mark) = flights.pop_front() {
                charged += meter.finish(now, mark);
            }
            prop_assert!(charged <= meter.busy(now));
        }
        while let Some(mark) = flights.pop_front() {
            now += Nanos(1);
            charged += meter.finish(now, mark);
        }
        prop_assert_eq!(charged, meter.busy(now));
    }
}
