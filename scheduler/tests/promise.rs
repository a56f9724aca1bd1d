//! The promise, by brute force: unspent budget at period ends, whole periods inside a backlog,
//! charges that add up, and a disk that never sleeps while a stream may go (I2, I3).

use disktime_lab::oracle::World;
use disktime_lab::oracle::disks::{RESERVED, secs};
use disktime_lab::oracle::mixes::{self, ClientMix};
use disktime_scheduler::SwitchingAccount;
use disktime_units::Nanos;

/// How near a set of runs came to the bound.
#[derive(Debug, Default)]
struct Worst {
    unspent_of_bound: f64,
    from_start: f64,
    inside: f64,
    periods: u64,
}

fn sweep(name: &str, seeds: std::ops::Range<u64>, length: Nanos, build: impl Fn(u64) -> World) {
    let mut worst = Worst::default();
    for seed in seeds {
        let mut world = build(seed).without_trace();
        world.run(length);
        world.drain();
        let context = format!("seed {seed}");
        world.assert_charges_add_up(&context);
        for audit in world.assert_promises(&context) {
            let of_bound = |value: i64| value as f64 / audit.bound as f64;
            worst.periods += audit.periods;
            worst.unspent_of_bound = worst.unspent_of_bound.max(of_bound(audit.unspent));
            worst.from_start = worst.from_start.max(of_bound(audit.from_start));
            worst.inside = worst.inside.max(of_bound(audit.inside));
        }
    }
    println!("{name}: {worst:.3?}");
    assert!(
        worst.periods > 1000,
        "{name}: too few periods inside backlogs were counted"
    );
}

#[test]
fn i3_backlogged_streams_at_the_limit_leave_at_most_w() {
    sweep("backlogged, no seeks", 0..30, secs(30), |seed| {
        mixes::adverse(seed, ClientMix::Backlogged, 1_000_000, false)
    });
    sweep("backlogged, seeks", 1000..1030, secs(30), |seed| {
        mixes::adverse(seed, ClientMix::Backlogged, 1_000_000, true)
    });
}

#[test]
fn i3_streams_that_sleep_and_wake_at_the_limit_leave_at_most_w() {
    sweep("mixed, no seeks", 2000..2040, secs(40), |seed| {
        mixes::adverse(seed, ClientMix::Mixed, 1_000_000, false)
    });
    sweep("mixed, seeks", 3000..3040, secs(40), |seed| {
        mixes::adverse(seed, ClientMix::Mixed, 1_000_000, true)
    });
}

#[test]
fn i3_holds_with_spare_time_as_well() {
    sweep("mixed, 80 %", 4000..4030, secs(40), |seed| {
        mixes::adverse(seed, ClientMix::Mixed, 800_000, seed % 2 == 0)
    });
}

#[test]
fn i3_on_the_toy_disk_each_request_paying_its_seek() {
    sweep("toy disk, served pays", 5000..5030, secs(60), |seed| {
        let clients = if seed % 2 == 0 {
            ClientMix::Mixed
        } else {
            ClientMix::Backlogged
        };
        mixes::on_toy_hdd(seed, clients, SwitchingAccount::Served)
    });
}

#[test]
fn i3_on_the_toy_disk_with_the_switching_account() {
    sweep(
        "toy disk, switching account",
        6000..6030,
        secs(60),
        |seed| {
            let clients = if seed % 2 == 0 {
                ClientMix::Mixed
            } else {
                ClientMix::Backlogged
            };
            mixes::on_toy_hdd(seed, clients, RESERVED)
        },
    );
}
