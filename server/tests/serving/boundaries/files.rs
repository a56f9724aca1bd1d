//! Plain files on ext4: one writer appends and calls `fsync`, the other replaces files by a rename,
//! as editors and package managers do.

use super::{Control, LIFETIME, LONG, Place, Promise, UNIT, content, some_of};
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::thread;
use std::time::Duration;

const APPENDED: &str = "appended";

/// What is durable.
enum Durable {
    /// So many bytes of the file that is appended to.
    Appended(usize),
    /// The file of that number has at least this version.
    Replaced(u64, u64),
}

/// Bytes of which each part follows from its place.
fn stream(length: usize) -> Vec<u8> {
    let words = (0..length as u64)
        .step_by(8)
        .map(|at| at.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let mut bytes: Vec<u8> = words.flat_map(|word| (word | 1).to_le_bytes()).collect();
    bytes.truncate(length);
    bytes
}

/// A content that follows from the version, and is longer than a block.
fn version(number: u64) -> Vec<u8> {
    format!("version {number:8}\n").repeat(400).into_bytes()
}

/// The version of which this is the content; it has to be one's whole.
fn version_of(bytes: &[u8]) -> u64 {
    let line = String::from_utf8_lossy(&bytes[..17.min(bytes.len())]).into_owned();
    let number = line
        .strip_prefix("version")
        .and_then(|rest| rest.trim().parse().ok());
    let number = number.unwrap_or_else(|| panic!("no version: {line:?}"));
    assert!(bytes == version(number), "a part of version {number}");
    number
}

fn append(directory: &Path, mut control: Control, rounds: u64) -> Vec<Promise<Durable>> {
    let mut file = File::create_new(directory.join(APPENDED)).expect("made");
    let mut length = 0;
    let bytes = stream(rounds as usize * 5_000);
    let mut promises = Vec::new();
    for round in 0..rounds {
        let next = length + 1_000 + (round as usize * 997) % 4_000;
        file.write_all(&bytes[length..next]).expect("room for it");
        file.sync_all().expect("durable");
        length = next;
        promises.push(Promise {
            seq: control.newest(),
            what: Durable::Appended(length),
        });
    }
    promises
}

fn replace(directory: &Path, mut control: Control, rounds: u64) -> Vec<Promise<Durable>> {
    let mut promises = Vec::new();
    let new = directory.join("new");
    for round in 0..rounds {
        let number = round % 3;
        let mut file = File::create(&new).expect("made");
        file.write_all(&version(round)).expect("room for it");
        file.sync_all().expect("durable");
        fs::rename(&new, directory.join(format!("file-{number}"))).expect("renamed");
        let opened = File::open(directory).expect("a directory");
        opened.sync_all().expect("durable");
        promises.push(Promise {
            seq: control.newest(),
            what: Durable::Replaced(number, round),
        });
    }
    promises
}

fn check(directory: &Path, promised: &[&Durable]) {
    let appended = content(&directory.join(APPENDED)).unwrap_or_default();
    let durable = promised.iter().map(|promise| match promise {
        Durable::Appended(length) => *length,
        Durable::Replaced(..) => 0,
    });
    let durable = durable.max().unwrap_or(0);
    assert!(appended.len() >= durable, "{} of {durable}", appended.len());
    // Behind that ext4 may have the new size without the new bytes: it orders data before the size
    // only where blocks are new, not in the rest of the last one.
    let written = stream(appended.len());
    let end = written
        .iter()
        .zip(&appended)
        .take_while(|(one, other)| one == other);
    let end = end.count();
    assert!(end >= durable, "{end} bytes of {durable} are right");
    let is_nothing = appended[end..].iter().all(|byte| *byte == 0);
    assert!(
        is_nothing && end / UNIT == appended.len().saturating_sub(1) / UNIT,
        "what is there was written"
    );
    for promise in promised {
        let Durable::Replaced(number, round) = promise else {
            continue;
        };
        let bytes = content(&directory.join(format!("file-{number}")));
        let there = version_of(&bytes.expect("it was durable"));
        assert!(there >= *round, "version {there}, and {round} was durable");
    }
}

/// Two writers; then the moments that `choose` takes of the flush boundaries.
fn run(rounds: u64, lifetime: Duration, choose: impl FnOnce(&[u64]) -> Vec<u64>) {
    let (mut place, mounted, device) = Place::new(64, 256, lifetime);
    place.writers_begin(&mounted);
    let [one, other] = [0; 2].map(|_| Control::connect(&place.directory));
    let directory = &mounted.directory;
    let mut promises = thread::scope(|scope| {
        let appending = scope.spawn(|| append(directory, one, rounds));
        let mut all = replace(directory, other, rounds);
        all.extend(appending.join().expect("it does not fail"));
        all
    });
    promises.sort_by_key(|promise| promise.seq);
    drop((mounted, device));
    let boundaries = place.boundaries();
    println!(
        "{} flush boundaries from seq:{} on",
        boundaries.len(),
        place.first
    );
    assert!(boundaries.len() as u64 >= rounds, "{boundaries:?}");
    place.open_all("ext4", &choose(&boundaries), &promises, check);
    super::end(place);
}

#[test]
fn ext4_is_whole_at_flush_boundaries() {
    run(8, LIFETIME, |boundaries| some_of(boundaries, 12));
}

#[test]
#[ignore = "some minutes: every flush boundary, and every moment between them"]
fn ext4_is_whole_at_every_flush_boundary_and_moment() {
    run(100, LONG, |boundaries| boundaries.to_vec());
    run(10, LONG, |boundaries| {
        (boundaries[0]..=boundaries[boundaries.len() - 1]).collect()
    });
}
