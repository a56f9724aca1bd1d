//! Unit tests of `vdisk_request`.

use super::*;

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
