//! The images of the corpus, made by the programs of e2fsprogs. What they write differs from
//! version to version, so they are made only when that is asked for, with `-- --ignored`.

use disktime_fuzz::{TARGETS, image};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

/// Name, size in KiB, features.
const IMAGES: [(&str, &str, &str); 5] = [
    ("ext2", "96K", "none,filetype"),
    ("extents", "96K", "none,filetype,extent,dir_index"),
    (
        "inline",
        "96K",
        "none,filetype,extent,inline_data,extra_isize",
    ),
    (
        "checksums",
        "96K",
        "none,filetype,extent,metadata_csum,64bit",
    ),
    ("journal", "3M", "none,filetype,extent,has_journal"),
];

fn populate(content: &Path) {
    let write = |name: &str, bytes: &[u8]| fs::write(content.join(name), bytes).expect("written");
    write("file", b"hello\n");
    write("more", &[b'q'; 5000]);
    fs::create_dir(content.join("sub")).expect("made");
    (0..8).for_each(|at| write(&format!("sub/name-{at}"), b"x"));
    symlink("file", content.join("link")).expect("linked");
    symlink("l".repeat(100), content.join("long")).expect("linked");
}

fn run(command: &mut Command) {
    let path = format!(
        "{}:/usr/sbin:/sbin",
        std::env::var("PATH").unwrap_or_default()
    );
    let output = command
        .env("PATH", path)
        .output()
        .expect("e2fsprogs is installed");
    assert!(output.status.success(), "{command:?}: {output:?}");
}

#[test]
#[ignore = "writes the images of the corpus anew; they differ by the version of e2fsprogs"]
fn the_images_are_made() {
    let target = TARGETS.iter().find(|target| target.name == "image");
    let corpus = target.expect("a target").corpus();
    fs::create_dir_all(&corpus).expect("made");
    for (name, size, features) in IMAGES {
        let place = tempfile::tempdir().expect("made");
        let (content, file) = (place.path().join("content"), place.path().join("image"));
        fs::create_dir(&content).expect("made");
        populate(&content);
        let mut make = Command::new("mke2fs");
        make.args([
            "-q", "-F", "-b", "1024", "-N", "32", "-I", "256", "-O", features, "-d",
        ]);
        run(make.arg(&content).arg(&file).arg(size));
        let script = place.path().join("script");
        let block = content.join("more");
        let journal = match name {
            "journal" => format!("jo\njw -r 601 -b 600,602 {}\njc\n", block.display()),
            _ => String::new(),
        };
        fs::write(&script, format!("ea_set file user.a b\n{journal}")).expect("written");
        run(Command::new("debugfs")
            .arg("-w")
            .arg("-f")
            .arg(&script)
            .arg(&file));
        let bytes = fs::read(&file).expect("read");
        fs::write(corpus.join(name), image::encode(&bytes)).expect("written");
    }
}
