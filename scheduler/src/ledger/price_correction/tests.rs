//! Unit tests of `price_correction`.

use super::*;

fn us(micros: u64) -> Nanos {
    Nanos::from_micros(micros)
}

/// A round of reads that took twice as long as alone, by an account with 50 % that received that
/// part of its time with requests, in per cent.
fn round(correction: &mut PriceCorrection, received_percent: u64) {
    let passed = u64::from(FAST_READS_OF) * 200;
    let standing = Standing {
        share_ppm: 500_000,
        received: correction.round_received + us(passed * received_percent / 100),
        backlogged: correction.round_backlogged + us(passed),
    };
    for _ in 0..FAST_READS_OF {
        correction.note_read(us(200), us(100), standing);
    }
}

fn known() -> PriceCorrection {
    let mut correction = PriceCorrection::NONE;
    correction.note_lone(us(100));
    correction
}

#[test]
fn prices_are_in_doubt_while_double_prices_would_take_the_share() {
    let mut correction = known();
    let now = Nanos::from_secs(1);
    assert!(!correction.is_doubtful(now), "nothing is known");
    round(&mut correction, 55);
    assert!(correction.is_doubtful(now));
    round(&mut correction, 100);
    assert!(!correction.is_doubtful(now), "it has its share in any case");
}

#[test]
fn reads_alone_confirm_prices_for_a_while() {
    let mut correction = known();
    round(&mut correction, 55);
    let now = Nanos::from_secs(1);
    assert_eq!(correction.missing(), us(4000));
    for _ in 0..40 {
        correction.learn(now, us(80), us(100));
        assert!(correction.is_doubtful(now));
    }
    assert_eq!(correction.missing(), Nanos::ZERO);
    correction.learn(now, us(80), us(100));
    assert_eq!(correction.factor_ppm(), 800_000);
    assert!(!correction.is_doubtful(now));
    assert!(correction.is_doubtful(now + CONFIRMED_FOR));
}

#[test]
fn a_disk_of_another_speed_puts_prices_in_doubt_again() {
    let mut correction = known();
    round(&mut correction, 55);
    for _ in 0..41 {
        correction.learn(us(1), us(80), us(100));
    }
    correction.forget();
    assert_eq!(correction.factor_ppm(), 1_000_000);
    assert!(correction.is_doubtful(us(1)));
}
