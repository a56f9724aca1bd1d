//! What is expected after what was measured.

use super::LearntTimes;
use crate::config::RequestKind::{Discard, Flush, Zero};
use disktime_units::Nanos;

const KIB: u64 = 1 << 10;

fn ms(millis: u64) -> Nanos {
    Nanos::from_millis(millis)
}

#[test]
fn the_most_is_never_less_than_what_was_measured() {
    let mut times = LearntTimes::default();
    assert_eq!(times.expect(Flush, 0), None);
    for took in [1, 1, 50, 1, 1] {
        times.learn(Flush, 0, ms(took));
        let known = times.expect(Flush, 0).unwrap();
        assert!(known.most >= ms(took), "{known:?} after {took} ms");
        assert!(known.most >= known.mean);
    }
    assert!(times.expect(Flush, 0).unwrap().most >= ms(40));
    for _ in 0..200 {
        times.learn(Flush, 0, ms(1));
    }
    let known = times.expect(Flush, 0).unwrap();
    assert!(known.most < ms(2) && known.mean < ms(2), "{known:?}");
}

#[test]
fn another_length_takes_no_longer_than_a_longer_one_and_no_more_for_each_byte() {
    let mut times = LearntTimes::default();
    times.learn(Discard, 128 * KIB, ms(8));
    assert_eq!(times.expect(Discard, 64 * KIB).unwrap().most, ms(8));
    assert_eq!(times.expect(Discard, 100 * KIB).unwrap().most, ms(8));
    assert_eq!(times.expect(Discard, 512 * KIB).unwrap().most, ms(32));
    assert_eq!(times.expect(Zero, 128 * KIB), None, "kinds are told apart");
}

#[test]
fn pieces_are_halved_as_long_as_that_gains_time() {
    let piece = |times: &LearntTimes| times.piece_bytes(Discard, (64 * KIB, 512 * KIB), ms(5));
    // By length: 20 ms, 10 ms, 5 ms.
    let mut times = LearntTimes::default();
    assert_eq!(piece(&times), 512 * KIB);
    times.learn(Discard, 512 * KIB, ms(20));
    assert_eq!(piece(&times), 256 * KIB);
    times.learn(Discard, 256 * KIB, ms(10));
    times.learn(Discard, 128 * KIB, ms(5));
    assert_eq!(piece(&times), 128 * KIB);
    // Whatever the length: halving would only make more of them.
    let mut times = LearntTimes::default();
    times.learn(Discard, 512 * KIB, ms(20));
    times.learn(Discard, 256 * KIB, ms(19));
    assert_eq!(piece(&times), 512 * KIB);
}
