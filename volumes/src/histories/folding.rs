//! The image's part of a fold: the newest versions are read from the log, judged, and written.
//!
//! A *job* is a run of blocks that lie together in the image: its blocks are read from the log, in
//! as few pieces as they lie there, then written with one request. A few jobs go at a time. Where
//! the last one has ended the image is flushed.
//!
//! Invariants: the stream of the fold pays for its reads and writes; a block that does not verify
//! or cannot be read is not written, and the log hears that it is lost; a write that fails ends the
//! fold, and the log keeps the floor where it was until the fold is tried again (`fold_retry.rs`);
//! the image is flushed before the log hears that it is written.

use super::clients::BLOCK;
use super::fold_retry::FoldRetry;
use super::inner::{InnerRequest, Place, Purpose};
use super::logged_vdisk::LoggedVdisk;
use disktime_disks::Buffer;
use disktime_engine::{IoError, Reply, RequestKind};
use disktime_history::{IoFailed, IoId, Seq, Source, UNIT_BYTES, Unit};
use slab::Slab;

/// Jobs at a time.
const JOBS: usize = 4;
/// Most blocks of a job.
const JOB_BLOCKS: usize = 128;

/// A run of the image.
#[derive(Debug)]
struct Job {
    lba: u64,
    buffer: Option<Buffer>,
    reads: usize,
    writes: usize,
    /// Blocks of it that the log does not have any more, from its first on.
    lost: Vec<usize>,
}

/// The image's part of a fold in flight.
#[derive(Debug)]
pub(super) struct FoldWork {
    io: IoId,
    /// The next block that is looked for.
    cursor: u64,
    is_listed: bool,
    has_failed: bool,
    /// What the disk answered first, if it failed.
    error: Option<IoError>,
    is_flushing: bool,
    jobs: Slab<Job>,
}

impl FoldWork {
    pub(super) fn new(io: IoId) -> FoldWork {
        FoldWork {
            io,
            cursor: 0,
            is_listed: false,
            has_failed: false,
            error: None,
            is_flushing: false,
            jobs: Slab::new(),
        }
    }

