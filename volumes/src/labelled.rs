//! A disk with its label: find it, write it, change it, always through the disk's loop.
//!
//! ```text
//!   open ── reading ── inspect ──┬── unwritten: formatted at the first change
//!                                └── found, perhaps with a copy to heal
//!   apply, remove, rename, write_format, settle ── writing ── Update's steps ── DiskLoop
//! ```
//!
//! Invariants: zero maps and rooms are durable before the table that names them; space stops being
//! called known zero, durably, before anything is written to it; a damaged or older copy is healed
//! before the label is changed; nothing is written when a change is refused, and nothing at all by
//! opening. A disk that holds no data (a pure model) keeps its label in memory only.

mod clones;
mod reading;
mod times;
mod writing;

use crate::VolumeError;
use crate::driver::{Blocking, Driver};
use crate::inspect::Healing;
use crate::label::{EXTENT_ALIGNMENT_BYTES, Label, Uuid};
use crate::space::{self, Plan, VdiskSpec};
use disktime_disks::Disk;
use disktime_engine::{DiskLoop, StreamConfig, StreamId};
use disktime_units::{BackgroundWork, ByBackgroundWork};

pub use clones::{RecordedClone, RecordedClones};

/// What may be done with a disk that has no label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Nothing: it is an error.
    Refuse,
    /// Format it if its head and tail are all zeroes. `known_zero`: the caller knows that all of
    /// it reads as zeroes (a sparse file that was just made).
    IfBlank {
        /// Whether the whole disk reads as zeroes.
        known_zero: bool,
    },
    /// Format it whatever it holds, a label included: all vdisks on it are lost.
    Force {
        /// Whether the whole disk reads as zeroes, apart from what a label put there.
        known_zero: bool,
    },
}

impl Format {
    fn is_forced(self) -> bool {
        matches!(self, Format::Force { .. })
    }

    fn knows_zeroes(self) -> bool {
        matches!(
            self,
            Format::IfBlank { known_zero: true } | Format::Force { known_zero: true }
        )
    }
}

/// How to open a disk.
#[derive(Debug, Clone, Copy)]
pub struct OpenOptions {
    /// What may be done without a label.
    pub format: Format,
    /// For the uuid of a disk that is formatted now: random, or fixed for a run that is repeated.
    pub uuid_seed: u64,
    /// What the streams of the disk's background work get; metadata is the label and the zero maps.
    pub background: ByBackgroundWork<StreamConfig>,
}

/// A disk whose label is known.
pub struct LabelledDisk<D: Disk> {
    disk_loop: DiskLoop<D>,
    label: Label,
    /// The streams of background work, the first of the disk.
    background: ByBackgroundWork<StreamId>,
    /// Which copy an update writes first: in version 2 copy 0, else the one that does not count.
    first_copy: usize,
    /// Formatting was decided but is not written yet.
    unwritten: bool,
    /// Both copies were found whole and the same.
    copies_agree: bool,
    /// A copy has to be written again.
    healing: Option<Healing>,
    /// A step of an update failed: what is on the disk is not known.
    update_failed: bool,
    /// What formatting by force destroys, by name.
    overwrites: Vec<String>,
    /// What people should be told.
    messages: Vec<String>,
}

/// Smallest disk: the label and one extent.
const MIN_DISK_BYTES: u64 = 2 * EXTENT_ALIGNMENT_BYTES;

impl<D: Disk> LabelledDisk<D> {
    /// Reads the label, or decides to format. Nothing is written yet; formatting and healing happen
    /// with the first change, or with [`LabelledDisk::write_format`].
    ///
    /// # Errors
    /// A foreign, damaged or truncated disk; a label that this program does not understand; the
    /// disk's own failures.
    pub fn open<R: Driver>(
        mut disk_loop: DiskLoop<D>,
        driver: &mut R,
        options: OpenOptions,
    ) -> Result<LabelledDisk<D>, VolumeError> {
        let size_bytes = disk_loop.properties().size_bytes;
        let background = ByBackgroundWork::from_fn(|work| {
            disk_loop.add_stream(driver.now(), *options.background.get(work))
        });
        if size_bytes < MIN_DISK_BYTES {
            return Err(VolumeError::TooSmall {
                size_bytes,
                needed_bytes: MIN_DISK_BYTES,
            });
        }
        let uuid = Uuid::derive(options.uuid_seed, &[b"disk", &size_bytes.to_le_bytes()]);
        let mut disk = LabelledDisk {
            disk_loop,
            label: Label::empty(uuid, size_bytes, options.format.knows_zeroes()),
            background,
            first_copy: 1,
            unwritten: true,
            copies_agree: true,
            healing: None,
            update_failed: false,
            overwrites: Vec::new(),
            messages: Vec::new(),
        };
        if disk.holds_data() {
            disk.read_label(driver, options.format)?;
        }
        Ok(disk)
    }

