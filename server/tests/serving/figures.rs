//! What tests of figures share: the modelled disk that they are worked out for, and how a number is
//! taken out of a report and compared.

use crate::programs::text;
use crate::test_directory::TestDirectory;
use serde_json::Value;
use std::path::Path;

pub(crate) const HARD_DISK: &str =
    r#""hdd0": { "path": "hdd0.disk", "size": "64GiB", "emulate": "desktop-7200-2008" }"#;

/// What `simulate` reports of a workload in JSON.
#[track_caller]
pub(crate) fn simulated(place: &TestDirectory, workload: &Path, more: &[&str]) -> Value {
    let arguments = [&["simulate", text(workload), "--json"][..], more].concat();
    serde_json::from_str(&place.succeeds(&arguments)).expect("it is JSON")
}

#[track_caller]
pub(crate) fn number(value: &Value, key: &str) -> f64 {
    value[key]
        .as_f64()
        .unwrap_or_else(|| panic!("{key} is no number in {value:#}"))
}

#[track_caller]
pub(crate) fn is_near(value: f64, expected: f64, tolerance: f64) {
    assert!(
        (value - expected).abs() <= tolerance,
        "{value} instead of {expected} ± {tolerance}"
    );
}
