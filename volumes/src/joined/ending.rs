//! Histories that the file switches off, at the opening, before any client is served: each log is
//! folded into its image, closed, and freed.
//!
//! ```text
//!   opened ─► folded altogether ─► closed in good order ─► label without it ─► a plain vdisk
//! ```
//!
//! Where the log lies on another disk, the label of that disk says first that no image needs the
//! log, then the image's label is written without it, then the other one.
//!
//! Invariant: until the label of the log's disk says otherwise the log has everything, so that a
//! crash at any time leaves a history that the next opening gives up; after that the image has.

use super::JoinedSets;
use crate::driver::Driver;
use crate::ids::VdiskSlot;
use crate::label::Label;
use crate::volume_set::VolumeSet;
use crate::{PROGRESS_TARGET, VolumeError};
use disktime_disks::Disk;
use disktime_engine::{Reply, Service, VdiskId};
use disktime_history::UNIT_BYTES;
use disktime_units::{Nanos, format_size};

/// How often it is said how far a fold is.
const SAID_EVERY: Nanos = Nanos::from_secs(10);
/// A disk that did nothing for so long will not: longer than the tables of a log take to be read.
const STALLED: Nanos = Nanos::from_secs(600);

/// Why a history is not given up.
pub(super) enum NotEnded {
    /// The vdisk is served with it.
    Kept(String),
    /// The disk cannot be served.
    Failed(VolumeError),
}

impl From<VolumeError> for NotEnded {
    fn from(error: VolumeError) -> NotEnded {
        NotEnded::Failed(error)
    }
}

/// Sets with a vdisk whose history is given up.
struct EndingSets<'j, D: Disk, R: Driver> {
    joined: &'j mut JoinedSets<D>,
    driver: &'j mut R,
    /// The set.
    number: usize,
    vdisk: VdiskId,
    name: &'j str,
    replies: Vec<Reply>,
}

/// Gives up the history of the vdisk of that name of the set at `number`.
pub(super) fn end_history<D: Disk, R: Driver>(
    joined: &mut JoinedSets<D>,
    driver: &mut R,
    (number, name): (usize, &str),
) -> Result<(), NotEnded> {
    let vdisk = joined.sets[number].vdisk_id(name);
    let mut ending = EndingSets {
        vdisk: vdisk.ok_or_else(|| NotEnded::Kept("the vdisk is not served".to_owned()))?,
        joined,
        driver,
        number,
        name,
        replies: Vec::new(),
    };
    ending.require_known_labels()?;
    ending.fold()?;
    ending.close()?;
    ending.free()
}

impl<D: Disk, R: Driver> EndingSets<'_, D, R> {
    fn set(&mut self) -> &mut VolumeSet<D> {
        &mut self.joined.sets[self.number]
    }

    /// Labels that cannot be written without the log afterwards keep it.
    fn require_known_labels(&mut self) -> Result<(), NotEnded> {
        let (image, vdisk) = (self.number, self.vdisk);
        let log = self.set().log_set_of(vdisk).unwrap_or(image);
        for at in [image, log] {
            let label = self.joined.sets[at].require_known_label();
            label.map_err(NotEnded::Kept)?;
        }
        Ok(())
    }

    /// One turn, and the wait for the next one.
    fn turn(&mut self) -> Result<(), VolumeError> {
        let (wake, fds) = (self.joined.next_wake(), self.joined.wake_fds());
        self.driver.wait(wake, &fds)?;
        let now = self.driver.now();
        self.joined.turn(now, &mut self.replies);
        Ok(())
    }

    fn stalled(&mut self, since: Nanos) -> Result<(), VolumeError> {
        let doing = "switching a history off";
        match self.driver.now() > since + STALLED {
            true => Err(VolumeError::Stuck { doing }),
            false => Ok(()),
        }
    }

    fn fold(&mut self) -> Result<(), NotEnded> {
        let (mut all, mut before) = (0, None);
        let mut said = self.driver.now();
        let mut moved = said;
        let vdisk = self.vdisk;
        loop {
            let ending = self.set().advance_ending(vdisk).map_err(NotEnded::Kept)?;
            let Some(ending) = ending else {
                return Ok(());
            };
            let now = self.driver.now();
            if before.replace(ending) != Some(ending) {
                moved = now;
            }
            if all == 0 {
                all = ending.blocks_left;
                self.say(&format!(
                    "its history is switched off: {} move from the log into the vdisk",
                    format_size(all * UNIT_BYTES as u64)
                ));
            }
            if now >= said + SAID_EVERY {
                said = now;
                let done = all.saturating_sub(ending.blocks_left);
                self.say(&format!(
                    "switching its history off: {} % done",
                    done * 100 / all.max(1)
                ));
            }
            self.stalled(moved)?;
            self.turn()?;
        }
    }

    fn close(&mut self) -> Result<(), NotEnded> {
        let (since, vdisk) = (self.driver.now(), self.vdisk);
        while !self.set().advance_closing(vdisk).map_err(NotEnded::Kept)? {
            self.stalled(since)?;
            self.turn()?;
        }
        Ok(())
    }

    fn free(&mut self) -> Result<(), NotEnded> {
        let (image, vdisk) = (self.number, self.vdisk);
        let log = self.set().log_set_of(vdisk).unwrap_or(image);
        let uuid = self.set().uuid(vdisk).unwrap_or_default();
        if log != image {
            let given_up = self.joined.sets[log].begin_giving_up(uuid)?;
            self.write_label(log, given_up)?;
        }
        let freed = self.joined.sets[image].begin_freeing(uuid)?;
        self.write_label(image, freed)?;
        if let Some(log_slot) = self.set().detach_history(vdisk) {
            self.leave(log, log_slot)?;
        }
        if log != image {
            let freed = self.joined.sets[log].begin_freeing(uuid)?;
            self.write_label(log, freed)?;
        }
        self.say("its history is switched off, and the space of its log is free");
        Ok(())
    }

    /// The label of the set at a position, whose writing has begun, is `next`.
    fn write_label(&mut self, at: usize, next: Label) -> Result<(), VolumeError> {
        let since = self.driver.now();
        loop {
            let (now, mut replies) = (self.driver.now(), std::mem::take(&mut self.replies));
            match self.joined.sets[at].advance_label(now, &mut replies) {
                Some(Ok(())) => {
                    self.joined.sets[at].label_is_written(next);
                    return Ok(());
                }
                Some(Err(_)) => return Err(VolumeError::UpdateFailed),
                None => {}
            }
            self.stalled(since)?;
            self.turn()?;
        }
    }

    /// The slot of the log leaves the set at `log`; then its streams are gone, too.
    fn leave(&mut self, log: usize, log_slot: VdiskSlot) -> Result<(), VolumeError> {
        let since = self.driver.now();
        self.joined.sets[log].remove_log_slot(log_slot);
        while !self.joined.sets[log].has_left(log_slot) {
            self.stalled(since)?;
            self.turn()?;
        }
        let now = self.driver.now();
        for at in [self.number, log] {
            self.joined.sets[at].remove_history_streams(now, self.name);
        }
        Ok(())
    }

    fn say(&self, sentence: &str) {
        tracing::info!(target: PROGRESS_TARGET, vdisk = %self.name, "{sentence}");
    }
}
