//! A directory of a test's own, with a reservation file in it and the program to run on it. When
//! it is dropped, what is mounted below it is unmounted.

use crate::programs::{finished, unmount_below};
use crate::server::Server;
use disktime_observe::ServerStatus;
pub(crate) use disktime_testing::sentences::assert_says;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

pub(crate) const MIB: u64 = 1 << 20;

/// A plain file as a disk: no model, no seeks, as quick as the machine is.
pub(crate) const PLAIN_DISK: &str =
    r#""d0": { "path": "d0.disk", "size": "256MiB", "seeks": false }"#;

pub(crate) struct TestDirectory {
    directory: TempDir,
}

impl TestDirectory {
    pub(crate) fn new() -> TestDirectory {
        let directory = tempfile::Builder::new().prefix("disktime-").tempdir();
        TestDirectory {
            directory: directory.expect("a temporary directory"),
        }
    }

    /// A directory with one plain disk `d0` and these vdisks, with both frontends.
    pub(crate) fn with(vdisks: &[(&str, &str)]) -> TestDirectory {
        let place = TestDirectory::new();
        place.configure(vdisks);
        place
    }

    /// A directory with a reservation file of these insides of its sections.
    pub(crate) fn configured(disks: &str, vdisks: &str, frontends: &str) -> TestDirectory {
        let place = TestDirectory::new();
        place.configure_as(disks, vdisks, frontends);
        place
    }

    pub(crate) fn root(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        path
    }

