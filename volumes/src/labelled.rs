//! A disk with its label: find it, write it, change it, always through the disk's loop.
//!
//! Invariants: what counts is never overwritten (an update goes to the other copy, between two
//! flushes); zero maps are durable before the table that names them; space stops being called
//! known zero before anything is written to it; nothing is written when a change is refused.
//! A disk that holds no data (a pure model) keeps its label in memory only.

use crate::VolumeError;
use crate::driver::{Blocking, Driver};
use crate::foreign;
use crate::inspect::{newest, refuse_foreign, refuse_later_version};
use crate::label::{
    COPY_CAPACITY_BYTES, COPY_OFFSETS, EXTENT_ALIGNMENT_BYTES, Label, UNIT_BYTES, Uuid,
};
use crate::space::{self, Plan, VdiskSpec};
use crate::zero_map::{MapKey, ZeroMap};
use disktime_disks::Disk;
use disktime_engine::{DiskLoop, StreamConfig, StreamId};

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

/// How to open a disk.
#[derive(Debug, Clone, Copy)]
pub struct OpenOptions {
    /// What may be done without a label.
    pub format: Format,
    /// For the uuid of a disk that is formatted now: random, or fixed for a run that is repeated.
    pub uuid_seed: u64,
    /// What the `system` stream gets, which pays for the label and the zero maps.
    pub system: StreamConfig,
}

/// A disk whose label is known.
pub struct LabelledDisk<D: Disk> {
    pub(crate) disk_loop: DiskLoop<D>,
    pub(crate) label: Label,
    pub(crate) system: StreamId,
    /// Which copy counts; the other one is written next.
    current_copy: usize,
    /// Formatting was decided but is not written yet.
    unwritten: bool,
    /// What people should be told.
    pub(crate) messages: Vec<String>,
}

/// Smallest disk: the label and one extent.
const MIN_DISK_BYTES: u64 = 2 * EXTENT_ALIGNMENT_BYTES;

impl<D: Disk> LabelledDisk<D> {
    /// Reads the label, or decides to format. Nothing is written yet; formatting happens with the
    /// first change, or with [`LabelledDisk::write_format`].
    ///
    /// # Errors
    /// A foreign, damaged or truncated disk; the disk's own failures.
    pub fn open<R: Driver>(
        mut disk_loop: DiskLoop<D>,
        driver: &mut R,
        options: OpenOptions,
    ) -> Result<LabelledDisk<D>, VolumeError> {
        let size_bytes = disk_loop.properties().size_bytes;
        let system = disk_loop.add_stream(driver.now(), options.system);
        if size_bytes < MIN_DISK_BYTES {
            return Err(VolumeError::TooSmall {
                size_bytes,
                needed_bytes: MIN_DISK_BYTES,
            });
        }
        let fresh = |known_zero| {
            let uuid = Uuid::derive(options.uuid_seed, &[b"disk", &size_bytes.to_le_bytes()]);
            Label::empty(uuid, size_bytes, known_zero)
        };
        let mut disk = LabelledDisk {
            disk_loop,
            label: fresh(matches!(
                options.format,
                Format::IfBlank { known_zero: true } | Format::Force { known_zero: true }
            )),
            system,
            current_copy: 0,
            unwritten: true,
            messages: Vec::new(),
        };
        if disk.holds_data() {
            disk.look(driver, options.format)?;
        }
        Ok(disk)
    }

    /// The table.
    pub fn label(&self) -> &Label {
        &self.label
    }

    /// Vdisks that `specs` does not name, with their sizes.
    pub fn orphans(&self, specs: &[VdiskSpec]) -> Vec<(String, u64)> {
        let named = |name: &str| specs.iter().any(|spec| spec.name == name);
        let vdisks = self.label.vdisks.iter().filter(|vdisk| !named(&vdisk.name));
        vdisks
            .map(|vdisk| (vdisk.name.clone(), vdisk.size_bytes))
            .collect()
    }

    /// Bytes free for vdisks and their zero maps.
    pub fn free_bytes(&self) -> u64 {
        space::free_bytes(&self.label)
    }

    /// Writes the label of a disk that was opened to be formatted, if that is not done yet.
    ///
    /// # Errors
    /// The disk's failures.
    pub fn write_format<R: Driver>(&mut self, driver: &mut R) -> Result<(), VolumeError> {
        if !self.unwritten {
            return Ok(());
        }
        self.unwritten = false;
        if !self.holds_data() {
            return Ok(());
        }
        // Whole copies, so that the signatures of what was there before are gone as well. Both
        // are written before any vdisk exists: a crash in between leaves an empty table.
        for _ in 0..2 {
            self.label.generation += 1;
            let mut copy = self.label.encode()?;
            copy.resize(COPY_CAPACITY_BYTES, 0);
            self.write_copy(driver, "formatting", &copy)?;
        }
        self.wipe_tail(driver)
    }

    /// Carries a plan out.
    ///
    /// # Errors
    /// The disk's failures; the table is then the old or the new one.
    pub fn apply<R: Driver>(&mut self, driver: &mut R, plan: Plan) -> Result<(), VolumeError> {
        let (before, known_zero_from) = (self.label.generation, plan.label.known_zero_from);
        self.write_format(driver)?;
        if plan.is_empty() {
            return Ok(());
        }
        debug_assert!(
            plan.label.generation == before + 1,
            "the plan is for another table"
        );
        if !plan.new_maps.is_empty() {
            if known_zero_from > self.label.known_zero_from {
                let mut marked = self.label.clone();
                marked.known_zero_from = known_zero_from;
                self.write_label(driver, marked)?;
            }
            self.write_maps(driver, &plan)?;
        }
        self.write_label(driver, plan.label)
    }

