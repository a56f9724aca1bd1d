//! What a driver asks for.

use super::building::BuildPurpose;
use super::data_batches::Staged;
use super::pipeline::{Answer, StagedRecord};
use super::{Log, Phase, STAGED_MAX, blocks_in};
use crate::format::batch::{Entry, EntryKind};
use crate::format::record::{MarkText, Record};
use crate::format::{Seq, UNIT_BYTES, Uuid};
use crate::marks::MARKS_MAX;
use crate::moment::{Moment, check_mark_name};
use crate::steps::{Failure, RequestId};

/// More bytes than a branch, a mark or a size takes in a checkpoint: a margin for the segments that
/// come until then. Clones are counted as they are, beside one margin, as many may wait together.
pub(super) const TABLE_MARGIN_BYTES: usize = 1024;

/// What a moment was resolved to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolved {
    /// This seq.
    Seq(Seq),
    /// A `Notice::Done` with the request will say it.
    Later,
}

impl Log {
    /// Blocks are written. The data stays with the driver until the request is answered; `durable`
    /// asks for an answer only when they are (FUA).
    ///
    /// # Errors
    /// Why nothing was taken.
    ///
    /// # Panics
    /// If the data is not whole blocks.
    pub fn write(
        &mut self,
        request: RequestId,
        lba: u64,
        data: &[u8],
        durable: bool,
    ) -> Result<(), Failure> {
        assert!(
            data.len().is_multiple_of(UNIT_BYTES),
            "whole blocks are written"
        );
        self.check_change(lba, blocks_in(data.len()), 1)?;
        let ticket = self.take_ticket();
        self.staged.push_back(Staged {
            request,
            ticket,
            entry: Entry {
                lba,
                blocks: blocks_in(data.len()) as u32,
                kind: EntryKind::Data,
            },
            checksums: data.chunks(UNIT_BYTES).map(crc32c::crc32c).collect(),
            from_block: 0,
            is_last: true,
            is_durable: durable,
        });
        Ok(())
    }

    /// Blocks read as zeroes from now on: zeroed, or trimmed.
    ///
    /// # Errors
    /// Why nothing was taken.
    pub fn zero(
        &mut self,
        request: RequestId,
        lba: u64,
        blocks: u64,
        trimmed: bool,
        durable: bool,
    ) -> Result<(), Failure> {
        let piece_blocks = u64::from(u32::MAX);
        let pieces = blocks.div_ceil(piece_blocks);
        self.check_change(lba, blocks, pieces as usize)?;
        let ticket = self.take_ticket();
        for index in 0..pieces {
            let from = index * piece_blocks;
            self.staged.push_back(Staged {
                request,
                ticket,
                entry: Entry {
                    lba: lba + from,
                    blocks: piece_blocks.min(blocks - from) as u32,
                    kind: if trimmed {
                        EntryKind::Trimmed
                    } else {
                        EntryKind::Zeroes
                    },
                },
                checksums: Vec::new(),
                from_block: 0,
                is_last: index + 1 == pieces,
                is_durable: durable,
            });
        }
        Ok(())
    }

    /// All that was asked for before becomes durable.
    ///
    /// # Errors
    /// Why that cannot be promised.
    pub fn flush(&mut self, request: RequestId) -> Result<(), Failure> {
        self.check_writable()?;
        if self.flushing.len() >= STAGED_MAX {
            return Err(Failure::Busy);
        }
        let last = self.next_ticket - 1;
        self.flushing.wait_for_publication(last, request);
        self.answer_flushes();
        Ok(())
    }

    /// The newest content gets a name. `cut`: what marks of several vdisks at one moment share, and
    /// how many they are.
    ///
    /// # Errors
    /// Why it did not.
    pub fn mark(
        &mut self,
        request: RequestId,
        name: &str,
        cut: Option<(Uuid, u32)>,
    ) -> Result<(), Failure> {
        check_mark_name(name).map_err(|_| Failure::BadName)?;
        self.check_writable()?;
        let is_it = |asked_for: &MarkText| asked_for.name == name;
        if self.marks_asked_for().any(is_it) || self.marks.moment_of(name).is_some() {
            return Err(Failure::MarkExists);
        }
        let is_full = self.marks.len() + self.marks_asked_for().count() >= MARKS_MAX;
        if is_full || !self.tables_have_room(TABLE_MARGIN_BYTES) {
            return Err(Failure::TooMany);
        }
        let (cut, vdisks) = cut.unwrap_or(([0; 16], 1));
        let mark = MarkText {
            cut,
            vdisks,
            name: name.to_string(),
        };
        self.stage_record(request, Record::Mark(mark))
    }

    fn marks_asked_for(&self) -> impl Iterator<Item = &MarkText> {
        self.asked_for().filter_map(|record| match record {
            Record::Mark(mark) => Some(mark),
            _ => None,
        })
    }

    /// A mark is given up.
    ///
    /// # Errors
    /// [`Failure::NoSuchMark`], [`Failure::MarkIsCloned`].
    pub fn drop_mark(&mut self, request: RequestId, name: &str) -> Result<(), Failure> {
        let moment = self.marks.moment_of(name).ok_or(Failure::NoSuchMark)?;
        self.check_writable()?;
        if self.is_cloned(moment) {
            return Err(Failure::MarkIsCloned);
        }
        self.stage_record(request, Record::DropMark(moment))
    }

    /// A moment is opened for reading; `Notice::ViewOpened` says when.
    ///
    /// # Errors
    /// [`Failure::NoSuchMoment`].
    pub fn open_view(&mut self, request: RequestId, moment: Seq) -> Result<(), Failure> {
        self.check_view(moment)?;
        self.push_build(BuildPurpose::View { request, moment })
    }