    /// Writes the reservation file: one plain disk and these vdisks in this order. A vdisk is its
    /// name and what follows `"disk": "d0"` in its object.
    pub(crate) fn configure(&self, vdisks: &[(&str, &str)]) {
        let vdisks: Vec<String> = vdisks
            .iter()
            .map(|(name, rest)| format!(r#""{name}": {{ "disk": "d0", {rest} }}"#))
            .collect();
        self.configure_as(PLAIN_DISK, &vdisks.join(", "), r#""nbd": {}, "fuse": {}"#);
    }

    /// Writes the reservation file out of the insides of its sections.
    pub(crate) fn configure_as(&self, disks: &str, vdisks: &str, frontends: &str) {
        let text = format!(
            "{{ \"state_dir\": \"state\",\n  \"disks\": {{ {disks} }},\n  \
             \"vdisks\": {{ {vdisks} }},\n  {frontends} }}\n"
        );
        self.write("disktime.json", text);
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.path("disktime.json")
    }

    pub(crate) fn disk_file(&self) -> PathBuf {
        self.path("state/d0.disk")
    }

    pub(crate) fn mount(&self) -> PathBuf {
        self.path("state/vdisks")
    }

    pub(crate) fn control(&self) -> PathBuf {
        self.path("state/control.sock")
    }

    /// A file at the disk's place that is full of bytes that are not zero, and a label on top.
    pub(crate) fn make_garbage_disk(&self) {
        fs::create_dir_all(self.path("state")).expect("a directory");
        let file = fs::File::create(self.disk_file()).expect("a file");
        let garbage = vec![0xA5; MIB as usize];
        for mebibyte in 0..256 {
            file.write_all_at(&garbage, mebibyte * MIB)
                .expect("room for 256 MiB");
        }
        self.succeeds(&["format", "--disk", "d0", "--force", "--yes"]);
    }

    /// The program with these arguments.
    pub(crate) fn bare(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_disktime"));
        command.args(arguments).current_dir(self.root());
        command.env_remove("DISKTIME_LOG");
        // Below `nohup` the tests inherit that SIGHUP is ignored, and the server would keep it so.
        set_hang_up(&mut command, libc::SIG_DFL);
        command
    }

    /// The program with a sub-command, this directory's file, and what follows.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut all = vec![arguments[0], "disktime.json"];
        all.extend_from_slice(&arguments[1..]);
        self.bare(&all)
    }

    pub(crate) fn start(&self) -> Server {
        Server::start(self.command(&["serve"]))
    }

    /// Runs a sub-command on this directory's file; it must succeed. Returns its stdout.
    #[track_caller]
    pub(crate) fn succeeds(&self, arguments: &[&str]) -> String {
        let output = finished(self.command(arguments));
        assert!(output.status.success(), "{arguments:?}: {}", said(&output));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// What the server of this directory reports; its JSON must have nothing that the type lacks.
    #[track_caller]
    pub(crate) fn status(&self) -> ServerStatus {
        let text = self.succeeds(&["status", "--json"]);
        let json: Value = serde_json::from_str(&text).expect("it is JSON");
        let status: ServerStatus = serde_json::from_str(&text).expect("it is a status");
        let again = serde_json::to_value(&status).expect("it is JSON");
        assert_eq!(again, json, "the type says something else than the JSON");
        status
    }

    /// Runs a sub-command on this directory's file; it must fail with status 1 and say something.
    #[track_caller]
    pub(crate) fn fails(&self, arguments: &[&str]) -> String {
        exits_with(self.command(arguments), 1)
    }

    /// Every file below this directory with its length and a checksum; sockets, the lock and
    /// directories by name.
    pub(crate) fn contents(&self) -> BTreeMap<PathBuf, (u64, u32)> {
        let mut found = BTreeMap::new();
        look(self.root(), &mut found);
        found
    }
}

impl Drop for TestDirectory {
    fn drop(&mut self) {
        unmount_below(self.root());
    }
}

/// Starts a program with this disposition of SIGHUP, whatever that of the tests is.
pub(crate) fn set_hang_up(command: &mut Command, disposition: libc::sighandler_t) {
    // SAFETY: signal is a plain system call; nothing else happens between fork and exec.
    unsafe {
        command.pre_exec(move || match libc::signal(libc::SIGHUP, disposition) {
            libc::SIG_ERR => Err(std::io::Error::last_os_error()),
            _ => Ok(()),
        });
    }
}

/// A directory with one vdisk `db` of 64 MiB, served; and its URI.
#[track_caller]
pub(crate) fn serve_one() -> (TestDirectory, Server, String) {
    let place = TestDirectory::with(&[("db", r#""size": "64MiB""#)]);
    let server = place.start();
    let uri = server.uri("db").to_string();
    (place, server, uri)
}

/// Runs a command that must end with this status and a sentence on stderr, which is returned.
#[track_caller]
pub(crate) fn exits_with(command: Command, status: i32) -> String {
    let shown = format!("{command:?}");
    let output = finished(command);
    assert_eq!(
        output.status.code(),
        Some(status),
        "{shown}: {}",
        said(&output)
    );
    let sentence = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!sentence.trim().is_empty(), "{shown} said nothing");
    assert!(!sentence.contains("panicked"), "{shown}: {sentence}");
    sentence
}

fn said(output: &Output) -> String {
    format!(
        "{}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

fn look(directory: &Path, found: &mut BTreeMap<PathBuf, (u64, u32)>) {
    let entries = fs::read_dir(directory).unwrap_or_else(|error| panic!("{directory:?}: {error}"));
    for entry in entries {
        let entry = entry.expect("a directory that is not changed");
        let (path, kind) = (entry.path(), entry.file_type().expect("its type"));
        let is_lock = path.file_name().is_some_and(|name| name == "lock");
        let content = if kind.is_file() && !is_lock {
            let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
            (bytes.len() as u64, checksum(&bytes))
        } else {
            (0, 0)
        };
        if kind.is_dir() {
            look(&path, found);
        }
        found.insert(path, content);
    }
}

/// FNV-1a over words: enough to see that nothing changed.
fn checksum(bytes: &[u8]) -> u32 {
    let mut hash = 0xCBF2_9CE4_8422_2325_u64;
    for chunk in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        hash = (hash ^ u64::from_le_bytes(word)).wrapping_mul(0x0100_0000_01B3);
        hash ^= hash >> 31;
    }
    (hash ^ (hash >> 32)) as u32
}
