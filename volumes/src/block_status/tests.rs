//! Unit tests of `block_status`.

use super::*;
use crate::allocation_map::AllocationMap;
use crate::geometry::CHUNK_BYTES;
use crate::layout::{Known, MappedExtent};
use crate::target::{DiskIndex, Target};
use disktime_engine::StreamId;

/// Two extents of 16 chunks; chunks 2, 3, 15, 16 and 20 hold data.
fn layout() -> Layout {
    let mib = 1 << 20;
    let extents = (0..2).map(|at| {
        let target = Target::new(DiskIndex::FIRST, (at + 1) * mib, StreamId::for_test(0));
        let map = Known::Allocated(AllocationMap::new(mib, false));
        MappedExtent::new((at * mib, (at + 1) * mib), target, map)
    });
    let mut layout = Layout::new(extents.collect(), 2 * mib);
    for (from, to) in [(2, 4), (15, 17), (20, 21)] {
        layout.mark_allocated(from * CHUNK_BYTES, to * CHUNK_BYTES);
    }
    layout
}

fn extents(layout: &Layout, start: u64, end: u64, room: usize) -> Vec<(u64, bool)> {
    let mut buffer = vec![0; room * Extent::BYTES];
    let used = BlockStatus::new(layout).fill(start, end, &mut buffer);
    let extents = Extent::read_all(&buffer[..used]);
    extents
        .map(|extent| (extent.len_bytes, extent.hole))
        .collect()
}

#[test]
fn extents_go_on_across_the_disk_s_extents_and_end_with_the_room() {
    let layout = layout();
    let chunks = |count: u64, hole: bool| (count * CHUNK_BYTES, hole);
    let expected = [
        (2 * CHUNK_BYTES - 100, true),
        chunks(2, false),
        chunks(11, true),
        chunks(2, false),
    ];
    assert_eq!(extents(&layout, 100, 2 << 20, 4), expected);
    assert_eq!(extents(&layout, 100, 2 << 20, 1), expected[..1]);
    assert_eq!(
        extents(&layout, 2 * CHUNK_BYTES, 2 * CHUNK_BYTES + 1, 4),
        [(1, false)]
    );
}

fn detail(layout: &Layout, start: u64, end: u64) -> ReplyDetail {
    let header = RequestHeader::new(RequestKind::Read, start, end, false);
    BlockStatus::new(layout).detail(header)
}

#[test]
fn the_zeroes_of_a_read_are_named_where_they_are_known() {
    let layout = layout();
    let chunk = CHUNK_BYTES as u32;
    let whole = detail(&layout, 0, 2 * CHUNK_BYTES);
    let ReplyDetail::Zeroes { first_bytes, .. } = whole else {
        panic!("a hole was not seen: {whole:?}");
    };
    assert_eq!(first_bytes, 2 * chunk);
    let nothing = detail(&layout, 2 * CHUNK_BYTES, 4 * CHUNK_BYTES);
    assert_eq!(nothing, ReplyDetail::Nothing);
    let mixed = detail(&layout, CHUNK_BYTES, 18 * CHUNK_BYTES);
    let ReplyDetail::Zeroes {
        first_bytes,
        last_bytes,
        middle,
    } = mixed
    else {
        panic!("holes were not seen: {mixed:?}");
    };
    assert_eq!((first_bytes, last_bytes), (chunk, chunk));
    let runs: Vec<(u32, u32)> = middle.runs().collect();
    assert_eq!(runs, [(3 * chunk, 14 * chunk)]);
}
