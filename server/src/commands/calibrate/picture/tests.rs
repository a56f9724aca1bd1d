//! Unit tests of the picture: well-formed, with every point of a profile.

use super::*;
use disktime_calibration::Device;
use disktime_drive_models::{OverlapDrive, SeekPoint};
use disktime_units::Nanos;

fn profile() -> Profile {
    let drive = OverlapDrive::find("sata-870").expect("a preset");
    let point = |len_bytes, depth: u32| DepthPoint {
        len_bytes,
        depth,
        per_second: 8000 * u64::from(depth),
        mean: Nanos(120_000),
        p99: Nanos(150_000),
    };
    Profile {
        device: Device {
            path: "/dev/<sda>".to_owned(),
            size_bytes: 1 << 40,
            model: Some("a & b".to_owned()),
            serial: None,
            rotational: false,
            scheduler: None,
            write_cache: None,
        },
        seconds: 60,
        measured_writes: true,
        quantum_bytes: 128 << 10,
        cost: drive.cost,
        lone: [None; 6],
        worst_case: drive.worst_case,
        knee_depth: 4,
        max_in_flight: 32,
        depths: vec![
            point(4096, 1),
            point(4096, 2),
            point(4096, 4),
            point(131_072, 1),
        ],
        seeks: None,
        remarks: Vec::new(),
    }
}

#[test]
fn each_point_is_drawn_and_the_text_is_xml() {
    let svg = draw(&profile());
    roxmltree::Document::parse(&svg).expect("well-formed");
    assert_eq!(svg.matches("<circle").count(), 2 * 4);
    assert!(svg.contains("knee") && svg.contains("128KiB p99"));
}

#[test]
fn a_disk_with_seeks_has_its_curve_instead() {
    let mut disk = profile();
    let point = |distance_bytes, millis| SeekPoint {
        distance_bytes,
        seek: Nanos::from_millis(millis),
    };
    disk.seeks = Some(Seeks {
        rotation: Nanos::from_millis(8),
        curve: vec![point(0, 0), point(1 << 39, 9), point(1 << 40, 17)],
    });
    let svg = draw(&disk);
    roxmltree::Document::parse(&svg).expect("well-formed");
    assert_eq!(svg.matches("<circle").count(), 3);
    assert!(svg.contains("Seek, ms"));
}
