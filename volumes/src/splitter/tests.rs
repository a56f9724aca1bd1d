//! Unit tests of `splitter`: a proptest over ranges and layouts, and the cases with a reason.

use super::*;
use crate::allocation_map::AllocationMap;
use crate::label::Uuid;
use crate::layout::{Known, MappedExtent};
use crate::target::DiskIndex;
use crate::zero_map::{MapKey, ZeroMap};
use disktime_engine::StreamId;
use proptest::prelude::*;

const MIB: u64 = 1 << 20;
const SIZE_BYTES: u64 = 3 * MIB - 512;
/// Where on the disk the three extents begin.
const PLACES: [u64; 3] = [8 * MIB, 4 * MIB, 20 * MIB];

fn abilities() -> Abilities {
    Abilities::full(Grain::new(512, 128 << 10))
}

/// Three extents: one with a zero map, one with an allocation map, one of which nothing is known.
fn layout(written: &[(u64, u64)]) -> Layout {
    let key = MapKey::new(
        Uuid::from_bytes([1; 16]),
        Uuid::from_bytes([2; 16]),
        30 * MIB,
    );
    let known = [
        Known::Written(ZeroMap::fresh(key, MIB)),
        Known::Allocated(AllocationMap::new(MIB, false)),
        Known::Nothing,
    ];
    let extents = known
        .into_iter()
        .zip(PLACES)
        .enumerate()
        .map(|(at, (known, place))| {
            let range = (at as u64 * MIB, (at as u64 + 1) * MIB);
            let target = Target::new(DiskIndex::FIRST, place, StreamId::for_test(5));
            MappedExtent::new(range, target, known)
        });
    let mut layout = Layout::new(extents.collect(), SIZE_BYTES);
    for (start, end) in written {
        layout.mark_allocated(*start, *end);
        layout.mark_written(*start, *end);
    }
    layout
}

fn cuts(layout: &Layout, abilities: Abilities, header: RequestHeader) -> (Plan, Vec<Cut>) {
    let splitter = Splitter::new(layout, abilities);
    let plan = splitter.plan(header);
    let (mut at, mut cuts) = (plan.range().0, Vec::new());
    while at < plan.range().1 {
        let (cut, next) = splitter.cut(header.kind(), plan, at);
        assert!(next > at, "a cut of no length");
        cuts.push(cut);
        at = next;
    }
    (plan, cuts)
}

fn pieces(cuts: &[Cut]) -> Vec<Piece> {
    let piece = |cut: &Cut| match cut {
        Cut::Piece(piece) => Some(*piece),
        Cut::Hole { .. } | Cut::NotDiscarded => None,
    };
    cuts.iter().filter_map(piece).collect()
}

fn kinds() -> impl Strategy<Value = RequestKind> {
    prop::sample::select(vec![
        RequestKind::Read,
        RequestKind::Write,
        RequestKind::Trim,
        RequestKind::WriteZeroes,
        RequestKind::ZeroKeepingSpace,
        RequestKind::Cache,
    ])
}

proptest! {
    #[test]
    fn pieces_keep_to_blocks_quantum_and_extents_and_cover_the_range(
        kind in kinds(),
        start in 0..SIZE_BYTES,
        len_bytes in 1..SIZE_BYTES,
        chunks in proptest::collection::vec(0u64..48, 0..8),
    ) {
        let end = (start + len_bytes).min(SIZE_BYTES);
        let written: Vec<(u64, u64)> = chunks
            .iter()
            .map(|chunk| (chunk * CHUNK_BYTES, (chunk + 1) * CHUNK_BYTES))
            .collect();
        let layout = layout(&written);
        let header = RequestHeader::new(kind, start, end, false);
        let (plan, cuts) = cuts(&layout, abilities(), header);
        let mut covered = plan.range().0;
        for cut in cuts {
            let (from, to) = match cut {
                Cut::Hole { start, end } => (start, end),
                Cut::NotDiscarded => unreachable!("this disk discards"),
                Cut::Piece(piece) => {
                    let (from, to) = (piece.start(), piece.end());
                    prop_assert!(from % 512 == 0 && to % 512 == 0);
                    prop_assert!(piece.len_bytes() <= 128 << 10);
                    prop_assert_eq!(from / MIB, (to - 1) / MIB, "a piece lies in two extents");
                    let place = PLACES[(from / MIB) as usize] + from % MIB;
                    prop_assert_eq!(piece.target().offset_bytes(), place);
                    if matches!(piece.action(), Action::Read | Action::Modify) {
                        prop_assert!(!layout.any_unwritten(from, to), "old bytes are read");
                    }
                    (from, to)
                }
            };
            prop_assert!(from <= covered && covered < to, "a gap in the range");
            covered = to;
        }
        prop_assert!(covered >= plan.range().1);
    }
}

