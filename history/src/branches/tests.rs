//! Paths, what is kept, and rows that cannot be.

use super::*;

/// A from 1 to 100; B from 101, forked at 50, to 130; C from 131, back at 100.
fn three() -> Branches {
    let mut branches = Branches::default();
    branches.begin(1, 0, BranchReason::First, 0, 0);
    branches.begin(101, 50, BranchReason::Revert, 100, 7);
    branches.begin(131, 100, BranchReason::Undo, 130, 8);
    branches
}

#[test]
fn a_moment_sees_its_branch_up_to_it_and_the_parents_up_to_the_forks() {
    let branches = three();
    let sees = |moment: Seq| {
        let path = branches.path(moment);
        (1..=140)
            .filter(|seq| path.sees(*seq))
            .collect::<Vec<Seq>>()
    };
    assert_eq!(sees(70), (1..=70).collect::<Vec<_>>());
    assert_eq!(sees(120), (1..=50).chain(101..=120).collect::<Vec<_>>());
    assert_eq!(sees(135), (1..=100).chain(131..=135).collect::<Vec<_>>());
    assert_eq!(sees(0), [0; 0]);
    assert!(branches.path(120).sees_any(40, 45) && !branches.path(120).sees_any(51, 100));
}

#[test]
fn an_undo_returns_to_the_branch_that_was_left() {
    let mut branches = three();
    assert_eq!(
        branches.undo().map(|row| (row.id, row.head)),
        Some((101, 130))
    );
    branches.drop_branch(101);
    assert!(branches.undo().is_none());
}

#[test]
fn the_floor_is_held_where_a_kept_branch_was_left() {
    let mut branches = three();
    let tails = |branches: &Branches| {
        branches
            .tails()
            .map(|(row, left)| (row.id, left))
            .collect::<Vec<_>>()
    };
    assert_eq!(tails(&branches), [(101, 50)]);
    assert!(branches.is_kept(120) && branches.is_kept(70));
    branches.drop_branch(101);
    assert_eq!(tails(&branches), []);
    assert!(!branches.is_kept(120) && branches.is_kept(70) && branches.is_kept(135));
    branches.forget_below(130);
    // The floor belongs to a branch that was dropped: it is no moment that can be opened.
    assert!(branches.len() == 2 && !branches.is_kept(130));
    branches.forget_below(131);
    assert_eq!(branches.len(), 1);
    assert!(branches.path(135).sees(133) && !branches.path(135).sees(120));
}

#[test]
fn rows_that_do_not_fit_each_other_are_refused() {
    let branches = three();
    let rows: Vec<BranchRow> = branches.rows().cloned().collect();
    assert!(Branches::of_rows(&rows, 131, 101).is_some());
    assert!(Branches::of_rows(&rows, 101, 101).is_none());
    assert!(Branches::of_rows(&rows, 132, 0).is_none());
    for change in [
        |row: &mut BranchRow| row.fork = 200,
        |row: &mut BranchRow| row.parent = row.id,
        |row: &mut BranchRow| row.head = 140,
        |row: &mut BranchRow| row.id = 90,
    ] {
        let mut wrong = rows.clone();
        change(&mut wrong[1]);
        assert!(Branches::of_rows(&wrong, 131, 101).is_none());
    }
}

/// Reverts to 50 that are undone and dropped, `count` times, with the changes 1 to 100 on the first
/// branch.
fn back_and_forth(count: u64) -> Branches {
    let mut branches = Branches::default();
    branches.begin(1, 0, BranchReason::First, 0, 0);
    let mut seq = 100;
    for _ in 0..count {
        let before = seq;
        branches.begin(seq + 1, 50, BranchReason::Revert, seq, 0);
        branches.begin(seq + 11, before, BranchReason::Undo, seq + 10, 0);
        branches.drop_branch(seq + 1);
        seq += 11;
    }
    branches
}

#[test]
fn rows_of_dropped_branches_and_of_undone_reverts_are_forgotten() {
    let mut branches = back_and_forth(100);
    assert_eq!(branches.len(), 201);
    let before = branches.clone();
    branches.compact(&[]);
    let ids: Vec<u64> = branches.rows().map(|row| row.id).collect();
    assert_eq!(ids, [1, branches.current()]);
    assert_eq!(branches.current_path().intervals[0], (1, 1, 100));
    for seq in 0..1300 {
        let was = before.current_path().sees(seq) && (seq <= 100 || seq >= branches.current());
        assert_eq!(branches.current_path().sees(seq), was, "{seq}");
        // What was kept and is not is the beginning of an undo, which changed nothing.
        let begins_undo = before.rows.contains_key(&seq) && before.is_kept(seq);
        let is_kept = before.is_kept(seq) && !(begins_undo && seq > 1 && seq < branches.current());
        assert_eq!(branches.is_kept(seq), is_kept, "{seq}");
    }
    let rows: Vec<BranchRow> = branches.rows().cloned().collect();
    assert!(Branches::of_rows(&rows, branches.current(), branches.undo_id()).is_some());
}

#[test]
fn rows_that_moments_need_are_not_forgotten() {
    // A moment that is open on a branch that was dropped, and one at the beginning of an undo.
    let branches = back_and_forth(3);
    for moment in [105, 111] {
        let mut compact = branches.clone();
        compact.compact(&[moment]);
        assert_eq!(compact.path(moment), branches.path(moment));
        assert!(compact.len() < branches.len());
    }
    // A kept branch that holds nothing keeps the moment that it begins with.
    let mut branches = Branches::default();
    branches.begin(1, 0, BranchReason::First, 0, 0);
    branches.begin(101, 50, BranchReason::Revert, 100, 0);
    branches.begin(102, 20, BranchReason::Revert, 101, 0);
    branches.drop_branch(1);
    assert!(branches.is_kept(50) && !branches.is_kept(60));
    branches.compact(&[]);
    assert!(branches.is_kept(50) && branches.is_kept(101));
    // Beside one that forked from it and was dropped, too.
    branches.begin(103, 101, BranchReason::Revert, 102, 0);
    branches.begin(110, 20, BranchReason::Revert, 109, 0);
    branches.drop_branch(103);
    branches.compact(&[105]);
    assert!(branches.is_kept(50) && branches.is_kept(101));
}

#[test]
fn a_moment_whose_branch_was_forgotten_is_not_the_newest_one_after_a_loss() {
    let mut branches = back_and_forth(1);
    branches.compact(&[]);
    assert_eq!(branches.clone().truncate(70), 70);
    assert_eq!(branches.clone().truncate(115), 115);
    // 101 to 110 were on the branch that was dropped; the first one ends with 100.
    let newest = branches.truncate(105);
    assert_eq!((newest, branches.current()), (100, 1));
    assert_eq!(
        branches.current_path().until(newest).intervals,
        [(1, 1, 100)]
    );
}

#[test]
fn a_floor_in_a_branch_that_was_forgotten_is_no_moment() {
    let mut branches = back_and_forth(1);
    branches.compact(&[]);
    branches.forget_below(105);
    assert!(!branches.is_kept(105) && !branches.is_kept(106));
    assert!(branches.is_kept(111));
}
