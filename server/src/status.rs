//! Who got how much disk time: the report of each disk's loop, as JSON and as tables.
//!
//! Shares are numbers from 0 to 1 of the window's length; received = reserved part + spare part.
//! What is not known here: where the reports came from (a running server, a simulation).

use crate::groups::{GroupStreams, group_of};
use crate::table::Table;
use disktime_engine::{
    DiskCounters, LoopReport, Percentiles, StreamConfig, StreamCounters, StreamId, StreamReport,
    Window, Windows,
};
use disktime_fuse::MountHandle;
use disktime_units::Nanos;
use serde_json::{Map, Value, json};

/// A disk's report, with the names of what pays.
#[derive(Debug, Clone)]
pub struct DiskStatus {
    /// The disk's name.
    pub name: String,
    /// What serves it.
    pub description: String,
    /// `fahrrad`, `fifo`.
    pub policy: &'static str,
    /// Its vdisks with their streams, in file order; the system stream is `system`.
    pub streams: Vec<(String, StreamId)>,
    /// Its groups, in file order.
    pub groups: Vec<GroupStreams>,
    /// The counters.
    pub report: LoopReport,
}

/// The name of the stream that pays for metadata.
pub const SYSTEM: &str = "system";

fn share(part: Nanos, window: Nanos) -> f64 {
    if window == Nanos::ZERO {
        return 0.0;
    }
    let share = part.0 as f64 / window.0 as f64;
    (share * 1e6).round() / 1e6
}

