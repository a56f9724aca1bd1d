//! Unit tests of `zero_pieces`.

use super::*;
use proptest::prelude::*;

proptest! {
    /// Against one flag per byte, in units of 4 KiB and a few odd bytes.
    #[test]
    fn runs_are_the_whole_pieces_of_what_was_added(
        offset in (0u64..200, 0u64..4096),
        len in (1u64..8192, 0u64..4096),
        added in prop::collection::vec((0u32..8192, 1u32..2000), 0..8),
    ) {
        let (offset_bytes, len_bytes) = (offset.0 * 4096 + offset.1, len.0 * 4096 - len.1);
        let mut pieces = ZeroPieces::of_read(offset_bytes, len_bytes);
        let mut flags = vec![false; len_bytes as usize];
        for (start, count) in added {
            let start = (start * 4096).min(len_bytes as u32);
            let end = (start + count * 4096 + 3).min(len_bytes as u32);
            pieces.add(start, end);
            flags[start as usize..end as usize].fill(true);
        }
        let mut told = vec![false; len_bytes as usize];
        let mut before = None;
        for (start, end) in pieces.runs() {
            prop_assert!(before.is_none_or(|before| before < start) && start < end);
            told[start as usize..end as usize].fill(true);
            before = Some(end);
        }
        prop_assert!(told.iter().zip(&flags).all(|(told, flag)| !told || *flag));
        // What is added at once is told at once, but for less than a piece at either end.
        let piece = pieces.piece_bytes as usize;
        prop_assert!(piece == 64 << 10 || piece as u64 * 32 < len_bytes);
        let mut all = ZeroPieces::of_read(offset_bytes, len_bytes);
        all.add(0, len_bytes as u32);
        let whole: u64 = all.runs().map(|(start, end)| u64::from(end - start)).sum();
        prop_assert!(whole + 2 * piece as u64 > len_bytes);
    }

    #[test]
    fn inside_is_what_lies_between_other_bytes(
        offset_bytes in 0u64..1 << 20,
        len_bytes in 1u64..5 << 20,
        ends in (0u64..5 << 20, 0u64..5 << 20),
        bits: u64,
    ) {
        let (start, end) = (ends.0.min(len_bytes) as u32, ends.1.min(len_bytes) as u32);
        let (start, end) = (start.min(end), start.max(end));
        let pieces = ZeroPieces { bits, ..ZeroPieces::of_read(offset_bytes, len_bytes) };
        let inside = pieces.inside(start, end);
        prop_assert_eq!(inside.bits & !pieces.bits, 0);
        for piece in 0..64 {
            let from = pieces.first_bytes + piece * pieces.piece_bytes;
            let is_inside = start < from && from + pieces.piece_bytes < end;
            let expected = is_inside && bits >> piece & 1 == 1;
            prop_assert_eq!(inside.bits >> piece & 1 == 1, expected);
        }
    }
}

#[test]
fn the_piece_grows_with_the_read() {
    for (len_bytes, piece_bytes) in [
        (1, 64 << 10),
        (4 << 20, 64 << 10),
        ((4 << 20) + 1, 128 << 10),
        (32 << 20, 512 << 10),
    ] {
        let pieces = ZeroPieces::of_read(3, len_bytes);
        assert_eq!(pieces.piece_bytes, piece_bytes);
        assert_eq!(pieces.first_bytes, piece_bytes - 3);
    }
}

/// A piece that begins where the range begins has no other byte between it and that end.
#[test]
fn a_piece_at_an_end_of_the_range_is_not_inside() {
    let mut pieces = ZeroPieces::of_read(0, 1 << 20);
    pieces.add(0, 1 << 20);
    let piece = 64 << 10;
    let inside = |start, end| pieces.inside(start, end).runs().collect::<Vec<_>>();
    assert_eq!(inside(piece, 4 * piece), [(2 * piece, 3 * piece)]);
    assert_eq!(inside(piece - 1, 4 * piece + 1), [(piece, 4 * piece)]);
}
