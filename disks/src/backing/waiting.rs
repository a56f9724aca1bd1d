//! Whether the file system of a disk's file is one whose calls wait for others: a network, or a
//! program. Their calls can hang without a limit, also those that only ask for a length or for free
//! space, so they are made by threads that serve nothing else.
//!
//! What is not known here: what the file is for.

use rustix::fs::fstatfs;
use std::fs::File;

/// Numbers of file systems (linux/magic.h and the sources of each): FUSE and virtiofs, NFS, SMB by
/// three numbers, Ceph, 9p, AFS by two, Coda, Lustre, OCFS2, GFS2, OrangeFS.
const WAITING: [u32; 14] = [
    0x6573_5546,
    0x6969,
    0x517B,
    0xFE53_4D42,
    0xFF53_4D42,
    0x00C3_6400,
    0x0102_1997,
    0x5346_414F,
    0x6B41_4653,
    0x7375_7245,
    0x0BD0_0BD0,
    0x7461_636F,
    0x0116_1970,
    0x2003_0528,
];

/// Whether it is one of those.
pub(super) fn waits_for_others(file: &File) -> bool {
    fstatfs(file).is_ok_and(|found| WAITING.contains(&(found.f_type as u32)))
}
