//! QEMU's block layer with `reconnect-delay`: the server is killed or stopped, and started again
//! under it, and the guest above sees no error, only a pause.

use crate::programs::{PATIENCE, die_with_parent, text};
use crate::stopping::{SLOW_DISK, zero_for_ever};
use crate::test_directory::{MIB, TestDirectory};
use disktime_nbd_protocol::NbdUri;
use disktime_test_tls::fill;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};

/// What `qemu-io` prints when it waits for a command.
const PROMPT: &str = "qemu-io> ";

/// A `qemu-io` that gets one command after the other, each only when it waits for one: it reads its
/// input by `fgets` and then waits for the descriptor, so the second of two lines that arrive
/// together stays in its buffer until a third arrives.
pub(crate) struct QemuIo {
    child: Child,
    commands: ChildStdin,
    output: Receiver<String>,
    /// What it printed and no command has taken yet.
    printed: String,
}

impl QemuIo {
    /// Opens an export; with TLS if there are certificates.
    pub(crate) fn open(socket: &Path, export: &str, certificates: Option<&Path>) -> QemuIo {
        let mut image = format!(
            "driver=nbd,export={export},server.type=unix,server.path={},reconnect-delay=100",
            text(socket)
        );
        let mut command = Command::new("qemu-io");
        if let Some(dir) = certificates {
            let object = "tls-creds-x509,endpoint=client,id=tls,dir=";
            command.args(["--object", &format!("{object}{}", text(dir))]);
            image.push_str(",tls-creds=tls,tls-hostname=localhost");
        }
        command
            .args(["--image-opts", &image])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit());
        die_with_parent(&mut command);
        let child = command.spawn();
        let mut child = child.unwrap_or_else(|error| {
            panic!("this test needs qemu-io ({error}): apt-get install qemu-utils")
        });
        let mut pipe = child.stdout.take().expect("a pipe");
        let (sender, output) = channel();
        std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(count @ 1..) = pipe.read(&mut chunk) {
                let text = String::from_utf8_lossy(&chunk[..count]).into_owned();
                if sender.send(text).is_err() {
                    return;
                }
            }
        });
        let mut client = QemuIo {
            commands: child.stdin.take().expect("a pipe"),
            child,
            output,
            printed: String::new(),
        };
        client.finish();
        client
    }

    /// Gives it a command; it waits for one.
    #[track_caller]
    pub(crate) fn begin(&mut self, command: &str) {
        writeln!(self.commands, "{command}").expect("qemu-io runs");
    }

    /// Waits until it waits for the next command. Returns what it printed; `failed` in it fails the
    /// test.
    #[track_caller]
    pub(crate) fn finish(&mut self) -> String {
        let said = loop {
            if let Some((said, rest)) = self.printed.split_once(PROMPT) {
                let said = said.to_owned();
                self.printed = rest.to_owned();
                break said;
            }
            let more = self.output.recv_timeout(PATIENCE);
            let more = more.unwrap_or_else(|_| panic!("qemu-io hangs after {:?}", self.printed));
            self.printed.push_str(&more);
        };
        assert!(!said.contains("failed"), "{said}");
        said
    }

    /// Runs a command, which must print these words.
    #[track_caller]
    pub(crate) fn run(&mut self, command: &str, words: &str) {
        self.begin(command);
        let said = self.finish();
        assert!(said.contains(words), "{command}: {said}");
    }
}

impl Drop for QemuIo {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn qemu_waits_for_a_server_that_was_killed_and_sees_no_error() {
    let place = TestDirectory::with(&[("web", r#""size": "64MiB""#)]);
    let mut server = place.start();
    let mut client = QemuIo::open(&place.path("state/nbd.sock"), "web", None);
    for round in 1..=3u64 {
        let at = round * MIB;
        client.run(&format!("write -P {round} {at} 64k"), "wrote 65536/65536");
        client.run("flush", "");
        server.kill();
        // Sent while no server runs; answered by the next one.
        client.begin(&format!("read -P {round} {at} 64k"));
        server = place.start();
        assert!(client.finish().contains("read 65536/65536"));
    }
    client.run("write -P 9 0 4k", "wrote 4096/4096");
    drop(client);
    server.stop();
}

/// The first stop takes seconds, and requests arrive all the time.
fn qemu_sees_no_error_from_a_server_that_stops(place: &TestDirectory, certificates: Option<&Path>) {
    let mut server = place.start();
    let mut client = QemuIo::open(&place.path("state/nbd.sock"), "web", certificates);
    client.run("write -P 7 1M 64k", "wrote 65536/65536");
    let read = "read -P 7 1M 64k";
    let zeroing = zero_for_ever(&with_certificates(&server.uri("a"), certificates));
    let is_back = AtomicBool::new(false);
    server.signal(libc::SIGTERM);
    server = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_back.load(Ordering::Acquire) {
                client.run(read, "read 65536/65536");
            }
        });
        server.stopped();
        // Here, as the server ends with the thread that started it.
        let server = place.start();
        is_back.store(true, Ordering::Release);
        server
    });
    drop(zeroing);
    for _ in 2..=4 {
        server.signal(libc::SIGTERM);
        client.begin(read);
        server.stopped();
        server = place.start();
        assert!(client.finish().contains("read 65536/65536"));
    }
    drop(client);
    server.stop();
}

fn with_certificates(uri: &NbdUri, certificates: Option<&Path>) -> NbdUri {
    match certificates {
        Some(dir) => uri.with_certificates(dir),
        None => uri.clone(),
    }
}

const VDISKS: &str = r#""a": { "disk": "d0", "size": "48GiB" },
    "web": { "disk": "d0", "size": "64MiB", "reserve": "20%", "period": "500ms" }"#;

#[test]
fn qemu_waits_for_a_server_that_was_stopped_and_sees_no_error() {
    let place = TestDirectory::new();
    place.configure_as(SLOW_DISK, VDISKS, r#""nbd": {}"#);
    qemu_sees_no_error_from_a_server_that_stops(&place, None);
}

#[test]
fn so_it_does_with_tls() {
    let place = TestDirectory::new();
    let nbd = r#""nbd": { "tls": { "dir": "../pki", "require": true } }"#;
    place.configure_as(SLOW_DISK, VDISKS, nbd);
    let pki = place.path("pki");
    fill(&pki);
    qemu_sees_no_error_from_a_server_that_stops(&place, Some(&pki));
}
