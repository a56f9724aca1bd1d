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
