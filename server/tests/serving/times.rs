//! The times of the files: what backup programs go by. Whatever changed, by whichever frontend, is
//! copied again, and what did not change is not.

use crate::nbd::pattern;
use crate::programs::{Loop, text, tool, tool_output};
use crate::server::Server;
use crate::test_directory::{TestDirectory, assert_says};
use disktime_engine::RequestKind;
use std::fs::{self, File, FileTimes, OpenOptions};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Backups of the directory, by the programs that people use.
struct Backups {
    files: PathBuf,
    root: PathBuf,
    made: u32,
}

impl Backups {
    fn of(place: &TestDirectory) -> Backups {
        let root = place.path("backups");
        for name in ["rsync", "cp"] {
            fs::create_dir_all(root.join(name)).expect("room for it");
        }
        Backups {
            files: place.mount(),
            root,
            made: 0,
        }
    }

    /// Makes one with each of them; the files that each copied.
    fn make(&mut self) -> [Vec<String>; 4] {
        self.made += 1;
        let from = format!("{}/", self.files.display());
        let (rsync, cp) = (self.root.join("rsync"), self.root.join("cp"));
        let said = tool(
            "rsync",
            "rsync",
            &["-a", "--out-format=%n", &from, text(&rsync)],
        );
        let by_rsync = names(&said);
        let each = format!("{from}.");
        let arguments = [
            "--update",
            "--recursive",
            "--preserve=timestamps",
            "-v",
            &each,
        ];
        let said = tool("coreutils", "cp", &[&arguments[..], &[text(&cp)]].concat());
        let by_cp = said.lines().filter_map(|line| {
            let (source, _) = line.split_once(" -> ")?;
            let name = source.trim_matches('\'').rsplit('/').next()?;
            (!matches!(name, "" | ".")).then(|| name.to_owned())
        });
        let archive = self.root.join(format!("{}.tar", self.made));
        let (list, stamp) = (self.root.join("tar.list"), self.root.join("stamp"));
        let listed = format!("--listed-incremental={}", text(&list));
        let create = ["--create", "--sparse", "--no-check-device", &listed];
        let place = [
            "--directory",
            text(&self.files),
            "--file",
            text(&archive),
            ".",
        ];
        tool("tar", "tar", &[&create[..], &place[..]].concat());
        let by_tar = names(&tool("tar", "tar", &["--list", "--file", text(&archive)]));
        let by_find = match stamp.exists() {
            true => {
                let newer = ["-type", "f", "-newer", text(&stamp)];
                names(&tool(
                    "findutils",
                    "find",
                    &[&[text(&self.files)], &newer[..]].concat(),
                ))
            }
            false => by_tar.clone(),
        };
        fs::write(&stamp, "").expect("room for it");
        [by_rsync, sorted(by_cp.collect()), by_tar, by_find]
    }
}

/// The last components of lines that name files, in order.
fn names(lines: &str) -> Vec<String> {
    let lines = lines.lines().filter(|line| !line.ends_with('/'));
    let last = lines.filter_map(|line| line.rsplit('/').next());
    sorted(last.map(str::to_owned).collect())
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names
}

fn all_copied(names: &[&str]) -> [Vec<String>; 4] {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    [(); 4].map(|()| names.clone())
}

fn change_time(file: &Path) -> SystemTime {
    let found = fs::metadata(file).expect("it is there");
    let changed = Duration::new(found.ctime() as u64, found.ctime_nsec() as u32);
    let modified = found.modified().expect("a time");
    assert_eq!(
        SystemTime::UNIX_EPOCH + changed,
        modified,
        "one time for both"
    );
    modified
}

fn place() -> TestDirectory {
    TestDirectory::with(&[("db", r#""size": "4MiB""#), ("web", r#""size": "4MiB""#)])
}

/// Some programs go by whole seconds, and a clock may be coarse.
fn wait_for_another_second() {
    std::thread::sleep(Duration::from_millis(1100));
}

#[test]
fn backups_copy_what_changed_by_either_frontend_and_nothing_else() {
    let place = place();
    let server = place.start();
    let mut backups = Backups::of(&place);
    let data = pattern(65_536, 3);
    assert_eq!(backups.make(), all_copied(&["db", "web"]));
    assert_eq!(backups.make(), all_copied(&[]));
    let changes: [(&str, &dyn Fn()); 5] = [
        ("db", &|| server.client("db").write(0, &data)),
        ("web", &|| server.client("web").write_zeroes(0, 65_536)),
        ("web", &|| {
            let (error, _) = server.client("web").ask(RequestKind::Trim, 0, 65_536, &[]);
            assert_eq!(error, 0);
        }),
        ("db", &|| {
            let file = OpenOptions::new().write(true).open(server.file("db"));
            file.expect("it opens")
                .write_all_at(&data, 1 << 20)
                .expect("room");
        }),
        ("web", &|| {
            let file = server.file("web");
            let punch = ["--punch-hole", "--offset", "0", "--length", "65536"];
            tool(
                "util-linux",
                "fallocate",
                &[&punch[..], &[text(&file)]].concat(),
            );
        }),
    ];
    for (number, (name, change)) in changes.iter().enumerate() {
        wait_for_another_second();
        change();
        assert_eq!(backups.make(), all_copied(&[name]), "change {number}");
        assert_eq!(backups.make(), all_copied(&[]), "after change {number}");
    }
    server.stop();
}

#[test]
fn a_loop_device_changes_the_time_of_its_file() {
    let place = place();
    let server = place.start();
    let file = server.file("db");
    let before = change_time(&file);
    let device = Loop::attach(&file);
    let opened = OpenOptions::new().write(true).open(&device.device);
    let opened = opened.expect("it opens");
    opened.write_all_at(&pattern(4096, 1), 0).expect("room");
    opened.sync_all().expect("it is durable");
    assert!(change_time(&file) > before);
    drop((opened, device));
    server.stop();
}

#[test]
fn a_restart_keeps_the_times_and_a_kill_makes_none_older_than_its_content() {
    let place = place();
    let server = place.start();
    server.client("db").write(0, &pattern(4096, 1));
    let times = |server: &Server| ["db", "web"].map(|name| change_time(&server.file(name)));
    let before = times(&server);
    server.stop();
    let server = place.start();
    assert_eq!(times(&server), before, "nothing has changed");
    server.client("web").write(0, &pattern(4096, 2));
    let changed = times(&server);
    assert!(changed[0] == before[0] && changed[1] > before[1]);
    server.kill();
    let killed_at = SystemTime::now();
    let server = place.start();
    assert!(times(&server).iter().all(|time| *time >= killed_at));
    server.stop();
}

#[test]
fn times_cannot_be_set_and_the_log_says_so() {
    let place = place();
    let server = place.start();
    let file = server.file("db");
    let before = change_time(&file);
    let opened = File::options().write(true).open(&file).expect("it opens");
    let refused = opened.set_times(FileTimes::new().set_modified(SystemTime::UNIX_EPOCH));
    let refused = refused.expect_err("it could hide a change");
    assert_eq!(refused.raw_os_error(), Some(libc::EPERM));
    let touched = tool_output("coreutils", "touch", &[text(&file)]);
    assert!(!touched.status.success());
    assert_eq!(change_time(&file), before);
    drop(opened);
    assert_says(&server.stop(), &["set the times of \"db\""]);
}
