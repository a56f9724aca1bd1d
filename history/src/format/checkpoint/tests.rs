//! What a later program may add to the tables.

use super::*;

#[test]
fn sections_of_other_types_and_the_ends_of_longer_rows_are_skipped() {
    let tables = Tables {
        floor: 3,
        current_branch: 2,
        segments: vec![SegmentRow {
            id: 1,
            slot: 0,
            seal: None,
            is_cut: false,
            hole: None,
            next_slot: 3,
            seqs: [1, 0],
            times_ns: [5, 0],
        }],
        ..Tables::default()
    };
    let mut bytes = tables.encode();
    // The row of the segment is eight bytes longer.
    let row = 2 * SECTION_BYTES + HEAD_BYTES;
    bytes.splice(row + SEGMENT_BYTES..row + SEGMENT_BYTES, [9; 8]);
    for at in [row - 8, row - 4] {
        put(&mut bytes, at, &(SEGMENT_BYTES as u32 + 8).to_le_bytes());
    }
    section(&mut bytes, 77, 1, 8, |bytes| {
        row_of_nines(bytes);
    });
    assert_eq!(Tables::decode(&bytes), Some(tables.clone()));
    // A section that is there twice, or not at all.
    let head = bytes[..SECTION_BYTES + HEAD_BYTES].to_vec();
    assert_eq!(Tables::decode(&[&bytes[..], &head].concat()), None);
    assert_eq!(Tables::decode(&bytes[head.len()..]), None);
}

fn row_of_nines(bytes: &mut Vec<u8>) {
    bytes.extend([9; 8]);
}
