//! A client of depth 1 beside a deep one on one server behind a queue.

use disktime_drive_models::{CostModel, LinearCost};
use disktime_lab::oracle::disks::plain_disk;
use disktime_lab::overlap::{Class, OverlapClient, OverlapRun, Pipe, StreamResult};
use disktime_scheduler::{OverlapConfig, PolicyKind, SchedulerConfig};
use disktime_units::Nanos;

const R4: Class = Class::random_read(4096);
const R64: Class = Class::random_read(64 << 10);

fn us(micros: u64) -> Nanos {
    Nanos::from_micros(micros)
}

fn ms(millis: u64) -> Nanos {
    Nanos::from_millis(millis)
}

fn pipe(policy: PolicyKind, max_in_flight: usize) -> (SchedulerConfig, CostModel) {
    let per_mib = Nanos((1 << 20) * 10 / 6);
    let cost = CostModel::Linear(LinearCost {
        read_base: us(25),
        read_per_mib: per_mib,
        write_base: us(25),
        write_per_mib: per_mib,
        flush: us(25),
    });
    let config = SchedulerConfig {
        policy,
        max_in_flight,
        overlap: OverlapConfig {
            occupancy_bound: cost.occupancy_bound(128 << 10),
            settle: Nanos::ZERO,
            fast_read_percent: 100,
            idle_factor: 2,
        },
        ..plain_disk(ms(1))
    };
    (config, cost)
}

fn run_on_pipe(
    policy: PolicyKind,
    max_in_flight: usize,
    turnaround: Nanos,
    clients: &[OverlapClient],
) -> (Vec<StreamResult>, i64) {
    let (config, cost) = pipe(policy, max_in_flight);
    let device = Pipe::default();
    let mut run = OverlapRun::new(config, device, cost, clients.to_vec(), turnaround, 1).audited();
    run.run(ms(500), ms(5000));
    (run.results(), run.least_slack())
}

/// Requests in 5 s of one client alone.
fn solo(turnaround: Nanos, client: &OverlapClient) -> f64 {
    let alone = OverlapClient::new("alone", client.depth, client.class).thinking(client.think);
    let (results, _) = run_on_pipe(PolicyKind::Fifo, 64, turnaround, &[alone]);
    results[0].requests as f64
}

#[test]
fn a_client_of_depth_1_gets_its_share_of_what_it_would_have_alone() {
    for max_in_flight in [2, 4, 64] {
        for turnaround in [0, 1, 10, 100] {
            for (share, period) in [(187_500, 250), (400_000, 100), (800_000, 100)] {
                let turnaround = us(turnaround).max(Nanos(1));
                let victim = OverlapClient::new("db", 1, R4).reserved(share, ms(period));
                let clients = [victim, OverlapClient::new("batch", 7, R64)];
                let (results, slack) =
                    run_on_pipe(PolicyKind::Fahrrad, max_in_flight, turnaround, &clients);
                let alone = solo(turnaround, &clients[0]);
                let isolation = results[0].requests as f64 / alone / (f64::from(share) / 1e6);
                let counters = results[0].counters;
                println!(
                    "{max_in_flight} {turnaround} {share}: isolation {isolation:.3}, other {}, slack {slack}, {counters:?}",
                    results[1].requests
                );
                assert!(
                    isolation >= 0.99,
                    "{max_in_flight} {turnaround} {share} {isolation:.3}"
                );
                assert_eq!(counters.deadlines_missed, 0);
                assert!(slack >= -1_000_000, "{slack}");
            }
        }
    }
}