    /// Nothing more is begun; the next opening repeats the fold.
    pub(super) fn give_up(&mut self) {
        self.has_failed = true;
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
        while !fold.has_failed && !fold.is_listed && fold.jobs.len() < JOBS {
            self.begin_job(&mut fold);
        }
        if !fold.jobs.is_empty() || fold.is_flushing {
            self.fold = Some(fold);
        } else if fold.has_failed {
            self.fold_error = fold.error;
            self.parts.log.complete(fold.io, Err(IoFailed));
        } else {
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

    /// Begins the job that comes next, or finds that there is none.
    fn begin_job(&mut self, fold: &mut FoldWork) {
        let Some((lba, run)) = self.parts.log.fold_next(fold.cursor) else {
            fold.is_listed = true;
            return;
        };
        if run.source == Source::Zeroes {
            fold.cursor = lba + run.blocks;
            let job = fold.jobs.insert(Job {
                lba,
                buffer: None,
                reads: 0,
                writes: 1,
                lost: Vec::new(),
            });
            let request = self.image_request(RequestKind::WriteZeroes, lba, run.blocks, None);
            self.inner.push(Purpose::FoldWrite(job), request);
            return;
        }
        let places = self.places_from(lba);
        fold.cursor = lba + places.len() as u64;
        let job = fold.jobs.insert(Job {
            lba,
            buffer: Some(self.pool.take(places.len() * UNIT_BYTES)),
            reads: 0,
            writes: 0,
            lost: Vec::new(),
        });
        let mut at = 0;
        while at < places.len() {
            let unit = places[at].0;
            let is_next = |(index, (next, _)): &(usize, &(Unit, u32))| {
                u64::from(*next) == u64::from(unit) + *index as u64
            };
            let run = places[at..].iter().enumerate().take_while(is_next);
            let checksums: Vec<u32> = run.map(|(_, (_, checksum))| *checksum).collect();
            let blocks = checksums.len();
            let request = self.log_read(unit, blocks as u64);
            let request = request.of_fold();
            let purpose = Purpose::FoldRead {
                job,
                at,
                unit,
                checksums,
            };
            self.inner.push(purpose, request);
            fold.jobs[job].reads += 1;
            at += blocks;
        }
    }

    /// Where the blocks from `lba` on lie in the log, as long as they follow one another.
    fn places_from(&self, lba: u64) -> Vec<(Unit, u32)> {
        let mut places = Vec::with_capacity(JOB_BLOCKS);
        while places.len() < JOB_BLOCKS {
            let wanted = lba + places.len() as u64;
            match self.parts.log.fold_next(wanted) {
                Some((found, run)) if found == wanted => match run.source {
                    Source::Log { unit, checksum } => places.push((unit, checksum)),
                    _ => break,
                },
                _ => break,
            }
        }
        places
    }

    /// Blocks of a job were read from the log.
    pub(super) fn fold_is_read(
        &mut self,
        job: usize,
        at: usize,
        unit: Unit,
        checksums: &[u32],
        reply: Reply,
    ) {
        let Some(mut fold) = self.fold.take() else {
            return;
        };
        fold.jobs[job].reads -= 1;
        let piece = reply.buffer.as_deref().unwrap_or_default();
        match reply.result {
            Ok(()) => {
                let blocks = piece.chunks(UNIT_BYTES).zip(checksums);
                for (index, (block, checksum)) in blocks.enumerate() {
                    let unit = unit + index as u32;
                    if self.parts.log.verifies(unit, *checksum, block) {
                        let from = (at + index) * UNIT_BYTES;
                        if let Some(buffer) = &mut fold.jobs[job].buffer {
                            buffer[from..from + UNIT_BYTES].copy_from_slice(block);
                        }
                    } else {
                        self.report_rotten(unit);
                        self.lose_block(&mut fold, job, at + index);
                    }
                }
            }
            // So that one bad sector costs one block.
            Err(IoError::Io) if checksums.len() > 1 && !fold.has_failed => {
                for (index, checksum) in checksums.iter().enumerate() {
                    let unit = unit + index as u32;
                    let request = self.log_read(unit, 1).of_fold();
                    let purpose = Purpose::FoldRead {
                        job,
                        at: at + index,
                        unit,
                        checksums: vec![*checksum],
                    };
                    self.inner.push(purpose, request);
                    fold.jobs[job].reads += 1;
                }
            }
            Err(IoError::Io) => self.lose_block(&mut fold, job, at),
            Err(error) => fold.fail(error),
        }
        if let Some(buffer) = reply.buffer {
            self.pool.put(buffer);
        }
        if fold.jobs[job].reads == 0 {
            self.write_job(&mut fold, job);
        }
        self.fold = Some(fold);
    }

    /// A block of a job is not to be had from the log any more.
    fn lose_block(&mut self, fold: &mut FoldWork, job: usize, index: usize) {
        let lba = fold.jobs[job].lba + index as u64;
        tracing::error!(
            vdisk = %self.parts.name,
            block = lba,
            "a block that is to leave the history is lost: reads of it fail until it is written"
        );
        fold.jobs[job].lost.push(index);
        fold.has_failed |= self.parts.log.fold_lost(lba).is_err();
    }

    /// The blocks of a job are written, but for those that are lost.
    fn write_job(&mut self, fold: &mut FoldWork, job: usize) {
        let of = &mut fold.jobs[job];
        let (lba, buffer) = (of.lba, of.buffer.take());
        let mut lost = std::mem::take(&mut of.lost);
        let Some(buffer) = buffer.filter(|_| !fold.has_failed) else {
            fold.jobs.remove(job);
            return;
        };
        if lost.is_empty() {
            of.writes = 1;
            let blocks = (buffer.len() / UNIT_BYTES) as u64;
            let request = self.image_request(RequestKind::Write, lba, blocks, Some(buffer));
            self.inner.push(Purpose::FoldWrite(job), request);
            return;
        }
        lost.sort_unstable();
        lost.push(buffer.len() / UNIT_BYTES);
        let mut from = 0;
        for end in lost {
            if from < end {
                let mut piece = self.pool.take((end - from) * UNIT_BYTES);
                piece.copy_from_slice(&buffer[from * UNIT_BYTES..end * UNIT_BYTES]);
                let (at, blocks) = (lba + from as u64, (end - from) as u64);
                let request = self.image_request(RequestKind::Write, at, blocks, Some(piece));
                self.inner.push(Purpose::FoldWrite(job), request);
                fold.jobs[job].writes += 1;
            }
            from = end + 1;
        }
        self.pool.put(buffer);
        if fold.jobs[job].writes == 0 {
            fold.jobs.remove(job);
        }
    }

    /// A write of a job has ended.
    pub(super) fn fold_is_written(&mut self, job: usize, reply: Reply) {
        if let Some(buffer) = reply.buffer {
            self.pool.put(buffer);
        }
        if let Some(fold) = &mut self.fold {
            if let Err(error) = reply.result {
                fold.fail(error);
            }
            fold.jobs[job].writes -= 1;
            if fold.jobs[job].writes == 0 {
                fold.jobs.remove(job);
            }
        }
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
        if self.stopping {
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
