//! Writes, zeroes, trims and flushes on their way to the log.
//!
//! ```text
//!   claim ─► blocks in part are read ─► parts: own data, merged blocks, zeroes ─► log ─► answer
//! ```
//!
//! Invariant: the log takes the parts of a change in their order; a change is answered when all
//! that it took are.

use super::clients::{BLOCK, ChangePart};
use super::logged_vdisk::{LogPurpose, LoggedVdisk};
use super::reading::ReadTarget;
use disktime_disks::Buffer;
use disktime_engine::{IoError, RequestKind};
use disktime_history::{Failure, RequestId, Seq};

impl LoggedVdisk {
    /// A change has its claim: what it needs of old blocks is read first.
    pub(super) fn begin_change(&mut self, key: usize) {
        // The rest of a block that is changed in part is to be that of the moment.
        if self.waits_for_revert(key) || self.waits_for_area(key) {
            return;
        }
        let client = self.clients.get(key);
        let (first, end) = client.blocks();
        if first == end {
            return self.answer(key);
        }
        if !client.has_edges() {
            self.list_parts(key);
            return self.go_on_with_change(key);
        }
        let starts_inside = !client.start().is_multiple_of(BLOCK);
        let ends_inside = !client.end().is_multiple_of(BLOCK);
        let (view, last) = (client.view(), end - 1);
        let head = starts_inside.then_some(first);
        let tail = ends_inside
            .then_some(last)
            .filter(|tail| head != Some(*tail));
        // One more, so that an answer that comes at once does not begin the change too early.
        self.clients.get_mut(key).outstanding = 1;
        for lba in head.into_iter().chain(tail) {
            self.clients.get_mut(key).outstanding += 1;
            let target = ReadTarget::Edge { client: key, lba };
            let buffer = Some(Buffer::zeroed(BLOCK as usize));
            self.read(target, view, (lba * BLOCK, (lba + 1) * BLOCK), buffer);
        }
        self.edge_is_read(key, None);
    }

    /// A block that is changed in part was read, or could not be.
    pub(super) fn edge_is_read(
        &mut self,
        key: usize,
        edge: Option<Result<(u64, Buffer), IoError>>,
    ) {
        let client = self.clients.get_mut(key);
        client.outstanding -= 1;
        match edge {
            Some(Ok(edge)) => client.edges.push(edge),
            Some(Err(error)) => client.fail(error, None),
            None => {}
        }
        if client.outstanding > 0 {
            return;
        }
        if client.error.is_some() {
            return self.answer(key);
        }
        self.list_parts(key);
        self.go_on_with_change(key);
    }

    /// What the log is to be told.
    fn list_parts(&mut self, key: usize) {
        let client = self.clients.get_mut(key);
        let (first, end) = client.blocks();
        let (start_bytes, end_bytes) = (client.start(), client.end());
        let mut edges = std::mem::take(&mut client.edges);
        edges.sort_by_key(|(lba, _)| *lba);
        match client.kind() {
            RequestKind::Write if edges.is_empty() => {
                let (lba, data) = (first, None);
                client.parts.push_back(ChangePart::Write { lba, data });
            }
            RequestKind::Write => {
                let mut merged = vec![0; ((end - first) * BLOCK) as usize];
                for (lba, block) in &edges {
                    let at = ((lba - first) * BLOCK) as usize;
                    merged[at..at + BLOCK as usize].copy_from_slice(block);
                }
                let at = (start_bytes - first * BLOCK) as usize;
                merged[at..at + client.data().len()].copy_from_slice(client.data());
                let (lba, data) = (first, Some(merged));
                client.parts.push_back(ChangePart::Write { lba, data });
            }
            kind => {
                let trimmed = kind == RequestKind::Trim;
                let whole = if trimmed {
                    (first, end)
                } else {
                    let from = start_bytes.div_ceil(BLOCK);
                    (from, (end_bytes / BLOCK).max(from))
                };
                for (lba, block) in &edges {
                    let (from, to) = (lba * BLOCK, (lba + 1) * BLOCK);
                    let mut data = block.to_vec();
                    let zeroed = start_bytes.max(from) - from..end_bytes.min(to) - from;
                    data[zeroed.start as usize..zeroed.end as usize].fill(0);
                    let data = Some(data);
                    client
                        .parts
                        .push_back(ChangePart::Write { lba: *lba, data });
                }
                if whole.0 < whole.1 {
                    client.parts.push_back(ChangePart::Zero {
                        lba: whole.0,
                        blocks: whole.1 - whole.0,
                        trimmed,
                    });
                }
            }
        }
    }

