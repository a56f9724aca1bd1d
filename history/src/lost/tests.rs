//! Sets of blocks.

use super::*;

#[test]
fn runs_join_and_split() {
    let mut lost = LostBlocks::default();
    for lba in [5, 7, 6, 20] {
        lost.insert(lba);
    }
    let row = |lba, blocks| LostRun { lba, blocks };
    assert_eq!(lost.rows(), [row(5, 3), row(20, 1)]);
    assert_eq!(lost.run_at(0, 100), (5, false));
    assert_eq!(lost.run_at(6, 100), (2, true));
    assert_eq!(lost.run_at(8, 4), (4, false));
    lost.retain(|lba| lba != 6);
    assert_eq!(lost.rows(), [row(5, 1), row(7, 1), row(20, 1)]);
    assert_eq!(LostBlocks::of_rows(&lost.rows(), 21), Some(lost.clone()));
    assert_eq!(LostBlocks::of_rows(&lost.rows(), 20), None);
    assert_eq!(LostBlocks::of_rows(&[row(3, 2), row(5, 1)], 99), None);
    assert_eq!(LostBlocks::of_rows(&[row(3, 0)], 99), None);
    // A row holds its length in four bytes.
    let long = [row(3, u32::MAX), row(3 + u64::from(u32::MAX), 2)];
    let lost = LostBlocks::of_rows(&long, 1 << 34).expect("one run");
    assert_eq!((lost.len(), lost.rows()), (1, long.to_vec()));
}
