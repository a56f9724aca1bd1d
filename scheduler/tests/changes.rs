//! Changing reservations while everybody is being served: no request is lost, and no promise to
//! anybody else is broken (I8).

use disktime_lab::oracle::disks::{ms, reserved, secs};
use disktime_lab::oracle::mixes::{self, ClientMix};
use disktime_random::SplitMix64;
use disktime_scheduler::{StreamConfig, StreamId};
use disktime_units::{Nanos, Share};

fn share(config: StreamConfig) -> u32 {
    config
        .reservation
        .map_or(0, |reservation| reservation.share.0)
}

#[test]
fn i8_changes_at_the_limit_of_admission_break_no_promise() {
    let (mut grown, mut delayed) = (0, 0);
    for seed in 0..60 {
        let clients = if seed % 4 == 0 {
            ClientMix::Backlogged
        } else {
            ClientMix::Mixed
        };
        let mut world = mixes::adverse(30_000 + seed, clients, 1_000_000, seed % 3 == 0);
        world = world.without_trace();
        let mut rng = SplitMix64::new(seed);
        let count = world.stream_count();
        let ids: Vec<StreamId> = world.scheduler().streams().collect();
        let id = |stream: usize| ids[stream];
        let mut wanted: Vec<StreamConfig> = (0..count)
            .map(|stream| world.scheduler().stream_config(id(stream)))
            .collect();
        for _ in 0..40 {
            world.run(world.now() + Nanos(rng.range(1, 2_000_000_000)));
            let stream = rng.range(0, count as u64) as usize;
            let others: u32 = (0..count)
                .filter(|other| *other != stream)
                .map(|other| share(wanted[other]))
                .sum();
            let left = 1_000_000 - others;
            // Down, or up to all that is left.
            let new = if rng.percent(40) {
                rng.range(0, u64::from(left / 3) + 1) as u32
            } else {
                left
            };
            let period = rng.log_uniform(ms(50), secs(5));
            let config = if new == 0 {
                StreamConfig::BEST_EFFORT
            } else {
                reserved(new, period)
            };
            grown += usize::from(new > share(wanted[stream]));
            wanted[stream] = config;
            world.reconfigure(stream, config);
            delayed += usize::from(world.scheduler().is_pending(id(stream)));
        }
        world.run(world.now() + secs(60));
        let sum: u32 = wanted.iter().map(|config| share(*config)).sum();
        assert!(sum <= 1_000_000);
        for (stream, wanted) in wanted.iter().enumerate() {
            let config = world.scheduler().stream_config(id(stream));
            assert_eq!(
                config, *wanted,
                "seed {seed}: stream {stream} still waits for its change"
            );
        }
        world.drain();
        world.assert_charges_add_up(&format!("seed {seed}"));
        world.assert_promises(&format!("seed {seed}"));
    }
    assert!(
        grown > 500 && delayed > 100,
        "{grown} grew, {delayed} of them had to wait"
    );
}

#[test]
fn a_larger_share_is_delivered_once_it_holds() {
    let mut world = mixes::adverse(4, ClientMix::Backlogged, 500_000, false);
    world.run(secs(5));
    let more = reserved(400_000, ms(500));
    let first = world.scheduler().stream_config(world.stream(0));
    let grown = Share(more.reservation.map_or(0, |r| r.share.0) + share(first));
    let config = reserved(grown.0, ms(500));
    world.reconfigure(0, config);
    world.run(secs(15));
    let before = world.counters(0).reserved;
    world.run(secs(35));
    let got = (world.counters(0).reserved - before).as_secs_f64();
    let due = grown.0 as f64 / 1e6 * 20.0;
    assert!((got - due).abs() < 0.3, "{got} s, due {due} s");
}