    /// Frees a vdisk. Its data is lost.
    ///
    /// # Errors
    /// When there is no such vdisk; the disk's failures.
    pub fn remove<R: Driver>(&mut self, driver: &mut R, name: &str) -> Result<(), VolumeError> {
        let next = space::without(&self.label, name)?;
        self.write_label(driver, next)
    }

    /// The loop, for a look at its report.
    pub fn disk_loop(&self) -> &DiskLoop<D> {
        &self.disk_loop
    }

    /// Makes durable what was found: after a killed server the label and the zero maps that were
    /// read may still be in a volatile cache, and promises are about to rest on them.
    pub(crate) fn settle<R: Driver>(&mut self, driver: &mut R) -> Result<(), VolumeError> {
        if self.holds_data() {
            self.blocking(driver).flush("making the label durable")?;
        }
        Ok(())
    }

    /// Gives the disk's loop back.
    pub fn into_disk_loop(self) -> DiskLoop<D> {
        self.disk_loop
    }

    pub(crate) fn holds_data(&self) -> bool {
        self.disk_loop.properties().capabilities.holds_data
    }

    pub(crate) fn blocking<'a, R: Driver>(&'a mut self, driver: &'a mut R) -> Blocking<'a, D, R> {
        Blocking::new(&mut self.disk_loop, driver, self.system)
    }

    fn look<R: Driver>(&mut self, driver: &mut R, format: Format) -> Result<(), VolumeError> {
        let size_bytes = self.label.size_bytes;
        let mut disk = self.blocking(driver);
        let head = disk.read("reading the label", 0, foreign::HEAD_BYTES)?;
        let copies = COPY_OFFSETS.map(|at| {
            let start = at as usize;
            Label::decode(&head[start..start + COPY_CAPACITY_BYTES])
        });
        let forced = matches!(format, Format::Force { .. });
        if !forced {
            refuse_later_version(&copies)?;
        }
        if let Some((copy, label)) = newest(&copies) {
            return self.take_found(copy, label.clone(), size_bytes, forced);
        }
        if forced {
            return Ok(());
        }
        let tail_bytes = foreign::TAIL_BYTES.min(size_bytes - foreign::HEAD_BYTES);
        let tail = disk.read(
            "reading the end of the disk",
            size_bytes - tail_bytes,
            tail_bytes,
        )?;
        refuse_foreign(&head, &tail, &copies)?;
        match format {
            Format::Refuse => Err(VolumeError::Unlabelled),
            Format::IfBlank { .. } | Format::Force { .. } => Ok(()),
        }
    }

    /// A whole copy was found: it is the table, or what a forced format has to outnumber.
    fn take_found(
        &mut self,
        copy: usize,
        found: Label,
        size_bytes: u64,
        forced: bool,
    ) -> Result<(), VolumeError> {
        self.current_copy = copy;
        if forced {
            self.label.generation = found.generation;
            return Ok(());
        }
        self.unwritten = false;
        self.label = found;
        if self.label.used_end() > size_bytes {
            let needed_bytes = self.label.used_end();
            return Err(VolumeError::Truncated {
                size_bytes,
                needed_bytes,
            });
        }
        // A disk that grew has more free space; nothing is known of what is in it.
        self.label.known_zero_to = self.label.known_zero_to.min(size_bytes);
        self.label.size_bytes = size_bytes;
        Ok(())
    }

    fn write_maps<R: Driver>(&mut self, driver: &mut R, plan: &Plan) -> Result<(), VolumeError> {
        if !self.holds_data() {
            return Ok(());
        }
        let disk_uuid = self.label.disk_uuid;
        let mut disk = self.blocking(driver);
        for (vdisk_uuid, extent) in &plan.new_maps {
            let Some(map_offset_bytes) = extent.map_offset_bytes else {
                continue;
            };
            let key = MapKey::new(*vdisk_uuid, disk_uuid, map_offset_bytes);
            let bytes = ZeroMap::encode_fresh(&key, extent.len_bytes);
            disk.write("writing a zero map", map_offset_bytes, &bytes)?;
        }
        disk.flush("making a zero map durable")
    }

    /// Makes `next` the table: written over the copy that does not count.
    fn write_label<R: Driver>(
        &mut self,
        driver: &mut R,
        mut next: Label,
    ) -> Result<(), VolumeError> {
        next.generation = self.label.generation + 1;
        let copy = next.encode()?;
        if self.holds_data() {
            self.write_copy(driver, "writing the label", &copy)?;
        }
        self.label = next;
        Ok(())
    }

    fn write_copy<R: Driver>(
        &mut self,
        driver: &mut R,
        doing: &'static str,
        copy: &[u8],
    ) -> Result<(), VolumeError> {
        debug_assert!(copy.len().is_multiple_of(UNIT_BYTES));
        let other = 1 - self.current_copy;
        let mut disk = self.blocking(driver);
        // The copy that counts may still be in a volatile cache if its writer was killed.
        disk.flush(doing)?;
        disk.write(doing, COPY_OFFSETS[other], copy)?;
        disk.flush(doing)?;
        self.current_copy = other;
        Ok(())
    }

    /// The backup of a partition table would come back to life under some tools.
    fn wipe_tail<R: Driver>(&mut self, driver: &mut R) -> Result<(), VolumeError> {
        let size_bytes = self.label.size_bytes;
        let tail_bytes = foreign::TAIL_BYTES.min(size_bytes - foreign::HEAD_BYTES);
        let mut disk = self.blocking(driver);
        let tail = disk.read(
            "reading the end of the disk",
            size_bytes - tail_bytes,
            tail_bytes,
        )?;
        if tail.iter().all(|byte| *byte == 0) {
            return Ok(());
        }
        disk.write("formatting", size_bytes - tail_bytes, &vec![0; tail.len()])?;
        disk.flush("formatting")
    }
}
