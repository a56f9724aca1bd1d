//! What is written, in which order, when the label changes, heals or is made. Pure: it yields
//! steps; the caller does them one after the other and stops at the first that fails.
//!
//! Invariants: before a copy is written, the other copy is whole and durable, or nothing is on the
//! disk that counts; what a copy names outside is durable before the copy is written.

use super::copy::Encoded;
use super::table::Label;
use super::{COPY_CAPACITY_BYTES, COPY_OFFSETS};
use crate::VolumeError;
use std::collections::VecDeque;
use std::sync::Arc;

/// Something to be done to the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Make durable what was written.
    Flush,
    /// Write bytes, a multiple of the unit.
    Write {
        /// Where on the disk.
        offset_bytes: u64,
        /// What.
        bytes: Arc<[u8]>,
    },
}

impl Step {
    /// Whether the label on the disk may be another one afterwards: what lies outside of its copies
    /// counts only when a copy names it.
    pub(crate) fn writes_copy(&self) -> bool {
        matches!(self, Step::Write { offset_bytes, .. } if COPY_OFFSETS.contains(offset_bytes))
    }
}

/// A sequence of steps that writes a label.
#[derive(Debug, Clone)]
pub struct Update {
    steps: VecDeque<Step>,
}

impl Update {
    /// Replaces the table: sections outside, then copy `first`, then the other one.
    ///
    /// # Errors
    /// When the label exceeds a bound.
    pub fn change(label: &Label, first: usize) -> Result<Update, VolumeError> {
        label.check_bounds()?;
        let Encoded { copy, table, .. } = label.encode();
        let mut update = Update::begin();
        if let Some((rooms, bytes)) = table {
            let bytes: Arc<[u8]> = bytes.into();
            update.write(rooms.replica_offset(first), &bytes);
            update.write(rooms.replica_offset(1 - first), &bytes);
            update.flush();
        }
        let copy: Arc<[u8]> = copy.into();
        update.write_copy(first, &copy);
        update.write_copy(1 - first, &copy);
        Ok(update)
    }

    /// Writes copy `damaged` again from the other one, which holds `label`.
    pub fn heal(label: &Label, damaged: usize) -> Update {
        let Encoded { copy, table, kept } = label.encode();
        let mut update = Update::begin();
        let outside: Vec<_> = table.into_iter().chain(kept).collect();
        for (rooms, bytes) in &outside {
            update.write(rooms.replica_offset(damaged), &Arc::from(bytes.as_slice()));
        }
        if !outside.is_empty() {
            update.flush();
        }
        update.write_copy(damaged, &whole_room(copy));
        update
    }

    /// Writes both copies over whatever is there, as long as their room is, copy `first` first.
    ///
    /// # Errors
    /// When the label exceeds a bound.
    pub fn format(label: &Label, first: usize) -> Result<Update, VolumeError> {
        label.check_bounds()?;
        let copy = whole_room(label.encode().copy);
        let mut update = Update::begin();
        update.write_copy(first, &copy);
        update.write_copy(1 - first, &copy);
        Ok(update)
    }

    /// No steps.
    pub(crate) fn nothing() -> Update {
        Update {
            steps: VecDeque::new(),
        }
    }

    /// These steps, then those of another one.
    pub(crate) fn then(mut self, mut next: Update) -> Update {
        self.steps.append(&mut next.steps);
        self
    }

    /// These steps, then a write, which is durable with the next flush.
    pub(crate) fn then_write(mut self, offset_bytes: u64, block: &[u8]) -> Update {
        self.write(offset_bytes, &Arc::from(block));
        self
    }

    /// What counts may still be in a volatile cache if its writer was killed.
    fn begin() -> Update {
        let mut update = Update {
            steps: VecDeque::new(),
        };
        update.flush();
        update
    }

    fn flush(&mut self) {
        self.steps.push_back(Step::Flush);
    }

    fn write(&mut self, offset_bytes: u64, bytes: &Arc<[u8]>) {
        let bytes = Arc::clone(bytes);
        self.steps.push_back(Step::Write {
            offset_bytes,
            bytes,
        });
    }

    fn write_copy(&mut self, copy: usize, bytes: &Arc<[u8]>) {
        self.write(COPY_OFFSETS[copy], bytes);
        self.flush();
    }
}

impl Iterator for Update {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        self.steps.pop_front()
    }
}

fn whole_room(mut copy: Vec<u8>) -> Arc<[u8]> {
    copy.resize(COPY_CAPACITY_BYTES, 0);
    copy.into()
}
