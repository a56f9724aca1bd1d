//! The dies of a flash drive with their channels: when a read or a program ends, given what they
//! have to do already.
//!
//! Invariant: each die and each channel works off what it gets in the order in which it gets it, so
//! an end that is known does not change.

use super::FlashParameters;
use crate::cost::moving;
use crate::slowdown::Slowdown;
use disktime_random::SplitMix64;
use disktime_units::Nanos;

/// Stripes after which the first die changes, in rounds over all dies. Long runs hardly notice;
/// places at equal distances do not all meet one die.
const ROUNDS_BEFORE_SHIFT: u64 = 64;

/// Dies, channels, and what garbage collection owes.
#[derive(Debug)]
pub(super) struct Dies {
    /// When each die is free.
    lun_free: Vec<Nanos>,
    /// When each channel is free.
    channel_free: Vec<Nanos>,
    /// The die of the next program.
    next_program: usize,
    /// When the last program ends.
    last_program: Nanos,
    /// Thousandths of a program that garbage collection owes.
    owed_thousandths: u32,
    /// What is left of the fast part; `None` without one.
    cache_left: Option<u64>,
    random: SplitMix64,
}

impl Dies {
    pub(super) fn new(parameters: &FlashParameters, seed: u64) -> Dies {
        Dies {
            lun_free: vec![Nanos::ZERO; parameters.luns()],
            channel_free: vec![Nanos::ZERO; parameters.channels as usize],
            next_program: 0,
            last_program: Nanos::ZERO,
            owed_thousandths: 0,
            cache_left: parameters.cache_bytes,
            random: SplitMix64::new(seed),
        }
    }

    /// The die of a stripe, by its address.
    pub(super) fn lun_of(&self, stripe: u64) -> u32 {
        let luns = self.lun_free.len() as u64;
        let shift = SplitMix64::new(stripe / (luns * ROUNDS_BEFORE_SHIFT)).next_u64();
        ((stripe % luns + shift % luns) % luns) as u32
    }

    /// When a read that reaches a die at `now` would end at the earliest.
    pub(super) fn earliest_read(
        &self,
        parameters: &FlashParameters,
        lun: u32,
        now: Nanos,
    ) -> Nanos {
        let shortest = percent(parameters.read, 100 - parameters.variation_percent.min(100));
        self.lun_free[lun as usize].max(now) + shortest
    }

    /// A read on a die from `now` on; when it ends.
    pub(super) fn read(
        &mut self,
        parameters: &FlashParameters,
        slowdown: &Slowdown,
        lun: u32,
        now: Nanos,
    ) -> Nanos {
        let mut time = parameters.read;
        if parameters.variation_percent > 0 {
            let most = u64::from(parameters.variation_percent.min(100));
            let per_mille = 1000 - 10 * most + self.random.below(20 * most + 1);
            time = Nanos(time.0 * per_mille / 1000);
        }
        let free = &mut self.lun_free[lun as usize];
        *free = (*free).max(now) + slowdown.scaled(now, time);
        *free
    }

    /// Moves bytes over the channel of a die from `now` on; when that ends.
    pub(super) fn transfer(
        &mut self,
        parameters: &FlashParameters,
        slowdown: &Slowdown,
        lun: u32,
        len_bytes: u32,
        now: Nanos,
    ) -> Nanos {
        let time = moving(parameters.channel_per_mib, u64::from(len_bytes));
        let free = &mut self.channel_free[(lun / parameters.luns_per_channel) as usize];
        *free = (*free).max(now) + slowdown.scaled(now, time);
        *free
    }

    /// Programs a stripe on the next die from `now` on, with what it brings of garbage collection;
    /// when it ends.
    pub(super) fn program(
        &mut self,
        parameters: &FlashParameters,
        slowdown: &Slowdown,
        now: Nanos,
    ) -> Nanos {
        let lun = self.next_program;
        self.next_program = (lun + 1) % self.lun_free.len();
        let stripe = parameters.stripe_bytes;
        let there = self.transfer(parameters, slowdown, lun as u32, stripe, now);
        let program = self.program_time(parameters) + parameters.erase_share;
        self.owed_thousandths += parameters.collected_per_thousand;
        while self.owed_thousandths >= 1000 {
            self.owed_thousandths -= 1000;
            let other = self.random.below(self.lun_free.len() as u64) as usize;
            let free = &mut self.lun_free[other];
            *free = (*free).max(now) + slowdown.scaled(now, parameters.read + program);
        }
        let free = &mut self.lun_free[lun];
        *free = (*free).max(there) + slowdown.scaled(now, program);
        self.last_program = self.last_program.max(*free);
        *free
    }

    fn program_time(&mut self, parameters: &FlashParameters) -> Nanos {
        match &mut self.cache_left {
            None => parameters.program,
            Some(0) => parameters.slow_program,
            Some(left) => {
                *left = left.saturating_sub(u64::from(parameters.stripe_bytes));
                parameters.program
            }
        }
    }

    /// When the last program so far ends.
    pub(super) fn last_program(&self) -> Nanos {
        self.last_program
    }
}

fn percent(time: Nanos, percent: u32) -> Nanos {
    Nanos(time.0 * u64::from(percent) / 100)
}
