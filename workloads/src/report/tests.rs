//! Unit tests of `report`.

use super::*;

fn report() -> LoadReport {
    let client = |name: &str, latency| ClientReport {
        name: name.to_owned(),
        vdisk: "web".to_owned(),
        iops: 1.0 / 3.0,
        bytes_per_second: 4096.4,
        latency,
        requests: 20,
        errors: 1,
        delayed: 0,
        longest_delay: Nanos::ZERO,
    };
    let latency = Latencies {
        p50: Nanos::from_micros(1500),
        p90: Nanos::from_micros(1600),
        p99: Nanos(2_000_500),
        p99_9: Nanos::from_millis(3),
        max: Nanos::from_secs(1),
    };
    LoadReport {
        duration: Nanos::from_secs(60),
        seed: 1,
        clock: "virtual",
        clients: vec![client("zoe", Some(latency)), client("adam", None)],
        loads: BTreeMap::new(),
    }
}

#[test]
fn json_has_the_promised_fields() {
    let json = report().to_json();
    let zoe = &json["clients"]["zoe"];
    assert_eq!(zoe["iops"], 0.333);
    assert_eq!(zoe["bytes_per_second"], 4096);
    assert_eq!(zoe["latency_us"]["p50"], 1500.0);
    assert_eq!(zoe["latency_us"]["p99"], 2000.5);
    assert_eq!(zoe["latency_us"]["max"], 1e6);
    assert_eq!(zoe["errors"], 1);
    assert!(json["clients"]["adam"]["latency_us"]["p99_9"].is_null());
    let text = report().to_json_text();
    assert!(text.find("adam") < text.find("zoe"), "keys are sorted");
}

#[test]
fn the_table_keeps_the_order_and_aligns() {
    let text = report().to_string();
    let lines: Vec<_> = text.lines().collect();
    assert!(
        lines[1].starts_with("zoe ") && lines[2].starts_with("adam"),
        "{text}"
    );
    assert_eq!(
        lines[0].find("max").map(|at| at + 3),
        lines[1].find(" 1s").map(|at| at + 3),
        "{text}"
    );
}
