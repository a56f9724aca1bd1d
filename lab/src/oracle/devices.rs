//! Disks in virtual time.

use super::rng::SharedRng;
use super::world::Dispatched;
use disktime_scheduler::SeekCurve;
use disktime_units::Nanos;

/// Something that serves.
pub trait Device {
    /// When a dispatch that starts now is done.
    fn start(&mut self, now: Nanos, dispatch: &Dispatched) -> Nanos;
}

/// Service times that do not depend on the place, as a part of W.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceTimes {
    /// Always W.
    Worst,
    /// A twentieth of it.
    Tiny,
    /// Uniform up to W.
    Uniform,
    /// Mostly a twentieth, 30 % W.
    Bimodal,
    /// Half.
    Half,
    /// 97 %.
    Nearly,
    /// A nanosecond or W.
    Extreme,
}

impl ServiceTimes {
    /// All kinds.
    pub const ALL: [ServiceTimes; 7] = [
        ServiceTimes::Worst,
        ServiceTimes::Tiny,
        ServiceTimes::Uniform,
        ServiceTimes::Bimodal,
        ServiceTimes::Half,
        ServiceTimes::Nearly,
        ServiceTimes::Extreme,
    ];

    fn draw(self, rng: &SharedRng, worst_case: Nanos) -> Nanos {
        let worst = worst_case.0;
        Nanos(match self {
            ServiceTimes::Worst => worst,
            ServiceTimes::Tiny => worst / 20,
            ServiceTimes::Uniform => rng.range(1, worst + 1),
            ServiceTimes::Bimodal if rng.percent(30) => worst,
            ServiceTimes::Bimodal => worst / 20,
            ServiceTimes::Half => worst / 2,
            ServiceTimes::Nearly => worst / 100 * 97,
            ServiceTimes::Extreme if rng.percent(50) => worst,
            ServiceTimes::Extreme => 1,
        })
    }
}

/// A device with such times, the same for all streams or one kind for each.
#[derive(Debug)]
pub struct Adversary {
    times: Vec<ServiceTimes>,
    worst_case: Nanos,
    rng: SharedRng,
}

impl Adversary {
    /// One kind of times for all streams.
    pub fn new(times: ServiceTimes, worst_case: Nanos, rng: SharedRng) -> Adversary {
        Adversary::by_stream(vec![times], worst_case, rng)
    }

    /// A kind of times for each stream.
    pub fn by_stream(times: Vec<ServiceTimes>, worst_case: Nanos, rng: SharedRng) -> Adversary {
        Adversary {
            times,
            worst_case,
            rng,
        }
    }
}

impl Device for Adversary {
    fn start(&mut self, now: Nanos, dispatch: &Dispatched) -> Nanos {
        let times = self.times[dispatch.stream % self.times.len()];
        now + times.draw(&self.rng, self.worst_case)
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
fn toy_seek(distance: u64) -> Nanos {
    if distance == 0 {
        return Nanos::ZERO;
    }
    let root = (u128::from(distance) * 1_000_000_000_000 / u128::from(DISK_BYTES)).isqrt();
    Nanos(800_000 + 144 * root as u64 / 10)
}

/// The curve as a table.
pub(super) fn toy_seek_curve() -> SeekCurve {
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
    fn start(&mut self, now: Nanos, dispatch: &Dispatched) -> Nanos {
        let offset = dispatch.offset;
        let mut done = now;
        if offset != self.head {
            done += toy_seek(offset.abs_diff(self.head));
            let angle = offset % TRACK_BYTES * TURN.0 / TRACK_BYTES;
            done += Nanos((angle + TURN.0 - done.0 % TURN.0) % TURN.0);
        }
        self.head = offset + dispatch.len;
        done + transfer(dispatch.len)
    }
}

/// A device without seeks that takes many at a time and works them off in order, at their price.
#[derive(Debug, Default)]
pub struct Linear {
    free_at: Nanos,
}

impl Device for Linear {
    fn start(&mut self, now: Nanos, dispatch: &Dispatched) -> Nanos {
        self.free_at = self.free_at.max(now) + dispatch.price;
        self.free_at
    }
}

/// A device that takes many at a time, each for a random time below `most`.
#[derive(Debug)]
pub struct Overlapping {
    /// Where the times come from.
    pub rng: SharedRng,
    /// What they stay below.
    pub most: Nanos,
}

impl Device for Overlapping {
    fn start(&mut self, now: Nanos, _: &Dispatched) -> Nanos {
        now + Nanos(self.rng.range(1, self.most.0))
    }
}
