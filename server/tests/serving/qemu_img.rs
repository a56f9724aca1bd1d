//! `qemu-img info` and `qemu-img bench`: what it is told, and that all it sends arrives, is counted
//! and lies where it should.

use crate::nbd::assert_zeroes;
use crate::programs::qemu_img;
use crate::test_directory::{MIB, TestDirectory, serve_one};
use serde_json::Value;

const KIB: u64 = 1 << 10;

/// How many requests `status` has counted for the vdisk.
#[track_caller]
fn requests_counted(place: &TestDirectory) -> u64 {
    let status = place.status();
    status.vdisks["db"].stream.account.windows.total.requests
}

#[test]
fn info_tells_size_and_format() {
    let (_place, server, uri) = serve_one();
    let said = qemu_img("info --output=json", &[&uri]);
    let info: Value = serde_json::from_str(&said).expect("it prints JSON");
    assert_eq!(info["virtual-size"], 64 * MIB);
    assert_eq!(info["format"], "raw");
    assert_eq!(info["filename"], uri.as_str());
    server.stop();
}

/// The bench with these options and `words` about them; returns how many requests were counted.
#[track_caller]
fn bench(place: &TestDirectory, uri: &str, options: &str, words: &[&str]) -> u64 {
    let before = requests_counted(place);
    let said = qemu_img(&format!("bench -f raw {options}"), &[uri]);
    for word in words.iter().chain(&["Run completed in"]) {
        assert!(said.contains(word), "`{word}` is not in {said}");
    }
    requests_counted(place) - before
}

#[test]
fn bench_reads_are_served_and_counted() {
    let (place, server, uri) = serve_one();
    server.client("db").write(0, &[7; 1 << 20]);
    // Each depth and size, requests of no round length among them; a MiB goes to the disk in eight
    // pieces.
    for (count, depth, size, pieces) in [
        (200, "1", "4k", 1),
        (3000, "32", "4k", 1),
        (500, "128", "512", 1),
        (500, "64", "3000", 1),
        (300, "8", "64k", 1),
        (40, "4", "1M", 8),
    ] {
        let options = format!("-c {count} -d {depth} -s {size}");
        let words = [
            format!("{count} read requests"),
            format!("{depth} in parallel"),
        ];
        let counted = bench(&place, &uri, &options, &[&words[0], &words[1]]);
        assert_eq!(counted, count * pieces, "{options}");
    }
    // More than a request may be: QEMU divides them.
    let words = ["1 read requests, 41943040 bytes"];
    bench(&place, &uri, "-c 1 -d 1 -s 40M", &words);
    server.stop();
}

#[test]
fn bench_writes_lie_where_they_should_and_are_counted() {
    let (place, server, uri) = serve_one();
    let options = "-w --pattern=171 -c 300 -d 16 -s 64k -S 128k -o 1M --flush-interval=50";
    let words = ["300 write requests", "flush every 50 requests"];
    let counted = bench(&place, &uri, options, &words);
    // It flushes once more when it closes the image.
    assert!((306..=308).contains(&counted), "{counted} were counted");
    let mut client = server.client("db");
    assert_zeroes(&client.read(0, MIB as u32), "before the first");
    for number in 0..300 {
        let place = MIB + number * 128 * KIB;
        let got = client.read(place, 128 << 10);
        let (written, between) = got.split_at(64 << 10);
        assert!(
            written.iter().all(|byte| *byte == 171),
            "request {number} of the bench"
        );
        assert_zeroes(between, "between two requests");
    }
    // All over each other, each with a flush behind it, past QEMU's cache.
    let options = "-w -c 100 -d 4 -s 4k -S 512 --flush-interval=4 -t none";
    let counted = bench(&place, &uri, options, &["100 write requests"]);
    assert!((125..=127).contains(&counted), "{counted} were counted");
    server.stop();
}
