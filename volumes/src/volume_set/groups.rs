//! The streams of vdisks and of their groups.
//!
//! Invariants: a group has an account as long as it has members; the account is added before its
//! first member and removed with its last.

use super::VdiskConfig;
use disktime_disks::Disk;
use disktime_engine::{DiskLoop, StreamId};
use disktime_units::Nanos;

/// The groups of a set.
#[derive(Debug, Default)]
pub(super) struct Groups(Vec<Group>);

#[derive(Debug)]
struct Group {
    name: String,
    account: StreamId,
    members: Vec<StreamId>,
}

impl Groups {
    /// The account of a group.
    pub(super) fn account(&self, name: &str) -> Option<StreamId> {
        let group = self.0.iter().find(|group| group.name == name)?;
        Some(group.account)
    }

    /// Adds the stream of a vdisk, and its group's account where it is the first member.
    pub(super) fn add_stream<D: Disk>(
        &mut self,
        disk_loop: &mut DiskLoop<D>,
        now: Nanos,
        vdisk: &VdiskConfig,
    ) -> StreamId {
        let Some(config) = &vdisk.group else {
            return disk_loop.add_stream(now, vdisk.stream);
        };
        let known = self.0.iter().position(|group| group.name == config.name);
        let at = known.unwrap_or_else(|| {
            self.0.push(Group {
                name: config.name.clone(),
                account: disk_loop.add_group(now, config.stream),
                members: Vec::new(),
            });
            self.0.len() - 1
        });
        let group = &mut self.0[at];
        let member = disk_loop.add_member(now, group.account, vdisk.stream.weight);
        group.members.push(member);
        member
    }

    /// Removes the stream of a vdisk that has left.
    pub(super) fn remove_stream<D: Disk>(
        &mut self,
        disk_loop: &mut DiskLoop<D>,
        now: Nanos,
        stream: StreamId,
    ) {
        disk_loop.remove_stream(now, stream);
        let of = |group: &Group| group.members.contains(&stream);
        if let Some(at) = self.0.iter().position(of) {
            self.0[at].members.retain(|member| *member != stream);
            if self.0[at].members.is_empty() {
                let group = self.0.remove(at);
                disk_loop.remove_stream(now, group.account);
            }
        }
    }
}
