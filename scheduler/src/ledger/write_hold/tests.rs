//! Unit tests of `write_hold`.

use super::*;

fn ms(millis: u64) -> Nanos {
    Nanos::from_millis(millis)
}

/// What a write of 10 ms counts after so many, each with a read behind it that took so long in
/// place of 1 ms.
fn hold_after(hold: &mut WriteHold, writes: u32, took: Nanos) -> Nanos {
    for _ in 0..writes {
        hold.hold(ms(10));
        hold.note_read_alone(took, ms(1));
    }
    Nanos(ms(10).0 * hold.percent / 100)
}

#[test]
fn a_write_is_held_longer_while_reads_behind_it_are_late() {
    let mut hold = WriteHold::new();
    assert_eq!(
        hold_after(&mut hold, 100, ms(2)),
        Nanos::from_micros(12_500)
    );
    let longer = hold_after(&mut hold, 20, ms(4));
    assert!(longer > ms(15), "{longer}");
    assert_eq!(hold_after(&mut hold, 200, ms(6)), ms(25), "at most");
    assert_eq!(
        hold_after(&mut hold, 2000, ms(1)),
        Nanos::from_micros(12_500)
    );
}
