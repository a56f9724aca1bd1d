//! Unit tests of the identity: the kernel's lists, and a file.

use super::*;

const MOUNTS: &str = "\
22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
40 22 8:17 / /srv/data rw,noatime shared:5 - xfs /dev/sdb1 rw";

#[test]
fn a_mount_of_the_device_or_of_a_partition_is_found() {
    let numbers = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
    assert_eq!(mounted_at(MOUNTS, &numbers(&["254:0"])), Some("/"));
    let disk = numbers(&["8:16", "8:17"]);
    assert_eq!(mounted_at(MOUNTS, &disk), Some("/srv/data"));
    assert_eq!(mounted_at(MOUNTS, &numbers(&["8:1"])), None);
}

#[test]
fn swap_areas_are_found_below_the_headline() {
    let swaps =
        "Filename\tType\tSize\tUsed\tPriority\n/dev/sdb2 partition 9 0 -2\n/swap file 9 0 -3";
    assert_eq!(
        swap_paths(swaps).collect::<Vec<_>>(),
        ["/dev/sdb2", "/swap"]
    );
}

#[test]
fn a_file_is_described_with_its_holes() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    file.as_file().set_len(1 << 20).expect("it grows");
    let identity = identify_disk(file.path()).expect("it is there");
    assert!(!identity.is_device && identity.used_by.is_none());
    assert_eq!(
        (identity.size_bytes, identity.hole_bytes),
        (1 << 20, 1 << 20)
    );
}

#[test]
fn what_is_missing_or_no_disk_is_refused() {
    let missing = identify_disk(Path::new("/dev/no-such-disk")).expect_err("not there");
    assert!(missing.to_string().contains("lsblk"), "{missing}");
    let directory = identify_disk(Path::new("/")).expect_err("a directory");
    assert!(directory.to_string().contains("a directory"), "{directory}");
}
