//! The model against arithmetic, published figures and its own bounds.

use super::super::*;
use crate::Operation;
use disktime_random::SplitMix64;
use disktime_units::Nanos;
use proptest::prelude::*;

const GIB: u64 = 1 << 30;

fn parameters(name: &str) -> HddParameters {
    preset(name).expect("the preset exists").0
}

fn near(value: f64, expected: f64, percent: f64) -> bool {
    (value - expected).abs() <= expected * percent / 100.0
}

/// Small drives of both layouts, so that borders of zones and tracks are met often.
fn small_drive(serpentine_cyls: u32, skew_rev: f64) -> HddParameters {
    let json = serde_json::json!({
        "rpm": 7200, "surfaces": 3, "cyls": 40,
        "zones": [[0, 9, 60, 9, 14], [10, 10, 50], [12, 30, 41, 5, 9], [31, 39, 30]],
        "seek": [[1, 1.5], [2, 1.2], [5, 2.0], [39, 9.0]],
        "head_switch_ms": 0.9, "write_settle_ms": 0.4, "skew_rev": skew_rev,
        "serpentine_cyls": serpentine_cyls, "cache_segments": 3, "seg_sectors": 100,
        "bus_mb_per_s": 5.0
    });
    HddParameters::from_json(&json).expect("the drive is valid")
}

#[test]
fn every_preset_is_valid_and_names_its_source() {
    assert_eq!(preset_names().len(), 4);
    for name in preset_names() {
        let (parameters, _) = preset(name).expect("a listed preset exists");
        let model = HddModel::new(&parameters).expect("a preset is valid");
        assert!(
            !parameters.src.is_empty() && !parameters.write_cache,
            "{name}"
        );
        assert!(model.size_bytes() > 100 * GIB, "{name}");
        let round_trip = serde_json::to_value(&parameters).expect("parameters are JSON");
        assert_eq!(
            HddParameters::from_json(&round_trip).as_ref(),
            Ok(&parameters),
            "{name}"
        );
    }
}

#[test]
fn random_reads_take_what_the_reference_simulator_says() {
    for (name, mean_ms, deviation_ms) in [
        ("enterprise-15k", 5.78, 1.68),
        ("nearline-7200-4tb", 11.41, 3.61),
    ] {
        let model = HddModel::new(&parameters(name)).expect("a preset is valid");
        let measured = model.mean_random_read(4096);
        assert!(
            near(measured.mean_ms, mean_ms, 5.0) && near(measured.deviation_ms, deviation_ms, 5.0),
            "{name}: {measured:?} instead of {mean_ms} ± {deviation_ms} ms"
        );
    }
    // The outer tenth alone, where seeks are short.
    let mut outer = parameters("nearline-7200-4tb");
    outer.short_stroke = true;
    let tenth = outer.size_bytes() / 10 / 4096 * 4096;
    let model = HddModel::scaled_to(&outer, tenth).expect("a part is possible");
    let measured = model.mean_random_read(4096);
    assert!(
        near(measured.mean_ms, 7.32, 5.0) && near(measured.deviation_ms, 2.51, 5.0),
        "outer tenth: {measured:?}"
    );
}

#[test]
fn data_sheet_figures_come_out_of_the_presets_made_from_them() {
    let desktop = HddModel::new(&parameters("desktop-7200-2008")).expect("a preset is valid");
    let rates: Vec<f64> = desktop.zones().iter().map(|zone| zone.mb_per_s).collect();
    assert!(
        near(rates[0], 105.0, 3.0) && near(rates[rates.len() - 1], 55.0, 3.0),
        "{rates:?}"
    );
    assert!(
        near(desktop.mean_seek().as_millis_f64(), 8.5, 3.0),
        "{}",
        desktop.mean_seek()
    );
    let large = HddModel::new(&parameters("nearline-7200-18tb")).expect("a preset is valid");
    assert!(
        near(large.zones()[0].mb_per_s, 270.0, 3.0),
        "{:?}",
        large.zones()[0]
    );
    assert!(
        near(large.mean_seek().as_millis_f64(), 7.4, 5.0),
        "{}",
        large.mean_seek()
    );
    assert!(
        near(large.size_bytes() as f64, 18e12, 3.0),
        "{}",
        large.size_bytes()
    );
}

