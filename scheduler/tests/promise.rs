//! The promise, by brute force: unspent budget at period ends, whole periods inside a backlog,
//! charges that add up, and a disk that never sleeps while a request may go (I2, I3).

mod common;

use common::mixes::{self, Clients};
use common::{RESERVED, World, books, secs};
use disktime_scheduler::SwitchingAccount;
use disktime_units::Nanos;

/// What a set of runs showed, in ns.
#[derive(Debug, Default)]
struct Worst {
    /// Unspent over the bound W, in millionths.
    unspent_of_bound: f64,
    from_start: f64,
    inside: f64,
    periods: u64,
    bounds: u64,
}

fn check(seed: u64, mut world: World, length: Nanos, worst: &mut Worst) {
    world.keep_trace = false;
    world.run(length);
    world.drain();
    let context = format!("seed {seed}");
    world.assert_charges_add_up(&context);
    let bound = world.scheduler.unspent_bound().0 as i64;
    for stream in 0..world.clients.len() {
        let counters = world.counters(stream);
        let config = world.scheduler.stream_config(world.stream(stream));
        let behaviour = world.clients[stream].config.behaviour;
        let unspent = counters.unspent_max.unwrap_or(i64::MIN);
        assert!(
            unspent <= bound && counters.deadlines_missed == 0,
            "seed {seed}: stream {stream} ({config:?}, {behaviour:?}): {unspent} ns unspent at a \
             period end, bound {bound}; {} missed, {} met",
            counters.deadlines_missed,
            counters.deadlines_met
        );
        let Some(reservation) = config.reservation else {
            continue;
        };
        let (segments, backlogs) = (&world.segments[stream], &world.backlogs[stream]);
        let short = books::shortfall(segments, backlogs, reservation.share.0, reservation.period);
        let worst_case = bound;
        // A nanosecond of rounding in the due line.
        assert!(
            short.from_start <= bound + 1 && short.inside <= bound + worst_case + 1,
            "seed {seed}: stream {stream} ({config:?}, {behaviour:?}): short by {} from the start \
             of a backlog, by {} inside; W {bound}",
            short.from_start,
            short.inside
        );
        worst.periods += short.periods;
        worst.bounds += counters.deadlines_met;
        worst.unspent_of_bound = worst.unspent_of_bound.max(unspent as f64 / bound as f64);
        worst.from_start = worst.from_start.max(short.from_start as f64 / bound as f64);
        worst.inside = worst.inside.max(short.inside as f64 / bound as f64);
    }
}

fn sweep(name: &str, seeds: std::ops::Range<u64>, length: Nanos, build: impl Fn(u64) -> World) {
    let mut worst = Worst::default();
    for seed in seeds {
        check(seed, build(seed), length, &mut worst);
    }
    println!("{name}: {worst:.3?}");
    assert!(
        worst.periods > 1000,
        "{name}: too few periods inside backlogs were checked"
    );
}

#[test]
fn i3_backlogged_streams_at_the_limit_leave_at_most_w() {
    sweep("backlogged, no seeks", 0..30, secs(30), |seed| {
        mixes::adverse(seed, Clients::Backlogged, 1_000_000, false)
    });
    sweep("backlogged, seeks", 1000..1030, secs(30), |seed| {
        mixes::adverse(seed, Clients::Backlogged, 1_000_000, true)
    });
}

#[test]
fn i3_streams_that_sleep_and_wake_at_the_limit_leave_at_most_w() {
    sweep("mixed, no seeks", 2000..2040, secs(40), |seed| {
        mixes::adverse(seed, Clients::Mixed, 1_000_000, false)
    });
    sweep("mixed, seeks", 3000..3040, secs(40), |seed| {
        mixes::adverse(seed, Clients::Mixed, 1_000_000, true)
    });
}

#[test]
fn i3_holds_with_spare_time_as_well() {
    sweep("mixed, 80 %", 4000..4030, secs(40), |seed| {
        mixes::adverse(seed, Clients::Mixed, 800_000, seed % 2 == 0)
    });
}

#[test]
fn i3_on_the_toy_disk_each_request_paying_its_seek() {
    sweep("toy disk, (a)", 5000..5030, secs(60), |seed| {
        let clients = if seed % 2 == 0 {
            Clients::Mixed
        } else {
            Clients::Backlogged
        };
        mixes::on_toy_hdd(seed, clients, SwitchingAccount::Served)
    });
}

#[test]
fn i3_on_the_toy_disk_with_the_switching_account() {
    sweep("toy disk, (b5)", 6000..6030, secs(60), |seed| {
        let clients = if seed % 2 == 0 {
            Clients::Mixed
        } else {
            Clients::Backlogged
        };
        mixes::on_toy_hdd(seed, clients, RESERVED)
    });
}
