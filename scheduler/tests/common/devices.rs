//! Disks in virtual time.

use super::random::Rng;
use disktime_scheduler::SeekCurve;
use disktime_units::Nanos;

/// Something that serves.
pub trait Device {
    /// When a request that starts now is done. `price` is what it costs by the linear model.
    fn start(&mut self, now: Nanos, offset: Option<u64>, len: u64, price: Nanos) -> Nanos;
}

/// Service times that do not depend on the place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceTimes {
    /// Always W.
    Worst,
    /// A twentieth of W.
    Tiny,
    /// Uniform up to W.
    Uniform,
    /// W or a twentieth of it.
    Bimodal,
    /// Half of W.
    Half,
    /// 0.97 W.
    Nearly,
}

impl ServiceTimes {
    /// All kinds.
    pub const ALL: [ServiceTimes; 6] = [
        ServiceTimes::Worst,
        ServiceTimes::Tiny,
        ServiceTimes::Uniform,
        ServiceTimes::Bimodal,
        ServiceTimes::Half,
        ServiceTimes::Nearly,
    ];
}

/// A device with such times, one request at a time.
#[derive(Debug)]
pub struct Adversary {
    pub times: ServiceTimes,
    pub worst_case: Nanos,
    pub rng: Rng,
}

impl Device for Adversary {
    fn start(&mut self, now: Nanos, _: Option<u64>, _: u64, _: Nanos) -> Nanos {
        let worst = self.worst_case.0;
        now + Nanos(match self.times {
            ServiceTimes::Worst => worst,
            ServiceTimes::Tiny => worst / 20,
            ServiceTimes::Uniform => self.rng.range(1, worst + 1),
            ServiceTimes::Bimodal if self.rng.percent(30) => worst,
            ServiceTimes::Bimodal => worst / 20,
            ServiceTimes::Half => worst / 2,
            ServiceTimes::Nearly => worst / 100 * 97,
        })
    }
}

/// Size of the toy hard disk.
pub const DISK_BYTES: u64 = 160_000_000_000;
/// One turn of its platter.
pub const TURN: Nanos = Nanos(8_333_000);
/// Its longest seek.
pub const WORST_SEEK: Nanos = Nanos(15_200_000);
/// Bound on a request of up to 256 KiB.
pub const WORST_CASE: Nanos = Nanos(27_200_000);
const BYTES_PER_SECOND: u64 = 80_000_000;
const TRACK_BYTES: u64 = BYTES_PER_SECOND / 1000 * 8333 / 1000;

/// Transfer time.
pub fn transfer(len: u64) -> Nanos {
    Nanos(len * 1_000_000_000 / BYTES_PER_SECOND)
}

/// 0.8 + 14.4·sqrt(d) ms.
pub fn toy_seek(distance: u64) -> Nanos {
    if distance == 0 {
        return Nanos::ZERO;
    }
    let root = (u128::from(distance) * 1_000_000_000_000 / u128::from(DISK_BYTES)).isqrt();
    Nanos(800_000 + 144 * root as u64 / 10)
}

/// The curve as a table.
pub fn toy_seek_curve() -> SeekCurve {
    let steps = 128u64;
    let at = |step: u64| DISK_BYTES / (steps * steps) * step * step;
    let points = (1..=steps).map(|step| (at(step), toy_seek(at(step))));
    SeekCurve::new([(0, Nanos(800_000))].into_iter().chain(points).collect())
}

/// The toy hard disk: seek curve, a platter that turns with the clock, one request at a time.
#[derive(Debug, Default)]
pub struct ToyHdd {
    head: u64,
}

impl Device for ToyHdd {
    fn start(&mut self, now: Nanos, offset: Option<u64>, len: u64, _: Nanos) -> Nanos {
        let Some(offset) = offset else {
            return now + TURN;
        };
        let mut done = now;
        if offset != self.head {
            done += toy_seek(offset.abs_diff(self.head));
            let angle = offset % TRACK_BYTES * TURN.0 / TRACK_BYTES;
            done += Nanos((angle + TURN.0 - done.0 % TURN.0) % TURN.0);
        }
        self.head = offset + len;
        done + transfer(len)
    }
}

/// A device without seeks that takes many at a time and works them off in order, at their price.
#[derive(Debug, Default)]
pub struct Linear {
    free_at: Nanos,
}

impl Device for Linear {
    fn start(&mut self, now: Nanos, _: Option<u64>, _: u64, price: Nanos) -> Nanos {
        self.free_at = self.free_at.max(now) + price;
        self.free_at
    }
}

/// A device that takes many at a time, each for as long as it likes.
#[derive(Debug)]
pub struct Overlapping {
    pub rng: Rng,
    pub most: Nanos,
}

impl Device for Overlapping {
    fn start(&mut self, now: Nanos, _: Option<u64>, _: u64, _: Nanos) -> Nanos {
        now + Nanos(self.rng.range(1, self.most.0))
    }
}