/// Mean time of a run of `length` 4 KiB reads that begins at a random place.
fn mean_run_ms(model: &HddModel, length: u64) -> f64 {
    let (mut model, mut random) = (model.clone(), SplitMix64::new(7));
    let runs = 20_000 / length + 100;
    let places = model.size_bytes() / 4096 - length;
    let mut now = Nanos::ZERO;
    for _ in 0..runs {
        let first = random.below(places);
        for index in 0..length {
            now = model.serve(now, Operation::Read, (first + index) * 4096, 4096);
        }
    }
    now.as_millis_f64() / runs as f64
}

#[test]
fn runs_take_what_figure_2_of_rtas_2008_shows() {
    let model = HddModel::new(&parameters("desktop-7200-2008")).expect("a preset is valid");
    for length in [1, 4, 16, 64, 256, 1000] {
        let n = length as f64;
        let fit = if length <= 16 {
            62.36 * n + 8.33
        } else {
            820.28 * n.ln() - 1114.3
        };
        let ms = mean_run_ms(&model, length);
        let iops = n * 1e3 / ms;
        assert!(
            near(iops, fit, 10.0),
            "n = {length}: {iops:.1} a second, the paper's fit {fit:.1}"
        );
        // The same as a time for the first and one for each that follows.
        let line = 13.9 + 0.22 * (n - 1.0);
        assert!(
            near(ms, line, 5.0),
            "n = {length}: {ms:.2} ms, not {line:.2}"
        );
    }
}

#[test]
fn streaming_reaches_the_rate_of_the_zone() {
    for name in preset_names() {
        let model = HddModel::new(&parameters(name)).expect("a preset is valid");
        let rate = (512 << 10) as f64 / 1e3 / model.mean_sequential_read(512 << 10).mean_ms;
        let zone = model.zones()[0].mb_per_s;
        assert!(
            near(rate, zone, 8.0),
            "{name}: {rate} MB/s instead of {zone}"
        );
    }
}

#[test]
fn a_scaled_disk_has_the_seeks_of_the_whole_drive() {
    for name in preset_names() {
        let mut drive = parameters(name);
        let whole = HddModel::new(&drive).expect("a preset is valid");
        let scaled = HddModel::scaled_to(&drive, 16 * GIB).expect("the size is possible");
        assert!(
            near(scaled.mean_seek().0 as f64, whole.mean_seek().0 as f64, 3.0),
            "{name}"
        );
        let (one, other) = (scaled.mean_random_read(4096), whole.mean_random_read(4096));
        assert!(
            near(one.mean_ms, other.mean_ms, 3.0),
            "{name}: {one:?} {other:?}"
        );
        let rates = (
            scaled.mean_sequential_read(65536),
            whole.mean_sequential_read(65536),
        );
        assert!(
            near(rates.0.mean_ms, rates.1.mean_ms, 5.0),
            "{name}: {rates:?}"
        );
        drive.short_stroke = true;
        let outer = HddModel::scaled_to(&drive, 16 * GIB).expect("the size is possible");
        assert!(
            outer.mean_seek().0 * 10 < whole.mean_seek().0 * 6,
            "{name}: {}",
            outer.mean_seek()
        );
    }
}

#[test]
fn any_size_is_served_exactly_and_to_its_last_sector() {
    for name in preset_names() {
        for size in [512, 4096, 1 << 20, (100 << 20) + 512, 64 * GIB, 3000 * GIB] {
            let mut model = HddModel::scaled_to(&parameters(name), size).expect("possible");
            assert_eq!(model.size_bytes(), size);
            let done = model.serve(Nanos(5), Operation::Write, size - 512, 512);
            assert!(
                done > Nanos(5) && done - Nanos(5) <= model.worst_case(512),
                "{name} {size}"
            );
            let held: u64 = model.zones().iter().map(|zone| zone.bytes).sum();
            assert_eq!(held, size, "{name}: the zones hold the size");
            let curve = model.seek_curve();
            assert!(
                curve
                    .windows(2)
                    .all(|pair| pair[0].distance_bytes < pair[1].distance_bytes)
            );
            assert_eq!(curve[curve.len() - 1].distance_bytes, size);
        }
    }
}

#[test]
fn time_scale_slows_everything_alike() {
    let drive = parameters("desktop-7200-2008");
    let slow = HddParameters {
        time_scale: 2.0,
        ..drive.clone()
    };
    let [fast, slow] = [drive, slow].map(|drive| HddModel::new(&drive).expect("valid"));
    let pairs = [
        (fast.worst_case(1 << 19), slow.worst_case(1 << 19)),
        (fast.switch_cost(), slow.switch_cost()),
        (fast.worst_seek(), slow.worst_seek()),
    ];
    for (fast, slow) in pairs {
        assert!((fast.0 * 2).abs_diff(slow.0) < 1000, "{fast} and {slow}");
    }
    let means = (
        fast.mean_random_read(4096).mean_ms,
        slow.mean_random_read(4096).mean_ms,
    );
    assert!(near(means.1, 2.0 * means.0, 1.0), "{means:?}");
}

