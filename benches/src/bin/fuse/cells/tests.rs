//! Unit tests of `cells`.

use super::*;

#[test]
fn every_cell_has_a_name_of_its_own() {
    let all: Vec<Cell> = Backing::ALL.into_iter().flat_map(cells).collect();
    let mut names: Vec<String> = all.iter().map(Cell::name).collect();
    assert_eq!(names[0], "null 4K randread d1");
    assert!(names.contains(&"memory 1M seqwrite d4".to_owned()));
    names.sort();
    names.dedup();
    assert_eq!(names.len(), all.len());
}
