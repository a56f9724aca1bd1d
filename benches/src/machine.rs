//! What a figure was measured on: processors, kernel, load. Part of every report, because a figure
//! without it says little.

use serde_json::{Value, json};

/// Processes that wanted a processor, on average over the last minute.
pub fn load() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace()
        .next()
        .and_then(|load| load.parse().ok())
        .unwrap_or(f64::NAN)
}

fn first_line(path: &str) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().next().unwrap_or("unknown").to_owned()
}

fn distribution() -> String {
    let text = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = text
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.unwrap_or("unknown").trim_matches('"').to_owned()
}

/// Processors, distribution and kernel.
pub fn describe() -> Value {
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    json!({
        "processors": processors,
        "distribution": distribution(),
        "kernel": first_line("/proc/sys/kernel/osrelease"),
        "load": load(),
    })
}

/// The same in a line.
pub fn sentence() -> String {
    let machine = describe();
    let text = |field: &str| machine[field].as_str().unwrap_or("unknown").to_owned();
    format!(
        "{} processors, {}, kernel {}, load {:.2}",
        machine["processors"],
        text("distribution"),
        text("kernel"),
        load()
    )
}
