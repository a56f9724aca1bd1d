//! Databases on ext4: SQLite with both kinds of journal, and PostgreSQL. What a commit had returned
//! for is there, whole, and their own checks find nothing.

use super::{Control, LIFETIME, LONG, Mounted, Place, Promise, some_of};
use crate::programs::{die_with_parent, text, tool};
use std::fs;
use std::io::{BufRead, BufReader, Lines, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

const SQLITE: &str = "sqlite3";
const POSTGRESQL: &str = "postgresql";

/// What both databases hold: two tables that change together.
const TABLES: &str = "CREATE TABLE entries(n INTEGER PRIMARY KEY, content TEXT);
    CREATE TABLE sums(count INTEGER, total INTEGER); INSERT INTO sums VALUES (0, 0);";

/// Content of two blocks and more.
fn transaction(number: u64) -> String {
    let content = format!("{number:08}").repeat(1_100);
    format!(
        "BEGIN;\nINSERT INTO entries VALUES ({number}, '{content}');\n\
         UPDATE sums SET count = count + 1, total = total + {number};\n\
         COMMIT;\nSELECT {number};\n"
    )
}

/// What is asked of it afterwards: how many entries there are and how many have their content, the
/// greatest, and the sums.
const COUNTS: &str = "SELECT count(*), sum(CASE WHEN length(content) = 8800
    AND replace(content, substr(content, 1, 8), '') = ''
    AND CAST(substr(content, 1, 8) AS INTEGER) = n THEN 1 ELSE 0 END),
    max(n), (SELECT count FROM sums), (SELECT total FROM sums) FROM entries;";

/// All transactions up to some number, which is at least that of the last promise.
#[track_caller]
fn check_counts(said: &str, promised: &[&u64]) {
    let fields = said.trim().split('|');
    let counts: Vec<u64> = fields.map(|field| field.parse().unwrap_or(0)).collect();
    let there = counts[0];
    let committed = promised.iter().copied().max().copied().unwrap_or(0);
    assert!(
        there >= committed,
        "{there}, and {committed} were committed"
    );
    assert_eq!(
        counts,
        [there, there, there, there, there * (there + 1) / 2]
    );
}

/// A database's command line, which takes one transaction after the other.
struct Committer {
    child: Child,
    input: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Committer {
    fn start(package: &str, command: &mut Command) -> Committer {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        die_with_parent(command);
        let started = command.spawn();
        let mut child = started.unwrap_or_else(|error| {
            panic!("this test needs {package} ({error}): apt-get install {package}")
        });
        let input = child.stdin.take().expect("a pipe");
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        Committer {
            child,
            input,
            lines,
        }
    }

    fn say(&mut self, statements: &str) {
        self.input
            .write_all(statements.as_bytes())
            .expect("it runs");
    }

    /// Commits so many transactions, and notes after each which seq is the newest. `between` is
    /// said before every tenth.
    fn commit(&mut self, control: &mut Control, count: u64, between: &str) -> Vec<Promise<u64>> {
        let one = |number: u64| {
            if number.is_multiple_of(10) {
                self.say(between);
            }
            self.say(&transaction(number));
            let is_its = |line: &String| *line == number.to_string();
            let mut lines = self.lines.by_ref().map_while(Result::ok);
            lines.find(is_its).expect("it commits");
            Promise {
                seq: control.newest(),
                what: number,
            }
        };
        (1..=count).map(one).collect()
    }

    fn end(self) {
        let Committer {
            mut child, input, ..
        } = self;
        drop(input);
        assert!(child.wait().expect("it is our child").success());
    }
}

/// Runs SQLite's command line to its end; returns what it printed.
#[track_caller]
fn sqlite(database: &Path, statements: &str) -> String {
    tool(
        SQLITE,
        "sqlite3",
        &["-bail", "-batch", text(database), statements],
    )
}

fn check_sqlite(directory: &Path, promised: &[&u64]) {
    let database = directory.join("accounts.db");
    assert_eq!(sqlite(&database, "PRAGMA integrity_check;").trim(), "ok");
    check_counts(&sqlite(&database, COUNTS), promised);
}

fn run_sqlite(
    journal: &str,
    count: u64,
    lifetime: Duration,
    choose: impl FnOnce(&[u64]) -> Vec<u64>,
) {
    let (mut place, mounted, device) = Place::new(64, 256, lifetime);
    let database = mounted.directory.join("accounts.db");
    sqlite(&database, TABLES);
    place.writers_begin(&mounted);
    let mut command = Command::new("sqlite3");
    let mut sqlite = Committer::start(SQLITE, command.args(["-bail", "-batch", text(&database)]));
    // EXTRA also makes the removal of a rollback journal durable. A small log of writes is taken
    // into the database now and then.
    sqlite.say(&format!(
        "PRAGMA journal_mode={journal};\nPRAGMA synchronous=EXTRA;\nPRAGMA wal_autocheckpoint=30;\n"
    ));
    let promises = sqlite.commit(&mut Control::connect(&place.directory), count, "");
    // Nothing is tidied up: it ends as by a power cut.
    let seqs = choose(&place.boundaries());
    sqlite.end();
    drop((mounted, device));
    place.open_all(
        &format!("SQLite, {journal}"),
        &seqs,
        &promises,
        check_sqlite,
    );
    super::end(place);
}

#[test]
fn sqlite_with_a_write_ahead_log_is_whole_at_flush_boundaries() {
    run_sqlite("WAL", 12, LIFETIME, |boundaries| some_of(boundaries, 8));
}

#[test]
fn sqlite_with_a_rollback_journal_is_whole_at_flush_boundaries() {
    run_sqlite("DELETE", 6, LIFETIME, |boundaries| some_of(boundaries, 8));
}

#[test]
#[ignore = "some minutes: every flush boundary"]
fn sqlite_is_whole_at_every_flush_boundary() {
    run_sqlite("WAL", 100, LONG, |boundaries| boundaries.to_vec());
    run_sqlite("DELETE", 50, LONG, |boundaries| boundaries.to_vec());
}

/// A PostgreSQL in a directory of a file system, run as the user of its package.
struct PostgreSql {
    data: PathBuf,
    sockets: PathBuf,
}

impl PostgreSql {
    fn at(directory: &Path, sockets: &Path) -> PostgreSql {
        let data = directory.join("pg");
        PostgreSql {
            data,
            sockets: sockets.to_owned(),
        }
    }

