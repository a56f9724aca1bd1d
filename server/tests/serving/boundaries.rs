//! Every flush boundary of a vdisk is a disk from which what lies on it recovers: a clone of each
//! is mounted, which replays the journal, checked by the file system's and the database's own
//! checks, and holds what a writer's `fsync` or commit had returned for before that boundary.
//!
//! Writers say after each `fsync` or commit up to which seq it reached: the newest seq at that
//! time. The boundaries come from the log itself: each batch says up to which seq everything was
//! durable when it was made (docs/history-format.md). A seq between two boundaries is a moment,
//! too: what a power cut leaves of a disk that writes in order. The long run opens these as well.
//!
//! The tests take a dozen boundaries of each. The long run takes all, and PostgreSQL:
//! `cargo test -p disktime --test serving boundaries -- --ignored --nocapture --test-threads 1`

mod databases;
mod files;

use crate::history::{json, run};
use crate::programs::{Loop, Mounted, text, tool};
use crate::server::{LIFETIME, Server};
use crate::test_directory::TestDirectory;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

const E2FS: &str = "e2fsprogs";
const UNIT: usize = 4096;
/// Longer than the long run takes: hundreds of databases recover one after the other.
const LONG: Duration = Duration::from_secs(3 * 3600);

/// A vdisk with a history that holds an ext4.
struct Place {
    directory: TestDirectory,
    server: Server,
    /// What was durable when the writers began.
    first: u64,
}

/// What a writer knew to be durable, and the newest seq when it knew that.
struct Promise<T> {
    seq: u64,
    what: T,
}

/// What was seen of the moments that were opened.
#[derive(Debug, Default)]
struct Opened {
    moments: usize,
    /// Of those, the ones whose journal had something to replay.
    replayed: usize,
}

impl Place {
    /// Makes the file system, and mounts it; the server may run for so long.
    fn new(vdisk_mib: u64, log_mib: u64, lifetime: Duration) -> (Place, Mounted, Loop) {
        let disk_mib = vdisk_mib + log_mib + 128;
        let directory = TestDirectory::configured(
            &format!(r#""d": {{ "path": "d.disk", "size": "{disk_mib}MiB", "seeks": false }}"#),
            &format!(
                r#""db": {{ "disk": "d", "size": "{vdisk_mib}MiB",
                   "history": {{ "window": "24h", "max": "{log_mib}MiB", "when_full": "refuse" }} }}"#
            ),
            r#""nbd": {}, "fuse": {}"#,
        );
        let server = Server::start_for(directory.command(&["serve"]), lifetime);
        let device = Loop::attach(&server.file("db"));
        tool(E2FS, "mkfs.ext4", &["-q", text(&device.device)]);
        let mounted = Mounted::new(&[text(&device.device)], &directory.path("mnt"));
        let place = Place {
            directory,
            server,
            first: 0,
        };
        (place, mounted, device)
    }

    /// From here on moments are opened.
    fn writers_begin(&mut self, mounted: &Mounted) {
        tool("coreutils", "sync", &["-f", text(&mounted.directory)]);
        self.first = Control::connect(&self.directory).newest();
    }

    /// The seqs that flushes made durable since the writers began: those that batches name, and
    /// the last one.
    fn boundaries(&self) -> Vec<u64> {
        let mut found = BTreeSet::new();
        let disk = File::open(self.directory.path("state/d.disk")).expect("the disk's file");
        let mut bytes = vec![0; 256 * UNIT];
        let mut at = 0;
        loop {
            let length = disk.read_at(&mut bytes, at).expect("it can be read");
            at += length as u64;
            // No content of these tests begins a unit with the magic of a batch.
            let headers = bytes[..length].chunks_exact(UNIT);
            found.extend(
                headers
                    .filter(|unit| unit.starts_with(b"DTHB"))
                    .map(|unit| u64::from_le_bytes(unit[48..56].try_into().expect("8 bytes"))),
            );
            if length == 0 {
                break;
            }
        }
        let history = json(&self.directory, &["history", "db"]);
        found.insert(history["durable"].as_u64().expect("a seq"));
        found.into_iter().filter(|seq| *seq >= self.first).collect()
    }

    /// Mounts a clone of that moment, has `check` look at it, and checks every block of the file
    /// system then.
    fn open(&self, seq: u64, opened: &mut Opened, check: impl FnOnce(&Path)) {
        let moment = format!("db@seq:{seq}");
        let made = json(
            &self.directory,
            &["clone", &moment, "then", "--max", "64MiB"],
        );
        let device = Loop::attach(Path::new(made["file"].as_str().expect("a file")));
        opened.moments += 1;
        opened.replayed += usize::from(needs_recovery(&device.device));
        let mounted = Mounted::new(&[text(&device.device)], &self.directory.path("then"));
        check(&mounted.directory);
        drop(mounted);
        tool(E2FS, "e2fsck", &["-f", "-n", text(&device.device)]);
        drop(device);
        run(&self.directory, &["drop", "then", "--disconnect"]);
    }

    /// Opens all these moments, each with what was promised before it.
    fn open_all<T>(
        &self,
        what: &str,
        seqs: &[u64],
        promises: &[Promise<T>],
        check: impl Fn(&Path, &[&T]),
    ) {
        let begin = Instant::now();
        let mut opened = Opened::default();
        for seq in seqs {
            let promised = promises.iter().filter(|promise| promise.seq <= *seq);
            let promised: Vec<&T> = promised.map(|promise| &promise.what).collect();
            println!("{what}: seq:{seq}, {} promises", promised.len());
            self.open(*seq, &mut opened, |directory| check(directory, &promised));
        }
        let Opened { moments, replayed } = opened;
        println!(
            "{what}: {moments} moments opened, {replayed} with a journal to replay, all clean, in {:.1} s",
            begin.elapsed().as_secs_f64()
        );
        assert!(
            replayed * 2 > moments,
            "hardly a journal was replayed: {opened:?}"
        );
    }
}

