//! What a server counted between two readings of its status: what `disktime load` shows beside the
//! clients' own figures.

mod tables;

use crate::{Account, DiskWindow, GroupStatus, Pacing, ServerStatus, StreamWindow, VdiskStatus};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a server counted between two readings.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ServerDifference {
    /// By name.
    pub disks: BTreeMap<String, DiskDifference>,
    /// By name.
    pub vdisks: BTreeMap<String, StreamDifference>,
    /// By name.
    pub groups: BTreeMap<String, StreamDifference>,
}

/// What was counted of a disk.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DiskDifference {
    /// Its time.
    #[serde(flatten)]
    pub window: DiskWindow,
    /// Its background work, by name.
    pub background: BTreeMap<String, StreamWindow>,
    /// How well a paced disk kept its model's times.
    pub pacing: Pacing,
}

/// What was counted of a vdisk or a group.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StreamDifference {
    /// Its disk time.
    #[serde(flatten)]
    pub window: StreamWindow,
    /// The share that it has reserved, at the later reading.
    pub reserved_share: f64,
}

impl ServerStatus {
    /// What was counted between an earlier reading and this one. What was not there earlier is
    /// counted from zero.
    pub fn since(&self, earlier: &ServerStatus) -> ServerDifference {
        let disks = self.disks.iter().map(|(name, disk)| {
            let then = earlier.disks.get(name).cloned().unwrap_or_default();
            let difference = DiskDifference {
                window: disk.windows.total.since(&then.windows.total),
                background: self.background_since(name, earlier),
                pacing: disk.pacing.since(then.pacing),
            };
            (name.clone(), difference)
        });
        let of_vdisk = |vdisk: &VdiskStatus| vdisk.stream.account.difference();
        let of_group = |group: &GroupStatus| group.account.difference();
        ServerDifference {
            disks: disks.collect(),
            vdisks: streams_since(&self.vdisks, &earlier.vdisks, of_vdisk),
            groups: streams_since(&self.groups, &earlier.groups, of_group),
        }
    }

    fn background_since(
        &self,
        disk: &str,
        earlier: &ServerStatus,
    ) -> BTreeMap<String, StreamWindow> {
        let then = earlier.background.get(disk);
        let works = self.background.get(disk).into_iter().flatten();
        works
            .map(|(work, stream)| {
                let then = then.and_then(|works| works.get(work));
                let then = then.map(|stream| stream.account.windows.total);
                let now = stream.account.windows.total;
                (work.clone(), now.since(&then.unwrap_or_default()))
            })
            .collect()
    }
}

impl Account {
    /// Its counters since the start.
    fn difference(&self) -> StreamDifference {
        StreamDifference {
            window: self.windows.total,
            reserved_share: self.entitlement.reserved_share,
        }
    }
}

fn streams_since<S>(
    now: &BTreeMap<String, S>,
    earlier: &BTreeMap<String, S>,
    of: impl Fn(&S) -> StreamDifference,
) -> BTreeMap<String, StreamDifference> {
    now.iter()
        .map(|(name, stream)| {
            let mut difference = of(stream);
            let then = earlier.get(name).map(|stream| of(stream).window);
            difference.window = difference.window.since(&then.unwrap_or_default());
            (name.clone(), difference)
        })
        .collect()
}

#[cfg(test)]
mod tests;
