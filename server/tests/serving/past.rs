//! The files of the past: by the tools that people use on the mounted directory, and by `restore`
//! and `diff`.

use crate::programs::{finished, is_mounted, text, tool, tool_output, wait_until};
use crate::server::Server;
use crate::test_directory::{MIB, TestDirectory, assert_says, exits_with};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

const SIZE_MIB: u64 = 16;

/// One vdisk with a history; the past is mounted where `frontends` says so.
fn place(more: &str, frontends: &str) -> TestDirectory {
    let disks = r#""d": { "path": "d.disk", "size": "160MiB", "seeks": false }"#;
    let db = format!(
        r#""db": {{ "disk": "d", "size": "{SIZE_MIB}MiB",
            "history": {{ "window": "1h", "max": "96MiB"{more} }} }}"#
    );
    TestDirectory::configured(disks, &db, frontends)
}

const BOTH: &str = r#""nbd": {}, "fuse": { "history": "past" }"#;

/// What the vdisk holds at the first mark.
fn populate(content: &Path) {
    let path = |name: &str| content.join(name);
    fs::create_dir_all(path("etc/deep")).expect("made");
    fs::create_dir(path("many")).expect("made");
    fs::write(path("etc/passwd"), "root:x:0:0::/root:/bin/sh\n").expect("written");
    fs::write(path("etc/secret"), "needle in a file\n").expect("written");
    fs::set_permissions(path("etc/secret"), fs::Permissions::from_mode(0o4640)).expect("set");
    std::os::unix::fs::chown(path("etc/secret"), Some(1234), Some(4321)).expect("root");
    let large: Vec<u8> = (0..500_000u32).flat_map(u32::to_le_bytes).collect();
    fs::write(path("etc/deep/large"), large).expect("written");
    symlink("../passwd", path("etc/deep/link")).expect("linked");
    fs::hard_link(path("etc/passwd"), path("etc/same")).expect("linked");
    for number in 0..300 {
        fs::write(path(&format!("many/file-{number:03}")), format!("{number}")).expect("written");
    }
    let sparse = fs::File::create(path("sparse")).expect("made");
    sparse.set_len(30 << 20).expect("set");
    drop(sparse);
    tool(
        "attr",
        "setfattr",
        &["-n", "user.origin", "-v", "here", text(&path("etc/passwd"))],
    );
}

/// Makes the vdisk hold an ext4 with this content.
fn fill(place: &TestDirectory, server: &Server, content: &Path) {
    let image = place.path("image");
    let file = fs::File::create(&image).expect("made");
    file.set_len(SIZE_MIB * MIB).expect("set");
    drop(file);
    let arguments = ["-q", "-F", "-t", "ext4", "-d", text(content), text(&image)];
    tool("e2fsprogs", "mke2fs", &arguments);
    let bytes = fs::read(&image).expect("read");
    let mut client = server.client("db");
    for (at, part) in bytes.chunks(MIB as usize).enumerate() {
        client.write(at as u64 * MIB, part);
    }
    client.flush();
}

fn run(place: &TestDirectory, arguments: &[&str]) -> String {
    let control = place.control();
    let mut all = arguments.to_vec();
    all.extend(["--control", text(&control)]);
    let output = finished(place.bare(&all));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{arguments:?}: {said}");
    String::from_utf8(output.stdout).expect("text")
}

fn json(place: &TestDirectory, arguments: &[&str]) -> Value {
    let mut all = arguments.to_vec();
    all.push("--json");
    serde_json::from_str(&run(place, &all)).expect("JSON")
}

fn refused(place: &TestDirectory, arguments: &[&str]) -> String {
    let control = place.control();
    let mut all = arguments.to_vec();
    all.extend(["--control", text(&control)]);
    exits_with(place.bare(&all), 1)
}