fn windows<T: Copy>(windows: &Windows<T>) -> [(&'static str, Window<T>); 3] {
    [
        ("last_1s", windows.last_1s),
        ("last_10s", windows.last_10s),
        ("total", windows.total),
    ]
}

/// Percentiles in microseconds.
pub fn percentiles(times: &Percentiles) -> Value {
    let micros = |time: Nanos| time.0 as f64 / 1e3;
    json!({
        "count": times.count,
        "p50": micros(times.p50),
        "p90": micros(times.p90),
        "p99": micros(times.p99),
        "p99_9": micros(times.p99_9),
        "max": micros(times.max),
    })
}

/// One window of a disk.
pub fn disk_window(window: Window<DiskCounters>) -> Value {
    let (elapsed, counters) = (window.elapsed, window.counters);
    let busy = share(counters.busy, elapsed);
    let waiting = share(counters.waiting, elapsed);
    json!({
        "elapsed_ns": elapsed.0,
        "busy_ns": counters.busy.0,
        "charged_ns": counters.charged.0,
        "waiting_ns": counters.waiting.0,
        "switching_ns": counters.switching.0,
        "busy_share": busy,
        "charged_share": share(counters.charged, elapsed),
        "waiting_share": waiting,
        "switching_share": share(counters.switching, elapsed),
        "idle_share": ((1.0 - busy - waiting).max(0.0) * 1e6).round() / 1e6,
        "switches": counters.switches,
        "requests_dispatched": counters.dispatches,
    })
}

/// One window of a vdisk.
pub fn vdisk_window(window: Window<StreamCounters>) -> Value {
    let (elapsed, counters) = (window.elapsed, window.counters);
    json!({
        "elapsed_ns": elapsed.0,
        "own_ns": counters.reserved.0,
        "spare_ns": counters.spare.0,
        "waited_ns": counters.waited.0,
        "received_share": share(counters.reserved + counters.spare, elapsed),
        "own_share": share(counters.reserved, elapsed),
        "spare_share": share(counters.spare, elapsed),
        "waited_share": share(counters.waited, elapsed),
        "deadlines_met": counters.deadlines_met,
        "deadlines_missed": counters.deadlines_missed,
        "requests": counters.requests,
    })
}

/// The share that a stream has reserved, from 0 to 1.
pub fn reserved_share(config: &StreamConfig) -> f64 {
    config
        .reservation
        .map_or(0.0, |reservation| reservation.share.as_f64())
}

fn disk(status: &DiskStatus) -> Value {
    let report = &status.report;
    let total = report.windows.total.counters;
    let mut object = Map::new();
    object.insert("description".into(), json!(status.description));
    object.insert("policy".into(), json!(status.policy));
    object.insert(
        "worst_case_ms".into(),
        json!(report.worst_case.as_millis_f64()),
    );
    object.insert("longest_ms".into(), json!(total.longest.as_millis_f64()));
    object.insert("overruns".into(), json!(total.overruns));
    object.insert(
        "switching_reserved_share".into(),
        json!(report.switching_share.as_f64()),
    );
    let pacing = report.pacing.unwrap_or_default();
    object.insert(
        "pacing".into(),
        json!({ "requests": pacing.served, "overruns": pacing.overruns }),
    );
    for (name, window) in windows(&report.windows) {
        object.insert(name.into(), disk_window(window));
    }
    Value::Object(object)
}

/// What a stream or group is entitled to, what it got in each window, and what was unspent.
fn account(
    disk: &str,
    config: &StreamConfig,
    counted: &Windows<StreamCounters>,
) -> Map<String, Value> {
    let mut object = Map::new();
    object.insert("disk".into(), json!(disk));
    object.insert("reserved_share".into(), json!(reserved_share(config)));
    let period = config
        .reservation
        .map(|reservation| reservation.period.as_millis_f64());
    object.insert("period_ms".into(), json!(period));
    object.insert(
        "limit_share".into(),
        json!(config.limit.map(|limit| limit.share.as_f64())),
    );
    object.insert("weight".into(), json!(config.weight));
    for (name, window) in windows(counted) {
        object.insert(name.into(), vdisk_window(window));
    }
    let total = counted.total.counters;
    let unspent = |nanos: i64| nanos as f64 / 1e6;
    object.insert("unspent_last_ms".into(), json!(unspent(total.unspent_last)));
    object.insert(
        "unspent_max_ms".into(),
        json!(total.unspent_max.map(unspent)),
    );
    object
}

fn vdisk(disk: &str, stream: &StreamReport, group: Option<&str>) -> Value {
    let mut object = account(disk, &stream.config, &stream.windows);
    object.insert("group".into(), json!(group));
    object.insert("queue_time_us".into(), percentiles(&stream.queue_time));
    object.insert("service_time_us".into(), percentiles(&stream.service_time));
    Value::Object(object)
}

fn group(disk: &str, group: &GroupStreams, report: &LoopReport) -> Value {
    let config = &report.streams[&group.account].config;
    let mut object = account(disk, config, &group.windows(report));
    object.insert("members".into(), json!(group.member_names()));
    Value::Object(object)
}

/// All disks, groups and vdisks.
pub fn to_json(disks: &[DiskStatus]) -> Value {
    let mut by_disk = Map::new();
    let mut by_vdisk = Map::new();
    let mut by_group = Map::new();
    let mut by_system = Map::new();
    for status in disks {
        by_disk.insert(status.name.clone(), disk(status));
        for (name, stream) in &status.streams {
            let of = group_of(&status.groups, name).map(|group| group.name.as_str());
            let value = vdisk(&status.name, &status.report.streams[stream], of);
            if name == SYSTEM && stream.index() == 0 {
                by_system.insert(status.name.clone(), value);
            } else {
                by_vdisk.insert(name.clone(), value);
            }
        }
        for one in &status.groups {
            let value = group(&status.name, one, &status.report);
            by_group.insert(one.name.clone(), value);
        }
    }
    json!({ "disks": by_disk, "vdisks": by_vdisk, "groups": by_group, "system": by_system })
}

/// Where the vdisks are files, and whether they are served over io_uring.
pub fn files(mount: &MountHandle) -> Value {
    json!({ "mount": mount.path(), "over_io_uring": mount.is_over_io_uring() })
}

fn percent(value: &Value) -> String {
    value
        .as_f64()
        .map_or_else(|| "-".to_owned(), |share| format!("{:.1} %", share * 100.0))
}

fn millis(value: &Value) -> String {
    value
        .as_f64()
        .map_or_else(|| "-".to_owned(), |micros| format!("{:.1}", micros / 1e3))
}

/// The tables for people, out of the JSON that a server sends.
pub fn to_text(status: &Value) -> String {
    let mut text = String::new();
    text.push_str(&disk_table(status));
    text.push('\n');
    text.push_str(&vdisk_table(status));
    if let Some(mount) = status["files"]["mount"].as_str() {
        let transport = match status["files"]["over_io_uring"].as_bool() {
            Some(true) => "over io_uring",
            _ => "by /dev/fuse",
        };
        text.push_str(&format!("\nfiles in {mount}, served {transport}\n"));
    }
    text
}

fn disk_table(status: &Value) -> String {
    let mut table = Table::new(&[
        "disk",
        "window",
        "busy",
        "charged",
        "waiting",
        "switching",
        "idle",
        "switches",
        "W ms",
        "overruns",
    ]);
    for (name, disk) in status["disks"].as_object().into_iter().flatten() {
        for window in ["last_1s", "last_10s", "total"] {
            let figures = &disk[window];
            table.row(vec![
                name.clone(),
                window.replace('_', " "),
                percent(&figures["busy_share"]),
                percent(&figures["charged_share"]),
                percent(&figures["waiting_share"]),
                percent(&figures["switching_share"]),
                percent(&figures["idle_share"]),
                figures["switches"].to_string(),
                format!("{:.1}", disk["worst_case_ms"].as_f64().unwrap_or(0.0)),
                disk["overruns"].to_string(),
            ]);
        }
    }
    table.to_string()
}

fn vdisk_table(status: &Value) -> String {
    let mut table = Table::new(&[
        "vdisk",
        "reserved",
        "1s: received",
        "spare",
        "10s: received",
        "spare",
        "total: received",
        "spare",
        "met",
        "missed",
        "queue p50/p99 ms",
        "service p50/p99 ms",
    ]);
    for (name, row) in rows(&status["groups"], &status["vdisks"]) {
        table.row(vdisk_row(&name, row));
    }
    for (disk, system) in status["system"].as_object().into_iter().flatten() {
        table.row(vdisk_row(&format!("({disk}: {SYSTEM})"), system));
    }
    table.to_string()
}

/// The lines of a table out of objects by name: each group with its members beneath it, then the
/// vdisks that are in none.
pub fn rows<'v>(groups: &'v Value, vdisks: &'v Value) -> Vec<(String, &'v Value)> {
    let all = |value: &'v Value| value.as_object().into_iter().flatten();
    let mut rows = Vec::new();
    for (name, group) in all(groups) {
        rows.push((name.clone(), group));
        let members = all(vdisks).filter(|(_, vdisk)| vdisk["group"] == **name);
        rows.extend(members.map(|(name, vdisk)| (format!("  {name}"), vdisk)));
    }
    let others = all(vdisks).filter(|(_, vdisk)| vdisk["group"].is_null());
    rows.extend(others.map(|(name, vdisk)| (name.clone(), vdisk)));
    rows
}

fn vdisk_row(name: &str, vdisk: &Value) -> Vec<String> {
    let mut row = vec![name.to_owned(), percent(&vdisk["reserved_share"])];
    for window in ["last_1s", "last_10s", "total"] {
        row.push(percent(&vdisk[window]["received_share"]));
        row.push(percent(&vdisk[window]["spare_share"]));
    }
    row.push(vdisk["total"]["deadlines_met"].to_string());
    row.push(vdisk["total"]["deadlines_missed"].to_string());
    for times in ["queue_time_us", "service_time_us"] {
        row.push(format!(
            "{} / {}",
            millis(&vdisk[times]["p50"]),
            millis(&vdisk[times]["p99"])
        ));
    }
    row
}
