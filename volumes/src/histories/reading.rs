//! Reads: where the blocks lie, piece by piece from the log or the image, and what was read is
//! judged before it is served.
//!
//! Invariants: a block of the log is served only if it verifies; a slot of the log is used again
//! only when every read of the vdisk itself that was looked up before has ended
//! ([`LoggedVdisk::end_awaited_reads`]). Reads of its clones are not waited for: one that finds
//! that a segment has left its slot is looked up again, in the image.

use super::clients::BLOCK;
use super::inner::{InnerRequest, LogPiece, Place, Purpose};
use super::lineage::{Elders, Found};
use super::logged_vdisk::LoggedVdisk;
use crate::ids::VdiskSlot;
use disktime_disks::Buffer;
use disktime_engine::{IoError, Reply, ReplyDetail, RequestKind};
use disktime_history::{IoId, Run, Source, UNIT_BYTES, Unit, View};
use slab::Slab;
use std::collections::BTreeSet;

/// Most blocks of one piece from the log.
const PIECE_BLOCKS: usize = 256;

/// The number of a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ReadKey(usize);

/// Who reads.
#[derive(Debug, Clone, Copy)]
pub(super) enum ReadTarget {
    /// A client's read.
    Client(usize),
    /// A change that changes a block in part.
    Edge { client: usize, lba: u64 },
}

/// Bytes of a reading that are to be looked up: from where to where.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) read: ReadKey,
    pub(super) view: View,
    pub(super) start: u64,
    pub(super) end: u64,
}

/// A range that is being read.
#[derive(Debug)]
struct Reading {
    target: ReadTarget,
    view: View,
    /// In the order in which they were looked up.
    number: u64,
    start: u64,
    end: u64,
    /// What is being read of it, or to be looked up.
    outstanding: usize,
    buffer: Option<Buffer>,
    error: Option<(IoError, u64)>,
    detail: ReplyDetail,
}

/// The readings of a vdisk.
#[derive(Debug, Default)]
pub(super) struct Readings {
    all: Slab<Reading>,
    next_number: u64,
    /// Numbers of those that are not done.
    numbers: BTreeSet<u64>,
    /// Steps of the log that wait until all before a number are done.
    awaited: Vec<(IoId, u64)>,
}

impl LoggedVdisk {
    pub(super) fn begin_read(&mut self, key: usize) {
        let client = self.clients.get_mut(key);
        let (view, range) = (client.view(), (client.start(), client.end()));
        let buffer = client.take_buffer();
        self.read(ReadTarget::Client(key), view, range, buffer);
    }

    /// Reads a range of bytes into a buffer of its length.
    pub(super) fn read(
        &mut self,
        target: ReadTarget,
        view: View,
        (start, end): (u64, u64),
        buffer: Option<Buffer>,
    ) {
        let number = self.readings.next_number;
        self.readings.next_number += 1;
        self.readings.numbers.insert(number);
        let read = ReadKey(self.readings.all.insert(Reading {
            target,
            view,
            number,
            start,
            end,
            outstanding: 1,
            buffer,
            error: None,
            detail: ReplyDetail::Nothing,
        }));
        self.find_and_read(Wanted {
            read,
            view,
            start,
            end,
        });
    }

    /// Looks up where the blocks of a reading lie, and reads them there.
    pub(super) fn begin_reading(&mut self, wanted: Wanted, elders: Elders<'_>) {
        let mut at = wanted.start;
        while at < wanted.end {
            at = self.read_run(
                Wanted {
                    start: at,
                    ..wanted
                },
                elders,
            );
        }
        self.piece_is_over(wanted.read);
    }

