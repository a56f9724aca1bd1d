//! Which disks share a thread: those that histories join, because a log lies on one and its image
//! on another, and those that others join with them.
//!
//! Invariant: each disk is in one list; the lists and the disks in them are in file order.

use crate::configuration::Configuration;
use crate::configuration::Vdisk;

impl Configuration {
    /// The disks by the threads that serve them, by their positions.
    pub fn threads(&self) -> Vec<Vec<usize>> {
        // Of each disk, the first one that it is joined with.
        let mut firsts: Vec<usize> = (0..self.disks.len()).collect();
        for (one, other) in self.vdisks.iter().filter_map(|vdisk| self.joined_by(vdisk)) {
            let (kept, gone) = (
                firsts[one].min(firsts[other]),
                firsts[one].max(firsts[other]),
            );
            for first in &mut firsts {
                if *first == gone {
                    *first = kept;
                }
            }
        }
        let mut threads: Vec<Vec<usize>> = vec![Vec::new(); self.disks.len()];
        for (disk, first) in firsts.into_iter().enumerate() {
            threads[first].push(disk);
        }
        threads.retain(|disks| !disks.is_empty());
        threads
    }

    /// The names of the disks that share a thread, where several do, and the vdisks whose histories
    /// join them.
    pub(crate) fn shared_threads(&self) -> Vec<(Vec<&str>, Vec<&str>)> {
        let threads = self.threads().into_iter();
        let shared = threads.filter(|disks| disks.len() > 1).map(|disks| {
            let joins = |vdisk: &&Vdisk| {
                let joined = self.joined_by(vdisk);
                joined.is_some_and(|(image, _)| disks.contains(&image))
            };
            let vdisks = self.vdisks.iter().filter(joins);
            (
                disks
                    .iter()
                    .map(|at| &*self.disks[*at].name.value)
                    .collect(),
                vdisks.map(|vdisk| &*vdisk.name.value).collect(),
            )
        });
        shared.collect()
    }

    /// The disks of the image and of the log of a vdisk, if these are two.
    fn joined_by(&self, vdisk: &Vdisk) -> Option<(usize, usize)> {
        let log = vdisk.log_disk().or(vdisk.ended_log_disk.as_deref())?;
        let position = |name: &str| self.disks.iter().position(|disk| disk.name.value == name);
        let (image, log) = (position(&vdisk.disk.value)?, position(log)?);
        (image != log).then_some((image, log))
    }
}
