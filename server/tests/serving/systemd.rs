//! The example units under a real systemd, as the first process of namespaces of its own: the
//! socket must outlive every stop, restart and crash of the service.
//!
//! That systemd sees the machine's files read-only and none of the machine's units, so that none of
//! them (temporary files, sysctls, mounts) is started here.

use crate::nbd::Client;
use crate::programs::{PATIENCE, die_with_parent, needs_root, text, tool, tool_output, wait_until};
use crate::test_directory::{PLAIN_DISK, TestDirectory};
use disktime_nbd_protocol::NbdUri;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const SYSTEMD: &str = "systemd";
const PROGRAM: &str = env!("CARGO_BIN_EXE_disktime");
const UNITS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/systemd");
const EXPORT: &str = "a";

/// Becomes systemd, with the directory `$1` as `/var/lib/disktime` and the program `$2` at `/run`;
/// the machine's other files are read-only or hidden.
const BOOT: &str = r#"
set -e
mount --make-rprivate /
mount --bind "$1" "$1"
mount -o remount,bind,ro /
mount -t proc proc /proc
mount -t tmpfs -o mode=755 tmpfs /run
cp "$2" /run/program
mkdir -p /run/systemd/system
cp -r "$1"/units/. /run/systemd/system
mount -t tmpfs -o mode=755 tmpfs /var/lib
mkdir /var/lib/disktime
mount --bind "$1" /var/lib/disktime
mount -t tmpfs tmpfs /tmp
mount -t tmpfs tmpfs /var/tmp
mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
mkdir /sys/fs/cgroup/systemd
mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd
ip link set lo up
export container=lxc SYSTEMD_UNIT_PATH=/run/systemd/system SYSTEMD_GENERATOR_PATH=/run/none
exec /lib/systemd/systemd --system --unit=test.target --log-target=console --show-status=no
"#;

/// Units of every machine that the examples are ordered after; here they start nothing.
const STUBS: [&str; 9] = [
    "test.target",
    "basic.target",
    "sysinit.target",
    "sockets.target",
    "shutdown.target",
    "local-fs.target",
    "network.target",
    "multi-user.target",
    "umount.target",
];

struct Systemd {
    place: TestDirectory,
    unshare: Child,
    /// The process that is its first one, as this machine counts.
    process: u32,
}

impl Systemd {
    /// Boots it with the example units and this `"fuse"` section or none.
    #[track_caller]
    fn boot(fuse: bool, drop_ins: &[&str]) -> Systemd {
        needs_root("namespaces in which systemd is the first process");
        tool(SYSTEMD, "systemctl", &["--version"]);
        tool("iproute2", "ip", &["-V"]);
        let place = place(fuse);
        let units = place.path("units");
        let settings = units.join("disktime.service.d");
        fs::create_dir_all(&settings).expect("room for it");
        for unit in ["disktime.service", "disktime.socket"] {
            fs::copy(Path::new(UNITS).join(unit), units.join(unit)).expect("an example");
        }
        for name in drop_ins {
            fs::copy(Path::new(UNITS).join(name), settings.join(name)).expect("an example");
        }
        let here = "[Service]\nExecStart=\n\
                    ExecStart=/run/program serve /var/lib/disktime/disktime.json\n\
                    StandardOutput=append:/var/lib/disktime/server.log\n\
                    StandardError=inherit\n";
        fs::write(settings.join("here.conf"), here).expect("room for it");
        for stub in STUBS {
            let unit = "[Unit]\nDescription=A stub\nDefaultDependencies=no\n";
            fs::write(units.join(stub), unit).expect("room for it");
        }
        let unshare = unshared(&place);
        let process = first_process(&unshare, &place);
        let systemd = Systemd {
            place,
            unshare,
            process,
        };
        wait_until("systemd answers", || {
            let state = systemd.answer(&["is-system-running"]);
            ["running", "degraded"].contains(&state.trim())
        });
        systemd
    }

