//! Every command of README.md, in the order in which it stands there.
//!
//! The commands are read out of the README, and each has to be in the list below: a new one fails
//! this test until it is known how it is run. With `DISKTIME_README=full` all are run as written;
//! otherwise those that take minutes, install something or need privileges are run with shorter
//! durations, or replaced, as the list says.

use crate::programs::{PATIENCE, text};
use crate::server::Server;
use crate::test_directory::TestDirectory;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// How a command is run.
enum Run {
    AsWritten,
    /// It goes on until the next command that is not beside it.
    Server,
    /// With another text in place of this one.
    Shorter(&'static str, &'static str),
    /// By this command, for this reason.
    Instead(&'static str, &'static str),
    /// The debug build of a binary of another package, where it is built.
    Binary(&'static str, &'static [&'static str], &'static [i32]),
}

use Run::{AsWritten, Binary, Instead, Shorter};

/// The commands by their beginnings.
const STEPS: [(&str, Run); 16] = [
    (
        "sudo apt-get install",
        Instead("it needs privileges", "dpkg-query --show $PACKAGES"),
    ),
    (
        "cargo install --path server",
        Instead("it builds for minutes", "disktime --version"),
    ),
    ("disktime serve examples/quickstart.json", Run::Server),
    ("disktime status", AsWritten),
    ("disktime load examples", AsWritten),
    ("disktime load --overwrite", AsWritten),
    ("disktime simulate", AsWritten),
    ("disktime demo", Shorter("demo", "demo --half 2s")),
    ("qemu-img info", AsWritten),
    ("fio ", Shorter("--runtime=10", "--runtime=1")),
    ("nbdinfo --list", AsWritten),
    ("disktime serve examples/quickstart.json --run", AsWritten),
    (
        "cargo xtask test",
        Instead("it is what runs this test", "disktime --help"),
    ),
    (
        "cargo run --release -p disktime-benches --bin soak",
        Binary("soak", &["--requests", "20000", "--seeds", "2"], &[0]),
    ),
    (
        "cargo run --release -p disktime-benches --bin limits",
        Binary("limits", &["--only", "latency", "--seconds", "4"], &[0, 1]),
    ),
    (
        "cargo run --release -p paper-repro",
        Binary("paper-repro", &["list"], &[0]),
    ),
];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn is_full() -> bool {
    std::env::var("DISKTIME_README").is_ok_and(|value| value == "full")
}

/// The lines of the README's blocks of commands, without comments.
fn commands() -> Vec<String> {
    let readme = fs::read_to_string(repository().join("README.md")).expect("it is there");
    let (mut commands, mut inside) = (Vec::new(), false);
    for line in readme.lines() {
        match line {
            "```sh" => inside = true,
            "```" => inside = false,
            _ if inside => {
                let command = line.split("  #").next().unwrap_or(line).trim();
                commands.push(command.to_owned());
            }
            _ => {}
        }
    }
    commands
}

/// A copy of the examples, in which clients run for two seconds, and no port is listened on that
/// another program may have.
fn place() -> TestDirectory {
    let place = TestDirectory::new();
    fs::create_dir_all(place.path("examples/workloads")).expect("a directory");
    for name in ["quickstart.json", "workloads/three-clients.json"] {
        let path = Path::new("examples").join(name);
        let content = fs::read_to_string(repository().join(&path)).expect("it is there");
        let content = content.replace(r#", "listen": ["127.0.0.1:10809"]"#, "");
        assert!(!content.contains("listen"), "{content}");
        let shorter = content.replace(r#""duration": "60s""#, r#""duration": "2s""#);
        let content = if is_full() { content } else { shorter };
        fs::write(place.path(text(&path)), content).expect("it can be written");
    }
    fs::create_dir(place.path("bin")).expect("a directory");
    let binary = place.path("bin/disktime");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_disktime"), binary).expect("a link");
    place
}

/// With `disktime` on the PATH.
fn prepared(place: &TestDirectory, mut command: Command) -> Command {
    let mut path = OsString::from(place.path("bin"));
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    command.env("PATH", path).env_remove("DISKTIME_LOG");
    command
}

fn shell(place: &TestDirectory, line: &str) -> Command {
    let mut command = Command::new("sh");
    let directory = if line.contains("cargo") {
        repository()
    } else {
        place.root().to_owned()
    };
    command.args(["-c", line]).current_dir(directory);
    prepared(place, command)
}

/// The shell line for a command, or none if its binary is not built.
fn line_for(command: &str, run: &Run) -> (Option<String>, &'static [i32]) {
    const DONE: &[i32] = &[0];
    if is_full() {
        let ends: &[i32] = match run {
            Binary(_, _, ends) => ends,
            _ => DONE,
        };
        return (Some(command.to_owned()), ends);
    }
    match run {
        AsWritten | Run::Server => (Some(command.to_owned()), DONE),
        Shorter(from, to) => {
            assert!(command.contains(from), "{command} has no {from}");
            (Some(command.replacen(from, to, 1)), DONE)
        }
        Instead(reason, other) => {
            println!("{command}: {other} instead, as {reason}");
            let packages = command.rsplit(" install ").next().unwrap_or_default();
            (Some(other.replace("$PACKAGES", packages)), DONE)
        }
        Binary(name, arguments, ends) => {
            let own = Path::new(env!("CARGO_BIN_EXE_disktime"));
            let binary = own.with_file_name(name);
            if !binary.exists() {
                println!(
                    "SKIPPED readme {name}: it is not built; `cargo test --workspace` builds it"
                );
                return (None, ends);
            }
            let line = format!("{} {}", text(&binary), arguments.join(" "));
            (Some(line), ends)
        }
    }
}

#[test]
fn each_command_of_the_readme_works_in_its_turn() {
    let place = place();
    let commands = commands();
    let mut server = None;
    for (at, command) in commands.iter().enumerate() {
        let Some((begins, run)) = STEPS.get(at) else {
            panic!("README.md has a command that this test does not know: {command}");
        };
        assert!(command.starts_with(begins), "{command} is not {begins}");
        let (Some(line), ends) = line_for(command, run) else {
            continue;
        };
        if let Run::Server = run {
            let mut words = line.split(' ');
            let mut command = Command::new(place.path("bin").join(words.next().expect("a word")));
            command.args(words).current_dir(place.root());
            server = Some(Server::start(prepared(&place, command)));
            continue;
        }
        // As the README says: the first server is stopped before another one is started.
        if line.contains("disktime serve") {
            let server: Option<Server> = server.take();
            server.into_iter().for_each(|server| {
                server.stop_by(libc::SIGINT);
            });
        }
        let output = match is_full() {
            true => shell(&place, &line)
                .stdin(Stdio::null())
                .output()
                .expect("a shell"),
            false => crate::programs::finished(shell(&place, &line)),
        };
        let said = String::from_utf8_lossy(&output.stdout);
        let complained = String::from_utf8_lossy(&output.stderr);
        let status = output.status.code();
        assert!(
            status.is_some_and(|status| ends.contains(&status)),
            "{line} (of README.md: {command}) ended with {status:?} within {PATIENCE:?}\n\
             {said}{complained}"
        );
    }
    assert_eq!(
        commands.len(),
        STEPS.len(),
        "README.md lacks a command of this test"
    );
    assert!(server.is_none());
    let demo = fs::read_to_string(place.path("disktime-demo/disk-time.svg")).expect("a picture");
    let picture = roxmltree::Document::parse(&demo).expect("well-formed");
    let texts: Vec<&str> = (picture.descendants())
        .filter(|node| node.has_tag_name("text"))
        .filter_map(|node| node.text())
        .collect();
    for needed in [
        "fifo",
        "fahrrad",
        "reader",
        "random",
        "writer",
        "deadline missed",
    ] {
        assert!(texts.contains(&needed), "{needed} is not in {texts:?}");
    }
    let copied = fs::metadata(place.path("db.img")).expect("nbdcopy made it");
    assert_eq!(copied.len(), 8 << 30);
}
