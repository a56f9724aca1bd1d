//! A disk in memory, for tests and benches: all of it ([`Medium::Memory`]) or only its first MiB
//! ([`Medium::Null`]), which holds a label; beyond that it reads as zeroes and writes are dropped.
//!
//! A request is served by `submit` and collected by the next `collect`, so a caller that reads its
//! clock in between sees the time of the copying in the completion.
//!
//! Memory is allocated by the first write to each page, not when the disk is opened; a disk that is
//! larger than the memory and swap space that the system would give is refused.
//!
//! Invariants: bytes that were never written read as zeroes; the content ends with the disk.
//!
//! [`Medium::Memory`]: crate::Medium::Memory
//! [`Medium::Null`]: crate::Medium::Null

use crate::mapping::Mapping;
use crate::uring::too_many;
use crate::{
    Buffer, Completion, Disk, DiskError, DiskErrorKind, DiskProperties, DiskRequest, Operation,
};
use disktime_units::Nanos;
use std::io;

/// The part that a disk of [`Medium::Null`](crate::Medium::Null) keeps: room for a label.
pub(crate) const NULL_KEPT_BYTES: u64 = 1 << 20;

/// Serves requests from memory.
#[derive(Debug)]
pub(crate) struct MemoryDisk {
    properties: DiskProperties,
    /// The first bytes of the disk; later ones are not kept.
    kept: Mapping,
    ready: Vec<Completion>,
    last_now: Nanos,
}

impl MemoryDisk {
    /// A disk of zeroes that keeps its first `kept_bytes`.
    pub(crate) fn new(properties: DiskProperties, kept_bytes: u64) -> io::Result<MemoryDisk> {
        let kept_bytes = kept_bytes.min(properties.size_bytes);
        let kept_bytes =
            usize::try_from(kept_bytes).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
        Ok(MemoryDisk {
            ready: Vec::with_capacity(properties.max_in_flight),
            properties,
            kept: Mapping::zeroed(kept_bytes)?,
            last_now: Nanos::ZERO,
        })
    }

    /// The kept part of a range, as a range of the mapping.
    fn kept_range(&self, offset_bytes: u64, len_bytes: u64) -> std::ops::Range<usize> {
        let kept = self.kept.len() as u64;
        // Both are at most `kept`, which is a usize.
        let start = offset_bytes.min(kept) as usize;
        let end = offset_bytes.saturating_add(len_bytes).min(kept) as usize;
        start..end
    }

    fn serve(&mut self, request: &mut DiskRequest) -> Result<(), DiskError> {
        let end = request.offset_bytes.checked_add(request.len_bytes);
        if end.is_none_or(|end| end > self.properties.size_bytes) {
            return Err(self.refusal(request));
        }
        let mut offset_bytes = request.offset_bytes;
        match request.operation {
            Operation::Read => {
                for buffer in &mut request.buffers {
                    self.read(offset_bytes, buffer);
                    offset_bytes += buffer.len() as u64;
                }
            }
            Operation::Write => {
                for buffer in &request.buffers {
                    let range = self.kept_range(offset_bytes, buffer.len() as u64);
                    let len = range.len();
                    self.kept[range].copy_from_slice(&buffer[..len]);
                    offset_bytes += buffer.len() as u64;
                }
            }
            Operation::WriteZeroes | Operation::Discard => {
                let range = self.kept_range(offset_bytes, request.len_bytes);
                self.kept.zero(range);
            }
            Operation::Flush => {}
        }
        Ok(())
    }

    fn read(&self, offset_bytes: u64, buffer: &mut Buffer) {
        let range = self.kept_range(offset_bytes, buffer.len() as u64);
        let (kept, dropped) = buffer.split_at_mut(range.len());
        kept.copy_from_slice(&self.kept[range]);
        dropped.fill(0);
    }

    fn refusal(&self, request: &DiskRequest) -> DiskError {
        DiskError {
            kind: DiskErrorKind::Io,
            context: format!(
                "{}: {:?} of {} bytes at byte {} lies beyond the disk's {} bytes",
                self.properties.description,
                request.operation,
                request.len_bytes,
                request.offset_bytes,
                self.properties.size_bytes
            ),
        }
    }
}

impl Disk for MemoryDisk {
    fn properties(&self) -> &DiskProperties {
        &self.properties
    }

    fn submit(&mut self, now: Nanos, mut request: DiskRequest) {
        self.last_now = now;
        if self.ready.len() >= self.properties.max_in_flight {
            self.ready.push(too_many(request, now, &self.properties));
            return;
        }
        let result = self.serve(&mut request);
        self.ready.push(Completion {
            tag: request.tag,
            result,
            completed_at: now,
            buffers: request.buffers,
        });
    }

    fn collect(&mut self, now: Nanos, completions: &mut Vec<Completion>) {
        self.last_now = now;
        for mut completion in self.ready.drain(..) {
            completion.completed_at = now;
            completions.push(completion);
        }
    }

    fn next_completion(&self) -> Option<Nanos> {
        (!self.ready.is_empty()).then_some(self.last_now)
    }
}

#[cfg(test)]
mod tests;
