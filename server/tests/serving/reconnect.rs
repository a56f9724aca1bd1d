//! QEMU's block layer with `reconnect-delay`: the server is killed and started again under it, and
//! the guest above sees no error, only a pause.

use crate::programs::{PATIENCE, die_with_parent, text};
use crate::test_directory::{MIB, TestDirectory};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

/// A `qemu-io` that is told one command after the other.
struct QemuIo {
    child: Child,
    commands: ChildStdin,
    lines: Receiver<String>,
}

impl QemuIo {
    fn open(image: &str) -> QemuIo {
        let mut command = Command::new("qemu-io");
        command
            .args(["--image-opts", image])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit());
        die_with_parent(&mut command);
        let child = command.spawn();
        let mut child = child.unwrap_or_else(|error| {
            panic!("this test needs qemu-io ({error}): apt-get install qemu-utils")
        });
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        QemuIo {
            commands: child.stdin.take().expect("a pipe"),
            child,
            lines,
        }
    }

    #[track_caller]
    fn send(&mut self, command: &str) {
        writeln!(self.commands, "{command}").expect("qemu-io runs");
    }

    /// Waits for a line with these words; one with `failed` in it fails the test.
    #[track_caller]
    fn hears(&mut self, words: &str) {
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("qemu-io never said `{words}`"));
            assert!(!line.contains("failed"), "{line}");
            if line.contains(words) {
                return;
            }
        }
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
    let socket = place.path("state/nbd.sock");
    let image = format!(
        "driver=nbd,export=web,server.type=unix,server.path={},reconnect-delay=100",
        text(&socket)
    );
    let mut client = QemuIo::open(&image);
    for round in 1..=3u64 {
        let at = round * MIB;
        client.send(&format!("write -P {round} {at} 64k"));
        client.hears("wrote 65536/65536");
        client.send("flush");
        server.kill();
        // Sent while no server runs; answered by the next one.
        client.send(&format!("read -P {round} {at} 64k"));
        server = place.start();
        client.hears("read 65536/65536");
    }
    client.send("write -P 9 0 4k");
    client.hears("wrote 4096/4096");
    drop(client);
    server.stop();
}