    /// Reads the run of blocks that what is wanted begins with; returns where it ends.
    fn read_run(&mut self, wanted: Wanted, elders: Elders<'_>) -> u64 {
        let Wanted {
            read: key,
            view,
            start: at,
            end,
        } = wanted;
        let lba = at / BLOCK;
        let limit = end.div_ceil(BLOCK) - lba;
        let Some(found) = self.find(elders, view, lba, limit) else {
            self.readings.all[key.0]
                .error
                .get_or_insert((IoError::Io, at));
            return end;
        };
        let run = found.run;
        let stop = ((lba + run.blocks) * BLOCK).min(end);
        match run.source {
            Source::Zeroes => {
                let reading = &mut self.readings.all[key.0];
                let range = (at - reading.start) as usize..(stop - reading.start) as usize;
                if let Some(buffer) = &mut reading.buffer {
                    buffer[range].fill(0);
                }
                stop
            }
            Source::Lost => {
                let error = &mut self.readings.all[key.0].error;
                error.get_or_insert((IoError::Io, at));
                stop
            }
            Source::Image => {
                let content = found.elder.map(|(_, elder)| elder.image_slot());
                self.read_image(key, (at, stop), content);
                stop
            }
            Source::Log { unit, .. } => {
                let owner = found.elder.map_or(&*self, |(_, elder)| elder);
                let piece = LogPiece {
                    read: key,
                    elder: found.elder.map(|(at, _)| at),
                    lba,
                    unit,
                    checksums: owner.run_of_log(lba, unit, &found),
                    judge: owner.parts.log.judge(unit),
                };
                let content = found.elder.map(|(_, elder)| elder.parts.area.slot);
                let blocks = piece.checksums.len() as u64;
                self.read_log(piece, content);
                ((lba + blocks) * BLOCK).min(end)
            }
        }
    }

    fn read_image(&mut self, key: ReadKey, (start, end): (u64, u64), content: Option<VdiskSlot>) {
        let reading = &mut self.readings.all[key.0];
        reading.outstanding += 1;
        let whole = (start, end) == (reading.start, reading.end);
        let len_bytes = end - start;
        let buffer = match whole {
            true => reading.buffer.take(),
            false => Some(self.pool.take(len_bytes as usize)),
        };
        let purpose = Purpose::ImagePiece {
            read: key,
            start,
            whole,
        };
        let range = (start, len_bytes);
        let request = InnerRequest::new(Place::Image, RequestKind::Read, range, buffer);
        let request = match content {
            Some(content) => request.of(content),
            None => request,
        };
        self.inner.push(purpose, request);
    }

    /// The checksums of the block at `lba`, which lies in this log, and of those behind it that lie
    /// behind it there, too.
    fn run_of_log(&self, lba: u64, unit: Unit, found: &Found<'_>) -> Vec<u32> {
        let mut checksums = Vec::new();
        while (checksums.len() as u64) < found.limit && checksums.len() < PIECE_BLOCKS {
            let blocks = checksums.len() as u64;
            match self.parts.log.look_up(found.view, lba + blocks, 1) {
                Some(Run {
                    source:
                        Source::Log {
                            unit: next,
                            checksum,
                        },
                    ..
                }) if u64::from(next) == u64::from(unit) + blocks => checksums.push(checksum),
                _ => break,
            }
        }
        checksums
    }

    /// Reads blocks that lie in a log: in its own, or in that of an elder, in the slot `content`.
    fn read_log(&mut self, piece: LogPiece, content: Option<VdiskSlot>) {
        self.readings.all[piece.read.0].outstanding += 1;
        let request = self.log_read(piece.unit, piece.checksums.len() as u64);
        let request = match content {
            Some(content) => request.of(content),
            None => request,
        };
        self.inner.push(Purpose::LogPiece(piece), request);
    }

    /// A read of units of the log.
    pub(super) fn log_read(&mut self, unit: Unit, units: u64) -> InnerRequest {
        let range = (u64::from(unit) * BLOCK, units * BLOCK);
        let buffer = Some(self.pool.take(range.1 as usize));
        InnerRequest::new(Place::Log, RequestKind::Read, range, buffer)
    }

    pub(super) fn image_piece_is_read(
        &mut self,
        key: ReadKey,
        start: u64,
        whole: bool,
        reply: Reply,
    ) {
        let reading = &mut self.readings.all[key.0];
        if let Err(error) = reply.result {
            reading.error.get_or_insert((error, start));
        }
        if whole {
            reading.buffer = reply.buffer;
            reading.detail = reply.detail;
        } else if let Some(piece) = reply.buffer {
            let at = (start - reading.start) as usize;
            if let Some(buffer) = reading.buffer.as_mut().filter(|_| reply.result.is_ok()) {
                buffer[at..at + piece.len()].copy_from_slice(&piece);
            }
            self.pool.put(piece);
        }
        self.piece_is_over(key);
    }

