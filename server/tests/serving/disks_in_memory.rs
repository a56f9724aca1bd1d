//! Disks that lie at no path: in memory, and nowhere.

use crate::nbd::{assert_same, assert_zeroes};
use crate::test_directory::{MIB, TestDirectory, assert_says};

fn place_with(medium: &str) -> TestDirectory {
    let disk = format!(r#""d0": {{ "{medium}": true, "size": "64MiB" }}"#);
    let vdisks = r#""a": { "disk": "d0", "size": "16MiB", "reserve": "50%", "period": "100ms" },
                    "b": { "disk": "d0", "size": "40MiB" }"#;

    TestDirectory::configured(&disk, vdisks, r#""nbd": {}"#)
}

#[test]
fn memory_serves_like_a_disk_and_forgets_at_the_end() {
    let place = place_with("memory");
    let server = place.start();
    let (data_of_a, data_of_b) = (server.client("a").fill(1), server.client("b").fill(2));
    server.client("a").write_zeroes(5 * MIB + 100, 3 << 20);
    let all = server.client("a").read_all();
    let hole = (5 << 20) + 100..(8 << 20) + 100;
    assert_same(&all[..hole.start], &data_of_a[..hole.start], "before");
    assert_zeroes(&all[hole.clone()], "what was zeroed");
    assert_same(&all[hole.end..], &data_of_a[hole.end..], "behind");
    assert_same(&server.client("b").read_all(), &data_of_b, "the neighbour");
    assert_eq!(place.status().disks["d0"].description, "memory");
    assert_says(&server.stop(), &["memory", "gone when the server stops"]);

    let server = place.start();
    assert_zeroes(&server.client("a").read_all(), "a new start");
    server.stop();
    assert!(!place.disk_file().exists());
}

#[test]
fn null_takes_everything_and_answers_with_zeroes() {
    let place = place_with("null");
    let server = place.start();
    server.client("b").fill(3);
    assert_zeroes(&server.client("b").read_all(), "what was dropped");
    assert_says(&server.stop(), &["dropped"]);
}

#[test]
fn there_is_nothing_to_format_in_memory() {
    let said = place_with("memory").succeeds(&["format"]);
    assert_says(&said, &["d0", "nothing to format"]);
}
