//! A device or file of the user's, which is read and never written.
//!
//! Invariants: it is opened for reading only, so that no mistake above can write; what is not a
//! read is answered with an error. A read is done within `submit`, and takes as long as it takes.

use crate::{LabError, LabResult};
use disktime_disks::{
    Capabilities, Completion, DiscardEffect, Disk, DiskError, DiskErrorKind, DiskOptions,
    DiskProperties, DiskRequest, Operation, survey_disk,
};
use disktime_units::Nanos;
use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// What offsets and lengths are multiples of; enough for every common device.
const BLOCK_BYTES: u32 = 4096;
/// The largest read: as on the modelled drive, so that W stays comparable.
const QUANTUM_BYTES: u32 = 512 << 10;

/// Reads, one at a time.
#[derive(Debug)]
pub(super) struct ReadOnlyDisk {
    file: File,
    path: PathBuf,
    properties: DiskProperties,
    done: Option<Completion>,
}

impl ReadOnlyDisk {
    /// Opens it, around the page cache if that is possible.
    pub(super) fn open(path: &Path) -> LabResult<ReadOnlyDisk> {
        let failed = |error: std::io::Error| {
            LabError::new(format!(
                "{} cannot be read: {error}; name a block device or a file that you may read",
                path.display()
            ))
        };
        let options = DiskOptions {
            max_in_flight: Some(1),
            ..DiskOptions::new(path)
        };
        let survey = survey_disk(&options)?;
        if !survey.exists {
            return Err(LabError::new(format!(
                "there is no {}; name a block device or a file, or `paced`",
                path.display()
            )));
        }
        let direct = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_DIRECT)
            .open(path);
        let (mut file, notice) = match direct {
            Ok(file) => (file, None),
            Err(_) => (
                File::open(path).map_err(failed)?,
                Some(format!(
                    "{} is read through the page cache, as it does not allow otherwise: times \
                     are those of memory as soon as something is read twice",
                    path.display()
                )),
            ),
        };
        let size_bytes = file.seek(SeekFrom::End(0)).map_err(failed)?;
        let properties = DiskProperties {
            description: format!("{} (read only)", path.display()),
            size_bytes: size_bytes - size_bytes % u64::from(BLOCK_BYTES),
            block_bytes: BLOCK_BYTES,
            has_seeks: survey.has_seeks,
            worst_case: survey.worst_case,
            switch_cost: survey.switch_cost,
            worst_seek: survey.worst_seek,
            seek_curve: Vec::new(),
            positioning: None,
            cost: survey.cost,
            max_in_flight: 1,
            quantum_bytes: QUANTUM_BYTES,
            capabilities: Capabilities {
                discard: DiscardEffect::Ignored,
                caches_reads: false,
                holds_data: true,
                volatile_cache: false,
            },
            notices: notice.into_iter().collect(),
        };
        Ok(ReadOnlyDisk {
            file,
            path: path.to_owned(),
            properties,
            done: None,
        })
    }

    /// With another largest request.
    pub(super) fn with_quantum(mut self, quantum_bytes: Option<u32>) -> ReadOnlyDisk {
        self.properties.quantum_bytes = quantum_bytes.unwrap_or(QUANTUM_BYTES);
        self
    }

    fn read(&self, request: &mut DiskRequest) -> Result<(), DiskError> {
        let failed = |context: String| DiskError {
            kind: DiskErrorKind::Io,
            context,
        };
        if request.operation != Operation::Read {
            return Err(failed(format!(
                "{} is only read here, never written",
                self.path.display()
            )));
        }
        let mut offset = request.offset_bytes;
        for buffer in &mut request.buffers {
            self.file
                .read_exact_at(buffer, offset)
                .map_err(|error| failed(format!("reading {}: {error}", self.path.display())))?;
            offset += buffer.len() as u64;
        }
        Ok(())
    }
}

impl Disk for ReadOnlyDisk {
    fn properties(&self) -> &DiskProperties {
        &self.properties
    }

    fn submit(&mut self, now: Nanos, mut request: DiskRequest) {
        debug_assert!(self.done.is_none(), "one request at a time");
        let begin = Instant::now();
        let result = self.read(&mut request);
        self.done = Some(Completion {
            tag: request.tag,
            result,
            completed_at: now + Nanos::from(begin.elapsed()),
            buffers: request.buffers,
        });
    }

    fn collect(&mut self, now: Nanos, completions: &mut Vec<Completion>) {
        if self
            .done
            .as_ref()
            .is_some_and(|done| done.completed_at <= now)
        {
            completions.extend(self.done.take());
        }
    }

    fn next_completion(&self) -> Option<Nanos> {
        self.done.as_ref().map(|done| done.completed_at)
    }
}
