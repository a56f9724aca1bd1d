//! The status of a server at a moment: the JSON of the control socket as a struct.
//!
//! Invariant: keys of the JSON are never renamed without a line in CHANGELOG.md; a reader ignores
//! keys that it does not know, so that a newer server can add some.

mod sentences;
mod tables;

use crate::{DiskOverlap, DiskWindow, Percentiles, SoloTime, StreamWindow, Windows};
use disktime_units::format_size;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// What a server reports.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ServerStatus {
    /// By name.
    pub disks: BTreeMap<String, DiskStatus>,
    /// By name.
    pub vdisks: BTreeMap<String, VdiskStatus>,
    /// By name.
    pub groups: BTreeMap<String, GroupStatus>,
    /// Each disk's background work: by disk, then by the work's name.
    pub background: BTreeMap<String, BTreeMap<String, StreamStatus>>,
    /// The FUSE frontend, if vdisks are served as files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<FilesStatus>,
    /// The files of the past, if they are served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub past: Option<PastStatus>,
}

/// What is reported of a disk.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DiskStatus {
    /// What serves it, for people.
    pub description: String,
    /// The name of its scheduling policy.
    pub policy: String,
    /// The longest that one request is expected to take (W).
    pub worst_case_ms: f64,
    /// The longest that one request took.
    pub longest_ms: f64,
    /// Requests that took longer than `worst_case_ms`.
    pub overruns: u64,
    /// The reserved time that may be left at the end of a period before a deadline is missed.
    #[serde(default)]
    pub unspent_bound_ms: f64,
    /// The share that admission set aside for switching.
    pub switching_reserved_share: f64,
    /// Of a disk that works on several requests at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap: Option<DiskOverlap>,
    /// How often the server did not run while requests were in flight: stopped, or its machine was
    /// suspended.
    #[serde(default)]
    pub pauses: u64,
    /// How long that was together; no stream was charged for it.
    #[serde(default)]
    pub paused_ms: f64,
    /// What was found damaged at opening, and what became of it, as sentences.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<String>,
    /// Its thread does not answer, as a call into the kernel does not return or the disk has
    /// stopped: how old these figures and those of its vdisks are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silent_ms: Option<f64>,
    /// What is wrong with its file or device (deleted, replaced, cut short), as a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_problem: Option<String>,
    /// Of a disk in a file: what it may take, and what there is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub space: Option<DiskSpace>,
    /// A sentence while its file system has less left than is promised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub space_problem: Option<String>,
    /// How well a paced disk keeps its model's times.
    pub pacing: Pacing,
    /// What was counted.
    #[serde(flatten)]
    pub windows: Windows<DiskWindow>,
}

/// The space of a disk that is a file, as of the last look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskSpace {
    /// Its size: what it takes when it is full.
    pub promised_bytes: u64,
    /// What it takes now.
    pub stored_bytes: u64,
    /// What its file system has left, for all who use it.
    pub free_bytes: u64,
}

impl fmt::Display for DiskSpace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = [self.promised_bytes, self.stored_bytes, self.free_bytes];
        let [promised, stored, free] = all.map(format_size);
        write!(
            f,
            "{promised} promised, {stored} stored, {free} free on its file system"
        )
    }
}

/// How well a paced disk keeps its model's times; zeroes for others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pacing {
    /// Requests whose completion was paced.
    pub requests: u64,
    /// Requests whose real I/O took longer than the model says.
    pub overruns: u64,
}

impl Pacing {
    /// What was counted between an earlier reading and this one.
    pub fn since(self, earlier: Pacing) -> Pacing {
        Pacing {
            requests: self.requests.saturating_sub(earlier.requests),
            overruns: self.overruns.saturating_sub(earlier.overruns),
        }
    }
}

/// What a stream or group is entitled to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Entitlement {
    /// The disk it is on.
    pub disk: String,
    /// The share that it has reserved; 0 for best effort.
    pub reserved_share: f64,
    /// The period of the reservation.
    pub period_ms: Option<f64>,
    /// The most that it may receive.
    pub limit_share: Option<f64>,
    /// Its weight where spare time is shared.
    pub weight: u32,
}