    fn program(name: &str) -> String {
        let versions = fs::read_dir("/usr/lib/postgresql").expect("apt-get install postgresql");
        let mut programs = versions
            .flatten()
            .map(|entry| entry.path().join("bin").join(name));
        let program = programs
            .find(|program| program.exists())
            .expect("postgresql is whole");
        text(&program).to_owned()
    }

    fn run(name: &str, arguments: &[&str]) -> String {
        let program = Self::program(name);
        let user = [
            "--reuid=postgres",
            "--regid=postgres",
            "--init-groups",
            &program,
        ];
        tool("util-linux", "setpriv", &[&user[..], arguments].concat())
    }

    fn make(&self) {
        fs::create_dir_all(&self.data).expect("made");
        for directory in [&self.data, &self.sockets] {
            tool(
                "coreutils",
                "chown",
                &["postgres:postgres", text(directory)],
            );
        }
        Self::run(
            "initdb",
            &["-A", "trust", "--data-checksums", "-D", text(&self.data)],
        );
    }

    fn start(&self) {
        // What the other server's process had for a number means nothing here.
        let _ = fs::remove_file(self.data.join("postmaster.pid"));
        let sockets = text(&self.sockets);
        let options = format!(
            "-c listen_addresses= -k {sockets} -c shared_buffers=16MB -c max_wal_size=48MB \
             -c min_wal_size=32MB -c checkpoint_timeout=30s"
        );
        let log = self.sockets.join("log");
        let data = text(&self.data);
        Self::run(
            "pg_ctl",
            &["start", "-w", "-D", data, "-l", text(&log), "-o", &options],
        );
    }

    fn stop(&self, how: &str) {
        Self::run("pg_ctl", &["stop", "-w", "-m", how, "-D", text(&self.data)]);
    }

    fn query(&self, statements: &str) -> String {
        let sockets = text(&self.sockets);
        let arguments = [
            "-X", "-q", "-A", "-t", "-h", sockets, "-c", statements, "postgres",
        ];
        Self::run("psql", &arguments)
    }

    fn committer(&self) -> Committer {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]);
        command.arg(Self::program("psql"));
        command.args([
            "-X",
            "-q",
            "-A",
            "-t",
            "-h",
            text(&self.sockets),
            "postgres",
        ]);
        Committer::start(POSTGRESQL, &mut command)
    }

    /// Recovers, and looks at every page, every index and every row.
    fn check(&self, promised: &[&u64]) {
        self.start();
        check_counts(&self.query(COUNTS), promised);
        let sockets = text(&self.sockets);
        let everything = ["--all", "--heapallindexed", "--rootdescend", "-h", sockets];
        Self::run("pg_amcheck", &everything);
        self.stop("fast");
        Self::run("pg_checksums", &["--check", "-D", text(&self.data)]);
    }
}

fn commit_to_postgresql(place: &Place, mounted: &Mounted, count: u64) -> Vec<Promise<u64>> {
    let postgresql = PostgreSql::at(&mounted.directory, &place.directory.path("sockets"));
    let mut psql = postgresql.committer();
    let mut control = Control::connect(&place.directory);
    let promises = psql.commit(&mut control, count, "CHECKPOINT;\n");
    psql.end();
    promises
}

#[test]
#[ignore = "some minutes, and needs PostgreSQL: every flush boundary"]
fn postgresql_is_whole_at_every_flush_boundary() {
    let (mut place, mounted, device) = Place::new(384, 1024, LONG);
    let sockets = place.directory.path("sockets");
    fs::create_dir_all(&sockets).expect("made");
    tool("coreutils", "chmod", &["755", text(place.directory.root())]);
    let postgresql = PostgreSql::at(&mounted.directory, &sockets);
    postgresql.make();
    postgresql.start();
    postgresql.query("CREATE EXTENSION amcheck;");
    postgresql.query(TABLES);
    postgresql.query("CHECKPOINT;");
    place.writers_begin(&mounted);
    let promises = commit_to_postgresql(&place, &mounted, 60);
    let seqs = place.boundaries();
    println!(
        "{} flush boundaries from seq:{} on",
        seqs.len(),
        place.first
    );
    postgresql.stop("immediate");
    drop((mounted, device));
    place.open_all("PostgreSQL", &seqs, &promises, |directory, promised| {
        PostgreSql::at(directory, &sockets).check(promised);
    });
    super::end(place);
}