#[test]
fn writes_without_a_cache_reach_the_medium_and_discards_do_nothing() {
    let mut model = HddModel::new(&parameters("desktop-7200-2008")).expect("valid");
    let turn = model.turn();
    let first = model.serve(Nanos::ZERO, Operation::Write, 1 << 30, 4096);
    let again = model.serve(first, Operation::Write, 1 << 30, 4096);
    assert!(
        (again - first).0 >= turn.0 * 9 / 10,
        "the platter must come round: {}",
        again - first
    );
    let discarded = model.serve(again, Operation::Discard, 0, 1 << 35);
    assert!(discarded - again < Nanos::from_millis(1));
    let flushed = model.serve(discarded, Operation::Flush, 0, 0);
    assert!(
        flushed - discarded < Nanos::from_millis(1),
        "nothing waits for a flush"
    );
    let zeroed = model.serve(flushed, Operation::WriteZeroes, 1 << 30, 1 << 20);
    assert!(
        zeroed - flushed > Nanos::from_millis(9),
        "zeroes are written like data"
    );
}

#[test]
fn a_write_cache_reports_early_and_pays_later() {
    let mut drive = parameters("desktop-7200-2008");
    (drive.write_cache, drive.write_cache_sectors) = (true, Some(1024));
    let mut model = HddModel::new(&drive).expect("valid");
    let mut random = SplitMix64::new(3);
    let mut now = Nanos::ZERO;
    let mut times = Vec::new();
    for _ in 0..400 {
        let done = model.serve(now, Operation::Write, random.below(1 << 20) << 12, 4096);
        times.push(done - now);
        now = done;
    }
    assert!(
        times[..100]
            .iter()
            .all(|time| *time < Nanos::from_millis(1)),
        "reported at once"
    );
    let late: u64 = times[200..].iter().map(|time| time.0).sum();
    assert!(
        late / 200 > 5_000_000,
        "a full cache is as slow as the medium: {}",
        late / 200
    );
    assert!(model.has_dirty());
    let flushed = model.serve(now, Operation::Flush, 0, 0);
    assert!(
        !model.has_dirty() && flushed - now > Nanos::from_millis(500),
        "{}",
        flushed - now
    );
    let idle = flushed + Nanos::from_secs(1);
    let written = model.serve(idle, Operation::Write, 0, 4096);
    model.serve(written + Nanos::from_secs(1), Operation::Read, 0, 4096);
    assert!(!model.has_dirty(), "idle time is for writing back");
}

#[test]
fn read_ahead_ends_with_the_next_command() {
    let mut model = HddModel::new(&parameters("desktop-7200-2008")).expect("valid");
    let first = model.serve(Nanos::ZERO, Operation::Read, 1 << 30, 4096);
    let hit = model.serve(
        first + Nanos::from_millis(50),
        Operation::Read,
        (1 << 30) + 65536,
        4096,
    );
    assert!(hit - first < Nanos::from_millis(51), "it was read ahead");
    let away = model.serve(hit, Operation::Read, 50 << 30, 4096);
    let back = model.serve(away, Operation::Read, (1 << 30) + (2 << 20), 4096);
    assert!(
        back - away > Nanos::from_millis(3),
        "the drive had no time to read that far"
    );
    model.serve(back, Operation::Write, (1 << 30) + 65536, 4096);
    let again = model.serve(
        back + Nanos::from_secs(1),
        Operation::Read,
        (1 << 30) + 65536,
        4096,
    );
    assert!(
        again - back > Nanos::from_millis(1001),
        "a write makes the segment stale"
    );
}

