//! What the log says: what it was asked is done, moments are open, folds have ended.

use super::clients::BLOCK;
use super::logged_vdisk::{LogPurpose, LoggedVdisk};
use disktime_history::{Failure, Notice, RequestId, Seq};

impl LoggedVdisk {
    /// Does what a notice says.
    pub(crate) fn note(&mut self, notice: Notice) {
        match notice {
            Notice::Opened => self.log_has_begun(),
            Notice::Done { request, seq } => self.asked_is_done(request, Ok(seq)),
            Notice::Failed { request, why } => self.asked_is_done(request, Err(why)),
            Notice::ViewOpened { request, view } => {
                let asked = self.asked.remove(request.0 as usize);
                if let LogPurpose::Open(seq, done) = asked {
                    self.opened.push((view, seq, done));
                }
            }
            Notice::Changed { request, runs } => {
                let asked = self.asked.remove(request.0 as usize);
                if let LogPurpose::Changed(since, until, done) = asked {
                    done(Ok(self.changed_blocks(since, until, runs)));
                }
            }
            Notice::Folded { floor } => self.fold_ended(floor),
            Notice::FoldFailed => self.fold_failed(),
            Notice::OutOfSpace => {
                tracing::warn!(
                    vdisk = %self.parts.name,
                    "there is no space on the disk for its history: writes get ENOSPC until there \
                     is; nothing that was flushed is lost"
                );
                self.beginning_has_no_space();
            }
            Notice::Grown { blocks } => self.parts.size_bytes = blocks * BLOCK,
            Notice::NotGrown { why } => tracing::warn!(
                vdisk = %self.parts.name,
                "it keeps its size until the server is started again: {why}"
            ),
            Notice::Closed => self.is_closed = true,
            Notice::Broken => {
                tracing::error!(
                    vdisk = %self.parts.name,
                    "a write or a flush of its history failed: every change fails until the server \
                     is started again"
                );
                self.log_has_begun();
            }
        }
    }

    /// What the log was asked is done, or has failed.
    fn asked_is_done(&mut self, request: RequestId, result: Result<Seq, Failure>) {
        match self.asked.remove(request.0 as usize) {
            LogPurpose::Change { client, .. } => self.change_part_is_done(client, result),
            LogPurpose::Flush(client) => self.flush_is_done(client, result),
            LogPurpose::Control(done) => done(result.map_err(|why| self.sentence(why))),
            LogPurpose::Revert => self.revert_is_done(result),
            LogPurpose::Changed(_, _, done) => {
                if let Err(why) = result {
                    done(Err(self.sentence(why)));
                }
            }
            LogPurpose::Open(_, done) => {
                if let Err(why) = result {
                    done(Err(self.sentence(why)));
                }
            }
            LogPurpose::Fetch(seeker) => self.blocks_are_found(seeker, result),
            LogPurpose::Resolve(then) => self.moment_is_resolved(then, result),
        }
    }
}
