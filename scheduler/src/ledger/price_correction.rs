//! What the reads of one account take compared with their prices, and whether that has to be
//! measured.
//!
//! - *Alone* a read shows what it takes: the ratio of what passed to the prices, in sums, since a
//!   mean of ratios would be off where prices come in lumps.
//! - *Beside others* it takes longer than alone. If even a tenth of the last reads was faster than
//!   it should be alone, the prices are too high by so much at least.
//! - *Doubt.* An account that is never behind by its own books is never alone. If its prices are
//!   too high, its books are wrong and nothing shows it. So its prices are in doubt while it
//!   receives less than twice its share by them: with twice as much it has its share even if all
//!   of them are double.
//!
//! Invariant: a correction stays within its range; without evidence it is 1.
//!
//! What is not known here: who else is in the disk, and who acts on a doubt.

use crate::ppm_time::proportion;
use disktime_units::Nanos;

/// Corrections are used once so many lone latencies were compared,
const EVIDENCE_MIN: u64 = 40;
/// and what was compared counts half when there is more than this.
const EVIDENCE_MEMORY: u64 = 200;
/// Bounds of a correction, in ppm. Errors beyond them are faults of the profile.
const RANGE_PPM: (u64, u64) = (500_000, 1_250_000);
/// The fastest reads are taken of so many,
const FAST_READS_OF: u32 = 64;
/// as a tenth of them,
const FAST_READS: usize = 7;
/// and no less than this is believed, in ppm.
const FAST_READS_MIN_PPM: u32 = 400_000;
/// A new lone latency counts for one part in this many of the moving average.
const LONE_MEMORY: u64 = 16;
/// So long after enough was compared prices are not in doubt.
const CONFIRMED_FOR: Nanos = Nanos::from_secs(2);

/// What one account's reads take compared with their prices.
#[derive(Debug, Clone, Copy)]
pub(super) struct PriceCorrection {
    elapsed: u64,
    priced: u64,
    factor_ppm: u64,
    /// Moving average of the lone latency.
    lone: u64,
    fast_reads: FastReads,
    /// Compared since prices were confirmed last, and when that was.
    unconfirmed: u64,
    confirmed_at: Option<Nanos>,
    /// In the last round of reads it received less than twice its share.
    is_near_its_share: bool,
    /// What it had received, and its time with requests, when this round began.
    round_received: Nanos,
    round_backlogged: Nanos,
}

/// Where an account stands at the end of a read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing {
    /// Its share; 0 without a reservation.
    pub(super) share_ppm: u64,
    /// V.
    pub(super) received: Nanos,
    /// Time with requests outstanding.
    pub(super) backlogged: Nanos,
}

impl PriceCorrection {
    pub(super) const NONE: PriceCorrection = PriceCorrection {
        elapsed: 0,
        priced: 0,
        factor_ppm: 1_000_000,
        lone: 0,
        fast_reads: FastReads::NONE,
        unconfirmed: 0,
        confirmed_at: None,
        is_near_its_share: false,
        round_received: Nanos::ZERO,
        round_backlogged: Nanos::ZERO,
    };

    /// A request arrives that takes so long alone.
    #[inline]
    pub(super) fn note_lone(&mut self, lone: Nanos) {
        self.lone = match self.lone {
            0 => lone.0,
            known => (known * (LONE_MEMORY - 1) + lone.0) / LONE_MEMORY,
        };
    }

    /// A read that was alone took so long, and its price is this.
    pub(super) fn learn(&mut self, now: Nanos, elapsed: Nanos, solo: Nanos) {
        self.elapsed += elapsed.0;
        self.priced += solo.0;
        if self.priced > EVIDENCE_MEMORY * self.lone {
            self.elapsed /= 2;
            self.priced /= 2;
        }
        if self.priced > EVIDENCE_MIN * self.lone {
            let ratio = proportion(self.elapsed, 1_000_000, self.priced);
            let (least, most) = RANGE_PPM;
            self.factor_ppm = ratio.clamp(least, most);
        }
        self.unconfirmed += solo.0;
        if self.unconfirmed > EVIDENCE_MIN * self.lone {
            self.unconfirmed = 0;
            self.confirmed_at = Some(now);
        }
    }

    /// A read took so long, alone or not, and should take so long alone.
    #[inline]
    pub(super) fn note_read(&mut self, service: Nanos, expected: Nanos, standing: Standing) {
        if self.fast_reads.note(service, expected) {
            self.end_round(standing);
        }
    }

    fn end_round(&mut self, standing: Standing) {
        let received = standing.received.saturating_sub(self.round_received);
        let backlogged = standing.backlogged.saturating_sub(self.round_backlogged);
        let due = proportion(backlogged.0, standing.share_ppm, 1_000_000);
        self.is_near_its_share = received.0 / 2 < due;
        self.round_received = standing.received;
        self.round_backlogged = standing.backlogged;
    }

    /// κ: what its reads take compared with their prices, in ppm.
    #[inline]
    pub(super) fn factor_ppm(&self) -> u64 {
        self.factor_ppm.min(u64::from(self.fast_reads.tenth_ppm))
    }

    /// Whether its prices are to be confirmed by reads alone.
    #[inline]
    pub(super) fn is_doubtful(&self, now: Nanos) -> bool {
        let is_confirmed = |at: Nanos| now < at.saturating_add(CONFIRMED_FOR);
        self.is_near_its_share && !self.confirmed_at.is_some_and(is_confirmed)
    }

    /// How long it has to be alone until its prices are confirmed, by these prices.
    pub(super) fn missing(&self) -> Nanos {
        Nanos((EVIDENCE_MIN * self.lone).saturating_sub(self.unconfirmed))
    }

    /// Moving average of the lone latency of its requests.
    pub(super) fn lone(&self) -> Nanos {
        Nanos(self.lone)
    }

    /// The disk's speed changed: what was learnt is not true any more.
    pub(super) fn forget(&mut self) {
        *self = PriceCorrection {
            lone: self.lone,
            is_near_its_share: self.is_near_its_share,
            round_received: self.round_received,
            round_backlogged: self.round_backlogged,
            ..PriceCorrection::NONE
        };
    }
}

/// How fast the fastest reads of an account are compared with what they should take alone.
#[derive(Debug, Clone, Copy)]
struct FastReads {
    /// The smallest ratios of this round, ascending, in ppm.
    smallest: [u32; FAST_READS],
    seen: u32,
    /// What a tenth of the last round's reads stayed below.
    tenth_ppm: u32,
}

impl FastReads {
    const NONE: FastReads = FastReads {
        smallest: [u32::MAX; FAST_READS],
        seen: 0,
        tenth_ppm: u32::MAX,
    };

    /// Whether this read ended a round.
    #[inline]
    fn note(&mut self, service: Nanos, expected: Nanos) -> bool {
        let ratio = proportion(service.0, 1_000_000, expected.0.max(1));
        let ratio = u32::try_from(ratio).unwrap_or(u32::MAX);
        // Most reads are none of the fastest.
        if ratio < self.smallest[FAST_READS - 1] {
            let at = self.smallest.partition_point(|known| *known <= ratio);
            self.smallest.copy_within(at..FAST_READS - 1, at + 1);
            self.smallest[at] = ratio;
        }
        self.seen += 1;
        if self.seen < FAST_READS_OF {
            return false;
        }
        let tenth_ppm = self.smallest[FAST_READS - 1].max(FAST_READS_MIN_PPM);
        *self = FastReads {
            tenth_ppm,
            ..FastReads::NONE
        };
        true
    }
}

#[cfg(test)]
mod tests;
