//! The plan of a device that does several requests at once.
//!
//! Quiet probes come first, as they let credit grow. Each loaded part begins with a long load which
//! uses up write caches and credit; from then on the device stays loaded, deep probes before the
//! sweep over depths, which goes from deep to shallow.

use super::{DEEP, Job, Part, PlanOptions, ROUNDS, SMALL_BYTES, Weighted, probe};
use crate::probe::{BurstProbe, DeviceFacts, Places, Probe};
use disktime_drive_models::Operation;
use disktime_units::Nanos;

/// Longest request that goes to such a device in one piece.
pub(crate) const QUANTUM_BYTES: u64 = 128 << 10;

/// Pause before a read alone.
const READ_PAUSE: Nanos = Nanos::from_millis(1);
/// Pause before a write alone: what the one before left behind is done by then.
const WRITE_PAUSE: Nanos = Nanos::from_millis(20);

/// Reads go on for so long behind a burst: it takes as long again as the burst until the price of
/// its writes has run off, and what comes after that is to be seen.
const LONG_WATCH: Nanos = Nanos::from_millis(120);

const WARM_WEIGHT: u64 = 20;
const DEEPEST_SMALL: u32 = 512;
const DEEPEST_LARGE: u32 = 64;

pub(super) fn steps(facts: &DeviceFacts, options: PlanOptions) -> (u64, Vec<Weighted>) {
    let mut steps = Steps {
        facts,
        options,
        list: Vec::new(),
    };
    for _ in 0..ROUNDS {
        steps.alone(Part::Alone);
    }
    if options.writes {
        steps.warm(Operation::Write, QUANTUM_BYTES);
    }
    steps.warm(Operation::Read, SMALL_BYTES);
    for _ in 0..ROUNDS {
        steps.loaded(SMALL_BYTES);
        steps.flushes();
    }
    for _ in 0..ROUNDS {
        steps.depths(SMALL_BYTES, DEEPEST_SMALL);
    }
    steps.warm(Operation::Read, QUANTUM_BYTES);
    for _ in 0..ROUNDS {
        steps.loaded(QUANTUM_BYTES);
    }
    for _ in 0..ROUNDS {
        steps.depths(QUANTUM_BYTES, DEEPEST_LARGE);
    }
    steps.aftermath();
    let again = probe(Operation::Read, Places::Random, SMALL_BYTES, 1);
    let again = Probe {
        turnaround: READ_PAUSE,
        ..again
    };
    steps.push(4, Part::Again, again);
    (QUANTUM_BYTES, steps.list)
}

struct Steps<'a> {
    facts: &'a DeviceFacts,
    options: PlanOptions,
    list: Vec<Weighted>,
}

impl Steps<'_> {
    fn push(&mut self, weight: u64, part: Part, probe: Probe) {
        let depth = probe.depth.min(self.facts.max_depth).max(1);
        self.list
            .push((weight, part, Job::Probe(Probe { depth, ..probe })));
    }

    /// Operations that move data.
    fn moving(&self) -> &'static [Operation] {
        if self.options.writes {
            &[Operation::Read, Operation::Write]
        } else {
            &[Operation::Read]
        }
    }

    fn discards(&self) -> bool {
        self.options.writes && self.facts.discards
    }

    fn alone(&mut self, part: Part) {
        for len_bytes in [SMALL_BYTES, QUANTUM_BYTES] {
            for &operation in self.moving() {
                let (weight, turnaround) = match operation {
                    Operation::Read => (1, READ_PAUSE),
                    _ => (2, WRITE_PAUSE),
                };
                for places in [Places::Random, Places::Sequential] {
                    let one = Probe {
                        turnaround,
                        ..probe(operation, places, len_bytes, 1)
                    };
                    self.push(weight, part, one);
                }
            }
            if self.discards() {
                let one = Probe {
                    turnaround: WRITE_PAUSE,
                    ..probe(Operation::Discard, Places::Sequential, len_bytes, 1)
                };
                self.push(2, part, one);
            }
        }
        if self.options.writes {
            let flush = Probe {
                flushes: true,
                turnaround: WRITE_PAUSE,
                ..probe(Operation::Write, Places::Random, SMALL_BYTES, 1)
            };
            self.push(2, part, flush);
        }
    }

    fn warm(&mut self, operation: Operation, len_bytes: u64) {
        let load = probe(operation, Places::Random, len_bytes, DEEP);
        self.push(WARM_WEIGHT, Part::Warm, load);
    }

    fn loaded(&mut self, len_bytes: u64) {
        for &operation in self.moving() {
            for places in [Places::Random, Places::Sequential] {
                self.push(2, Part::Loaded, probe(operation, places, len_bytes, DEEP));
            }
        }
        if self.discards() {
            let discards = probe(Operation::Discard, Places::Sequential, len_bytes, DEEP);
            self.push(1, Part::Loaded, discards);
        }
    }

    /// Flushes that have something to make durable, and flushes that have not.
    fn flushes(&mut self) {
        if self.options.writes {
            let writes = probe(Operation::Write, Places::Random, SMALL_BYTES, DEEP);
            let pairs = Probe {
                flushes: true,
                ..writes
            };
            self.push(2, Part::Loaded, pairs);
            let empty = probe(Operation::Flush, Places::Random, 0, DEEP);
            self.push(1, Part::Loaded, empty);
        }
    }

    fn depths(&mut self, len_bytes: u64, deepest: u32) {
        let deepest = deepest.min(self.facts.max_depth).max(1);
        let mut depth = deepest;
        while depth > 0 {
            let reads = probe(Operation::Read, Places::Random, len_bytes, depth);
            self.push(1, Part::Depths, reads);
            depth /= 2;
        }
    }

    /// Behind a single write, whose price runs off before it is on the medium; behind a burst that
    /// fills the device's buffer, of which some dies have more to do than others; and behind a long
    /// one, which leaves garbage collection behind.
    fn aftermath(&mut self) {
        if !self.options.writes {
            return;
        }
        let long = BurstProbe {
            write_bytes: QUANTUM_BYTES,
            depth: 32.min(self.facts.max_depth).max(1),
            burst: Nanos::from_millis(50),
            read_bytes: SMALL_BYTES,
            watch: LONG_WATCH,
            repeats: 0,
        };
        let single = BurstProbe {
            depth: 1,
            burst: Nanos(1),
            watch: Nanos::from_millis(20),
            ..long
        };
        let short = BurstProbe {
            burst: Nanos::from_millis(2),
            watch: Nanos::from_millis(80),
            ..long
        };
        self.list.push((4, Part::Aftermath, Job::Bursts(single)));
        self.list.push((4, Part::Aftermath, Job::Bursts(short)));
        self.list.push((4, Part::Aftermath, Job::Bursts(long)));
    }
}
