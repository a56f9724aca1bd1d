//! Unit tests of the plan: the time that is given, consent, and depth.

use super::*;

fn facts(rotational: bool) -> DeviceFacts {
    DeviceFacts {
        size_bytes: 1 << 40,
        max_depth: 32,
        rotational,
        discards: true,
    }
}

fn plan(rotational: bool, writes: bool) -> Plan {
    let options = PlanOptions {
        seconds: 60,
        writes,
    };
    Plan::new(facts(rotational), options)
}

#[test]
fn the_steps_take_the_time_that_is_given() {
    for (rotational, writes) in [(false, false), (false, true), (true, false), (true, true)] {
        let total: Nanos = plan(rotational, writes)
            .steps()
            .iter()
            .map(Step::time)
            .sum();
        let all = Nanos::from_secs(60);
        assert!(total <= all && (all - total).0 < 1_000_000, "{total}");
    }
}

#[test]
fn without_consent_everything_is_a_read() {
    for rotational in [false, true] {
        for step in plan(rotational, false).steps() {
            let Job::Probe(probe) = step.job else {
                panic!("bursts write: {step:?}");
            };
            assert!(
                probe.operation == Operation::Read && !probe.flushes,
                "{step:?}"
            );
        }
    }
}

#[test]
fn no_step_has_more_in_flight_than_the_device_takes() {
    for step in plan(false, true).steps() {
        let depth = match step.job {
            Job::Probe(probe) => probe.depth,
            Job::Bursts(bursts) => bursts.depth,
        };
        assert!((1..=32).contains(&depth), "{step:?}");
    }
    for step in plan(true, true).steps() {
        assert!(
            matches!(step.job, Job::Probe(Probe { depth: 1, .. })),
            "{step:?}"
        );
    }
}
