//! Recent usage: a moving average over 20 slots of time, of which each older one counts 0.9 as much
//! as the next.

use disktime_units::Nanos;

const SLOTS: usize = 20;

/// 0.9^k in parts per million, k from 0, the newest.
const WEIGHTS_PPM: [i128; SLOTS] = weights();

const fn weights() -> [i128; SLOTS] {
    let mut weights = [1_000_000; SLOTS];
    let mut slot = 1;
    while slot < SLOTS {
        weights[slot] = weights[slot - 1] * 9 / 10;
        slot += 1;
    }
    weights
}

/// What a stream used, in 20 slots up to now.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Usage {
    slots: [i128; SLOTS],
    /// Number of the newest slot since the start of time; slot n is kept at n mod 20.
    newest: u64,
    /// Σ weight · slot.
    sum: i128,
}

impl Usage {
    /// The weighted usage at `now`, in millionths.
    pub(super) fn at(&mut self, now: Nanos, slot: Nanos) -> u128 {
        self.roll(now, slot);
        u128::try_from(self.sum).unwrap_or(0)
    }

    /// Something was used now; negative: less than was said before.
    pub(super) fn add(&mut self, now: Nanos, slot: Nanos, used: i128) {
        self.roll(now, slot);
        self.slots[(self.newest % SLOTS as u64) as usize] += used;
        self.sum += used * WEIGHTS_PPM[0];
    }

    fn roll(&mut self, now: Nanos, slot: Nanos) {
        let current = now.0 / slot.0.max(1);
        if current <= self.newest {
            return;
        }
        let passed = (current - self.newest).min(SLOTS as u64);
        for number in current + 1 - passed..=current {
            self.slots[(number % SLOTS as u64) as usize] = 0;
        }
        self.newest = current;
        self.sum = WEIGHTS_PPM
            .iter()
            .zip(0..=current)
            .map(|(weight, age)| weight * self.slots[((current - age) % SLOTS as u64) as usize])
            .sum();
    }
}

#[cfg(test)]
mod tests;
