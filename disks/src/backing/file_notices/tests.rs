//! Unit tests of `file_notices`.

use super::file_system_of;

#[test]
fn the_list_of_mounts_tells_ext3_from_ext4() {
    let mounts = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n\
                  40 22 7:0 / /a\\040-\\040b rw,relatime - ext3 /dev/loop0 rw\n\
                  41 22 7:1 / /c rw shared:2 master:3 - ext2 /dev/loop1 rw\n";
    assert_eq!(file_system_of(mounts, "8:1"), Some("ext4"));
    assert_eq!(file_system_of(mounts, "7:0"), Some("ext3"));
    assert_eq!(file_system_of(mounts, "7:1"), Some("ext2"));
    assert_eq!(file_system_of(mounts, "7:2"), None);
}