    /// The table.
    pub fn label(&self) -> &Label {
        &self.label
    }

    /// Whether the disk has no label yet: one is written with the first change.
    pub fn is_new(&self) -> bool {
        self.unwritten
    }

    /// Vdisks that `specs` does not name, with their sizes.
    pub fn orphans(&self, specs: &[VdiskSpec]) -> Vec<(String, u64)> {
        space::orphans(&self.label, specs)
    }

    /// What formatting by force destroys: each vdisk of the label with its size, or what else was
    /// found. Empty where the disk looks blank.
    pub fn overwrites(&self) -> &[String] {
        &self.overwrites
    }

    /// Bytes free for vdisks and their zero maps.
    pub fn free_bytes(&self) -> u64 {
        space::free_bytes(&self.label)
    }

    /// What people should be told of what was done so far, as sentences.
    pub fn take_messages(&mut self) -> Vec<String> {
        std::mem::take(&mut self.messages)
    }

    /// Writes the label of a disk that was opened to be formatted, if that is not done yet, or
    /// heals the one that is there.
    ///
    /// # Errors
    /// The disk's failures.
    pub fn write_format<R: Driver>(&mut self, driver: &mut R) -> Result<(), VolumeError> {
        if self.update_failed {
            return Err(VolumeError::UpdateFailed);
        }
        if self.unwritten {
            self.format(driver)
        } else {
            self.heal(driver)
        }
    }

    /// Carries a plan out.
    ///
    /// # Errors
    /// The disk's failures; the table is then the old or the new one.
    pub fn apply<R: Driver>(&mut self, driver: &mut R, plan: Plan) -> Result<(), VolumeError> {
        debug_assert!(
            plan.label().generation() == self.label.generation(),
            "the plan is for another table"
        );
        if plan.is_empty() && !self.unwritten {
            return Ok(());
        }
        if self.is_read_only() {
            return Err(VolumeError::ReadOnlyDisk);
        }
        self.write_format(driver)?;
        if plan.is_empty() {
            return Ok(());
        }
        if plan.writes_ahead() {
            self.end_known_zero_as_in(driver, plan.label())?;
            self.write_maps(driver, plan.new_maps())?;
            self.format_logs(driver, plan.new_histories())?;
        }
        self.change(driver, plan.into_label())
    }

    /// Writes the table with the records of vdisks whose logs lie on other disks, now that those
    /// are there.
    ///
    /// # Errors
    /// The disk's failures; the table is then the old or the new one.
    pub(crate) fn link<R: Driver>(
        &mut self,
        driver: &mut R,
        linked: Label,
    ) -> Result<(), VolumeError> {
        if self.is_read_only() {
            return Err(VolumeError::ReadOnlyDisk);
        }
        self.end_known_zero_as_in(driver, &linked)?;
        self.change(driver, linked)
    }

    /// Space that `next` uses stops being called known zero, durably, before it is written to.
    fn end_known_zero_as_in<R: Driver>(
        &mut self,
        driver: &mut R,
        next: &Label,
    ) -> Result<(), VolumeError> {
        let (zero_from, _) = next.known_zero();
        if zero_from <= self.label.known_zero().0 {
            return Ok(());
        }
        let mut marked = self.label.clone();
        marked.end_known_zero_before(zero_from);
        self.change(driver, marked)
    }

    /// Gives a vdisk another name. Its uuid, data and times stay.
    ///
    /// # Errors
    /// When there is no such vdisk, or the new name is taken or does not fit; the disk's failures.
    pub fn rename<R: Driver>(
        &mut self,
        driver: &mut R,
        old: &str,
        new: &str,
    ) -> Result<(), VolumeError> {
        let (next, takes_rooms) = space::renamed(&self.label, old, new)?;
        if self.is_read_only() {
            return Err(VolumeError::ReadOnlyDisk);
        }
        if takes_rooms {
            self.end_known_zero_as_in(driver, &next)?;
        }
        self.change(driver, next)
    }