    /// Gives the log the parts that it has not taken.
    pub(super) fn go_on_with_change(&mut self, key: usize) {
        let fua = self.clients.get(key).fua();
        while let Some(part) = self.clients.get_mut(key).parts.pop_front() {
            let taken = self.ask_for_change(key, part, fua);
            let client = self.clients.get_mut(key);
            match taken {
                Ok(()) => client.outstanding += 1,
                Err((Failure::Busy | Failure::Reverting, part)) => {
                    client.parts.push_front(part);
                    self.stalled.push_back(key);
                    return;
                }
                Err((why, _)) => {
                    client.fail(error_of(why), None);
                    client.parts.clear();
                }
            }
        }
        if self.clients.get(key).outstanding == 0 {
            self.answer(key);
        }
    }

    fn ask_for_change(
        &mut self,
        client: usize,
        part: ChangePart,
        fua: bool,
    ) -> Result<(), (Failure, ChangePart)> {
        let entry = self.asked.vacant_entry();
        let request = RequestId(entry.key() as u64);
        let log = &mut self.parts.log;
        match part {
            ChangePart::Write { lba, data } => {
                let bytes = match &data {
                    Some(data) => data,
                    None => self.clients.get(client).data(),
                };
                match log.write(request, lba, bytes, fua) {
                    Ok(()) => drop(entry.insert(LogPurpose::Change { client, data })),
                    Err(why) => return Err((why, ChangePart::Write { lba, data })),
                }
            }
            ChangePart::Zero {
                lba,
                blocks,
                trimmed,
            } => {
                if let Err(why) = log.zero(request, lba, blocks, trimmed, fua) {
                    return Err((why, part));
                }
                entry.insert(LogPurpose::Change { client, data: None });
            }
        }
        Ok(())
    }

    /// The log has answered a part of a change.
    pub(super) fn change_part_is_done(&mut self, key: usize, result: Result<Seq, Failure>) {
        let client = self.clients.get_mut(key);
        client.outstanding -= 1;
        if let Err(why) = result {
            client.fail(error_of(why), None);
            client.parts.clear();
        }
        if client.outstanding == 0 && client.parts.is_empty() {
            self.stalled.retain(|stalled| *stalled != key);
            self.answer(key);
        }
    }

    /// All that was answered becomes durable.
    pub(super) fn flush(&mut self, key: usize) {
        if !self.deferred.is_there() {
            // Nothing was answered that is not durable where it was cloned from.
            return self.answer(key);
        }
        let entry = self.asked.vacant_entry();
        let request = RequestId(entry.key() as u64);
        match self.parts.log.flush(request) {
            Ok(()) => {
                entry.insert(LogPurpose::Flush(key));
            }
            Err(Failure::Busy | Failure::Reverting) => self.stalled.push_back(key),
            Err(why) => self.flush_is_done(key, Err(why)),
        }
    }

    pub(super) fn flush_is_done(&mut self, key: usize, result: Result<Seq, Failure>) {
        match result {
            // A log that is read-only takes no changes, so there is nothing that could be lost.
            Ok(_) | Err(Failure::ReadOnly) => {}
            Err(why) => self.clients.get_mut(key).fail(error_of(why), None),
        }
        self.answer(key);
    }

    /// Data that a batch takes of a request.
    pub(super) fn data_of(&self, request: RequestId) -> &[u8] {
        match self.asked.get(request.0 as usize) {
            Some(LogPurpose::Change {
                data: Some(data), ..
            }) => data,
            Some(LogPurpose::Change { client, .. }) => self.clients.get(*client).data(),
            _ => panic!("a batch takes data of a request that was answered"),
        }
    }
}

/// What a client gets for a failure of the log.
pub(super) fn error_of(why: Failure) -> IoError {
    match why {
        Failure::Full | Failure::NoSpace => IoError::NoSpace,
        Failure::TooMany | Failure::TooManyClones => IoError::NoSpace,
        Failure::ReadOnly => IoError::ReadOnly,
        Failure::NotOpen => IoError::Shutdown,
        Failure::OutOfRange => IoError::Invalid,
        _ => IoError::Io,
    }
}
