//! The Debian packages that the tests need: finds which are missing, and installs them when that
//! is allowed.
//!
//! A program that is installed counts, whichever package it came from; so this works on other
//! systems too as long as no program is missing.

use std::env;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

/// A program that tests run, and the package that brings it.
const NEEDED: [(&str, &str); 25] = [
    ("debugfs", "e2fsprogs"),
    ("e2fsck", "e2fsprogs"),
    ("fio", "fio"),
    ("fstrim", "util-linux"),
    ("fusermount3", "fuse3"),
    ("insmod", "kmod"),
    ("ip", "iproute2"),
    ("linux.uml", "user-mode-linux"),
    ("losetup", "mount"),
    ("mkfs.ext4", "e2fsprogs"),
    ("mount", "mount"),
    ("nbd-client", "nbd-client"),
    ("nbdcopy", "libnbd-bin"),
    ("nbdinfo", "libnbd-bin"),
    ("nbdkit", "nbdkit"),
    ("nbdsh", "python3-libnbd"),
    ("nsenter", "util-linux"),
    ("openssl", "openssl"),
    ("qemu-img", "qemu-utils"),
    ("qemu-io", "qemu-utils"),
    ("qemu-nbd", "qemu-utils"),
    ("rsync", "rsync"),
    ("setfattr", "attr"),
    ("sqlite3", "sqlite3"),
    ("systemctl", "systemd"),
];

/// How long apt-get waits for another one to end, in seconds.
const LOCK_TIMEOUT: &str = "DPkg::Lock::Timeout=600";

/// How often the lists of packages are asked for: their lock is one that apt-get does not wait for.
const UPDATES: u32 = 10;

/// Installs what is missing if this user may; prints what it does. Returns whether everything is
/// installed in the end.
pub(crate) fn provide() -> bool {
    let missing = missing();
    if missing.is_empty() {
        println!("all packages that the tests need are installed");
        return true;
    }
    println!("missing: {}", missing.join(" "));
    let Some(prefix) = privilege() else {
        println!("this is neither root nor may it use sudo without a password; install them with");
        println!("  sudo apt-get install {}", missing.join(" "));
        return false;
    };
    // A fresh machine has no list of packages, or an old one.
    if !apt_get(prefix, &["install"], &missing) {
        for attempt in 1..=UPDATES {
            if apt_get(prefix, &["update"], &[]) {
                break;
            }
            if attempt < UPDATES {
                thread::sleep(Duration::from_secs(3));
            }
        }
        apt_get(prefix, &["install"], &missing);
    }
    let missing = self::missing();
    if !missing.is_empty() {
        println!(
            "still missing: {}; see what apt-get said above",
            missing.join(" ")
        );
    }
    missing.is_empty()
}

/// The packages of the programs that are not there.
fn missing() -> Vec<&'static str> {
    // Programs for the administrator are often not in a user's PATH, and are run by full path.
    let path = env::var("PATH").unwrap_or_default() + ":/usr/local/sbin:/usr/sbin:/sbin";
    let is_there = |program: &str| {
        env::split_paths(&path).any(|place| Path::new(&place).join(program).is_file())
    };
    let absent = NEEDED.iter().filter(|(program, _)| !is_there(program));
    let mut packages: Vec<&str> = absent.map(|(_, package)| *package).collect();
    packages.sort_unstable();
    packages.dedup();
    packages
}

/// How to become root: nothing to do, `sudo -n`, or not at all.
pub(crate) fn privilege() -> Option<&'static [&'static str]> {
    let succeeds = |program: &str, arguments: &[&str], expected: &str| {
        let output = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output();
        output.is_ok_and(|output| {
            output.status.success() && output.stdout.starts_with(expected.as_bytes())
        })
    };
    if succeeds("id", &["-u"], "0\n") {
        return Some(&[]);
    }
    succeeds("sudo", &["-n", "true"], "").then_some(&["sudo", "-n"])
}

fn apt_get(prefix: &[&str], task: &[&str], packages: &[&str]) -> bool {
    let options: &[&str] = &[
        "env",
        "DEBIAN_FRONTEND=noninteractive",
        "apt-get",
        "--yes",
        "--no-install-recommends",
        "-qq",
        // Another installation, such as the daily one, may hold the lock for a while.
        "-o",
        LOCK_TIMEOUT,
    ];
    let words: Vec<&str> = [prefix, options, task, packages].concat();
    println!("> {}", words.join(" "));
    let status = Command::new(words[0])
        .args(&words[1..])
        .stdin(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}
