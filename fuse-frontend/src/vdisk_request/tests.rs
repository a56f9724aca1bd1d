//! Unit tests of `vdisk_request`.

use super::*;
use crate::FileIdentity;
use disktime_engine::{LastChange, VdiskId};

const SIZE: u64 = 10_000;
const KEEP_SIZE: u32 = libc::FALLOC_FL_KEEP_SIZE as u32;
const PUNCH_HOLE: u32 = libc::FALLOC_FL_PUNCH_HOLE as u32;
const ZERO_RANGE: u32 = libc::FALLOC_FL_ZERO_RANGE as u32;

fn file(read_only: bool, punches_holes: bool) -> FuseFile {
    FuseFile {
        identity: FileIdentity(1),
        name: "db".into(),
        size_bytes: SIZE,
        stored: None,
        last_change: LastChange::default(),
        clients: Default::default(),
        read_only,
        punches_holes,
        optimal_io_bytes: 4096,
        disk: 0,
        vdisk: VdiskId(0),
    }
}

/// Kind, offset, length and whether it is durable.
type Parts = (RequestKind, u64, u64, bool);

fn parts(request: VdiskRequest) -> Parts {
    assert_eq!(request.position, 3);
    let range = (request.offset_bytes, request.len_bytes);
    (request.kind, range.0, range.1, request.durable)
}

#[test]
fn a_read_is_short_at_the_end_and_empty_beyond_it() {
    let of =
        |offset_bytes, len_bytes| read(3, &file(true, true), offset_bytes, len_bytes).map(parts);
    let kind = RequestKind::Read;
    assert_eq!(of(9_000, 1_000), Some((kind, 9_000, 1_000, false)));
    assert_eq!(of(9_000, 4_096), Some((kind, 9_000, 1_000, false)));
    assert_eq!(of(SIZE, 1), None);
    assert_eq!(of(u64::MAX, 1), None);
    assert_eq!(of(0, 0), None);
}

/// A write that was promised to be durable must still be asked for as durable.
#[test]
fn a_write_is_short_at_the_end_and_as_durable_as_asked() {
    let of = |offset_bytes, len_bytes, durable| {
        let request = write(3, &file(false, true), offset_bytes, len_bytes, durable);
        request.map(|request| request.map(parts))
    };
    for durable in [false, true] {
        let kind = RequestKind::Write;
        assert_eq!(of(0, 7, durable), Ok(Some((kind, 0, 7, durable))));
        let last = (kind, SIZE - 1, 1, durable);
        assert_eq!(of(SIZE - 1, 7, durable), Ok(Some(last)));
        assert_eq!(of(SIZE, 7, durable), Err(libc::ENOSPC));
        assert_eq!(of(SIZE, 0, durable), Ok(None));
    }
    let refused = write(3, &file(true, true), 0, 7, false);
    assert_eq!(refused, Err(libc::EROFS));
}

