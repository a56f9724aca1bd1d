//! One sequence of random numbers for several users.

use disktime_random::SplitMix64;
use disktime_units::Nanos;
use std::cell::RefCell;
use std::rc::Rc;

/// A generator whose clones draw from the same sequence, in the order in which they ask.
#[derive(Debug, Clone)]
pub struct SharedRng(Rc<RefCell<SplitMix64>>);

impl SharedRng {
    /// From a seed, with a sequence of its own.
    pub fn new(seed: u64) -> SharedRng {
        SharedRng::from(SplitMix64::new(seed))
    }

    /// From `low` to below `high`.
    pub fn range(&self, low: u64, high: u64) -> u64 {
        self.0.borrow_mut().range(low, high)
    }

    /// With that probability in per cent.
    pub fn percent(&self, percent: u64) -> bool {
        self.0.borrow_mut().percent(percent)
    }

    /// Exponential with that mean.
    pub fn exponential(&self, mean: Nanos) -> Nanos {
        self.0.borrow_mut().exponential(mean)
    }
}

impl From<SplitMix64> for SharedRng {
    /// Goes on with a sequence.
    fn from(rng: SplitMix64) -> SharedRng {
        SharedRng(Rc::new(RefCell::new(rng)))
    }
}
