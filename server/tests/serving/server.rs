//! A running server: started until `ready`, stopped or killed, and never left behind.

use crate::nbd::Client;
use crate::programs::{PATIENCE, die_with_parent, wait_until};
use crate::test_directory::assert_says;
use disktime_nbd_protocol::NbdUri;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A server that runs longer than this is taken to hang, and is killed, so that its clients fail.
pub(crate) const LIFETIME: Duration = Duration::from_secs(300);

/// What a `vdisk` line told.
#[derive(Debug, Clone)]
pub(crate) struct Announced {
    pub name: String,
    pub description: String,
    pub uris: Vec<NbdUri>,
    pub file: Option<PathBuf>,
}

pub(crate) struct Server {
    child: Child,
    pub vdisks: Vec<Announced>,
    lines: Receiver<String>,
    stderr: Arc<Mutex<String>>,
    stderr_reader: Option<JoinHandle<()>>,
    /// Dropped before the process is waited for, so that its number still is its own.
    watchdog: Option<SyncSender<()>>,
}

impl Server {
    /// Starts the server and waits for `ready`.
    #[track_caller]
    pub(crate) fn start(command: Command) -> Server {
        Server::start_for(command, LIFETIME)
    }

    /// The same, of a server that may run for so long.
    #[track_caller]
    pub(crate) fn start_for(mut command: Command, lifetime: Duration) -> Server {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        die_with_parent(&mut command);
        let mut child = command.spawn().expect("the program was built");
        let lines = lines_of(child.stdout.take().expect("a pipe"));
        let stderr = Arc::new(Mutex::new(String::new()));
        let pipe = child.stderr.take().expect("a pipe");
        let stderr_reader = Some(collect(pipe, Arc::clone(&stderr)));
        let watchdog = Some(watch(child.id(), lifetime));
        let mut server = Server {
            child,
            vdisks: Vec::new(),
            lines,
            stderr,
            stderr_reader,
            watchdog,
        };
        loop {
            match server.lines.recv_timeout(PATIENCE) {
                Ok(line) if line == "ready" => return server,
                Ok(line) if line.starts_with("control: ") => {}
                Ok(line) if line.starts_with("files of the past: ") => {}
                Ok(line) => server.vdisks.push(announced(&line)),
                Err(RecvTimeoutError::Timeout) => panic!("no `ready`: {}", server.said()),
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("ended before `ready`: {}", server.said_until_its_end())
                }
            }
        }
    }

    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// What it said on stderr so far.
    pub(crate) fn said(&self) -> String {
        self.stderr.lock().expect("no reader panics").clone()
    }

    /// Asserts that it says all of this on stderr. What it said before `ready` may be read after
    /// it: another thread reads it, from another pipe.
    #[track_caller]
    pub(crate) fn says(&self, fragments: &[&str]) {
        let deadline = Instant::now() + PATIENCE;
        let has_said = || {
            let said = self.said();
            fragments.iter().all(|fragment| said.contains(fragment))
        };
        while !has_said() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_says(&self.said(), fragments);
    }

    fn said_until_its_end(&mut self) -> String {
        if let Some(reader) = self.stderr_reader.take() {
            reader.join().expect("no reader panics");
        }
        self.said()
    }

    #[track_caller]
    fn announced(&self, vdisk: &str) -> &Announced {
        let found = self.vdisks.iter().find(|announced| announced.name == vdisk);
        found.unwrap_or_else(|| panic!("{vdisk} was not announced: {:?}", self.vdisks))
    }

    /// The URI of a vdisk over the unix socket.
    #[track_caller]
    pub(crate) fn uri(&self, vdisk: &str) -> NbdUri {
        self.announced(vdisk).uris[0].clone()
    }

    /// The file of a vdisk in the FUSE directory.
    #[track_caller]
    pub(crate) fn file(&self, vdisk: &str) -> PathBuf {
        let file = self.announced(vdisk).file.clone();
        file.unwrap_or_else(|| {
            panic!(
                "this test needs fusermount3: apt-get install fuse3\n{}",
                self.said()
            )
        })
    }

    #[track_caller]
    pub(crate) fn client(&self, vdisk: &str) -> Client {
        Client::connect(&self.uri(vdisk))
    }

    /// Memory that it has in use, in bytes.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process()));
        let status = status.expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes = line.and_then(|rest| rest.trim().strip_suffix(" kB"));
        kibibytes
            .and_then(|text| text.trim().parse::<u64>().ok())
            .expect("a size in kB")
            << 10
    }

    pub(crate) fn signal(&self, signal: i32) {
        // SAFETY: sends a signal to our own child, which is not waited for yet.
        let sent = unsafe { libc::kill(self.process() as i32, signal) };
        assert_eq!(sent, 0, "the server is gone: {}", self.said());
    }

    /// Stops its process, as a debugger does, and waits until it stands still.
    pub(crate) fn freeze(&self) {
        self.signal(libc::SIGSTOP);
        let tasks = format!("/proc/{}/task", self.process());
        wait_until("every thread of it is stopped", || {
            let tasks = std::fs::read_dir(&tasks).expect("it runs");
            tasks.flatten().all(|task| {
                let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
                // The state follows the name, which may hold anything but its last parenthesis.
                stat.rsplit_once(") ")
                    .is_none_or(|(_, rest)| rest.starts_with('T'))
            })
        });
    }

    /// Sends a signal to its process group, of which it is the leader.
    pub(crate) fn signal_group(&self, signal: i32) {
        // SAFETY: sends a signal to the group of our own child, which is not waited for yet.
        let sent = unsafe { libc::kill(-(self.process() as i32), signal) };
        assert_eq!(sent, 0, "the server is gone: {}", self.said());
    }

    /// Its status if it has ended; the inner `None` if a signal killed it.
    pub(crate) fn status_if_ended(&mut self) -> Option<Option<i32>> {
        let status = self.child.try_wait().expect("it is our child")?;
        self.watchdog = None;
        self.said_until_its_end();
        Some(status.code())
    }

    /// Waits for its end.
    #[track_caller]
    fn ended(&mut self) -> ExitStatus {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => panic!("it says {line:?} after `ready`"),
            Err(RecvTimeoutError::Timeout) => panic!("it does not end: {}", self.said()),
            Err(RecvTimeoutError::Disconnected) => {}
        }
        self.watchdog = None;
        self.child.wait().expect("it is our child")
    }

    /// Stops it in good order by a signal; it must exit with status 0. Returns what it said.
    #[track_caller]
    pub(crate) fn stop_by(self, signal: i32) -> String {
        self.signal(signal);
        self.stopped()
    }

    /// Waits for its end, which another program caused; it must exit with status 0. Returns what it
    /// said.
    #[track_caller]
    pub(crate) fn stopped(mut self) -> String {
        let status = self.ended();
        let said = self.said_until_its_end();
        assert_eq!(status.code(), Some(0), "{said}");
        assert!(!said.contains("panicked"), "{said}");
        said
    }

    #[track_caller]
    pub(crate) fn stop(self) -> String {
        self.stop_by(libc::SIGTERM)
    }

    /// kill -9.
    #[track_caller]
    pub(crate) fn kill(mut self) {
        self.signal(libc::SIGKILL);
        self.ended();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.watchdog = None;
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A line is `NAME: what it gets  URI…  PATH`, in columns of two spaces.
fn announced(line: &str) -> Announced {
    let mut columns = line.split("  ");
    let head = columns.next().unwrap_or_default();
    let (name, description) = head
        .split_once(": ")
        .unwrap_or_else(|| panic!("not a vdisk's line: {line:?}"));
    let (mut uris, mut file) = (Vec::new(), None);
    for column in columns {
        if Path::new(column).is_absolute() {
            file = Some(PathBuf::from(column));
        } else {
            uris.push(
                column
                    .parse()
                    .unwrap_or_else(|error| panic!("{line:?}: {error}")),
            );
        }
    }
    let (name, description) = (name.to_owned(), description.to_owned());
    Announced {
        name,
        description,
        uris,
        file,
    }
}

fn lines_of(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

fn collect(mut pipe: impl Read + Send + 'static, into: Arc<Mutex<String>>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut chunk = [0; 4096];
        while let Ok(count @ 1..) = pipe.read(&mut chunk) {
            let text = String::from_utf8_lossy(&chunk[..count]);
            into.lock().expect("no reader panics").push_str(&text);
        }
    })
}

fn watch(process: u32, lifetime: Duration) -> SyncSender<()> {
    let (alive, ended) = sync_channel(0);
    std::thread::spawn(move || {
        if ended.recv_timeout(lifetime) == Err(RecvTimeoutError::Timeout) {
            // SAFETY: sends a signal to a child that its owner has not waited for yet.
            unsafe { libc::kill(process as i32, libc::SIGKILL) };
        }
    });
    alive
}

/// The vdisks by name, in the order in which they were announced.
pub(crate) fn names(server: &Server) -> Vec<&str> {
    server
        .vdisks
        .iter()
        .map(|vdisk| vdisk.name.as_str())
        .collect()
}

/// What every export tells of itself, by name.
pub(crate) fn sizes(server: &Server) -> BTreeMap<String, u64> {
    let told = |vdisk: &Announced| {
        (
            vdisk.name.clone(),
            Client::connect(&vdisk.uris[0]).size_bytes(),
        )
    };
    server.vdisks.iter().map(told).collect()
}
