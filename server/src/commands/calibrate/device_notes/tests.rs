//! Unit tests of the notes: each appears when its cause is there.

use super::*;

fn identity() -> DiskIdentity {
    DiskIdentity {
        path: "/dev/sda".into(),
        is_device: true,
        size_bytes: 1 << 40,
        model: Some("Model X".to_owned()),
        serial: Some("S1".to_owned()),
        rotational: Some(false),
        scheduler: Some("none".to_owned()),
        queue_name: "sda".to_owned(),
        write_cache: Some(false),
        read_only: false,
        used_by: None,
        hole_bytes: 0,
    }
}

#[test]
fn a_device_is_named_with_size_model_and_serial() {
    let text = described(&identity());
    assert_eq!(text, "/dev/sda (device of 1TiB, Model X, serial S1)");
    assert!(notes(&identity()).is_empty());
}

#[test]
fn scheduler_write_cache_rotation_and_holes_are_told() {
    let disturbed = DiskIdentity {
        scheduler: Some("mq-deadline".to_owned()),
        write_cache: Some(true),
        rotational: Some(true),
        hole_bytes: 1 << 39,
        ..identity()
    };
    let notes = notes(&disturbed);
    let words = [
        "echo none > /sys/block/sda",
        "write cache",
        "--seeks false",
        "512GiB",
    ];
    assert_eq!(notes.len(), words.len());
    for (note, words) in notes.iter().zip(words) {
        assert!(note.contains(words), "{note}");
    }
}
