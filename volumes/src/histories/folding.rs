//! The image's part of a fold: the newest versions are read from the log, judged, and written.
//!
//! It goes in passes (`fold_pass.rs`): all blocks of a pass are read, in the order of the log, then
//! written in that of the image, many at a time, so that the disk's scheduler has an order to
//! choose. Where the last pass has ended the image is flushed.
//!
//! Invariants: the stream of the fold pays for its reads and writes; a block that does not verify
//! or cannot be read is not written, and the log hears that it is lost; a write that fails ends the
//! fold, and the log keeps the floor where it was until the fold is tried again (`fold_retry.rs`);
//! the image is flushed before the log hears that it is written.

use super::clients::BLOCK;
use super::fold_pass::FoldPass;
use super::fold_retry::FoldRetry;
use super::inner::{InnerRequest, Place, Purpose};
use super::logged_vdisk::LoggedVdisk;
use disktime_disks::Buffer;
use disktime_engine::{IoError, Reply, RequestKind};
use disktime_history::{IoFailed, IoId, Seq, UNIT_BYTES, Unit};
use std::ops::Range;

/// Reads of the log in flight.
const READS: usize = 4;
/// What writing a block of the image takes, where reading a unit of the log takes 1: about so much
/// on disks with seeks, and elsewhere it does not matter.
const WRITE_WEIGHT: u64 = 8;

/// The image's part of a fold in flight.
#[derive(Debug)]
pub(super) struct FoldWork {
    io: IoId,
    /// The next block that is looked for.
    cursor: u64,
    pass: FoldPass,
    reads: usize,
    writes: usize,
    /// Blocks of all passes.
    blocks: u64,
    blocks_written: u64,
    /// Units that all passes will read, as far as the first one tells.
    units: u64,
    units_read: u64,
    has_failed: bool,
    /// What the disk answered first, if it failed.
    error: Option<IoError>,
    is_flushing: bool,
}

impl FoldWork {
    /// Of so many blocks.
    pub(super) fn new(io: IoId, blocks: u64) -> FoldWork {
        FoldWork {
            io,
            cursor: 0,
            pass: FoldPass::default(),
            reads: 0,
            writes: 0,
            blocks,
            blocks_written: 0,
            units: 0,
            units_read: 0,
            has_failed: false,
            error: None,
            is_flushing: false,
        }
    }

    /// Nothing more is begun; the next opening repeats the fold.
    pub(super) fn give_up(&mut self) {
        self.has_failed = true;
    }

    /// How much of how much is done.
    fn progress(&self) -> (u64, u64) {
        let done = self.units_read + WRITE_WEIGHT * self.blocks_written;
        (done, self.units + WRITE_WEIGHT * self.blocks)
    }

    fn fail(&mut self, error: IoError) {
        self.has_failed = true;
        self.error.get_or_insert(error);
    }
}

impl LoggedVdisk {
    /// Begins what can be begun of the fold in flight, if there is one.
    pub(super) fn advance_fold(&mut self) {
        let Some(mut fold) = self.fold.take() else {
            return;
        };
        if !fold.has_failed && !fold.is_flushing {
            self.advance_pass(&mut fold);
        }
        if fold.reads + fold.writes > 0 || fold.is_flushing {
            self.fold = Some(fold);
        } else if fold.has_failed {
            self.fold_error = fold.error;
            self.parts.log.complete(fold.io, Err(IoFailed));
        } else {
            // There was no further pass.
            fold.is_flushing = true;
            let request = self.image_request(RequestKind::Flush, 0, 0, None);
            self.inner.push(Purpose::FoldFlush, request);
            self.fold = Some(fold);
        }
    }

    fn image_request(
        &self,
        kind: RequestKind,
        lba: u64,
        blocks: u64,
        buffer: Option<Buffer>,
    ) -> InnerRequest {
        let range = (lba * BLOCK, blocks * BLOCK);
        let request = InnerRequest::new(Place::Image, kind, range, buffer);
        request.of_fold()
    }

    /// Reads and writes of the pass, and the next pass when it is over.
    fn advance_pass(&mut self, fold: &mut FoldWork) {
        loop {
            if fold.pass.is_taken() && fold.reads + fold.writes == 0 {
                let (log, limits) = (&self.parts.log, &self.parts.fold_limits);
                fold.pass = FoldPass::list(log, &mut self.pool, &mut fold.cursor, limits);
                if fold.units == 0 {
                    let passes = fold
                        .blocks
                        .div_ceil((limits.pass_bytes / UNIT_BYTES) as u64);
                    fold.units = passes * fold.pass.read_units(limits);
                }
                if fold.pass.is_taken() {
                    return;
                }
            }
            while fold.reads < READS
                && let Some(places) = fold.pass.next_read(&self.parts.fold_limits)
            {
                self.read_places(fold, places);
            }
            while fold.writes < self.parts.fold_limits.writes
                && let Some(job) = fold.pass.next_job()
            {
                self.write_job(fold, job);
            }
            // A pass of which every block is lost writes nothing: the next one follows at once.
            if !fold.pass.is_taken() || fold.reads + fold.writes > 0 {
                return;
            }
        }
    }

    fn read_places(&mut self, fold: &mut FoldWork, places: Range<usize>) {
        let (unit, units) = fold.pass.units(&places);
        let request = self.log_read(unit, units).of_fold();
        self.inner.push(Purpose::FoldRead { places, unit }, request);
        fold.reads += 1;
    }

