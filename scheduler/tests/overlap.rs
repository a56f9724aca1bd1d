//! A device without seeks that takes many requests at a time.

use disktime_lab::oracle::disks::{ms, plain_disk, reserved, secs};
use disktime_lab::oracle::mixes;
use disktime_lab::oracle::{
    Behaviour, ClientConfig, Linear, Overlapping, Pattern, SharedRng, Think, World,
};
use disktime_random::SplitMix64;
use disktime_scheduler::{SchedulerConfig, StreamConfig};
use disktime_units::Nanos;

const SIZE: u64 = 1 << 40;

fn device(max_in_flight: usize) -> SchedulerConfig {
    SchedulerConfig {
        max_in_flight,
        merge_limit_bytes: 128 << 10,
        ..plain_disk(ms(10))
    }
}

/// 40 us and 0.5 ns a byte.
fn client(depth: usize, len: u64) -> ClientConfig {
    ClientConfig {
        behaviour: Behaviour::Closed {
            depth,
            think: Think::None,
        },
        pattern: Pattern::Random,
        len,
        price: Nanos(40_000 + len / 2),
        zone: (0, SIZE),
        merge: true,
    }
}

#[test]
fn charges_add_up_to_the_busy_time_while_requests_overlap() {
    for seed in 0..20 {
        let mut rng = SplitMix64::new(seed);
        let in_flight = rng.range(1, 33) as usize;
        let most = Nanos(rng.range(100_000, 10_000_000));
        let overlapping = Overlapping {
            rng: SharedRng::new(rng.next_u64()),
            most,
        };
        let mut world = World::new(device(in_flight), SIZE, overlapping);
        world = world.answers_first(rng.percent(50));
        let count = rng.range(2, 8) as usize;
        for (index, share) in mixes::shares(&mut rng, count, 900_000)
            .into_iter()
            .enumerate()
        {
            let len = 4096 << rng.range(0, 6);
            let depth = rng.range(1, 40) as usize;
            let mut one = client(depth, len);
            if rng.percent(30) {
                one.behaviour = Behaviour::Bursts {
                    burst: depth,
                    pause: ms(30),
                };
            }
            world.add(
                reserved(share, ms(rng.range(50, 2000))),
                one,
                Nanos::ZERO,
                index as u64,
            );
        }
        world.add(StreamConfig::BEST_EFFORT, client(16, 4096), Nanos::ZERO, 99);
        world.run(secs(4));
        world.drain();
        world.assert_charges_add_up(&format!("seed {seed}, {in_flight} in flight"));
        let longest = world.scheduler().disk_counters(world.now()).longest;
        assert!(longest <= most, "{longest}");
    }
}

#[test]
fn shares_are_delivered_where_the_device_is_what_the_price_says() {
    let cases: [&[(u32, usize, u64)]; 4] = [
        &[(600_000, 32, 4096), (400_000, 32, 4096)],
        &[(700_000, 64, 4096), (300_000, 16, 64 << 10)],
        &[
            (200_000, 16, 4096),
            (300_000, 32, 16 << 10),
            (500_000, 64, 128 << 10),
        ],
        &[
            (100_000, 64, 4096),
            (200_000, 16, 64 << 10),
            (300_000, 32, 8192),
            (400_000, 16, 32 << 10),
        ],
    ];
    for streams in cases {
        for in_flight in [8, 32] {
            let mut world = World::new(device(in_flight), SIZE, Linear::default());
            for (index, (share, depth, len)) in streams.iter().enumerate() {
                let one = client(*depth, *len);
                world.add(reserved(*share, ms(200)), one, Nanos::ZERO, index as u64);
            }
            world.run(secs(10));
            for (index, (share, ..)) in streams.iter().enumerate() {
                let counters = world.counters(index);
                let charged = (counters.reserved + counters.spare).as_secs_f64() / 10.0;
                let price = world.client(index).config().price.as_secs_f64();
                let used = world.client(index).completed() as f64 * price / 10.0;
                let due = f64::from(*share) / 1e6;
                println!(
                    "{in_flight} in flight, {streams:?}, {index}: charged {charged:.4}, used {used:.4}, due {due:.2}"
                );
                assert!(
                    (charged - due).abs() <= 0.02,
                    "charged {charged:.4}, due {due}"
                );
                assert!((used - due).abs() <= 0.02, "used {used:.4}, due {due}");
                assert_eq!(counters.deadlines_missed, 0, "{counters:?}");
            }
        }
    }
}

#[test]
fn no_more_are_in_flight_than_allowed() {
    let mut world = World::new(device(8), SIZE, Linear::default());
    world.add(reserved(500_000, ms(100)), client(64, 4096), Nanos::ZERO, 1);
    world.add(StreamConfig::BEST_EFFORT, client(64, 4096), Nanos::ZERO, 2);
    let mut most = 0;
    for step in 1..20_000u64 {
        world.run(Nanos(step * 5_000));
        most = most.max(world.scheduler().in_flight());
    }
    assert_eq!(most, 8);
}