    fn answer(&self, words: &[&str]) -> String {
        let process = self.process.to_string();
        let inside = ["-t", &process, "-m", "-p", "-n", "systemctl"];
        let output = tool_output("util-linux", "nsenter", &[&inside, words].concat());
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    #[track_caller]
    fn systemctl(&self, words: &[&str]) {
        let process = self.process.to_string();
        let inside = ["-t", &process, "-m", "-p", "-n", "systemctl"];
        let output = tool_output("util-linux", "nsenter", &[&inside, words].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{words:?}: {said}\n{}",
            self.said()
        );
    }

    fn said(&self) -> String {
        ["systemd.log", "server.log"]
            .map(|name| fs::read_to_string(self.place.path(name)).unwrap_or_default())
            .concat()
    }

    fn main_process(&self) -> String {
        self.answer(&["show", "-P", "MainPID", "disktime.service"])
    }

    /// The socket of the units, seen from outside.
    fn socket(&self) -> PathBuf {
        format!("/proc/{}/root/run/disktime/nbd.sock", self.process).into()
    }

    fn client(&self) -> Client {
        Client::connect(&NbdUri::unix(self.socket(), EXPORT))
    }
}

impl Drop for Systemd {
    fn drop(&mut self) {
        // Its namespace ends with its first process, and with that every mount and process in it.
        let _ = self.unshare.kill();
        let _ = self.unshare.wait();
    }
}

fn place(fuse: bool) -> TestDirectory {
    let frontends = if fuse {
        r#""nbd": {}, "fuse": {}"#
    } else {
        r#""nbd": {}"#
    };
    let vdisk = r#""a": { "disk": "d0", "size": "16MiB" }"#;
    let place = TestDirectory::configured(PLAIN_DISK, vdisk, frontends);
    place.write("boot.sh", BOOT);
    place
}

fn unshared(place: &TestDirectory) -> Child {
    let log = fs::File::create(place.path("systemd.log")).expect("room for it");
    let mut command = Command::new("unshare");
    command
        .args([
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "--ipc",
            "--uts",
            "--net",
        ])
        .args(["--cgroup", "sh"])
        .args([&place.path("boot.sh"), place.root(), Path::new(PROGRAM)])
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a descriptor"))
        .stderr(log);
    die_with_parent(&mut command);
    command
        .spawn()
        .expect("this test needs unshare: apt-get install util-linux")
}

/// The child of `unshare`, once it is systemd.
#[track_caller]
fn first_process(unshare: &Child, place: &TestDirectory) -> u32 {
    let children = format!("/proc/{0}/task/{0}/children", unshare.id());
    let child = || -> Option<u32> {
        let child = fs::read_to_string(&children).ok()?.trim().parse().ok()?;
        let name = fs::read_to_string(format!("/proc/{child}/comm")).ok()?;
        (name.trim() == "systemd").then_some(child)
    };
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        if let Some(child) = child() {
            return child;
        }
        let log = fs::read_to_string(place.path("systemd.log")).unwrap_or_default();
        assert!(std::time::Instant::now() < deadline, "no systemd: {log}");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

#[test]
fn the_socket_outlives_restart_kill_and_stop_of_the_service() {
    let systemd = Systemd::boot(true, &[]);
    systemd.systemctl(&["start", "disktime.socket"]);
    let inode = || fs::metadata(systemd.socket()).map(|found| found.ino()).ok();
    let first = inode();
    assert!(first.is_some(), "{}", systemd.said());
    systemd.client().write(0, b"kept");

    let mounts = fs::read_to_string(format!("/proc/{}/mountinfo", systemd.process));
    let mounts = mounts.expect("it runs");
    assert!(
        mounts.contains("fuse.disktime"),
        "the host sees the files: {mounts}"
    );

    let mut processes = vec![systemd.main_process()];
    systemd.systemctl(&["restart", "disktime.service"]);
    assert_eq!(systemd.client().read(0, 4), b"kept");
    processes.push(systemd.main_process());

    // More often than systemd's own limit on starts, one after the other.
    for _ in 0..6 {
        let killed = systemd.main_process();
        systemd.systemctl(&[
            "kill",
            "--signal=KILL",
            "--kill-who=main",
            "disktime.service",
        ]);
        assert_eq!(systemd.client().read(0, 4), b"kept");
        let other = systemd.main_process();
        assert_ne!(other, killed, "another server answers");
        processes.push(other);
    }

    systemd.systemctl(&["stop", "disktime.service"]);
    assert_eq!(systemd.client().read(0, 4), b"kept", "a client starts it");
    processes.push(systemd.main_process());
    processes.dedup();
    assert_eq!(processes.len(), 9, "{processes:?}");
    assert_eq!(inode(), first, "the same socket all the time");

    systemd.systemctl(&["stop", "disktime.socket", "disktime.service"]);
    assert_eq!(inode(), None, "the socket unit removes it");
}

#[test]
fn a_server_without_fuse_runs_hardened() {
    let systemd = Systemd::boot(false, &["hardening-without-fuse.conf"]);
    systemd.systemctl(&["start", "disktime.socket"]);
    let mut client = systemd.client();
    client.write(0, b"kept");
    drop(client);
    systemd.systemctl(&["restart", "disktime.service"]);
    assert_eq!(systemd.client().read(0, 4), b"kept");
    let process = systemd.main_process();
    let capabilities = fs::read_to_string(format!(
        "/proc/{}/root/proc/{}/status",
        systemd.process,
        process.trim()
    ));
    let capabilities = capabilities.expect("it runs");
    let bounding = capabilities.lines().find(|line| line.starts_with("CapBnd"));
    let bounding = bounding.and_then(|line| line.split_whitespace().nth(1));
    let bounding = u64::from_str_radix(bounding.expect("a set"), 16).expect("a number");
    assert_eq!(
        bounding & (1 << 21),
        0,
        "not the rights of an administrator"
    );
}

#[test]
fn systemd_finds_no_fault_in_the_units() {
    let place = TestDirectory::new();
    for unit in ["disktime.service", "disktime.socket"] {
        let example = fs::read_to_string(Path::new(UNITS).join(unit)).expect("an example");
        place.write(unit, example.replace("/usr/bin/disktime", PROGRAM));
    }
    let units = [
        place.path("disktime.service"),
        place.path("disktime.socket"),
    ];
    let words = ["verify", "--man=no", text(&units[0]), text(&units[1])];
    let output = tool_output(SYSTEMD, "systemd-analyze", &words);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.is_empty(), "{said}");
}