#[test]
fn fallocate_keeps_the_length_and_refuses_what_it_cannot_do() {
    let of = |mode, offset_bytes, len_bytes| {
        let request = allocate(3, &file(false, true), offset_bytes, len_bytes, mode, true);
        request.map(|request| request.map(parts))
    };
    for (mode, kind) in [
        (0, RequestKind::Allocate),
        (KEEP_SIZE, RequestKind::Allocate),
        (ZERO_RANGE, RequestKind::ZeroKeepingSpace),
        (ZERO_RANGE | KEEP_SIZE, RequestKind::ZeroKeepingSpace),
    ] {
        let inside = (kind, 9_000, 1_000, true);
        assert_eq!(of(mode, 9_000, 1_000), Ok(Some(inside)), "mode {mode}");
        assert_eq!(of(mode, 9_000, 1_001), Err(libc::ENOSPC), "mode {mode}");
        assert_eq!(of(mode, SIZE, 1), Err(libc::ENOSPC), "mode {mode}");
        assert_eq!(of(mode, 5, 0), Ok(None), "mode {mode}");
    }
    // A hole is what is inside of it; beyond the end there is none to make.
    let hole = (RequestKind::WriteZeroes, 9_000, 1_000, true);
    let punch = PUNCH_HOLE | KEEP_SIZE;
    assert_eq!(of(punch, 9_000, 5_000), Ok(Some(hole)));
    assert_eq!(of(punch, SIZE, 5_000), Ok(None));
    assert_eq!(of(PUNCH_HOLE, 9_000, 1_000), Err(libc::EOPNOTSUPP));
    let collapse = libc::FALLOC_FL_COLLAPSE_RANGE as u32;
    assert_eq!(of(collapse, 0, 4096), Err(libc::EOPNOTSUPP));
    let without_holes = allocate(3, &file(false, false), 0, 1, punch, false);
    assert_eq!(without_holes, Err(libc::EOPNOTSUPP));
    let read_only = allocate(3, &file(true, true), 0, 1, 0, false);
    assert_eq!(read_only, Err(libc::EROFS));
    let not_durable = allocate(3, &file(false, true), 0, 1, 0, false);
    let expected = (RequestKind::Allocate, 0, 1, false);
    assert_eq!(not_durable.map(|it| it.map(parts)), Ok(Some(expected)));
}

#[test]
fn a_seek_looks_from_its_offset_to_the_end() {
    let of = |offset_bytes, whence: i32| seek(3, &file(true, true), offset_bytes, whence as u32);
    for (whence, target) in [
        (libc::SEEK_DATA, SeekTarget::Data),
        (libc::SEEK_HOLE, SeekTarget::Hole),
    ] {
        let request = of(9_000, whence).expect("inside").expect("a request");
        assert_eq!(request.target, target);
        assert_eq!(parts(request), (RequestKind::Status, 9_000, 1_000, false));
        assert_eq!(of(SIZE, whence), Err(libc::ENXIO));
    }
    assert_eq!(of(0, libc::SEEK_SET), Err(libc::EINVAL));
}

#[test]
fn each_error_of_a_vdisk_has_its_errno() {
    for (error, number) in [
        (IoError::Io, libc::EIO),
        (IoError::Invalid, libc::EINVAL),
        (IoError::NoSpace, libc::ENOSPC),
        (IoError::ReadOnly, libc::EROFS),
        (IoError::NotSupported, libc::EOPNOTSUPP),
        (IoError::Shutdown, libc::ESHUTDOWN),
    ] {
        assert_eq!(errno(error), number, "{error:?}");
    }
}

#[test]
fn the_target_begins_where_the_first_extent_starts_or_ends() {
    let reported = |extents: &[(u64, bool)]| -> Vec<u8> {
        let encode = |(len_bytes, zero): &(u64, bool)| {
            let (len_bytes, hole, zero) = (*len_bytes, false, *zero);
            let extent = Extent {
                len_bytes,
                hole,
                zero,
            };
            extent.encode()
        };
        extents.iter().flat_map(encode).collect()
    };
    let find = |target, extents: &[(u64, bool)]| find_target(target, (10, 100), &reported(extents));
    let (data, hole) = (SeekTarget::Data, SeekTarget::Hole);
    for (extents, first_data, first_hole) in [
        (&[(90, false)][..], Some(10), Some(100)),
        (&[(90, true)], None, Some(10)),
        (&[(30, true), (60, false)], Some(40), Some(10)),
        (&[(30, false), (60, true)], Some(10), Some(40)),
        // Not all is reported: what is not known may be data.
        (&[(30, true), (20, true)], Some(60), Some(10)),
        (&[], Some(10), Some(10)),
        // More than the range.
        (&[(900, false)], Some(10), Some(100)),
        (&[(900, true)], None, Some(10)),
    ] {
        assert_eq!(find(data, extents), first_data, "{extents:?}");
        assert_eq!(find(hole, extents), first_hole, "{extents:?}");
    }
}