/// A server whose vdisk has the mark `first` with the content of `populate`, and `second` with some
/// changes, and then other things.
fn with_two_marks(place: &TestDirectory) -> (Server, PathBuf) {
    let server = place.start();
    let (first, second) = (place.path("first"), place.path("second"));
    populate(&first);
    fill(place, &server, &first);
    run(place, &["mark", "db", "first"]);
    tool("coreutils", "cp", &["-a", text(&first), text(&second)]);
    fs::write(second.join("etc/secret"), "needle in another\n").expect("written");
    fs::remove_file(second.join("many/file-007")).expect("removed");
    fs::write(second.join("added"), "new").expect("written");
    fill(place, &server, &second);
    run(place, &["mark", "db", "second"]);
    server.client("db").write(0, &vec![0xEE; MIB as usize]);
    (server, first)
}

/// What `diff -r` and the attributes say of two trees, except for `lost+found`.
fn assert_same_tree(one: &Path, other: &Path) {
    let arguments = [
        "-r",
        "--no-dereference",
        "-x",
        "lost+found",
        text(one),
        text(other),
    ];
    let output = tool_output("diffutils", "diff", &arguments);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    for name in [
        "etc",
        "etc/secret",
        "etc/passwd",
        "etc/deep/link",
        "many/file-100",
        "sparse",
    ] {
        let meta = |root: &Path| fs::symlink_metadata(root.join(name)).expect("there");
        let (one, other) = (meta(one), meta(other));
        let of = |meta: &fs::Metadata| (meta.mode(), meta.uid(), meta.gid(), meta.mtime());
        assert_eq!(of(&one), of(&other), "{name}");
        assert!(!one.is_file() || one.nlink() == other.nlink(), "{name}");
    }
    let xattr = |root: &Path| {
        let path = root.join("etc/passwd");
        let arguments = ["--only-values", "-n", "user.origin", text(&path)];
        tool("attr", "getfattr", &arguments)
    };
    assert_eq!(
        (xattr(one), xattr(other)),
        ("here".to_owned(), "here".to_owned())
    );
    let sparse = |root: &Path| fs::metadata(root.join("sparse")).expect("there").blocks();
    assert!(sparse(one) < 100 && sparse(other) < 100);
}

#[test]
fn tools_read_the_mounted_past_as_any_directory() {
    let place = place("", BOTH);
    let (server, first) = with_two_marks(&place);
    let past = place.path("state/past");
    let mut names: Vec<_> = fs::read_dir(past.join("db"))
        .expect("listed")
        .flatten()
        .collect();
    names.sort_by_key(fs::DirEntry::file_name);
    let names: Vec<_> = names.iter().map(|name| name.file_name()).collect();
    assert_eq!(names, ["first", "second"]);

    let files = past.join("db/first/files");
    assert_same_tree(&first, &files);
    let copied = place.path("copied");
    tool("coreutils", "cp", &["-a", text(&files), text(&copied)]);
    assert_same_tree(&first, &copied);
    let (archive, unpacked) = (place.path("past.tar"), place.path("unpacked"));
    let xattrs = ["--xattrs", "--xattrs-include=*", "--sparse"];
    let pack = ["-C", text(&files), "-cf", text(&archive), "."];
    tool("tar", "tar", &[&xattrs[..], &pack].concat());
    fs::create_dir(&unpacked).expect("made");
    let unpack = ["-C", text(&unpacked), "-xf", text(&archive)];
    tool("tar", "tar", &[&xattrs[..], &unpack].concat());
    assert_same_tree(&first, &unpacked);
    let said = tool(
        "grep",
        "grep",
        &["-rl", "needle", text(&past.join("db/second/files"))],
    );
    assert_eq!(said.trim(), text(&past.join("db/second/files/etc/secret")));

    // Any moment opens by name, and the image is what the export of the moment is.
    let seq = json(&place, &["history", "db"])["marks"][0]["seq"].to_string();
    let by_seq = past.join(format!("db/seq:{seq}/image"));
    let image = fs::read(by_seq).expect("read");
    let uri = disktime_nbd_protocol::NbdUri {
        export: "db@first".to_owned(),
        ..server.uri("db")
    };
    assert!(image == crate::nbd::Client::connect(&uri).read_all());
    assert!(past.join("db/-0s/image").exists());
    assert!(
        !past.join("db/-0s/files").exists(),
        "the superblock was overwritten"
    );
    for missing in ["db/third", "db/seq:999999", "other", "db/first/file"] {
        assert!(!past.join(missing).exists(), "{missing}");
    }
    let error = fs::write(files.join("new"), "x").expect_err("read-only");
    assert_eq!(error.raw_os_error(), Some(libc::EROFS));
    assert_says(&server.stop(), &[]);
    assert!(!is_mounted(&past));
}

