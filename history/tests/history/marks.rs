//! As many marks as a log has, while some are in flight.

use crate::driver::{Driver, geometry, settings};
use crate::support::reopened;
use disktime_history::{Failure, WhenFull};
use disktime_random::SplitMix64;

const MARKS_MAX: usize = 4096;

/// Those in flight count: a checkpoint with more than there may be would not be taken.
#[test]
fn marks_in_flight_are_counted() {
    let mut random = SplitMix64::new(1);
    let mut driver = Driver::new(geometry(2048, 6, 64), settings(4, WhenFull::Refuse));
    driver.run(&mut random);
    let mut asked_for = Vec::new();
    let refused = loop {
        let request = driver.request();
        let name = format!("mark-{}", asked_for.len());
        match driver.log.mark(request, &name, None) {
            Ok(()) => asked_for.push(request),
            Err(why) => break why,
        }
        if asked_for.len().is_multiple_of(20) {
            driver.take_steps();
        }
        if asked_for.len() <= 4000 && asked_for.len().is_multiple_of(100) {
            driver.run(&mut random);
        }
    };
    assert_eq!((refused, asked_for.len()), (Failure::TooMany, MARKS_MAX));
    driver.run(&mut random);
    driver.log.close();
    driver.run(&mut random);
    let (again, _) = reopened(&driver).expect("it opens");
    assert_eq!(again.log.status().marks.len(), MARKS_MAX);
}
