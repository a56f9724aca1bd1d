//! The file system, by the program that checks them.

use super::*;
use std::io::Write;
use std::process::Command;

#[test]
fn e2fsck_finds_nothing_wrong() {
    for len in [0, 5_000, 8 * BLOCK] {
        let mut image = tempfile::NamedTempFile::new().expect("a file");
        let all = blocks(&vec![7; len], 1_150_000_000);
        for (_, block) in &all {
            image.write_all(block).expect("written");
        }
        let size = u64::from(BLOCKS) * BLOCK as u64;
        image.as_file().set_len(size).expect("set");
        let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
        let mut command = Command::new("e2fsck");
        command
            .args(["-f", "-n"])
            .arg(image.path())
            .env("PATH", path);
        let output = command.output();
        let output = output.expect("this test needs e2fsck: apt-get install e2fsprogs");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{len}: {said}");
    }
}
