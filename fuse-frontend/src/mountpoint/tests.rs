//! Unit tests of `mountpoint`.

use super::*;

const TABLE: &[u8] = b"21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n\
        30 21 0:40 / /srv/my\\040disks rw,nosuid - fuse.disktime disktime rw,user_id=0\n\
        31 21 0:41 / /srv/x rw shared:7 master:1 - fuse.sshfs host: rw\n\
        32 31 0:42 / /srv/x rw - tmpfs tmpfs rw\n";

#[test]
fn the_topmost_mount_at_exactly_that_place_is_found() {
    let kind = |path: &str| topmost(TABLE, Path::new(path));
    assert_eq!(kind("/srv/my disks").as_deref(), Some("fuse.disktime"));
    assert_eq!(kind("/srv/x").as_deref(), Some("tmpfs"));
    assert_eq!(kind("/").as_deref(), Some("ext4"));
    assert_eq!(kind("/srv"), None);
}

#[test]
fn only_whole_octal_escapes_are_undone() {
    assert_eq!(unescape(b"a\\040b\\134c"), b"a b\\c");
    assert_eq!(unescape(b"a\\04"), b"a\\04");
    assert_eq!(unescape(b"\\9990"), b"\\9990");
}
