//! Unit tests of `fio`.

use super::*;
use serde_json::json;

#[test]
fn quantiles_come_out_as_fio_gave_them() {
    let part = json!({
        "total_ios": 5000, "runtime": 2000,
        "clat_ns": { "percentile": { "50.000000": 20_000, "99.000000": 90_000, "99.900000": 200_000 } },
    });
    let report = json!({ "jobs": [{ "write": part }] });
    let measured = parse(&report, true).expect("a report");
    assert_eq!(
        (measured.requests, measured.elapsed),
        (5000, Duration::from_secs(2))
    );
    for (quantile, micros) in [(0.5, 20), (0.99, 90), (0.999, 200)] {
        let found = measured.latency.value_at_quantile(quantile) / 1000;
        assert!(found.abs_diff(micros) <= 1, "{quantile}: {found}");
    }
    assert!(parse(&report, false).is_err());
}