    /// Blocks of the pass were read from the log.
    pub(super) fn fold_is_read(&mut self, places: Range<usize>, unit: Unit, reply: Reply) {
        let Some(mut fold) = self.fold.take() else {
            return;
        };
        fold.reads -= 1;
        fold.units_read += fold.pass.units(&places).1;
        let bytes = reply.buffer.as_deref().unwrap_or_default();
        match reply.result {
            Ok(()) => {
                for at in places {
                    let place = fold.pass.place(at);
                    let from = (place.unit - unit) as usize * UNIT_BYTES;
                    let block = &bytes[from..from + UNIT_BYTES];
                    if self.parts.log.verifies(place.unit, place.checksum, block) {
                        fold.pass.fill(at, block);
                    } else {
                        self.report_rotten(place.unit);
                        self.lose_block(&mut fold, at);
                    }
                }
            }
            Err(_) if fold.has_failed => {}
            // So that one bad sector costs one block, and none that was not wanted.
            Err(IoError::Io) if places.len() > 1 => {
                places.for_each(|at| self.read_places(&mut fold, at..at + 1));
            }
            Err(IoError::Io) => self.lose_block(&mut fold, places.start),
            Err(error) => fold.fail(error),
        }
        if let Some(buffer) = reply.buffer {
            self.pool.put(buffer);
        }
        self.note_progress(&fold);
        self.fold = Some(fold);
    }

    /// The log takes changes as fast as the fold gets on, if it is nearly full.
    fn note_progress(&mut self, fold: &FoldWork) {
        let (done, of) = fold.progress();
        self.parts.log.note_fold_progress(done, of);
    }

    /// A block of the pass is not to be had from the log any more.
    fn lose_block(&mut self, fold: &mut FoldWork, at: usize) {
        let lba = fold.pass.lose(at);
        tracing::error!(
            vdisk = %self.parts.name,
            block = lba,
            "a block that is to leave the history is lost: reads of it fail until it is written"
        );
        fold.has_failed |= self.parts.log.fold_lost(lba).is_err();
    }

    /// The blocks of a job are written, but for those that are lost.
    fn write_job(&mut self, fold: &mut FoldWork, at: usize) {
        let job = fold.pass.job_mut(at);
        let (lba, blocks) = (job.lba, job.blocks);
        let Some(buffer) = job.buffer.take() else {
            let request = self.image_request(RequestKind::WriteZeroes, lba, blocks, None);
            self.inner.push(Purpose::FoldWrite { blocks }, request);
            fold.writes += 1;
            return;
        };
        let pieces = job.pieces();
        if pieces.len() == 1 && pieces[0].len() as u64 == blocks {
            let request = self.image_request(RequestKind::Write, lba, blocks, Some(buffer));
            self.inner.push(Purpose::FoldWrite { blocks }, request);
            fold.writes += 1;
            return;
        }
        for piece in pieces {
            let bytes = piece.start * UNIT_BYTES..piece.end * UNIT_BYTES;
            let mut data = self.pool.take(bytes.len());
            data.copy_from_slice(&buffer[bytes]);
            let (at, blocks) = (lba + piece.start as u64, piece.len() as u64);
            let request = self.image_request(RequestKind::Write, at, blocks, Some(data));
            self.inner.push(Purpose::FoldWrite { blocks }, request);
            fold.writes += 1;
        }
        self.pool.put(buffer);
    }

    /// A write of a job has ended.
    pub(super) fn fold_is_written(&mut self, blocks: u64, reply: Reply) {
        if let Some(buffer) = reply.buffer {
            self.pool.put(buffer);
        }
        let Some(mut fold) = self.fold.take() else {
            return;
        };
        fold.writes -= 1;
        fold.blocks_written += blocks;
        if let Err(error) = reply.result {
            fold.fail(error);
        }
        self.note_progress(&fold);
        self.fold = Some(fold);
    }

    /// The image is durable.
    pub(super) fn fold_is_flushed(&mut self, reply: Reply) {
        if let Some(fold) = self.fold.take() {
            self.fold_error = reply.result.err();
            let result = reply.result.map_err(|_| IoFailed);
            self.parts.log.complete(fold.io, result);
        }
    }

    /// The log says that a fold has failed: it is tried again later.
    pub(super) fn fold_failed(&mut self) {
        if self.leaves_folds {
            return;
        }
        let mut why = self.fold_error.take();
        if self.parts.log.is_out_of_space() {
            why = why.or(Some(IoError::NoSpace));
        }
        let retry = FoldRetry::after(self.fold_retry, why);
        if self.fold_retry.is_none() {
            tracing::warn!(
                vdisk = %self.parts.name,
                "{}, then less often, up to once a minute; a log that is full takes no writes until \
                 then",
                retry.problem()
            );
        }
        self.fold_retry = Some(retry);
    }

    /// A fold is complete.
    pub(super) fn fold_ended(&mut self, floor: Seq) {
        let name = &self.parts.name;
        match self.fold_retry.take() {
            Some(_) => tracing::info!(
                vdisk = %name,
                "the oldest moments are moved into the vdisk's own space again"
            ),
            None => tracing::debug!(vdisk = %name, floor, "a fold is complete"),
        }
    }

    /// A second has passed: a fold that failed may be due.
    pub(super) fn tick_fold(&mut self) {
        let rests = self.parts.log.fold_rests();
        if let Some(retry) = self.fold_retry.as_mut().filter(|_| rests)
            && retry.tick()
        {
            self.parts.log.retry_fold();
        }
    }
}
