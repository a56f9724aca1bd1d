//! Unit tests of `background`.

use super::*;
use crate::format_duration;
use std::collections::BTreeSet;

#[test]
fn names_are_different_and_fit_into_a_file() {
    let names: BTreeSet<&str> = BackgroundWork::ALL.iter().map(|work| work.name()).collect();
    assert_eq!(names.len(), BackgroundWork::ALL.len());
    for name in names {
        assert!(
            name.chars().all(|letter| letter.is_ascii_lowercase()),
            "{name}"
        );
    }
}

#[test]
fn defaults_leave_most_of_a_disk_to_vdisks() {
    let shares = BackgroundWork::ALL.iter().map(|work| work.default_share());
    let sum = shares.fold(Share::ZERO, |sum, share| sum + share);
    assert!(sum <= Share::from_percent(5), "{sum:?}");
}

#[test]
fn defaults_in_words_are_the_numbers() {
    let reserved = BackgroundWork::ALL.iter();
    for work in reserved.filter(|work| work.default_share() > Share::ZERO) {
        let share = work.default_share().as_f64() * 100.0;
        let with_seeks = format_duration(work.default_period(true));
        let without = format_duration(work.default_period(false));
        let words = format!(
            "{share}% per {with_seeks} on disks with seeks, {share}% per {without} or longer on others"
        );
        assert_eq!(work.default_text(), words);
    }
}

#[test]
fn the_budget_of_metadata_is_enough_for_a_long_request() {
    let budget = |has_seeks| {
        let work = BackgroundWork::Metadata;
        work.default_share().of(work.default_period(has_seeks))
    };
    assert_eq!(budget(true), Nanos::from_millis(50));
    assert_eq!(budget(false), Nanos::from_millis(20));
}

#[test]
fn each_kind_finds_its_own_value() {
    let values = ByBackgroundWork::from_fn(BackgroundWork::name);
    for work in BackgroundWork::ALL {
        assert_eq!(*values.get(*work), work.name());
    }
    assert!(values.iter().all(|(work, value)| work.name() == *value));
}
