//! Other programs, loop devices and mounts, cleaned up whatever happens.

use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Long enough for anything that ends at all, on a machine with other things to do.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Nothing outlives a test that is killed.
pub fn die_with_parent(command: &mut Command) {
    // SAFETY: prctl is a plain system call; nothing else happens between fork and exec.
    unsafe {
        command.pre_exec(|| {
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) == -1 {
                return Err(io::Error::last_os_error());
            }
            Ok(())
        });
    }
}

/// Waits until `is_so`; fails the test when it never is.
#[track_caller]
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn everything(mut pipe: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // What was read until a failure is shown as well.
        let _ = pipe.read_to_end(&mut bytes);
        let _ = sender.send(bytes);
    });
    receiver
}

/// Runs a command to its end; one that does not end is killed and fails the test.
#[track_caller]
pub fn finished(command: Command) -> Output {
    let shown = format!("{command:?}");
    started(command).unwrap_or_else(|error| panic!("{shown}: {error}"))
}

#[track_caller]
fn started(mut command: Command) -> io::Result<Output> {
    let shown = format!("{command:?}");
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    die_with_parent(&mut command);
    let mut child = command.spawn()?;
    let stdout = everything(child.stdout.take().expect("a pipe"));
    let stderr = everything(child.stderr.take().expect("a pipe"));
    let (Ok(stdout), Ok(stderr)) = (stdout.recv_timeout(PATIENCE), stderr.recv_timeout(PATIENCE))
    else {
        // It is our child and not waited for; killing it can only fail if it has just ended.
        let _ = child.kill();
        let _ = child.wait();
        panic!("{shown} does not end");
    };
    Ok(Output {
        status: child.wait()?,
        stdout,
        stderr,
    })
}

/// Runs a program of a Debian package. It may be one for administrators, whose folders are not in
/// everybody's PATH.
#[track_caller]
pub fn tool_output(package: &str, program: &str, arguments: &[&str]) -> Output {
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    let mut command = Command::new(program);
    command.args(arguments).env("PATH", path);
    started(command).unwrap_or_else(|error| {
        panic!("this test needs {program} ({error}): apt-get install {package}")
    })
}

/// Runs a program of a Debian package, which must succeed; returns what it said on stdout.
#[track_caller]
pub fn tool(package: &str, program: &str, arguments: &[&str]) -> String {
    let output = tool_output(package, program, arguments);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{program} {arguments:?} ended with {}\n{said}{complained}",
        output.status
    );
    said
}

/// The Debian package with QEMU's programs for images.
pub const QEMU: &str = "qemu-utils";

/// Runs `qemu-img` with the words of `options`, then with `images`; it must succeed. Returns what
/// it said on stdout.
#[track_caller]
pub fn qemu_img(options: &str, images: &[&str]) -> String {
    let arguments = options.split_whitespace().chain(images.iter().copied());
    tool(QEMU, "qemu-img", &arguments.collect::<Vec<_>>())
}

/// Runs commands of `qemu-io`, separated by `; `, on a raw image; each must succeed.
#[track_caller]
pub fn qemu_io(image: &str, commands: &str) {
    let mut arguments = vec!["-f", "raw", "-d", "unmap", image];
    for command in commands.split("; ") {
        arguments.extend(["-c", command]);
    }
    let said = tool(QEMU, "qemu-io", &arguments);
    let is_fine = !said.contains("failed") && !said.contains("error");
    assert!(is_fine, "{commands}: {said}");
}

/// Fails the test unless it runs as root.
#[track_caller]
pub fn needs_root(what: &str) {
    // SAFETY: only returns a number.
    let user = unsafe { libc::geteuid() };
    assert_eq!(user, 0, "this test needs root for {what}: run it with sudo");
}

/// A path as a program's argument.
pub fn text(path: &Path) -> &str {
    path.to_str().expect("paths of tests are UTF-8")
}

/// A loop device; detached when it goes.
#[derive(Debug)]
pub struct Loop {
    /// Its path.
    pub device: PathBuf,
}

impl Loop {
    /// On a file, past the page cache.
    #[track_caller]
    pub fn attach(file: &Path) -> Loop {
        needs_root("loop devices");
        let arguments = ["--direct-io=on", "--find", "--show", text(file)];
        let device = tool("mount", "losetup", &arguments);
        Loop {
            device: PathBuf::from(device.trim()),
        }
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let result = Command::new("losetup")
            .arg("--detach")
            .arg(&self.device)
            .status();
        if !std::thread::panicking() {
            assert!(
                result.is_ok_and(|status| status.success()),
                "{:?} stays",
                self.device
            );
        }
    }
}

/// A mounted file system; unmounted when it goes.
#[derive(Debug)]
pub struct Mounted {
    /// Where it is mounted.
    pub directory: PathBuf,
}

impl Mounted {
    /// Mounts it; the directory is created if it is not there.
    #[track_caller]
    pub fn new(options: &[&str], directory: &Path) -> Mounted {
        needs_root("mounts");
        std::fs::create_dir_all(directory).expect("a directory to mount on");
        tool("mount", "mount", &[options, &[text(directory)]].concat());
        Mounted {
            directory: directory.to_owned(),
        }
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let result = Command::new("umount").arg(&self.directory).status();
        if !std::thread::panicking() {
            assert!(
                result.is_ok_and(|status| status.success()),
                "{:?} stays",
                self.directory
            );
        }
    }
}

/// The places of the table of mounts that are at or below a directory, the last mounted first.
fn mounts_below(directory: &Path) -> Vec<PathBuf> {
    let table = std::fs::read_to_string("/proc/self/mountinfo").expect("the table of mounts");
    let places = table
        .lines()
        .filter_map(|line| line.split(' ').nth(4).map(PathBuf::from));
    let mut below: Vec<PathBuf> = places
        .filter(|place| place.starts_with(directory))
        .collect();
    below.reverse();
    below
}

/// Whether something is mounted exactly there.
pub fn is_mounted(directory: &Path) -> bool {
    mounts_below(directory)
        .iter()
        .any(|place| place == directory)
}

/// Takes down what a test left mounted below its directory.
pub fn unmount_below(directory: &Path) {
    for place in mounts_below(directory) {
        // Fails only when it is not mounted any more.
        let _ = Command::new("umount")
            .arg("--lazy")
            .arg(place)
            .stderr(Stdio::null())
            .status();
    }
}
