//! The example units under a real systemd, as the first process of namespaces of its own: the
//! socket must outlive every stop, restart and crash of the service.
//!
//! Invariant: nothing of the machine is changed. That systemd has none of the machine's units, so
//! that none of them (temporary files, sysctls, mounts) is started here; every mount that the
//! machine has is read-only for it, the settings in `/proc/sys` too; of the cgroups it sees one of
//! its own in the hierarchy `name=systemd`, which is removed at the end, and no controller.

use crate::nbd::Client;
use crate::programs::{PATIENCE, needs_root, text, tool, tool_output, wait_until};
use crate::test_directory::{PLAIN_DISK, TestDirectory};
use disktime_nbd_protocol::NbdUri;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const SYSTEMD: &str = "systemd";
const PROGRAM: &str = env!("CARGO_BIN_EXE_disktime");
const UNITS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/systemd");
const EXPORT: &str = "a";

/// Runs `boot.sh` of the directory `$1` with the program `$2` in namespaces and a cgroup of their
/// own until its input ends, which it also does when the test is killed; then ends all that runs
/// there and removes the cgroup. The mount is seen by this script and what it starts only.
const KEEP: &str = r#"
set -e
mount --make-rprivate /
hierarchy=$1/hierarchy
mkdir "$hierarchy"
mount -t cgroup -o none,name=systemd cgroup "$hierarchy"
group=$hierarchy/${1##*/}
mkdir "$group"
sh -c 'echo $$ >"$0/cgroup.procs"
    exec setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child --ipc --uts --net \
        --cgroup sh "$1/boot.sh" "$1" "$2"' "$group" "$1" "$2" &
cat >/dev/null
kill -KILL $! || true
wait
for attempt in $(seq 600); do
    find "$group" -depth -type d -exec rmdir {} + 2>/dev/null && exit 0
    sleep 0.1
done
echo "$group is in use: $(cat "$group/cgroup.procs")"
exit 1
"#;

/// Becomes systemd, with the directory `$1` as `/var/lib/disktime` and the program `$2` at `/run`;
/// the machine's other files are read-only or hidden.
const BOOT: &str = r#"
set -e
mount --make-rprivate /
for place in $(cut -d " " -f 5 /proc/self/mountinfo); do
    place=$(printf %b "$place")
    # One that another mount hides is no mount point: nothing gets there.
    mount -o remount,bind,ro "$place" || ! mountpoint -q "$place"
done
mount -t proc proc /proc
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
# Without a list of controllers systemd mounts none of them.
mount --bind /dev/null /proc/cgroups
for device in /dev/console /dev/kmsg; do
    [ ! -e $device ] || mount --bind /dev/null $device
done
mount -t tmpfs -o mode=755 tmpfs /run
cp "$2" /run/program
mkdir -p /run/systemd/system
cp -r "$1"/units/. /run/systemd/system
mount -t tmpfs -o mode=755 tmpfs /var/lib
mkdir /var/lib/disktime
mount --bind "$1" /var/lib/disktime
mount -o remount,bind,rw /var/lib/disktime
mount -t tmpfs tmpfs /tmp
mount -t tmpfs tmpfs /var/tmp
mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
mkdir /sys/fs/cgroup/systemd
mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd
# So there is no directory on which a further hierarchy could be mounted.
mount -o remount,ro /sys/fs/cgroup
ip link set lo up
export container=lxc SYSTEMD_UNIT_PATH=/run/systemd/system SYSTEMD_GENERATOR_PATH=/run/none
exec /lib/systemd/systemd --system --unit=test.target --log-target=console --show-status=no \
    systemd.legacy_systemd_cgroup_controller=yes
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
    /// Runs `KEEP`; its input is open as long as systemd is to run.
    keeper: Child,
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
        let mut keeper = keeper(&place);
        let process = first_process(&mut keeper, &place);
        let systemd = Systemd {
            place,
            keeper,
            process,
        };
        wait_until("systemd answers", || {
            let state = systemd.answer(&["is-system-running"]);
            ["running", "degraded"].contains(&state.trim())
        });
        systemd.assert_apart();
        systemd
    }

    /// It sees the machine's settings read-only, and of the cgroups its own only.
    #[track_caller]
    fn assert_apart(&self) {
        let mounts = self.mounts();
        let is_usable = |line: &&str| line.contains(" - cgroup") && !line.contains(" ro,");
        let hierarchies: Vec<&str> = mounts.lines().filter(is_usable).collect();
        let [own] = hierarchies[..] else {
            panic!("its own hierarchy and no other: {hierarchies:#?}");
        };
        assert!(own.contains("name=systemd"), "{own}");
        let settings = mounts
            .lines()
            .find(|line| line.contains(" /sys /proc/sys "));
        assert!(
            settings.is_some_and(|line| line.contains(" ro,")),
            "{mounts}"
        );
    }

    fn mounts(&self) -> String {
        let mounts = fs::read_to_string(format!("/proc/{}/mountinfo", self.process));
        mounts.expect("it runs")
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
        drop(self.keeper.stdin.take());
        let ended = self.keeper.wait();
        if !std::thread::panicking() {
            let is_clean = ended.is_ok_and(|status| status.success());
            assert!(is_clean, "its cgroup stays: {}", self.said());
        }
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
    place.write("keep.sh", KEEP);
    place.write("boot.sh", BOOT);
    place
}

fn keeper(place: &TestDirectory) -> Child {
    let log = fs::File::create(place.path("systemd.log")).expect("room for it");
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh"])
        .args([&place.path("keep.sh"), place.root(), Path::new(PROGRAM)])
        .stdin(Stdio::piped())
        .stdout(log.try_clone().expect("a descriptor"))
        .stderr(log)
        // A signal from the terminal ends the test; the end of its input ends the script.
        .process_group(0);
    command
        .spawn()
        .expect("this test needs unshare: apt-get install util-linux")
}

/// The systemd that `keeper` has started, once it runs.
#[track_caller]
fn first_process(keeper: &mut Child, place: &TestDirectory) -> u32 {
    let children = |process: u32| -> Vec<u32> {
        let listed = fs::read_to_string(format!("/proc/{process}/task/{process}/children"));
        let listed = listed.unwrap_or_default();
        listed.split(' ').filter_map(|id| id.parse().ok()).collect()
    };
    let is_systemd = |process: &u32| {
        let name = fs::read_to_string(format!("/proc/{process}/comm"));
        name.is_ok_and(|name| name.trim() == "systemd")
    };
    let deadline = Instant::now() + PATIENCE;
    loop {
        let below = children(keeper.id()).into_iter().flat_map(children);
        if let Some(found) = below.into_iter().find(is_systemd) {
            return found;
        }
        let has_ended = keeper.try_wait().expect("our child").is_some();
        let log = fs::read_to_string(place.path("systemd.log")).unwrap_or_default();
        assert!(!has_ended && Instant::now() < deadline, "no systemd: {log}");
        std::thread::sleep(Duration::from_millis(5));
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

    let mounts = systemd.mounts();
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
    // What tells it who else uses a disk.
    for list in ["locks", "swaps", "sys/kernel/osrelease"] {
        let file = format!(
            "/proc/{}/root/proc/{}/root/proc/{list}",
            systemd.process,
            process.trim()
        );
        assert!(Path::new(&file).exists(), "{list} is hidden");
    }
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
