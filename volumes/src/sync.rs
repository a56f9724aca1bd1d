//! Making writes durable: data flush, zero-map blocks, second flush, reply.
//!
//! The bits that a sync writes are those of its beginning: the data flush that is asked for then
//! covers their data. A failed flush is final for the disk's vdisks; a failed map block fails the
//! requests of this sync and is tried again by the next one.

use crate::below::Io;
use crate::label::UNIT_BYTES;
use crate::parts::{Part, io_error};
use crate::vdisk::SyncStep;
use crate::volume_set::VolumeSet;
use disktime_disks::{Buffer, Disk, DiskError, Operation};
use disktime_engine::IoError;
use disktime_units::Nanos;

impl<D: Disk> VolumeSet<D> {
    /// Sends what the vdisk's sync has to send next, if anything. Returns whether it did.
    pub(crate) fn send_sync_step(&mut self, now: Nanos, vdisk: usize) -> bool {
        match self.vdisks[vdisk].sync.step {
            SyncStep::Idle => self.begin_sync(now, vdisk),
            SyncStep::Maps => self.send_map_block(now, vdisk),
            SyncStep::MapFlushDue => {
                self.vdisks[vdisk].sync.step = SyncStep::MapFlush;
                let io = Self::flush_io(self.system);
                self.send(now, vdisk, Part::MapFlush { vdisk }, io);
                true
            }
            SyncStep::DataFlush | SyncStep::MapFlush => false,
        }
    }

    fn begin_sync(&mut self, now: Nanos, vdisk: usize) -> bool {
        let state = &mut self.vdisks[vdisk];
        if state.sync.waiting.is_empty() {
            return false;
        }
        std::mem::swap(&mut state.sync.covered, &mut state.sync.waiting);
        if self.flush_failed {
            self.answer_covered(vdisk, Err(IoError::Io));
            return false;
        }
        state.sync.failed = false;
        for (index, extent) in state.layout.extents.iter_mut().enumerate() {
            let blocks = extent.map.as_mut().map_or(0, |map| map.take_snapshot());
            if blocks > 0 {
                state.sync.to_send.push((index, blocks));
            }
        }
        state.sync.step = SyncStep::DataFlush;
        let io = Self::flush_io(state.stream);
        self.send(now, vdisk, Part::DataFlush { vdisk }, io);
        true
    }

    fn send_map_block(&mut self, now: Nanos, vdisk: usize) -> bool {
        let state = &mut self.vdisks[vdisk];
        let Some((extent, left)) = state.sync.to_send.last_mut() else {
            return false;
        };
        *left -= 1;
        let (extent, which) = (*extent, *left);
        if which == 0 {
            state.sync.to_send.pop();
        }
        let Some(map) = &mut state.layout.extents[extent].map else {
            return false;
        };
        let mut buffer = self.pool.take(UNIT_BYTES);
        let offset_bytes = map.encode_saving(which, &mut buffer);
        state.sync.outstanding += 1;
        let io = Io {
            tag: 0,
            stream: self.system,
            operation: Operation::Write,
            offset_bytes,
            len_bytes: UNIT_BYTES as u64,
            fua: false,
            buffer: Some(buffer),
        };
        self.send(now, vdisk, Part::MapBlock { vdisk }, io);
        true
    }

    pub(crate) fn data_flush_done(&mut self, vdisk: usize, result: Result<(), DiskError>) {
        let sync = &mut self.vdisks[vdisk].sync;
        match result {
            Err(error) => self.flush_failure(vdisk, &error),
            // One that succeeds beside one that failed proves nothing: a kernel names a lost
            // write once.
            Ok(()) if self.flush_failed => self.end_sync(vdisk, Err(IoError::Io)),
            Ok(()) if sync.to_send.is_empty() => self.end_sync(vdisk, Ok(())),
            Ok(()) => sync.step = SyncStep::Maps,
        }
    }

    pub(crate) fn map_block_done(
        &mut self,
        vdisk: usize,
        result: Result<(), DiskError>,
        buffer: Option<Buffer>,
    ) {
        if let Some(buffer) = buffer {
            self.pool.put(buffer);
        }
        let name = &self.vdisks[vdisk].name;
        if let Err(error) = &result {
            tracing::warn!(vdisk = %name, "a block of the zero map was not written: {error}");
        }
        let sync = &mut self.vdisks[vdisk].sync;
        sync.failed |= result.is_err();
        sync.outstanding -= 1;
        if sync.outstanding > 0 || !sync.to_send.is_empty() {
            return;
        }
        if sync.failed {
            let error = result.as_ref().map_or_else(io_error, |()| IoError::Io);
            self.end_sync(vdisk, Err(error));
        } else {
            sync.step = SyncStep::MapFlushDue;
        }
    }

    pub(crate) fn map_flush_done(&mut self, vdisk: usize, result: Result<(), DiskError>) {
        match result {
            Err(error) => self.flush_failure(vdisk, &error),
            Ok(()) if self.flush_failed => self.end_sync(vdisk, Err(IoError::Io)),
            Ok(()) => self.end_sync(vdisk, Ok(())),
        }
    }

    fn flush_failure(&mut self, vdisk: usize, error: &DiskError) {
        if !self.flush_failed {
            tracing::error!("{error}; no flush is answered any more until the disk is reopened");
        }
        self.flush_failed = true;
        self.end_sync(vdisk, Err(IoError::Io));
    }

    fn end_sync(&mut self, vdisk: usize, result: Result<(), IoError>) {
        let state = &mut self.vdisks[vdisk];
        for map in state
            .layout
            .extents
            .iter_mut()
            .filter_map(|extent| extent.map.as_mut())
        {
            map.finish_snapshot(result.is_ok());
        }
        state.sync.to_send.clear();
        state.sync.step = SyncStep::Idle;
        self.answer_covered(vdisk, result);
    }

    fn answer_covered(&mut self, vdisk: usize, result: Result<(), IoError>) {
        let mut covered = std::mem::take(&mut self.vdisks[vdisk].sync.covered);
        for id in covered.drain(..) {
            self.finish(id, result);
        }
        self.vdisks[vdisk].sync.covered = covered;
    }
}
