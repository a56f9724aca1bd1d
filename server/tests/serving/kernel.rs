//! A Linux kernel as the client: Debian's user-mode kernel boots on this system's files, its NBD
//! driver uses a vdisk over TCP, and on it a file system is made, filled, checked, mounted again
//! and trimmed.
//!
//! User-mode Linux because it needs neither KVM nor an image: it boots in two seconds. Server and
//! kernel meet in a network namespace of their own, so that no address can clash.

use crate::programs::{needs_root, text, tool, tool_output};
use crate::server::Server;
use crate::test_directory::TestDirectory;
use std::fs;
use std::process::Command;

const ADDRESS: &str = "10.9.0.1";
const PORT: &str = "10809";

/// Run by the kernel instead of an init. What it says and the last line `passed` go to a file.
const SCRIPT: &str = r#"#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t hostfs none /mnt -o @OUTPUT@
exec > /mnt/kernel.log 2>&1
inside() {
    set -ex
    mount -t proc proc /proc
    mount -t sysfs sys /sys
    mount -t tmpfs run /run
    uname -r
    insmod /usr/lib/uml/modules/*/kernel/drivers/block/nbd.ko nbds_max=1
    ip link set lo up
    ip addr add 10.9.0.2/24 dev eth0
    ip link set eth0 up
    nbd-client -N web @ADDRESS@ @PORT@ /dev/nbd0
    cat /sys/block/nbd0/queue/discard_max_bytes /sys/block/nbd0/queue/write_cache
    mkfs.ext4 -q /dev/nbd0
    mkdir /run/web
    mount /dev/nbd0 /run/web
    seq 1 300000 > /run/web/numbers
    for file in a b c d e f; do cp /run/web/numbers /run/web/$file; done
    rm /run/web/b /run/web/d
    sync
    umount /run/web
    e2fsck -f -n /dev/nbd0
    mount /dev/nbd0 /run/web
    seq 1 300000 | cmp - /run/web/f
    fstrim -v /run/web
    umount /run/web
    e2fsck -f -n /dev/nbd0
    nbd-client -d /dev/nbd0
    echo passed
}
(inside)
sync
echo o > /proc/sysrq-trigger
sleep 100
"#;

/// The server in a network namespace of its own, where the kernel's end of a wire is too.
fn start(place: &TestDirectory) -> Server {
    let wire = format!(
        "ip link set lo up && ip tuntap add tap0 mode tap && ip addr add {ADDRESS}/24 dev tap0 && \
         ip link set tap0 up && exec \"$@\""
    );
    let serve = place.command(&["serve"]);
    let mut command = Command::new("unshare");
    command
        .args(["--net", "sh", "-c", &wire, "sh"])
        .arg(serve.get_program())
        .args(serve.get_args())
        .current_dir(place.root())
        .env_remove("DISKTIME_LOG");
    Server::start(command)
}

#[test]
fn a_kernel_makes_uses_and_checks_a_file_system() {
    needs_root("a network namespace and a tap device");
    let package = "user-mode-linux";
    tool_output(package, "linux.uml", &["--version"]);
    tool("nbd-client", "nbd-client", &["-V"]);
    tool("kmod", "insmod", &["-V"]);
    let place = TestDirectory::configured(
        r#""d0": { "path": "d0.disk", "size": "256MiB", "seeks": false }"#,
        r#""web": { "disk": "d0", "size": "128MiB", "reserve": "50%", "period": "250ms" }"#,
        &format!(r#""nbd": {{ "listen": ["{ADDRESS}:{PORT}"] }}"#),
    );
    let server = start(&place);
    let script = SCRIPT
        .replace("@OUTPUT@", text(place.root()))
        .replace("@ADDRESS@", ADDRESS)
        .replace("@PORT@", PORT);
    let init = place.write("init.sh", script);
    tool("coreutils", "chmod", &["+x", text(&init)]);
    let namespace = format!("--net=/proc/{}/ns/net", server.process());
    let init = format!("init={}", text(&init));
    let arguments = [
        &namespace,
        "linux.uml",
        "mem=256M",
        "root=/dev/root",
        "rootfstype=hostfs",
        "rootflags=/",
        "ro",
        &init,
        "eth0=tuntap,tap0",
        "con=null",
        "con0=null,fd:1",
        "quiet",
    ];
    let booted = tool_output("util-linux", "nsenter", &arguments);
    let log = fs::read_to_string(place.path("kernel.log")).unwrap_or_default();
    let said = [booted.stdout, booted.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    // The registers of a processor with AMX are more than this kernel keeps for a process: it ends
    // at its first one, before anything of the script has run.
    if log.is_empty() && said.contains("put_fp_registers") {
        println!(
            "SKIPPED a kernel as the client: `linux.uml` cannot run a process on this processor"
        );
        server.stop();
        return;
    }
    assert!(
        log.trim_end().ends_with("passed"),
        "{log}\nthe kernel said:\n{said}\nthe server said:\n{}",
        server.said()
    );
    server.stop();
}
