//! File systems for tests.

use disktime_image_files::{Entry, FileKind, FileSystem, Image, Node, ROOT};
use std::fs;
use std::io::Write;
use std::ops::ControlFlow;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

/// The features that file systems differ in, as arguments of mke2fs.
pub(crate) const KINDS: &[&[&str]] = &[
    &["-t", "ext4", "-b", "4096"],
    &["-t", "ext4", "-b", "1024", "-I", "256"],
    &["-t", "ext4", "-O", "inline_data,^has_journal"],
    &["-t", "ext4", "-O", "^metadata_csum,^64bit", "-I", "128"],
    &["-t", "ext4", "-O", "meta_bg,^resize_inode", "-b", "1024"],
    &["-t", "ext3"],
    &["-t", "ext2", "-b", "1024"],
];

/// Where the hole of the file `sparse` ends: so far out that maps of ext2 have all their levels.
pub(crate) const HOLE_END: u64 = 70 << 20;

/// What one of them holds.
pub(crate) fn populate(directory: &Path) {
    let path = |name: &str| directory.join(name);
    let write = |name: &str, content: &[u8]| fs::write(path(name), content).expect("written");
    fs::create_dir_all(path("etc/deep/er")).expect("made");
    write("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n");
    write("etc/empty", b"");
    write("etc/tiny", b"tiny");
    fs::set_permissions(path("etc/tiny"), fs::Permissions::from_mode(0o4750)).expect("set");
    let large: Vec<u8> = (0..300_000u32).flat_map(u32::to_le_bytes).collect();
    write("etc/deep/large", &large);
    symlink("../etc/passwd", path("etc/link")).expect("linked");
    symlink("x".repeat(200), path("etc/deep/long-link")).expect("linked");
    fs::hard_link(path("etc/passwd"), path("etc/deep/er/other-name")).expect("linked");
    fs::create_dir(path("many")).expect("made");
    for number in 0..700 {
        write(&format!("many/a-file-with-a-long-name-{number:04}"), b"x");
    }
    // So many pieces that its extents need a block of their own.
    let holey = fs::File::create(path("holey")).expect("made");
    for piece in 0..20 {
        let at = piece * 32_768;
        holey
            .write_all_at(&[piece as u8; 4096], at)
            .expect("written");
    }
    let mut sparse = fs::File::create(path("sparse")).expect("made");
    sparse.write_all(&[7; 8192]).expect("written");
    sparse.set_len(HOLE_END).expect("set");
    drop(sparse);
    let sparse = fs::OpenOptions::new().append(true).open(path("sparse"));
    sparse.expect("opened").write_all(b"end").expect("written");
}

/// A file system of that kind with that content.
pub(crate) fn image(arguments: &[&str], content: &Path) -> Vec<u8> {
    let file = tempfile::NamedTempFile::new().expect("made");
    file.as_file().set_len(24 << 20).expect("set");
    let mut command = Command::new("mke2fs");
    command
        .args(["-q", "-F"])
        .args(arguments)
        .arg("-d")
        .arg(content);
    run(command.arg(file.path()));
    fs::read(file.path()).expect("read")
}

pub(crate) fn run(command: &mut Command) {
    let path = format!(
        "{}:/usr/sbin:/sbin",
        std::env::var("PATH").unwrap_or_default()
    );
    let output = command.env("PATH", path).stdin(Stdio::null()).output();
    let output = output.expect("the package e2fsprogs is installed");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {text}");
}

pub(crate) fn open(image: Vec<u8>) -> FileSystem {
    let len = image.len() as u64;
    let image: Arc<dyn Image> = Arc::new(image);
    let opened = FileSystem::open(image, 0, len).expect("it can be read");
    opened.expect("there is a file system")
}

pub(crate) fn entries(of: &FileSystem, directory: &Node) -> Vec<Entry> {
    let mut found = Vec::new();
    of.entries(directory, 0, |entry, _| {
        found.push(entry);
        ControlFlow::Continue(())
    })
    .expect("listed");
    found
}

/// The file of a path.
pub(crate) fn find(of: &FileSystem, path: &str) -> Node {
    let mut node = of.node(ROOT).expect("a root");
    for name in path.split('/') {
        let number = of.look_up(&node, name.as_bytes()).expect("searched");
        let number = number.unwrap_or_else(|| panic!("no {name} in {path}"));
        node = of.node(number).expect("an inode");
    }
    node
}

pub(crate) fn content(of: &FileSystem, node: &Node) -> Vec<u8> {
    assert_eq!(node.kind(), FileKind::File);
    let mut bytes = vec![0; node.size_bytes() as usize + 10];
    let len = of.read(node, 0, &mut bytes).expect("read");
    bytes.truncate(len);
    bytes
}
