//! A group as it is reported: its account's deadlines and unspent time, and what its members
//! received together.
//!
//! The scheduler counts what was received at the member that received it, and deadlines at the
//! group. Invariant: sums over the streams of a loop's report count everything once; what is summed
//! here is never put back there.

use disktime_engine::{LoopReport, StreamCounters, StreamId, Window, Windows};
use disktime_reservations::Configuration;
use disktime_volumes::VolumeSet;

/// A group of a disk that is served, or simulated.
#[derive(Debug, Clone)]
pub(crate) struct GroupStreams {
    name: String,
    account: StreamId,
    /// Its members with their streams, in file order.
    members: Vec<(String, StreamId)>,
}

/// The groups on a disk whose vdisks are served, in file order.
pub(super) fn groups<D: disktime_disks::Disk>(
    configuration: &Configuration,
    disk: &str,
    service: &VolumeSet<D>,
) -> Vec<GroupStreams> {
    let of_disk = configuration.groups_on(disk);
    let mut groups: Vec<GroupStreams> = of_disk
        .filter_map(|group| {
            let account = service.group_stream(&group.name.value)?;
            Some(GroupStreams {
                name: group.name.value.clone(),
                account,
                members: Vec::new(),
            })
        })
        .collect();
    for vdisk in configuration.vdisks_on(disk) {
        let name = &vdisk.name.value;
        let stream = service.vdisk_id(name).and_then(|id| service.stream(id));
        let group = vdisk.group.as_ref().and_then(|of| {
            let mut all = groups.iter_mut();
            all.find(|group| group.name == of.value)
        });
        if let (Some(stream), Some(group)) = (stream, group) {
            group.members.push((name.clone(), stream));
        }
    }
    groups
}

impl GroupStreams {
    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The stream that is its account.
    pub(crate) fn account(&self) -> StreamId {
        self.account
    }

    /// Its members with their streams, in file order.
    pub(crate) fn members(&self) -> &[(String, StreamId)] {
        &self.members
    }

    /// The names of its members.
    pub(crate) fn member_names(&self) -> impl Iterator<Item = &str> {
        self.members.iter().map(|(name, _)| name.as_str())
    }

    /// Whether a vdisk is one of its members.
    pub(crate) fn has_member(&self, vdisk: &str) -> bool {
        self.member_names().any(|name| name == vdisk)
    }

    /// What it counted: its members' times and requests, its account's deadlines.
    pub(crate) fn windows(&self, counted: &LoopReport) -> Windows<StreamCounters> {
        let over = |of: fn(&Windows<StreamCounters>) -> Window<StreamCounters>| {
            let windows = |stream: StreamId| of(&counted.streams[&stream].windows);
            let mut window = windows(self.account);
            for (_, member) in &self.members {
                let more = windows(*member).counters;
                let counters = &mut window.counters;
                counters.reserved += more.reserved;
                counters.spare += more.spare;
                counters.waited += more.waited;
                counters.requests += more.requests;
                counters.dispatches += more.dispatches;
            }
            window
        };
        Windows {
            last_1s: over(|windows| windows.last_1s),
            last_10s: over(|windows| windows.last_10s),
            total: over(|windows| windows.total),
        }
    }
}