/// So many of them, evenly spread, with the first and the last.
fn some_of(seqs: &[u64], count: usize) -> Vec<u64> {
    let last = seqs.len() - 1;
    let places: BTreeSet<usize> = (0..count).map(|at| at * last / (count - 1)).collect();
    places.into_iter().map(|place| seqs[place]).collect()
}

/// Whether ext4's superblock says that the journal has to be replayed.
fn needs_recovery(device: &Path) -> bool {
    const INCOMPATIBLE_FEATURES_AT: u64 = 1024 + 0x60;
    const RECOVER: u32 = 4;
    let mut features = [0; 4];
    let file = File::open(device).expect("a loop device");
    let read = file.read_exact_at(&mut features, INCOMPATIBLE_FEATURES_AT);
    read.expect("it can be read");
    u32::from_le_bytes(features) & RECOVER != 0
}

/// A connection to the server that tells the newest seq, quicker than a command.
struct Control(BufReader<UnixStream>);

impl Control {
    fn connect(place: &TestDirectory) -> Control {
        let stream = UnixStream::connect(place.control()).expect("the server listens");
        Control(BufReader::new(stream))
    }

    fn newest(&mut self) -> u64 {
        let request = b"{\"command\": \"history\", \"vdisk\": \"db\"}\n";
        self.0.get_mut().write_all(request).expect("it is served");
        let mut line = String::new();
        self.0.read_line(&mut line).expect("it is answered");
        let answer: Value = serde_json::from_str(&line).expect("JSON");
        answer["newest"].as_u64().expect("a seq")
    }
}

/// The server of a place that is left is stopped in good order.
fn end(place: Place) {
    let Place {
        directory, server, ..
    } = place;
    assert!(directory.status().vdisks.len() == 1, "no clone is left");
    server.stop();
}

/// The whole content of a file; nothing if it is not there.
fn content(path: &Path) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        Err(error) => panic!("{path:?}: {error}"),
    };
    file.read_to_end(&mut bytes).expect("it can be read");
    Some(bytes)
}
