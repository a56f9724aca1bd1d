//! What goes wrong: losses of power, kills, writes that fail or find no space.

use super::{Driver, Job};
use crate::disk::{Disk, SECTOR_BYTES};
use disktime_history::{IoFailed, IoId};
use disktime_random::SplitMix64;

impl Driver {
    /// Power is lost, whatever is in flight.
    pub(crate) fn crash(mut self, random: &mut SplitMix64) -> (Disk, Disk) {
        for job in std::mem::take(&mut self.jobs) {
            if let Job::Write(_, offset, bytes, _) = job {
                self.disk.interrupt(offset, &bytes);
            }
        }
        self.disk.crash(random);
        self.image.crash(random);
        (self.disk, self.image)
    }

    /// The server is killed: what it wrote is in the cache of the kernel, and of what is in flight
    /// some beginning.
    pub(crate) fn kill(mut self, random: &mut SplitMix64) -> (Disk, Disk) {
        for job in std::mem::take(&mut self.jobs) {
            if let Job::Write(_, offset, bytes, _) = job {
                let sectors = bytes.len() / SECTOR_BYTES;
                let kept = match random.below(3) {
                    0 => 0,
                    1 => random.below(sectors as u64 + 1) as usize,
                    _ => sectors,
                };
                self.disk.write(offset, &bytes[..kept * SECTOR_BYTES]);
            }
        }
        (self.disk, self.image)
    }

    /// A write in flight fails; whether there was one.
    pub(crate) fn fail_a_write(&mut self) -> bool {
        self.fail_first(|job| matches!(job, Job::Write(..)))
    }

    /// A flush in flight fails; whether there was one.
    pub(crate) fn fail_a_flush(&mut self) -> bool {
        self.fail_first(|job| matches!(job, Job::Flush(..)))
    }

    fn fail_first(&mut self, is_it: impl Fn(&Job) -> bool) -> bool {
        self.take_steps();
        let Some(at) = self.jobs.iter().position(is_it) else {
            return false;
        };
        if let Job::Write(io, ..) | Job::Flush(io, ..) = self.jobs.remove(at) {
            self.log.complete(io, Err(IoFailed));
        }
        self.take_notices();
        true
    }

    /// A write finds no space: all of its sectors but some are written. One of those that are not
    /// differs from what is there: the batch is not whole.
    pub(super) fn end_without_space(&mut self, io: IoId, offset: usize, bytes: &[u8]) {
        let mut random = SplitMix64::new(self.clock_ns);
        let there = self.disk.bytes[offset..].chunks(SECTOR_BYTES);
        let sectors = bytes.chunks(SECTOR_BYTES).zip(there).enumerate();
        let differ = sectors.filter(|(_, (new, there))| new != there);
        let differ: Vec<usize> = differ.map(|(index, _)| index).collect();
        let missing = differ[random.below(differ.len() as u64) as usize];
        for (index, sector) in bytes.chunks(SECTOR_BYTES).enumerate() {
            if index != missing && random.below(4) > 0 {
                self.disk.write(offset + index * SECTOR_BYTES, sector);
            }
        }
        self.log.complete_without_space(io);
    }
}