#[test]
fn wrong_parameters_are_refused_by_field() {
    let good = serde_json::to_value(small_drive(0, 0.0)).expect("JSON");
    let cases = [
        ("rpm", serde_json::json!(0), "rpm"),
        ("rpm", serde_json::json!("fast"), "fast"),
        ("surfaces", serde_json::json!(0), "surfaces"),
        ("zones", serde_json::json!([]), "zones"),
        (
            "zones",
            serde_json::json!([[0, 9]]),
            "a zone is [first cylinder",
        ),
        (
            "zones",
            serde_json::json!([[5, 9, 10], [9, 12, 10]]),
            "zones[1]",
        ),
        ("zones", serde_json::json!([[0, 9, 0]]), "zones[0]"),
        ("zones", serde_json::json!([[0, 9, 10, 11, 0]]), "skew"),
        ("seek", serde_json::json!([]), "seek"),
        ("seek", serde_json::json!([[3, 1.0], [2, 1.0]]), "ascend"),
        (
            "seek",
            serde_json::json!({"average_ms": 1}),
            "`seek` must be a table",
        ),
        (
            "seek",
            serde_json::json!({"track_to_track_ms": 1, "average_ms": 8, "full_stroke_ms": 80}),
            "full_stroke_ms",
        ),
        ("sectors", serde_json::json!(1u64 << 40), "sectors"),
        ("time_scale", serde_json::json!(0), "time_scale"),
        ("bus_mb_per_s", serde_json::json!(0), "bus_mb_per_s"),
        ("colour", serde_json::json!("red"), "colour"),
    ];
    for (field, value, expected) in cases {
        let mut drive = good.clone();
        drive[field] = value.clone();
        let error = HddParameters::from_json(&drive)
            .expect_err("it is wrong")
            .to_string();
        assert!(error.contains(expected), "{field} = {value}: {error}");
    }
    let half = serde_json::json!({"preset": "enterprise-15k", "time_scale": 2});
    let slow = HddParameters::from_json(&half).expect("a preset may be changed");
    assert_eq!((slow.rpm, slow.time_scale), (15_000.0, 2.0));
    let unknown = serde_json::json!({"preset": "floppy"});
    let error = HddParameters::from_json(&unknown)
        .expect_err("unknown")
        .to_string();
    assert!(
        error.contains("floppy") && error.contains("enterprise-15k"),
        "{error}"
    );
    let words = serde_json::json!({"preset": "enterprise-15k", "zones": "many"});
    let error = HddParameters::from_json(&words)
        .expect_err("not zones")
        .to_string();
    assert!(error.contains("`zones` is wrong"), "{error}");
    let error = find_drive("desktop")
        .expect_err("no such preset")
        .to_string();
    assert!(
        error.contains("desktop-7200-2008") && error.contains("FILE#NAME"),
        "{error}"
    );
}

fn any_operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        5 => Just(Operation::Read),
        3 => Just(Operation::Write),
        1 => Just(Operation::WriteZeroes),
        1 => Just(Operation::Discard),
        1 => Just(Operation::Flush),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// W is a true bound, on small drives where a request crosses tracks, zones and groups, and
    /// on presets; and the same calls have the same answers.
    #[test]
    fn no_request_takes_longer_than_w(
        drive in 0usize..7,
        size_share in 1u64..=100,
        slow_bus in any::<bool>(),
        quantum_blocks in 1u64..256,
        requests in proptest::collection::vec(
            (any_operation(), any::<u64>(), 1u64..=256, 0u64..40_000_000, any::<bool>()), 1..200),
    ) {
        let mut drive = match drive {
            0 => small_drive(0, 0.0),
            1 => small_drive(4, 0.1),
            2 => small_drive(7, 0.0),
            index => parameters(preset_names()[index - 3]),
        };
        if slow_bus {
            drive.bus_mb_per_s = Some(3.0);
            drive.read_before = ReadBefore::Track;
            drive.read_ahead_keeps = true;
            drive.reads_hit_writes = true;
            drive.write_invalidates = WriteInvalidation::Overlap;
        }
        let size = (drive.size_bytes() / 100 * size_share).max(4096);
        let model = HddModel::scaled_to(&drive, size).expect("the drive is valid");
        let quantum_bytes = quantum_blocks * 2048;
        let worst = model.worst_case(quantum_bytes);
        let (mut one, mut other) = (model.clone(), model);
        let (mut now, mut next) = (Nanos::ZERO, 0);
        for (operation, place, blocks, think, sequential) in requests {
            let len = (blocks * 512 * 4).min(quantum_bytes).min(size / 512 * 512);
            let places = (size - len) / 512 + 1;
            let offset = if sequential && next + len <= size { next } else { place % places * 512 };
            let done = one.serve(now, operation, offset, len);
            prop_assert!(done >= now);
            prop_assert!(done - now <= worst, "{operation:?} {len}: {} > W = {worst}", done - now);
            prop_assert_eq!(done, other.serve(now, operation, offset, len));
            next = offset + len;
            now = done + Nanos(think);
        }
    }
}
