//! The other client: fio with its nbd engine, one process, one job per connection.

use crate::client::{Load, Measured, histogram};
use disktime_benches::Outcome;
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Runs fio for `time`.
///
/// # Errors
/// If fio is not there, with how to install it; with what it said, if it fails.
pub fn run(socket: &Path, export: &str, load: Load, time: Duration) -> Outcome<Measured> {
    let pattern = match (load.sequential, load.write) {
        (true, false) => "read",
        (true, true) => "write",
        (false, false) => "randread",
        (false, true) => "randwrite",
    };
    let uri = format!("nbd+unix:///{export}?socket={}", socket.display());
    let output = Command::new("fio")
        .args([
            "--name=doors",
            "--ioengine=nbd",
            "--output-format=json",
            "--thread",
        ])
        .args(["--time_based", "--group_reporting", "--norandommap"])
        .arg(format!("--uri={uri}"))
        .arg(format!("--rw={pattern}"))
        .arg(format!("--bs={}", load.block_bytes))
        .arg(format!(
            "--iodepth={}",
            (load.depth / load.connections).max(1)
        ))
        .arg(format!("--numjobs={}", load.connections))
        .arg(format!("--runtime={}ms", time.as_millis()))
        .output()
        .map_err(|error| {
            format!("fio cannot be started ({error}); install it: apt-get install fio")
        })?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    // Warnings may stand before the report.
    let text = String::from_utf8_lossy(&output.stdout);
    let start = text.find('{').ok_or("fio gave no report")?;
    parse(&serde_json::from_str(&text[start..])?, load.write)
}

/// fio's report of one group of jobs.
fn parse(report: &Value, write: bool) -> Outcome<Measured> {
    let direction = if write { "write" } else { "read" };
    let part = &report["jobs"][0][direction];
    let number = |value: &Value| value.as_u64().ok_or("fio's report lacks a figure");
    let requests = number(&part["total_ios"])?;
    let elapsed = Duration::from_millis(number(&part["runtime"])?);
    // Only quantiles are reported: a value per step stands for the requests in it.
    let mut latency = histogram()?;
    let quantiles = part["clat_ns"]["percentile"]
        .as_object()
        .ok_or("fio's report has no percentiles")?;
    let mut known: Vec<(f64, u64)> = quantiles
        .iter()
        .map(|(percent, value)| Ok((percent.parse::<f64>()?, number(value)?)))
        .collect::<Outcome<_>>()?;
    known.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut before = 0.0;
    for (percent, value) in known {
        latency.record_n(value, ((percent - before) * 1e4).round() as u64)?;
        before = percent;
    }
    Ok(Measured {
        requests,
        elapsed,
        latency,
    })
}

#[cfg(test)]
mod tests {
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
}
