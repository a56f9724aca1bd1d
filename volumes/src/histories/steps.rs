//! What a log asks for, as inner requests.

use super::clients::BLOCK;
use super::folding::FoldWork;
use super::inner::{InnerRequest, Place, Purpose};
use super::logged_vdisk::LoggedVdisk;
use disktime_disks::Buffer;
use disktime_engine::{IoError, Reply, RequestKind};
use disktime_history::{IoFailed, IoId, Part, Step, UNIT_BYTES};

impl LoggedVdisk {
    pub(super) fn do_step(&mut self, step: Step) {
        match step {
            Step::Write { io, unit, parts } => {
                let buffer = self.assemble(&parts);
                let range = (u64::from(unit) * BLOCK, buffer.len() as u64);
                let write = RequestKind::Write;
                let request = InnerRequest::new(Place::Log, write, range, Some(buffer));
                self.inner.push(Purpose::Step(io), request);
            }
            Step::Flush { io } => {
                let request = InnerRequest::new(Place::Log, RequestKind::Flush, (0, 0), None);
                self.inner.push(Purpose::Step(io), request);
            }
            Step::Read { io, unit, units } => {
                let request = self.log_read(unit, u64::from(units));
                self.inner.push(Purpose::StepRead(io), request);
            }
            Step::WriteImage { io } => {
                let mut fold = FoldWork::new(io, self.parts.log.fold_blocks());
                if self.leaves_folds {
                    fold.give_up();
                }
                self.fold = Some(fold);
            }
            Step::AwaitReads { io } => self.await_reads(io),
        }
    }

    /// The bytes of a write.
    fn assemble(&mut self, parts: &[Part]) -> Buffer {
        let len = |part: &Part| match part {
            Part::Bytes(bytes) => bytes.len(),
            Part::Request { blocks, .. } => *blocks as usize * UNIT_BYTES,
        };
        let mut buffer = self.pool.take(parts.iter().map(len).sum());
        let mut at = 0;
        for part in parts {
            let bytes = match part {
                Part::Bytes(bytes) => bytes,
                Part::Request {
                    request,
                    from_block,
                    blocks,
                } => {
                    let from = *from_block as usize * UNIT_BYTES;
                    &self.data_of(*request)[from..from + *blocks as usize * UNIT_BYTES]
                }
            };
            buffer[at..at + bytes.len()].copy_from_slice(bytes);
            at += bytes.len();
        }
        buffer
    }

    /// A write or a flush that the log asked for has ended.
    pub(super) fn step_is_done(&mut self, io: IoId, reply: Reply) {
        if let Some(buffer) = reply.buffer {
            self.pool.put(buffer);
        }
        match reply.result {
            Err(IoError::NoSpace) => self.parts.log.complete_without_space(io),
            result => self.parts.log.complete(io, result.map_err(|_| IoFailed)),
        }
    }

    /// A read that the log asked for has ended.
    pub(super) fn step_read_is_done(&mut self, io: IoId, reply: Reply) {
        match (&reply.result, &reply.buffer) {
            (Ok(()), Some(buffer)) => self.parts.log.complete_read(io, Ok(buffer)),
            _ => self.parts.log.complete_read(io, Err(IoFailed)),
        }
        if let Some(buffer) = reply.buffer {
            self.pool.put(buffer);
        }
    }
}