#[test]
fn a_moment_that_nobody_reads_keeps_nothing() {
    let place = place("", BOTH);
    let (server, _first) = with_two_marks(&place);
    let past = place.path("state/past");
    let holds = || {
        let holders = json(&place, &["history", "db"])["holders"].clone();
        let text = holders.to_string();
        text.contains("which is open")
    };
    assert!(!holds());
    let file = fs::File::open(past.join("db/first/files/etc/passwd")).expect("opened");
    assert!(holds());
    drop(file);
    wait_until("the moment is closed", || !holds());
    server.stop();
}

#[test]
fn a_killed_server_leaves_a_mount_that_the_next_one_takes() {
    let place = place("", BOTH);
    let (server, first) = with_two_marks(&place);
    let past = place.path("state/past");
    let held = fs::File::open(past.join("db/first/files/etc/passwd")).expect("opened");
    server.kill();
    let server = place.start();
    assert_same_tree(&first, &past.join("db/first/files"));
    // A file that is still open at the stop is told of, and fails from then on.
    let still_open = fs::File::open(past.join("db/first/image")).expect("opened");
    assert_says(&server.stop(), &["still open"]);
    assert!(!is_mounted(&past));
    drop((held, still_open));
}

#[test]
fn a_damaged_inode_is_an_error_of_its_file() {
    let place = place("", BOTH);
    let server = place.start();
    let content = place.path("content");
    populate(&content);
    fill(&place, &server, &content);
    let image = fs::read(place.path("image")).expect("read");
    let target = b"../passwd";
    let at = image
        .windows(target.len())
        .position(|bytes| bytes == target);
    let at = at.expect("the link lies in its inode");
    let mut sector = image[at / 4096 * 4096..][..4096].to_vec();
    sector[at % 4096] ^= 1;
    server
        .client("db")
        .write((at / 4096 * 4096) as u64, &sector);
    run(&place, &["mark", "db", "damaged"]);
    let files = place.path("state/past/db/damaged/files");
    let error = fs::read_link(files.join("etc/deep/link")).expect_err("damaged");
    assert_eq!(error.raw_os_error(), Some(libc::EIO));
    assert_eq!(
        fs::read(files.join("many/file-123")).expect("sound"),
        b"123"
    );

    let said = refused(&place, &["restore", "db@damaged:/etc", "restored"]);
    assert_says(
        &said,
        &["1 not restored", "restored/deep/link", "does not verify"],
    );
    let restored = fs::read(place.path("restored/deep/large")).expect("sound");
    assert_eq!(restored.len(), 2_000_000);
    server.stop();
}

