//! Reading metadata while requests are served, for a vdisk that is being added.
//!
//! The caller waits; what completes meanwhile goes its way, and the replies are handed out by the
//! next turn.

use super::DataPath;
use crate::VolumeError;
use crate::driver::Driver;
use crate::target::{DiskIndex, Target};
use disktime_disks::Disk;
use disktime_units::Nanos;

impl<D: Disk> DataPath<D> {
    /// Something is to be sent: the next turn is due now.
    pub(crate) fn want_turn(&mut self) {
        self.turn_due = true;
    }

    /// The time of day, in nanoseconds since 1970.
    pub(crate) fn since_1970_ns(&self, now: Nanos) -> u64 {
        self.wall_clock.since_1970_ns(now)
    }

    /// Reads `len_bytes` at `offset_bytes`, paid by the stream of the metadata; `doing` is for the
    /// error.
    ///
    /// # Errors
    /// The disk's failures.
    pub(crate) fn read_metadata<R: Driver>(
        &mut self,
        driver: &mut R,
        doing: &'static str,
        offset_bytes: u64,
        len_bytes: u64,
    ) -> Result<Vec<u8>, VolumeError> {
        let quantum = self.io.abilities().grain().quantum_bytes();
        let mut bytes = Vec::with_capacity(len_bytes as usize);
        while (bytes.len() as u64) < len_bytes {
            let done = bytes.len() as u64;
            let target = Target::new(DiskIndex::FIRST, offset_bytes + done, self.metadata);
            self.wait_until(driver, doing, |path| path.io.has_room())?;
            let piece = quantum.min(len_bytes - done);
            // An answer that a failed wait left behind is not this one's.
            self.metadata_read = None;
            self.metadata_reads += 1;
            self.io
                .send_metadata_read(driver.now(), self.metadata_reads, target, piece);
            self.wait_until(driver, doing, |path| path.metadata_read.is_some())?;
            let Some(answer) = self.metadata_read.take() else {
                continue;
            };
            answer
                .result
                .map_err(|source| VolumeError::Disk { doing, source })?;
            bytes.extend(answer.buffer.iter().flat_map(|buffer| buffer.iter()));
            self.io.put_back(answer.buffer);
        }
        Ok(bytes)
    }

    fn wait_until<R: Driver>(
        &mut self,
        driver: &mut R,
        doing: &'static str,
        is_reached: impl Fn(&Self) -> bool,
    ) -> Result<(), VolumeError> {
        loop {
            self.advance(driver.now());
            // Replies that came meanwhile are handed out by the next turn.
            self.turn_due = !self.replies.is_empty() || !self.left.is_empty();
            if is_reached(self) {
                return Ok(());
            }
            let (wake, fd) = (
                self.io.disk_loop().next_wake(),
                self.io.disk_loop().wake_fd(),
            );
            if wake.is_none() && fd.is_none() {
                return Err(VolumeError::Stuck { doing });
            }
            driver.wait(wake, fd.as_slice())?;
        }
    }
}
