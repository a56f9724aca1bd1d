//! A server that another program started: systemd's sockets and notifications, clients that bring
//! their own server, and a command that the server serves.

use crate::nbd::{Client, assert_same, pattern};
use crate::programs::{PATIENCE, die_with_parent, finished, text, tool};
use crate::test_directory::{MIB, PLAIN_DISK, TestDirectory, assert_says, exits_with};
use disktime_nbd_protocol::NbdUri;
use std::fs;
use std::net::TcpListener;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

const LIBNBD: &str = "libnbd-bin";
const PROGRAM: &str = env!("CARGO_BIN_EXE_disktime");

fn place() -> TestDirectory {
    TestDirectory::configured(
        PLAIN_DISK,
        r#""a": { "disk": "d0", "size": "16MiB" }"#,
        r#""nbd": {}"#,
    )
}

/// The server with these descriptors from 3 on, as systemd starts it: the number of its process is
/// known only to itself, so a shell says it and becomes the server. More arguments may follow.
fn activated(place: &TestDirectory, sockets: &[RawFd], environment: &str) -> Command {
    let mut command = Command::new("sh");
    let script = format!("{environment} exec \"$0\" serve disktime.json \"$@\"");
    command.args(["-c", &script, PROGRAM]);
    command.current_dir(place.root()).env_remove("DISKTIME_LOG");
    let sockets = sockets.to_vec();
    // SAFETY: between fork and exec only system calls on descriptors that stay open in the parent.
    unsafe {
        command.pre_exec(move || {
            // Out of the way first, so that none is overwritten before it is put in its place.
            let mut aside = [0; 8];
            for (socket, aside) in sockets.iter().zip(&mut aside) {
                *aside = libc::fcntl(*socket, libc::F_DUPFD_CLOEXEC, 50);
            }
            for (number, aside) in aside.iter().take(sockets.len()).enumerate() {
                if libc::dup2(*aside, 3 + number as RawFd) == -1 {
                    return Err(std::io::Error::last_os_error());
                }
            }
            Ok(())
        });
    }
    command
}

/// Where a server says that it is ready.
struct Listener {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Listener {
    fn new(place: &TestDirectory) -> Listener {
        let path = place.path("notify");
        let socket = UnixDatagram::bind(&path).expect("a socket");
        socket.set_read_timeout(Some(PATIENCE)).expect("a limit");
        Listener { socket, path }
    }

