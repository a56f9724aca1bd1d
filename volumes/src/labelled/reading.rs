//! Reads the label of a disk and decides what it is.

use super::{Format, LabelledDisk};
use crate::VolumeError;
use crate::driver::Driver;
use crate::foreign;
use crate::inspect::{Copies, Found, find, refuse_foreign, refuse_overwritten, refuse_unknown};
use crate::label::{
    COPY_CAPACITY_BYTES, COPY_OFFSETS, CopyDefect, Draft, Label, UNIT_BYTES, VERSION,
};
use disktime_disks::Disk;
use disktime_units::format_size;

const READING: &str = "reading the label";

impl<D: Disk> LabelledDisk<D> {
    /// Takes the label that is there, or leaves the disk to be formatted if that is allowed.
    pub(super) fn read_label<R: Driver>(
        &mut self,
        driver: &mut R,
        format: Format,
    ) -> Result<(), VolumeError> {
        let mut unread = Vec::new();
        let head = self.read_head(driver, &mut unread)?;
        let copies = self.read_copies(driver, &head, format, &mut unread)?;
        if !format.is_forced() {
            refuse_unknown(&copies)?;
            refuse_overwritten(&head, &copies)?;
        }
        let defects = [0, 1].map(|at: usize| defect(&copies[at]));
        let found = find(copies);
        if !format.is_forced() {
            self.accept_unread(found.as_ref(), unread)?;
        }
        if let Some(found) = found {
            return self.take_found(found, format.is_forced());
        }
        if format.is_forced() {
            let tail = self.read_tail(driver)?;
            self.overwrites.extend(foreign::identify(&head, &tail));
            return Ok(());
        }
        let tail = self.read_tail(driver)?;
        refuse_foreign(&head, &tail, &defects)?;
        match format {
            Format::Refuse => Err(VolumeError::Unlabelled),
            Format::IfBlank { .. } | Format::Force { .. } => Ok(()),
        }
    }

    /// The first MiB. Units that the disk fails to read are zeroes, and their errors in `unread`.
    fn read_head<R: Driver>(
        &mut self,
        driver: &mut R,
        unread: &mut Vec<VolumeError>,
    ) -> Result<Vec<u8>, VolumeError> {
        let mut disk = self.blocking(driver);
        match disk.read(READING, 0, foreign::HEAD_BYTES) {
            Err(error) if error.is_bad_sector() => {}
            read => return read,
        }
        let mut head = Vec::with_capacity(foreign::HEAD_BYTES as usize);
        for at in (0..foreign::HEAD_BYTES).step_by(UNIT_BYTES) {
            match disk.read(READING, at, UNIT_BYTES as u64) {
                Ok(unit) => head.extend(unit),
                Err(error) if error.is_bad_sector() => {
                    head.resize(head.len() + UNIT_BYTES, 0);
                    unread.push(error);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(head)
    }

    /// What could not be read is no reason to refuse a label of which a copy is whole: both copies
    /// have the newest table. In version 1 what could not be read may be newer.
    fn accept_unread(
        &mut self,
        found: Option<&Found>,
        unread: Vec<VolumeError>,
    ) -> Result<(), VolumeError> {
        let is_enough = found.is_some_and(|found| found.label.version() == VERSION);
        match unread.into_iter().next() {
            Some(error) if !is_enough => Err(error),
            Some(error) => {
                let message = format!("{error}; a whole copy of the label was found nevertheless");
                self.messages.push(message);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Both copies, each with its sections outside.
    fn read_copies<R: Driver>(
        &mut self,
        driver: &mut R,
        head: &[u8],
        format: Format,
        unread: &mut Vec<VolumeError>,
    ) -> Result<Copies, VolumeError> {
        let mut copies = [Err(CopyDefect::NoMagic), Err(CopyDefect::NoMagic)];
        for (copy, read) in copies.iter_mut().enumerate() {
            let start = COPY_OFFSETS[copy] as usize;
            let bytes = &head[start..start + COPY_CAPACITY_BYTES];
            *read = match Draft::decode(bytes) {
                Ok(draft) => {
                    let outside = self.read_outside(driver, copy, draft, format);
                    match outside {
                        Err(error) if error.is_bad_sector() => {
                            unread.push(error);
                            Err(CopyDefect::Damaged("a section cannot be read"))
                        }
                        read => read?,
                    }
                }
                Err(defect) => Err(defect),
            };
        }
        Ok(copies)
    }

    fn read_outside<R: Driver>(
        &mut self,
        driver: &mut R,
        copy: usize,
        mut draft: Draft,
        format: Format,
    ) -> Result<Result<Label, CopyDefect>, VolumeError> {
        let size_bytes = self.disk_loop.properties().size_bytes;
        for section in draft.outside() {
            let needed_bytes = section.end();
            if needed_bytes > size_bytes {
                if format.is_forced() {
                    let defect = CopyDefect::Damaged("a section lies behind the end of the disk");
                    return Ok(Err(defect));
                }
                return Err(VolumeError::Truncated {
                    size_bytes,
                    needed_bytes,
                });
            }
            let (offset_bytes, len_bytes) = section.replica(copy);
            let mut disk = self.blocking(driver);
            let bytes = disk.read(READING, offset_bytes, len_bytes)?;
            draft.supply(&section, bytes);
        }
        Ok(draft.finish())
    }

    /// A whole copy was found: it is the table, or what a forced format has to outnumber.
    fn take_found(&mut self, found: Found, forced: bool) -> Result<(), VolumeError> {
        if forced {
            self.first_copy = 1 - found.copy;
            self.label.count_on_from(found.label.generation());
            let vdisks = found.label.vdisks().iter();
            let named = vdisks.map(|vdisk| {
                format!(
                    "vdisk `{}` ({})",
                    vdisk.name(),
                    format_size(vdisk.size_bytes())
                )
            });
            self.overwrites.extend(named);
            let disk = found.label.disk_uuid();
            let histories = found.label.histories().iter();
            let logs = histories.filter(|log| log.log_disk() == disk && log.image_disk() != disk);
            let logs = logs.map(|log| {
                format!(
                    "the log of a vdisk on another disk, with its newest data ({})",
                    format_size(log.area_bytes())
                )
            });
            self.overwrites.extend(logs);
            return Ok(());
        }
        self.first_copy = if found.label.version() == VERSION {
            0
        } else {
            1 - found.copy
        };
        self.unwritten = false;
        self.copies_agree = found.healing.is_none();
        self.healing = found.healing;
        let size_bytes = self.label.size_bytes();
        self.label = found.label;
        let needed_bytes = self.label.used_end();
        if needed_bytes > size_bytes {
            return Err(VolumeError::Truncated {
                size_bytes,
                needed_bytes,
            });
        }
        self.label.adopt_size(size_bytes);
        Ok(())
    }

    /// The last bytes of the disk, where some formats have a backup of what identifies them.
    pub(super) fn read_tail<R: Driver>(&mut self, driver: &mut R) -> Result<Vec<u8>, VolumeError> {
        let size_bytes = self.label.size_bytes();
        let tail_bytes = foreign::TAIL_BYTES.min(size_bytes - foreign::HEAD_BYTES);
        let mut disk = self.blocking(driver);
        disk.read(
            "reading the end of the disk",
            size_bytes - tail_bytes,
            tail_bytes,
        )
    }
}

fn defect(copy: &Result<Label, CopyDefect>) -> CopyDefect {
    copy.as_ref().err().cloned().unwrap_or(CopyDefect::NoMagic)
}
