//! Unit tests of `survey`.

use super::*;

#[test]
fn a_disk_that_is_not_there_yet_is_judged_without_being_made() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("new.disk");
    let options = DiskOptions {
        size_bytes: Some(1 << 30),
        ..DiskOptions::new(&path)
    };
    let survey = survey_disk(&options).expect("a survey");
    assert_eq!((survey.exists, survey.size_bytes), (false, Some(1 << 30)));
    assert!(!path.exists(), "the survey made the file");
    let told = DiskOptions {
        has_seeks: Some(true),
        ..options
    };
    let survey = survey_disk(&told).expect("a survey");
    assert!(survey.has_seeks && survey.switch_cost > Nanos::ZERO && survey.max_in_flight == 1);
}

#[test]
fn a_new_file_is_judged_by_the_nearest_directory_that_exists() {
    assert_eq!(
        nearest_directory(Path::new("no/such/new.disk")),
        Some(Path::new("."))
    );
    assert_eq!(
        nearest_directory(Path::new("new.disk")),
        Some(Path::new("."))
    );
    assert_eq!(
        nearest_directory(Path::new("/no/such/new.disk")),
        Some(Path::new("/"))
    );
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("state/new.disk");
    assert_eq!(nearest_directory(&path), Some(directory.path()));
}
