//! Unit tests of `cells`.

use super::*;
use clap::ValueEnum;

#[test]
fn every_cell_has_a_name_of_its_own() {
    let loads = loads();
    let of_backing = |backing| loads.iter().map(move |load| name(backing, load));
    let mut names: Vec<String> = Backing::value_variants()
        .iter()
        .copied()
        .flat_map(of_backing)
        .collect();
    assert_eq!(names[0], "memory 4K randread d1 c1");
    assert!(names.contains(&"file 1M seqwrite d4 c1".to_owned()));
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count);
}
