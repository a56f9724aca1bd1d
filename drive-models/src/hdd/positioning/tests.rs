//! Unit tests of `positioning`.

use super::super::{preset, preset_names};
use super::*;
use crate::Operation;
use disktime_random::SplitMix64;

/// Random requests without think time: what the map says before each, and what the model takes
/// for it less the passing of its sectors.
fn compare(name: &str, operation: Operation) -> (u64, u64, u64) {
    let (parameters, _) = preset(name).expect("the preset exists");
    let mut model = HddModel::scaled_to(&parameters, 64 << 30).expect("possible");
    let map = model.positioning_map();
    let (mut random, mut now) = (SplitMix64::new(11), Nanos::ZERO);
    let places = model.size_bytes() / 4096;
    let (mut from, mut apart, mut taken, mut far) = (map.place(0), 0, 0, 0);
    for _ in 0..4000 {
        let offset = random.below(places) * 4096;
        let to = map.place(offset);
        let guessed = map.positioning(now, from, to, operation == Operation::Write);
        let done = model.serve(now, operation, offset, 4096);
        let turn = map.turn().0;
        let passing = 8 * turn / u64::from(to.place.sectors_per_track);
        let positioned = (done - now).0.saturating_sub(passing);
        let error = positioned.abs_diff(guessed.0);
        // Read-ahead moves the arm by a track, and so a seek just in time may become a late one.
        far += u64::from(error > 200_000);
        apart += error.min(turn - error.min(turn));
        taken += positioned;
        now = done + Nanos(random.below(20_000_000));
        from = map.place(offset + 4096);
    }
    (apart / 4000, taken / 4000, far)
}

#[test]
fn the_guess_is_what_the_model_takes() {
    for name in preset_names() {
        for operation in [Operation::Read, Operation::Write] {
            let (apart, taken, far) = compare(name, operation);
            println!("{name} {operation:?}: {apart} ns of {taken} ns, {far} of 4000 far off");
            assert!(
                apart * 50 <= taken,
                "{name} {operation:?}: {apart} ns of {taken} ns"
            );
            assert!(
                far <= 80,
                "{name} {operation:?}: {far} of 4000 guesses are far off"
            );
        }
    }
}

#[test]
fn places_turn_with_the_platter_and_seeks_grow_with_distance() {
    let (parameters, _) = preset("desktop-7200-2008").expect("the preset exists");
    let model = HddModel::scaled_to(&parameters, 64 << 30).expect("possible");
    let map = model.positioning_map();
    assert_eq!(map.turn(), model.turn());
    assert_eq!(map.seek(0, 0, false), Nanos::ZERO);
    assert_eq!(map.angle_of(0), Nanos::ZERO);
    let quarter = map.angle_of(1910 / 4 * 512).0 * 1000 / map.turn().0;
    assert!(
        (248..=250).contains(&quarter),
        "{quarter} thousandths of a turn"
    );
    let mut before = Nanos::ZERO;
    for gib in 1..64 {
        let (read, write) = (map.seek(0, gib << 30, false), map.seek(0, gib << 30, true));
        assert!(read > before, "farther takes longer");
        assert_eq!(write - read, Nanos::from_millis(1), "a write settles");
        before = read;
    }
    assert!(before <= model.worst_seek());
    let last = map.place(u64::MAX);
    assert!(last.angle() < map.turn(), "beyond the end is the end");
}
