//! A database on a file system on a loop device on a vdisk's file, whose server is killed while it
//! commits: after the restart the file system is clean, the database's own check finds nothing, and
//! every transaction that was acknowledged is there.
//!
//! The database says the number of each transaction when its commit has returned; the server is
//! killed when the line of a certain number is read, with the next ones already waiting to be
//! committed. So nothing here depends on time.

use crate::programs::{Loop, Mounted, die_with_parent, text, tool};
use crate::server::Server;
use crate::test_directory::TestDirectory;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const E2FS: &str = "e2fsprogs";
const SQLITE: &str = "sqlite3";

/// A round ends by a kill after so many acknowledgements, and the next goes on where it ended.
const KILL_AFTER: [u64; 3] = [40, 1, 90];
/// More than can be committed until the kill has come.
const TRANSACTIONS: u64 = 3_000;

/// ext4 on a loop device on the vdisk's file; taken down in the opposite order.
struct FileSystem {
    mounted: Mounted,
    device: Loop,
}

impl FileSystem {
    fn attach(server: &Server, place: &TestDirectory, make: bool) -> FileSystem {
        let device = Loop::attach(&server.file("db"));
        if make {
            tool(E2FS, "mkfs.ext4", &["-q", text(&device.device)]);
        }
        // The mount replays the journal.
        let mounted = Mounted::new(&[text(&device.device)], &place.path("mnt"));
        FileSystem { mounted, device }
    }

    fn database(&self) -> PathBuf {
        self.mounted.directory.join("accounts.db")
    }

    /// Unmounts, and checks every block.
    #[track_caller]
    fn close_and_check(self) {
        drop(self.mounted);
        let device = text(&self.device.device).to_owned();
        tool(E2FS, "e2fsck", &["-f", "-n", &device]);
    }
}

/// Runs statements to their end; returns what they printed.
#[track_caller]
fn query(database: &Path, statements: &str) -> String {
    let arguments = ["-bail", "-batch", text(database), statements];
    tool(SQLITE, "sqlite3", &arguments)
}

/// A content that follows from the number, four pages long.
const CONTENT: &str = "hex(zeroblob(8000)) || printf('%08d', n)";

/// One transaction: two tables change together, then its number is said.
fn transaction(number: u64) -> String {
    format!(
        "BEGIN IMMEDIATE;\n\
         INSERT INTO entries(n) VALUES ({number});\n\
         UPDATE entries SET content = {CONTENT} WHERE n = {number};\n\
         UPDATE sums SET count = count + 1, total = total + {number};\n\
         COMMIT;\nSELECT {number};\n"
    )
}

/// Commits transactions from `first` on until it fails.
fn writer(database: &Path, journal: &str, first: u64) -> Child {
    let mut command = Command::new("sqlite3");
    command
        .args(["-bail", "-batch", text(database)])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    die_with_parent(&mut command);
    let started = command.spawn();
    let mut child = started.unwrap_or_else(|error| {
        panic!("this test needs sqlite3 ({error}): apt-get install sqlite3")
    });
    let mut input = child.stdin.take().expect("a pipe");
    // EXTRA also makes the removal of a rollback journal durable.
    let settings = format!("PRAGMA journal_mode={journal};\nPRAGMA synchronous=EXTRA;\n");
    std::thread::spawn(move || {
        let numbers = first..first + TRANSACTIONS;
        let statements = numbers.map(transaction);
        for text in std::iter::once(settings).chain(statements) {
            // It ends when the database has failed.
            if input.write_all(text.as_bytes()).is_err() {
                return;
            }
        }
    });
    child
}

/// Commits until the server is killed; the last number that was acknowledged.
fn commit_until_killed(
    server: Server,
    database: &Path,
    journal: &str,
    first: u64,
    kill_after: u64,
) -> u64 {
    let mut child = writer(database, journal, first);
    let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let numbers = lines
        .map_while(Result::ok)
        .filter_map(|line| line.parse::<u64>().ok());
    let mut server = Some(server);
    let mut last = first - 1;
    for number in numbers {
        assert_eq!(number, last + 1, "acknowledged in order");
        last = number;
        if number == first + kill_after - 1 {
            server.take().expect("killed once").kill();
        }
    }
    let status = child.wait().expect("it is our child");
    assert!(
        server.is_none(),
        "the database failed by itself after {last}"
    );
    assert!(!status.success(), "it cannot commit without the server");
    last
}

#[track_caller]
fn check_database(database: &Path, acknowledged: u64) -> u64 {
    assert_eq!(query(database, "PRAGMA integrity_check;").trim(), "ok");
    let counts = query(
        database,
        &format!(
            "SELECT (SELECT count(*) FROM entries WHERE content = {CONTENT}),
                    (SELECT count(*) FROM entries), (SELECT max(n) FROM entries),
                    (SELECT count FROM sums), (SELECT total FROM sums);"
        ),
    );
    let counts: Vec<u64> = counts
        .trim()
        .split('|')
        .map(|field| field.parse().unwrap_or(0))
        .collect();
    let there = counts[1];
    assert!(
        there >= acknowledged,
        "{there} of {acknowledged} acknowledged transactions are there"
    );
    // A transaction that was in flight may be there too, but then all of it.
    assert_eq!(
        counts,
        [there, there, there, there, there * (there + 1) / 2]
    );
    there
}

fn survives_kill_9(journal: &str) {
    let place = TestDirectory::with(&[("db", r#""size": "96MiB""#)]);
    let mut server = place.start();
    let file_system = FileSystem::attach(&server, &place, true);
    query(
        &file_system.database(),
        "CREATE TABLE entries(n INTEGER PRIMARY KEY, content TEXT);
         CREATE TABLE sums(count INTEGER, total INTEGER); INSERT INTO sums VALUES (0, 0);",
    );
    let mut file_system = Some(file_system);
    let mut there = 0;
    for kill_after in KILL_AFTER {
        let mounted = file_system.take().expect("mounted again");
        let acknowledged =
            commit_until_killed(server, &mounted.database(), journal, there + 1, kill_after);
        // Both work without the server below.
        drop(mounted);
        server = place.start();
        let mounted = FileSystem::attach(&server, &place, false);
        there = check_database(&mounted.database(), acknowledged);
        mounted.close_and_check();
        file_system = Some(FileSystem::attach(&server, &place, false));
    }
    assert!(there >= KILL_AFTER.iter().sum());
    drop(file_system);
    server.stop();
}

#[test]
fn a_database_with_a_write_ahead_log_survives_kill_9() {
    survives_kill_9("WAL");
}

#[test]
fn a_database_with_a_rollback_journal_survives_kill_9() {
    survives_kill_9("DELETE");
}
