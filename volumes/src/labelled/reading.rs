//! Reads the label of a disk and decides what it is.

use super::{Format, LabelledDisk};
use crate::VolumeError;
use crate::driver::Driver;
use crate::foreign;
use crate::inspect::{Copies, Found, find, refuse_foreign, refuse_overwritten, refuse_unknown};
use crate::label::{COPY_CAPACITY_BYTES, COPY_OFFSETS, CopyDefect, Draft, Label, VERSION};
use disktime_disks::Disk;

impl<D: Disk> LabelledDisk<D> {
    /// Takes the label that is there, or leaves the disk to be formatted if that is allowed.
    pub(super) fn read_label<R: Driver>(
        &mut self,
        driver: &mut R,
        format: Format,
    ) -> Result<(), VolumeError> {
        let mut disk = self.blocking(driver);
        let head = disk.read("reading the label", 0, foreign::HEAD_BYTES)?;
        let copies = self.read_copies(driver, &head, format)?;
        if !format.is_forced() {
            refuse_unknown(&copies)?;
            refuse_overwritten(&head, &copies)?;
        }
        let defects = [0, 1].map(|at: usize| defect(&copies[at]));
        if let Some(found) = find(copies) {
            return self.take_found(found, format.is_forced());
        }
        if format.is_forced() {
            return Ok(());
        }
        let tail = self.read_tail(driver)?;
        refuse_foreign(&head, &tail, &defects)?;
        match format {
            Format::Refuse => Err(VolumeError::Unlabelled),
            Format::IfBlank { .. } | Format::Force { .. } => Ok(()),
        }
    }

    /// Both copies, each with its sections outside.
    fn read_copies<R: Driver>(
        &mut self,
        driver: &mut R,
        head: &[u8],
        format: Format,
    ) -> Result<Copies, VolumeError> {
        let mut copies = [Err(CopyDefect::NoMagic), Err(CopyDefect::NoMagic)];
        for (copy, read) in copies.iter_mut().enumerate() {
            let start = COPY_OFFSETS[copy] as usize;
            let bytes = &head[start..start + COPY_CAPACITY_BYTES];
            *read = match Draft::decode(bytes) {
                Ok(draft) => self.read_outside(driver, copy, draft, format)?,
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
            let bytes = disk.read("reading the label", offset_bytes, len_bytes)?;
            draft.supply(&section, bytes);
        }
        Ok(draft.finish())
    }

    /// A whole copy was found: it is the table, or what a forced format has to outnumber.
    fn take_found(&mut self, found: Found, forced: bool) -> Result<(), VolumeError> {
        if forced {
            self.first_copy = 1 - found.copy;
            self.label.count_on_from(found.label.generation());
            return Ok(());
        }
        self.first_copy = if found.label.version() == VERSION {
            0
        } else {
            1 - found.copy
        };
        self.unwritten = false;
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