/// Without NBD and FUSE: by the control socket alone.
#[test]
fn restore_copies_out_of_a_moment_and_overwrites_nothing() {
    let place = place("", r#""nbd": {}"#);
    let (server, first) = with_two_marks(&place);
    let answer = json(&place, &["restore", "db@first:/", "all"]);
    assert_eq!(answer["failed"], Value::Array(Vec::new()));
    assert_same_tree(&first, &place.path("all"));
    run(
        &place,
        &["restore", "db@second:/etc/deep/../secret", "secret"],
    );
    assert_eq!(
        fs::read(place.path("secret")).expect("there"),
        b"needle in another\n"
    );
    let said = refused(&place, &["restore", "db@first:/etc/secret", "secret"]);
    assert_says(&said, &["secret exists, and nothing is overwritten"]);
    assert_eq!(
        fs::read(place.path("secret")).expect("there"),
        b"needle in another\n"
    );
    // Into a directory, under its own name.
    run(&place, &["restore", "db@first:/etc/secret", "all/many"]);
    assert_eq!(
        fs::read(place.path("all/many/secret")).expect("there"),
        b"needle in a file\n"
    );
    for (what, expected) in [
        ("db@first", "which file"),
        ("db@first:/none", "no /none at that moment"),
        ("db@third:/etc", "the marks are first, second"),
        ("db:/etc", "names no moment"),
        ("none@first:/etc", "none"),
        ("db@-0s:/etc", "holds no ext2, ext3 or ext4"),
    ] {
        assert_says(&refused(&place, &["restore", what, "x"]), &[expected]);
        assert!(!place.path("x").exists());
    }
    let used = json(&place, &["history", "db"])["holders"].to_string();
    assert!(!used.contains("which is open"), "{used}");
    server.stop();
}

#[test]
fn diff_lists_the_paths_that_differ() {
    let place = place("", r#""nbd": {}"#);
    let (server, _first) = with_two_marks(&place);
    let rows = |arguments: &[&str]| {
        let answer = json(&place, arguments);
        let changes = answer["changes"].as_array().expect("a list").clone();
        let row = |row: &Value| {
            format!(
                "{} {}",
                row["change"].as_str().unwrap_or_default(),
                row["path"].as_str().unwrap_or_default()
            )
        };
        let mut rows: Vec<String> = changes.iter().map(row).collect();
        rows.sort();
        rows
    };
    let expected = [
        "added /added",
        "content /etc/secret",
        "removed /many/file-007",
    ];
    for extra in [&[][..], &["--content"]] {
        let found = rows(&[&["diff", "db@first", "db@second"], extra].concat());
        assert_eq!(found, expected);
    }
    assert_eq!(
        rows(&["diff", "db@first:/etc", "db@second"]),
        ["content /etc/secret"]
    );
    assert!(rows(&["diff", "db@first", "db@first"]).is_empty());
    let said = run(&place, &["diff", "db@second", "db@first"]);
    assert_eq!(said, "- /added\nM /etc/secret\n+ /many/file-007\n");
    server.stop();
}

#[test]
fn a_group_may_read_the_past_where_the_file_says_so() {
    let place = place(r#", "allow_gid": "4321""#, BOTH);
    fs::set_permissions(place.root(), fs::Permissions::from_mode(0o755)).expect("set");
    let (server, _first) = with_two_marks(&place);
    fs::set_permissions(place.path("state"), fs::Permissions::from_mode(0o755)).expect("set");
    let secret = place.path("state/past/db/first/files/etc/secret");
    let read = |group: &str| {
        let arguments = [
            "--reuid",
            "1111",
            "--regid",
            "1111",
            "--groups",
            group,
            "cat",
            text(&secret),
        ];
        tool_output("util-linux", "setpriv", &arguments)
    };
    let member = read("4321");
    assert!(
        member.status.success(),
        "{}",
        String::from_utf8_lossy(&member.stderr)
    );
    assert_eq!(member.stdout, b"needle in a file\n");
    assert!(!read("4322").status.success());
    server.stop();
    let unknown = place.path("disktime.json");
    let text = fs::read_to_string(&unknown)
        .expect("there")
        .replace("4321", "no-such-group");
    fs::write(&unknown, text).expect("written");
    assert_says(&place.fails(&["serve"]), &["no group `no-such-group`"]);
}