#[test]
fn a_first_write_is_padded_to_its_chunk_and_has_it_alone() {
    let layout = layout(&[]);
    let header = RequestHeader::new(RequestKind::Write, 70_000, 70_512, true);
    let (plan, cuts) = cuts(&layout, abilities(), header);
    assert_eq!(plan.range(), (CHUNK_BYTES, 2 * CHUNK_BYTES));
    assert!(plan.is_first_write() && plan.needs_commit());
    let pieces = pieces(&cuts);
    assert_eq!(pieces.len(), 1);
    assert_eq!(pieces[0].action(), Action::Write);
    let id = RequestId::new(1);
    let claim = Splitter::new(&layout, abilities()).claim(id, header);
    assert_eq!(claim, Claim::new(id, (CHUNK_BYTES, 2 * CHUNK_BYTES), true));
}

#[test]
fn a_write_inside_of_blocks_reads_what_it_keeps() {
    let layout = layout(&[(0, CHUNK_BYTES)]);
    let header = RequestHeader::new(RequestKind::Write, 100, 1100, false);
    let (plan, cuts) = cuts(&layout, abilities(), header);
    assert!(!plan.is_first_write());
    let pieces = pieces(&cuts);
    assert_eq!(pieces.len(), 1);
    let piece = pieces[0];
    assert_eq!(
        (piece.action(), piece.start(), piece.end()),
        (Action::Modify, 0, 1536)
    );
}

#[test]
fn zeroing_whole_chunks_with_a_map_gives_space_back_and_else_needs_no_disk() {
    let layout = layout(&[(0, 3 * CHUNK_BYTES)]);
    let (start, end) = (0, 2 * CHUNK_BYTES);
    let zeroed = |kind, abilities| {
        let header = RequestHeader::new(kind, start, end, false);
        let (plan, cuts) = cuts(&layout, abilities, header);
        assert_eq!(plan.hole(), Some((start, end)));
        cuts
    };
    let given_back = zeroed(RequestKind::WriteZeroes, abilities());
    let given_back = pieces(&given_back);
    assert_eq!(given_back.len(), 1);
    assert_eq!(given_back[0].action(), Action::Discard);
    let mut without = abilities();
    without.lose_discard();
    let hole = [Cut::Hole { start, end }];
    assert_eq!(zeroed(RequestKind::WriteZeroes, without), hole);
    assert_eq!(zeroed(RequestKind::ZeroFast, without), hole);
}

#[test]
fn a_hole_at_the_end_reaches_the_end_of_the_extents() {
    let layout = layout(&[]);
    let header = RequestHeader::new(RequestKind::Trim, 2 * MIB, SIZE_BYTES, false);
    let plan = Splitter::new(&layout, abilities()).plan(header);
    assert_eq!(plan.hole(), Some((2 * MIB, 3 * MIB)));
}

#[test]
fn zeroes_go_by_what_the_disk_can_do() {
    let layout = layout(&[]);
    let header = RequestHeader::new(RequestKind::WriteZeroes, 2 * MIB, 2 * MIB + 512, false);
    let action = |abilities| pieces(&cuts(&layout, abilities, header).1)[0].action();
    let mut abilities = abilities();
    assert_eq!(action(abilities), Action::ZeroByDiscard);
    abilities.lose_discard();
    assert_eq!(action(abilities), Action::Zero);
    abilities.lose_zeroing();
    assert_eq!(action(abilities), Action::Write);
    let header = RequestHeader::new(RequestKind::Trim, 2 * MIB, 2 * MIB + 512, false);
    assert_eq!(cuts(&layout, abilities, header).1, [Cut::NotDiscarded]);
}

#[test]
fn discards_and_zeroings_are_as_long_as_was_measured_to_be_right() {
    let layout = layout(&[(0, 3 * MIB - 512)]);
    let mut abilities = abilities();
    let lengths = |abilities: Abilities, kind| {
        let header = RequestHeader::new(kind, MIB, 2 * MIB, false);
        let (_, cuts) = cuts(&layout, abilities, header);
        cuts.iter()
            .map(|cut| match cut {
                Cut::Piece(piece) => piece.len_bytes() >> 10,
                _ => 0,
            })
            .collect::<Vec<u64>>()
    };
    assert_eq!(lengths(abilities, RequestKind::Trim), [128; 8]);
    abilities.set_longest(64 << 10, 32 << 10);
    assert_eq!(lengths(abilities, RequestKind::Trim), [64; 16]);
    assert_eq!(lengths(abilities, RequestKind::WriteZeroes), [64; 16]);
    assert_eq!(lengths(abilities, RequestKind::ZeroKeepingSpace), [32; 32]);
    // Never beyond the quantum, and never less than a block.
    abilities.set_longest(1 << 30, 1);
    assert_eq!(lengths(abilities, RequestKind::Trim), [128; 8]);
    assert_eq!(abilities.zeroing_bytes(), 512);
}
