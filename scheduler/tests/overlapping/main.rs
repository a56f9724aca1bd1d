//! The rules for disks that overlap requests, on modelled drives in virtual time.
//!
//! - `pipe`: what a client of depth 1 gets at every turnaround and number in flight.
//! - `bound`: what is unspent and the least slack, each where an earlier rule broke the bound.
//! - `charges`: what requests are charged, compared with what they take alone.
//! - `gates`: how long discards and flushes wait at their gates.
//! - `isolation`: what a stream gets beside storms and large requests, and with wrong prices.
//! - `trims`: what a stream gets beside discards that take far longer than their prices say.
//! - `rules`: single rules, with a disk that the test plays by hand.
//! - `iocost`: what weights over prices give, the likeness of the kernel's controller.

mod bound;
mod charges;
mod gates;
mod iocost;
mod isolation;
mod pipe;
mod rules;
mod trims;

use disktime_lab::overlap::{Case, LabDrive, OverlapClient, OverlapRun};
use disktime_scheduler::PolicyKind;
use disktime_units::Nanos;

const TURNAROUND: Nanos = Nanos::from_micros(10);

fn us(micros: u64) -> Nanos {
    Nanos::from_micros(micros)
}

fn ms(millis: u64) -> Nanos {
    Nanos::from_millis(millis)
}

/// A run of so many milliseconds under the rules, whose slack is noted after every event.
fn run(
    drive: &LabDrive,
    clients: &[OverlapClient],
    seed: u64,
    millis: u64,
) -> OverlapRun<impl disktime_lab::overlap::OverlapDevice + use<>> {
    let config = drive.config(PolicyKind::Fahrrad);
    let device = drive.device(seed);
    let clients = clients.to_vec();
    let run = OverlapRun::new(config, device, drive.cost(), clients, TURNAROUND, seed);
    let mut run = run.audited();
    run.run(ms(500), ms(millis));
    run
}

/// Runs a case and asserts that the promise holds: never more than W unspent at the end of a
/// period, and slack of at least −W after every event.
#[track_caller]
fn holds(case: &Case, millis: u64) {
    let run = run(&case.drive, &case.clients, case.seed, millis);
    let worst_case = case.drive.worst_case().0 as i64;
    for (client, result) in case.clients.iter().zip(run.results()) {
        let unspent = result.counters.unspent_max.unwrap_or(0);
        assert!(
            unspent <= worst_case,
            "{case}, seed {}: {} has {unspent} ns unspent, W is {worst_case}",
            case.seed,
            client.name
        );
        assert_eq!(
            result.counters.deadlines_missed, 0,
            "{case}: {}",
            client.name
        );
    }
    let slack = run.least_slack();
    assert!(
        slack >= -worst_case,
        "{case}, seed {}: slack {slack} ns, W is {worst_case}",
        case.seed
    );
}