/// What a stream or group is entitled to, and what it received.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Account {
    /// What it is entitled to.
    #[serde(flatten)]
    pub entitlement: Entitlement,
    /// What was counted.
    #[serde(flatten)]
    pub windows: Windows<StreamWindow>,
    /// Reserved time that was left unused at the end of the last period with requests queued.
    pub unspent_last_ms: f64,
    /// The most of all periods; null before the first has ended.
    pub unspent_max_ms: Option<f64>,
    /// On a disk that works on several requests at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub solo: Option<SoloTime>,
}

/// What is reported of a stream: a vdisk's, or one that pays for a disk's background work.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StreamStatus {
    /// Entitlement and disk time.
    #[serde(flatten)]
    pub account: Account,
    /// From arrival to dispatch, since the start.
    pub queue_time_us: Percentiles,
    /// From dispatch to completion, since the start.
    pub service_time_us: Percentiles,
}

/// What is reported of a vdisk.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct VdiskStatus {
    /// Its stream.
    #[serde(flatten)]
    pub stream: StreamStatus,
    /// The group that it is a member of.
    pub group: Option<String>,
    /// How much of it is not known to be a hole; 0 on a disk that keeps nothing.
    #[serde(default)]
    pub stored_bytes: u64,
    /// What becomes of its trims: `pass`, `hold` or `ignore`.
    #[serde(default)]
    pub trim: String,
    /// With `hold`, how much was trimmed and is not given back to the disk yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trim_held_bytes: Option<u64>,
    /// NBD connections that use it and opens of its file.
    #[serde(default)]
    pub clients: u64,
    /// Whether clients may only read it: the file says so, or its disk cannot be written to.
    #[serde(default)]
    pub read_only: bool,
    /// Requests that failed because the file system below had no space.
    #[serde(default)]
    pub no_space: u64,
    /// The moment that it was cloned from, as in `db@seq:812`; absent for a vdisk that is no clone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clone_of: Option<String>,
}

/// What is reported of a group.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct GroupStatus {
    /// Entitlement, and the sum of its members' times and requests; deadlines and unspent time are
    /// the group's.
    #[serde(flatten)]
    pub account: Account,
    /// Its members' names, in the order of the reservation file.
    pub members: Vec<String>,
}

/// The FUSE frontend.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilesStatus {
    /// The directory with a file per vdisk.
    pub mount: PathBuf,
    /// Whether requests come by FUSE over io_uring rather than `/dev/fuse`.
    pub over_io_uring: bool,
    /// Whether another program has unmounted the directory; files that are still open go on until
    /// they are closed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unmounted: bool,
}

/// The files of the past.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastStatus {
    /// The directory with one for each vdisk that has a history.
    pub mount: PathBuf,
    /// Whether another program has unmounted the directory; files that are still open go on until
    /// they are closed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unmounted: bool,
}

/// A line of a table of streams: a group, or a vdisk in it or outside any.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Grouped<G, V> {
    /// A group.
    Group(G),
    /// A vdisk.
    Vdisk(V),
}

/// The lines of a table: each group with its members beneath it (indented), then the vdisks that
/// are in none.
pub fn grouped<'s, G, V>(
    groups: &'s BTreeMap<String, G>,
    vdisks: &'s BTreeMap<String, V>,
    group_of: impl Fn(&'s V) -> Option<&'s str>,
) -> Vec<(String, Grouped<&'s G, &'s V>)> {
    let mut lines = Vec::new();
    for (name, group) in groups {
        lines.push((name.clone(), Grouped::Group(group)));
        for (member, vdisk) in vdisks {
            if group_of(vdisk) == Some(name) {
                lines.push((format!("  {member}"), Grouped::Vdisk(vdisk)));
            }
        }
    }
    for (name, vdisk) in vdisks {
        if group_of(vdisk).is_none() {
            lines.push((name.clone(), Grouped::Vdisk(vdisk)));
        }
    }
    lines
}

#[cfg(test)]
mod tests;