    /// Frees a vdisk. Its data is lost.
    ///
    /// # Errors
    /// When there is no such vdisk, or a clone begins with a moment of it; the disk's failures.
    pub fn remove<R: Driver>(&mut self, driver: &mut R, name: &str) -> Result<(), VolumeError> {
        let next = space::without(&self.label, name)?;
        if self.is_read_only() {
            return Err(VolumeError::ReadOnlyDisk);
        }
        self.refuse_cloned(driver, name)?;
        self.change(driver, next)
    }

    /// Frees the log of a vdisk of another disk; whether there was one. Its newest data is lost.
    ///
    /// # Errors
    /// When a clone begins with a moment of it; the disk's failures.
    pub fn remove_log<R: Driver>(
        &mut self,
        driver: &mut R,
        (name, vdisk): (&str, Uuid),
    ) -> Result<bool, VolumeError> {
        let disk = self.label.disk_uuid();
        let log = self.label.history_of(vdisk);
        if log.is_none_or(|log| log.image_disk() == disk) {
            return Ok(false);
        }
        self.refuse_log_of_cloned(driver, (name, vdisk))?;
        self.free_log(driver, vdisk)?;
        Ok(true)
    }

    /// Frees a log that nothing needs.
    pub(crate) fn free_log<R: Driver>(
        &mut self,
        driver: &mut R,
        vdisk: Uuid,
    ) -> Result<(), VolumeError> {
        if self.is_read_only() {
            return Err(VolumeError::ReadOnlyDisk);
        }
        let next = space::without_log(&self.label, vdisk)?;
        self.change(driver, next)
    }

    /// The loop, for its properties and its report.
    pub fn disk_loop(&self) -> &DiskLoop<D> {
        &self.disk_loop
    }

    /// The loop, for the streams of vdisks.
    pub(crate) fn disk_loop_mut(&mut self) -> &mut DiskLoop<D> {
        &mut self.disk_loop
    }

    /// Makes durable what was found, and both copies of the label the same: after a killed server
    /// the label and the zero maps that were read may still be in a volatile cache, and promises
    /// are about to rest on them.
    pub(crate) fn settle<R: Driver>(&mut self, driver: &mut R) -> Result<(), VolumeError> {
        if self.is_read_only() {
            self.messages.push(
                "it cannot be written to (a read-only file system, `chattr +i`, a write-protected \
                 device), so its vdisks are served for reading only; make it writable and start \
                 the server again to write"
                    .to_owned(),
            );
            return Ok(());
        }
        if !self.holds_data() {
            return Ok(());
        }
        match self.heal(driver) {
            // The other copy is whole, and no update follows: `update_failed` is set.
            Err(error) if error.is_bad_sector() => self.messages.push(format!(
                "{error}; one copy of the label stays damaged. The vdisks are served by the other \
                 one, and none can be made, grown or freed until the disk takes that write"
            )),
            healed => healed?,
        }
        // Of a flush that failed while healing this one fails, too.
        self.blocking(driver).flush("making the label durable")
    }

    /// The stream of a kind of background work.
    pub(crate) fn background(&self, work: BackgroundWork) -> StreamId {
        *self.background.get(work)
    }

    /// The disk's loop, and the streams of background work.
    pub(crate) fn into_parts(self) -> (DiskLoop<D>, ByBackgroundWork<StreamId>) {
        (self.disk_loop, self.background)
    }

    /// Gives the disk's loop back.
    pub fn into_disk_loop(self) -> DiskLoop<D> {
        self.disk_loop
    }

    /// Whether the disk could only be opened for reading.
    pub fn is_read_only(&self) -> bool {
        self.disk_loop.disk().is_read_only()
    }

    pub(crate) fn holds_data(&self) -> bool {
        self.disk_loop.properties().capabilities.holds_data
    }

    pub(crate) fn blocking<'a, R: Driver>(&'a mut self, driver: &'a mut R) -> Blocking<'a, D, R> {
        let metadata = self.background(BackgroundWork::Metadata);
        Blocking::new(&mut self.disk_loop, driver, metadata)
    }
}