    /// Lists the blocks that were written between two moments, by [`Notice::Changed`]: those in
    /// which their contents can differ. The moments may be on different branches.
    ///
    /// [`Notice::Changed`]: crate::Notice::Changed
    ///
    /// # Errors
    /// [`Failure::NoSuchMoment`].
    pub fn changed(&mut self, request: RequestId, since: Seq, until: Seq) -> Result<(), Failure> {
        self.check_view(since)?;
        self.check_view(until)?;
        self.push_build(BuildPurpose::Changed {
            request,
            since,
            until,
        })
    }

    pub(super) fn check_view(&self, moment: Seq) -> Result<(), Failure> {
        self.check_readable()?;
        self.check_moment(moment)
    }

    /// The seq that a moment means.
    ///
    /// # Errors
    /// [`Failure::NoSuchMoment`], [`Failure::NoSuchMark`].
    pub fn resolve(
        &mut self,
        request: RequestId,
        moment: &Moment,
        now_ns: u64,
    ) -> Result<Resolved, Failure> {
        self.check_readable()?;
        let time_ns = match moment {
            Moment::Seq(seq) => return self.check_moment(*seq).map(|()| Resolved::Seq(*seq)),
            Moment::Mark(name) => {
                let moment = self.marks.moment_of(name);
                return moment.map(Resolved::Seq).ok_or(Failure::NoSuchMark);
            }
            Moment::Time(time_ns) => *time_ns,
            Moment::Ago(ago_ns) => now_ns.saturating_sub(*ago_ns),
        };
        self.push_build(BuildPurpose::Time { request, time_ns })?;
        Ok(Resolved::Later)
    }

    /// Changes wait from now on; records do not. So that marks of several logs are one cut: hold
    /// all, wait until each [`Log::is_held`], mark each, release all when all marks are durable.
    pub fn hold(&mut self) {
        self.held = true;
    }

    /// Whether changes wait and none is in flight. A revert that had begun ends first, with the
    /// changes that it waits for.
    pub fn is_held(&self) -> bool {
        self.held && !self.reverting && self.flight.is_empty() && self.sealing.is_none()
    }

    /// Changes go on.
    pub fn release(&mut self) {
        self.held = false;
    }

    /// The log is idle: what the last flush made durable is noted in a DURABLE record, if no later
    /// header has done so.
    pub fn note_durable(&mut self) {
        let known = self.durable_seq.min(self.published_content_seq);
        if self.is_writable() && self.records.is_empty() && self.noted_seq < known {
            self.records.push_back(StagedRecord {
                record: Record::Durable,
                payload: Vec::new(),
                answer: Answer::Nothing,
            });
        }
    }

    /// No more requests are taken; when all are answered and a last checkpoint is durable,
    /// `Notice::Closed` says so.
    pub fn close(&mut self) {
        if !self.close_deferred() && self.phase == Phase::Writable {
            self.phase = Phase::Closing;
            self.held = false;
        }
    }

    pub(super) fn stage_record(
        &mut self,
        request: RequestId,
        record: Record,
    ) -> Result<(), Failure> {
        if self.records.len() >= STAGED_MAX {
            return Err(Failure::Busy);
        }
        self.records.push_back(StagedRecord {
            record,
            payload: Vec::new(),
            answer: Answer::Request(request),
        });
        Ok(())
    }

    pub(super) fn push_build(&mut self, purpose: BuildPurpose) -> Result<(), Failure> {
        if self.builds.is_full() {
            return Err(Failure::Busy);
        }
        self.builds.push(purpose);
        Ok(())
    }

    fn take_ticket(&mut self) -> u64 {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        ticket
    }

    fn check_change(&self, lba: u64, blocks: u64, pieces: usize) -> Result<(), Failure> {
        let end = lba.checked_add(blocks).ok_or(Failure::OutOfRange)?;
        if blocks == 0 || end > self.sizes.present() {
            return Err(Failure::OutOfRange);
        }
        self.check_writable()?;
        if self.staged.len() + pieces > STAGED_MAX {
            return Err(Failure::Busy);
        }
        Ok(())
    }

    pub(super) fn check_writable(&self) -> Result<(), Failure> {
        match self.phase {
            Phase::Writable if self.reverting => Err(Failure::Reverting),
            Phase::Writable => Ok(()),
            Phase::ReadOnly if self.report.read_only_features.is_some() => Err(Failure::NewerLog),
            Phase::ReadOnly => Err(Failure::ReadOnly),
            Phase::Broken(why) => Err(why),
            Phase::Unwritten => Err(Failure::Unwritten),
            Phase::Building
            | Phase::BeginningEpoch
            | Phase::BeginningBranch
            | Phase::AcceptingLoss
            | Phase::Closing
            | Phase::Closed => Err(Failure::NotOpen),
        }
    }

    pub(super) fn check_readable(&self) -> Result<(), Failure> {
        match self.phase {
            Phase::Writable | Phase::Unwritten | Phase::ReadOnly | Phase::Broken(_) => Ok(()),
            _ if self.begins_deferred() => Ok(()),
            _ => Err(Failure::NotOpen),
        }
    }

    pub(super) fn check_moment(&self, moment: Seq) -> Result<(), Failure> {
        let is_known = (self.oldest_restorable..=self.published_seq).contains(&moment);
        if is_known && self.branches.is_kept(moment) && !self.is_lost(moment) {
            Ok(())
        } else {
            Err(Failure::NoSuchMoment)
        }
    }
}
