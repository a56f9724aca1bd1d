//! Unit tests of the profile: what is written is read back, and what is refused.

use super::*;
use disktime_documents::Document;
use disktime_drive_models::OverlapDrive;
use std::path::Path;

fn latency(mean: u64) -> LoneLatency {
    LoneLatency {
        p10: Nanos(mean / 2),
        mean: Nanos(mean),
        p99: Nanos(mean * 2),
    }
}

fn profile() -> Profile {
    let drive = OverlapDrive::find("sata-870").expect("a preset");
    let lone = LonePair {
        small: latency(120_000),
        quantum: latency(400_000),
    };
    Profile {
        device: Device {
            path: "/dev/sda".to_owned(),
            size_bytes: 1 << 40,
            model: Some("SSD \"870\"".to_owned()),
            serial: None,
            rotational: false,
            scheduler: Some("none".to_owned()),
            write_cache: Some(true),
        },
        seconds: 60,
        measured_writes: true,
        quantum_bytes: 128 << 10,
        cost: OverlapCost {
            // As the latencies above.
            fast_read_percent: 50,
            ..drive.cost
        },
        lone: [Some(lone), Some(lone), None, None, None, None],
        worst_case: Nanos::from_millis(1),
        knee_depth: 32,
        max_in_flight: 32,
        depths: vec![DepthPoint {
            len_bytes: 4096,
            depth: 1,
            per_second: 8000,
            mean: Nanos(120_000),
            p99: Nanos(150_000),
        }],
        seeks: None,
        remarks: vec!["A sentence.".to_owned()],
    }
}

fn read(text: &str) -> Result<Profile, ProfileError> {
    Profile::read(&Document::new(Path::new("a.profile"), text))
}

/// The error of a profile in which `from` is replaced by `to`.
#[track_caller]
fn refused(from: &str, to: &str) -> String {
    let text = profile().to_json();
    assert!(text.contains(from), "{from} is not in {text}");
    read(&text.replacen(from, to, 1))
        .expect_err("it is wrong")
        .to_string()
}

#[test]
fn a_profile_is_read_as_it_was_written() {
    assert_eq!(read(&profile().to_json()).expect("it is right"), profile());
    let mut disk = profile();
    disk.device.rotational = true;
    disk.seeks = Some(Seeks {
        rotation: Nanos(8_333_333),
        curve: vec![
            SeekPoint {
                distance_bytes: 0,
                seek: Nanos::ZERO,
            },
            SeekPoint {
                distance_bytes: 1 << 40,
                seek: Nanos::from_millis(17),
            },
        ],
    });
    assert_eq!(read(&disk.to_json()).expect("it is right"), disk);
}

#[test]
fn impossible_numbers_are_refused_with_their_key() {
    let error = refused("\"worst_case_ns\": 1000000", "\"worst_case_ns\": 0");
    assert!(error.contains("`worst_case_ns` cannot be 0"), "{error}");
    let error = refused("\"worst_case_ns\": 1000000", "\"worst_case_ns\": 1000");
    assert!(
        error.contains("`worst_case_ns` is 1us, which cannot be"),
        "{error}"
    );
    let error = refused(
        "\"occupancy_bound_ns\": 454480",
        "\"occupancy_bound_ns\": 5",
    );
    assert!(error.contains("`occupancy_bound_ns` is 5ns"), "{error}");
    let error = refused("\"knee_depth\": 32", "\"knee_depth\": 5000");
    assert!(error.contains("`knee_depth` cannot be 5000"), "{error}");
    let error = refused("\"version\": 1", "\"version\": 2");
    assert!(error.contains("`version` cannot be 2"), "{error}");
}

#[test]
fn a_coefficient_that_is_not_that_of_the_prices_is_refused() {
    let error = refused("\"rrandiops\": 98", "\"rrandiops\": 18");
    assert!(error.contains("`rrandiops` is 18"), "{error}");
}

#[test]
fn unknown_and_missing_keys_are_refused() {
    let error = refused("\"knee_depth\"", "\"knee\"");
    assert!(
        error.contains("`knee` is not a key of a profile"),
        "{error}"
    );
    assert!(error.contains("needs the key `knee_depth`"), "{error}");
}

#[test]
fn a_profile_of_another_device_is_refused() {
    let file = Path::new("a.profile");
    let profile = profile();
    let fits = |size, model| profile.require_device(file, size, model);
    assert!(fits(1 << 40, Some("SSD \"870\"")).is_ok());
    assert!(fits(1 << 40, None).is_ok());
    let error = fits(1 << 41, None).expect_err("another size").to_string();
    assert!(error.contains("1099511627776 bytes"), "{error}");
    let error = fits(1 << 40, Some("HDD"))
        .expect_err("another model")
        .to_string();
    assert!(error.contains("this is a HDD of"), "{error}");
}

#[test]
fn periods_that_fit_hold_twice_the_larger_of_w_and_the_drain() {
    let profile = profile();
    let drain = profile.drain();
    assert!(drain > profile.worst_case);
    assert_eq!(profile.shortest_period(10), Nanos(drain.0 * 20));
    // Not shorter than a reservation's period can be.
    assert_eq!(profile.shortest_period(100), Nanos::from_millis(10));
}