    pub(super) fn log_piece_is_read(&mut self, piece: &LogPiece, reply: Reply, elders: Elders<'_>) {
        if !self.is_still_there(piece, elders) {
            self.look_up_again(piece, reply);
            return;
        }
        let key = piece.read;
        let reading = &mut self.readings.all[key.0];
        let bytes = reply.buffer.as_deref().unwrap_or_default();
        let result = reply.result;
        let mut rotten = None;
        for ((at, block), checksum) in bytes.chunks(UNIT_BYTES).enumerate().zip(&piece.checksums) {
            let from = (piece.lba + at as u64) * BLOCK;
            let (start, end) = (from.max(reading.start), (from + BLOCK).min(reading.end));
            let is_good = result.is_ok() && piece.judge.verifies(*checksum, block);
            if !is_good {
                let error = result.err().unwrap_or(IoError::Io);
                reading.error.get_or_insert((error, start));
                rotten = rotten.or(result.is_ok().then_some(piece.unit + at as u32));
                continue;
            }
            if let Some(buffer) = &mut reading.buffer {
                let target = (start - reading.start) as usize..(end - reading.start) as usize;
                let source = (start - from) as usize..(end - from) as usize;
                buffer[target].copy_from_slice(&block[source]);
            }
        }
        if let Some(buffer) = reply.buffer {
            self.pool.put(buffer);
        }
        if let Some(unit) = rotten {
            self.report_rotten(unit);
        }
        self.piece_is_over(key);
    }

    /// Whether the segment that was read still lies where it lay when it was looked up, so that
    /// nothing else was written there meanwhile.
    fn is_still_there(&self, piece: &LogPiece, elders: Elders<'_>) -> bool {
        let owner = match piece.elder {
            Some(at) => elders.get(at),
            None => Some(self),
        };
        owner.is_some_and(|owner| owner.parts.log.still_holds(piece.unit, &piece.judge))
    }

    /// The blocks of a piece have left the log of an elder: a fold has moved them to its image, or
    /// they would be in use. There they stay as long as the clone's moment is kept, so no block is
    /// looked up a third time.
    fn look_up_again(&mut self, piece: &LogPiece, reply: Reply) {
        if let Some(buffer) = reply.buffer {
            self.pool.put(buffer);
        }
        let reading = &self.readings.all[piece.read.0];
        let end = (piece.lba + piece.checksums.len() as u64) * BLOCK;
        self.find_and_read(Wanted {
            read: piece.read,
            view: reading.view,
            start: (piece.lba * BLOCK).max(reading.start),
            end: end.min(reading.end),
        });
    }

    /// A block of the log that does not verify.
    pub(super) fn report_rotten(&mut self, unit: Unit) {
        tracing::warn!(
            vdisk = %self.parts.name,
            unit,
            "a block of its history does not match its checksum and is not served"
        );
    }

    /// Where the blocks of a reading lie cannot be said.
    pub(super) fn fail_reading(&mut self, key: ReadKey) {
        let reading = &mut self.readings.all[key.0];
        let start = reading.start;
        reading.error.get_or_insert((IoError::Io, start));
        self.piece_is_over(key);
    }

    fn piece_is_over(&mut self, key: ReadKey) {
        let reading = &mut self.readings.all[key.0];
        reading.outstanding -= 1;
        if reading.outstanding > 0 {
            return;
        }
        let reading = self.readings.all.remove(key.0);
        self.readings.numbers.remove(&reading.number);
        match reading.target {
            ReadTarget::Client(client) => {
                let of = self.clients.get_mut(client);
                of.give_buffer(reading.buffer);
                if let Some((error, at)) = reading.error {
                    of.fail(error, Some(at));
                }
                self.answer_read(client, reading.detail);
            }
            ReadTarget::Edge { client, lba } => {
                let edge = match (reading.error, reading.buffer) {
                    (Some((error, _)), _) => Err(error),
                    (None, Some(buffer)) => Ok((lba, buffer)),
                    (None, None) => Err(IoError::Io),
                };
                self.edge_is_read(client, Some(edge));
            }
        }
    }

    /// The log waits for the reads of its vdisk that were looked up so far. Those of clones look
    /// after themselves: they have as long as their own reservations make them.
    pub(super) fn await_reads(&mut self, io: IoId) {
        let before = self.readings.next_number;
        self.readings.awaited.push((io, before));
    }

    /// Tells the log of those that have ended.
    pub(super) fn end_awaited_reads(&mut self) {
        let readings = &mut self.readings;
        let oldest = readings.numbers.first().copied().unwrap_or(u64::MAX);
        let ended = readings
            .awaited
            .extract_if(.., |(_, before)| *before <= oldest);
        for (io, _) in ended.collect::<Vec<_>>() {
            self.parts.log.complete(io, Ok(()));
        }
    }
}