    #[track_caller]
    fn hears(&self, expected: &str) {
        let mut bytes = [0; 1024];
        let count = self.socket.recv(&mut bytes).expect("a message");
        let said = String::from_utf8_lossy(&bytes[..count]).into_owned();
        assert!(said.lines().any(|line| line == expected), "{said}");
    }
}

fn spawned(mut command: Command) -> Child {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    die_with_parent(&mut command);
    command.spawn().expect("a shell")
}

/// Asks it to end; what it said on stdout.
#[track_caller]
fn stopped(child: Child, notified: &Listener) -> String {
    // SAFETY: a signal to our own child, which is not waited for yet.
    unsafe { libc::kill(child.id() as i32, libc::SIGTERM) };
    notified.hears("STOPPING=1");
    let output = child.wait_with_output().expect("our child");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn sockets_that_were_handed_over_are_used_instead_of_the_files() {
    let place = place();
    let notified = Listener::new(&place);
    let path = place.path("handed.sock");
    let unix = UnixListener::bind(&path).expect("a socket");
    let tcp = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = tcp.local_addr().expect("its address").port();
    let environment = format!(
        "NOTIFY_SOCKET={} LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=one:two",
        text(&notified.path)
    );
    let sockets = [unix.as_raw_fd(), tcp.as_raw_fd()];
    let server = spawned(activated(&place, &sockets, &environment));
    notified.hears("READY=1");
    let mut client = Client::connect(&NbdUri::unix(&path, "a"));
    client.write(0, b"by unix socket");
    let mut other = Client::connect(&NbdUri::tcp("127.0.0.1", port, "a"));
    assert_eq!(other.read(0, 14), b"by unix socket");
    assert!(
        !place.path("state/nbd.sock").exists(),
        "the file's is not made"
    );
    drop((client, other));
    let said = stopped(server, &notified);
    assert_eq!(said, "", "standard output is not the server's own");
    assert!(path.exists(), "whose it is removes it");
}

#[test]
fn a_vdisk_is_served_so_even_without_an_nbd_section() {
    let place = place();
    let vdisk = r#""a": { "disk": "d0", "size": "16MiB", "read_only": true }"#;
    place.configure_as(PLAIN_DISK, vdisk, r#""control": {}"#);
    let notified = Listener::new(&place);
    let path = place.path("handed.sock");
    let unix = UnixListener::bind(&path).expect("a socket");
    let environment = format!(
        "NOTIFY_SOCKET={} LISTEN_PID=$$ LISTEN_FDS=1",
        text(&notified.path)
    );
    let server = spawned(activated(&place, &[unix.as_raw_fd()], &environment));
    notified.hears("READY=1");
    let uri = NbdUri::unix(&path, "a").to_string();
    let said = tool(LIBNBD, "nbdinfo", &["--json", &uri]);
    assert!(said.contains(r#""is_read_only": true"#), "{said}");
    stopped(server, &notified);
}

#[test]
fn what_is_meant_for_another_process_is_left_alone() {
    let place = place();
    let notified = Listener::new(&place);
    let path = place.path("handed.sock");
    let unix = UnixListener::bind(&path).expect("a socket");
    let environment = format!(
        "NOTIFY_SOCKET={} LISTEN_PID=1 LISTEN_FDS=1",
        text(&notified.path)
    );
    let server = spawned(activated(&place, &[unix.as_raw_fd()], &environment));
    notified.hears("READY=1");
    let socket = place.path("state/nbd.sock");
    assert_eq!(
        Client::connect(&NbdUri::unix(socket, "a")).size_bytes(),
        16 * MIB
    );
    let said = stopped(server, &notified);
    assert!(said.contains("\nready\n"), "{said}");
}

#[test]
fn what_cannot_be_served_on_is_explained() {
    let place = place();
    let own = "LISTEN_PID=$$ ";
    let file = fs::File::open(place.file()).expect("it is there");
    let datagrams = UnixDatagram::unbound().expect("a socket");
    for (sockets, environment, fragments) in [
        (
            vec![file.as_raw_fd()],
            "LISTEN_FDS=1",
            ["descriptor 3", "cannot be used"],
        ),
        (
            vec![datagrams.as_raw_fd()],
            "LISTEN_FDS=1 LISTEN_FDNAMES=mine",
            ["descriptor 3, mine", "not a listening stream socket"],
        ),
        (vec![], "LISTEN_FDS=many", ["LISTEN_FDS", "many"]),
        (
            vec![],
            "LISTEN_FDS=9",
            ["LISTEN_FDS counts 9", "is not open"],
        ),
    ] {
        let command = activated(&place, &sockets, &format!("{own}{environment}"));
        assert_says(&exits_with(command, 1), &fragments);
    }
}

#[test]
fn nbd_clients_bring_their_own_server() {
    let place = place();
    let here = text(place.root()).to_owned();
    let server = format!("cd {here} && exec {PROGRAM} serve disktime.json");
    let with_server = |program: &str, before: &[&str], after: &[&str]| {
        let bracket = ["[", "sh", "-c", &server, "]"];
        tool(LIBNBD, program, &[before, &bracket, after].concat())
    };
    let said = with_server("nbdinfo", &["--json", "--"], &[]);
    let found: serde_json::Value = serde_json::from_str(&said).expect("nothing but JSON");
    assert_eq!(found["exports"][0]["export-size"], 16 * MIB);
    let data = pattern(16 * MIB as usize, 11);
    let (file, back) = (place.write("file", &data), place.path("back"));
    with_server("nbdcopy", &["--flush", "--", text(&file)], &[]);
    with_server("nbdcopy", &["--"], &[text(&back)]);
    assert_same(&fs::read(&back).expect("the copy"), &data, "there and back");
}

/// `serve --run` of a shell command.
fn running(place: &TestDirectory, command: &str) -> Command {
    let mut serve = place.command(&["serve"]);
    serve.args(["--run", command]);
    serve
}

#[test]
fn the_server_ends_with_its_command_and_its_status() {
    let place = place();
    let output = finished(running(&place, "nbdinfo --size \"$uri\"; exit 7"));
    assert_eq!(output.status.code(), Some(7));
    assert_eq!(output.stdout, b"16777216\n", "the output is the command's");
    let killed = finished(running(&place, "kill -9 $$"));
    assert_eq!(killed.status.code(), Some(128 + 9));
    let fine = finished(running(
        &place,
        "test -S \"$unixsocket\" && test \"$vdisks\" = a",
    ));
    assert_eq!(fine.status.code(), Some(0));
    // What the command wrote is there afterwards, though no client flushed it.
    let write = "qemu-io -f raw -c 'write -P 0x5a 0 1M' \"$uri\"";
    assert_eq!(finished(running(&place, write)).status.code(), Some(0));
    let read = "qemu-io -f raw -r -c 'read -P 0x5a 0 1M' \"$uri\"";
    let output = finished(running(&place, read));
    assert_eq!(output.status.code(), Some(0));
    assert!(!place.path("state/nbd.sock").exists());
}

#[test]
fn a_signal_ends_the_command_before_the_server() {
    let place = place();
    let told = place.path("told");
    // The command outlives the signal for as long as it needs the server.
    let command = format!(
        "trap 'nbdinfo --size \"$uri\" > {0}.new; mv {0}.new {0}; exit 3' TERM; echo started; \
         while :; do sleep 0.05; done",
        text(&told)
    );
    let mut server = running(&place, &command);
    server.stdout(Stdio::piped()).stderr(Stdio::piped());
    die_with_parent(&mut server);
    let mut server = server.spawn().expect("the program was built");
    let mut line = [0; 8];
    let mut output = server.stdout.take().expect("a pipe");
    std::io::Read::read_exact(&mut output, &mut line).expect("it starts");
    // SAFETY: a signal to our own child, which is not waited for yet.
    unsafe { libc::kill(server.id() as i32, libc::SIGTERM) };
    let status = server.wait().expect("our child");
    assert_eq!(status.code(), Some(3));
    assert_eq!(fs::read(&told).expect("the last word"), b"16777216\n");
}

#[test]
fn a_command_inherits_nothing_that_was_meant_for_the_server() {
    let place = place();
    let notified = Listener::new(&place);
    let path = place.path("handed.sock");
    let unix = UnixListener::bind(&path).expect("a socket");
    let script = "env | grep -c -E '^(LISTEN_|NOTIFY_)'; ls /proc/self/fd | grep -c '^3$'; \
                  nbdinfo --size \"$uri\"";
    let environment = format!(
        "NOTIFY_SOCKET={} LISTEN_PID=$$ LISTEN_FDS=1",
        text(&notified.path)
    );
    let mut command = activated(&place, &[unix.as_raw_fd()], &environment);
    command.args(["--run", script]);
    let output = finished(command);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!((lines[0], lines.last()), ("0", Some(&"16777216")), "{said}");
    notified.hears("READY=1");
}

#[test]
fn a_wrong_disk_is_refused_whoever_starts_the_server() {
    let place = place();
    place.start().stop();
    fs::rename(place.disk_file(), place.path("aside")).expect("a rename");
    let socket = UnixListener::bind(place.path("passed")).expect("a socket");
    let notified = Listener::new(&place);
    let environment = format!(
        "LISTEN_PID=$$ LISTEN_FDS=1 NOTIFY_SOCKET={}",
        text(&notified.path)
    );
    let command = activated(&place, &[socket.as_raw_fd()], &environment);
    assert_says(&exits_with(command, 1), &["`d0`", "blank or missing"]);
    assert!(!place.disk_file().exists(), "a file was made");
    notified
        .socket
        .set_nonblocking(true)
        .expect("it is a socket");
    let heard = notified.socket.recv(&mut [0; 64]);
    assert!(heard.is_err(), "it said that it is ready");
}
