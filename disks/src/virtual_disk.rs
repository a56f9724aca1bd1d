//! A disk in virtual time: a model gives the time at which each request ends, and nothing waits.
//!
//! [`VirtualDisk`] is the disk over any [`ServiceModel`]; over [`HddModel`] it is a hard disk, and
//! over [`LinearModel`] ([`VirtualLinearDisk`]) a device without seeks, of which several requests
//! may be in flight while one server of linear cost works them off in order.
//!
//! The caller chooses how much of the data is kept, [`Store`]: simulations of days need the times
//! and at most a label, not the content.
//!
//! Invariants: requests are served in order of submission; a request changes the store when it is
//! submitted, which has the same effect as at its end, as the order is the same. A request without
//! buffers is timed and moves no data.

mod chunks;

use crate::{
    Buffer, Completion, ContentMap, DiscardEffect, Disk, DiskError, DiskErrorKind, DiskProperties,
    DiskRequest,
};
use chunks::Chunks;
use disktime_drive_models::{
    HddError, HddModel, HddParameters, LinearCost, LinearModel, Operation, ServiceModel,
};
use disktime_units::Nanos;
use std::collections::VecDeque;

/// What a virtual disk keeps of the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    /// Nothing; buffers are ignored.
    None,
    /// All that was written, in memory, by chunks of 64 KiB.
    Sparse,
    /// The first bytes, for labels; later ones read as zeroes.
    Head(u64),
}

/// A disk of model `M` in virtual time.
#[derive(Debug)]
pub struct VirtualDisk<M> {
    model: M,
    properties: DiskProperties,
    chunks: Chunks,
    in_flight: VecDeque<Completion>,
    /// When the model has done all that was submitted.
    free_at: Nanos,
}

impl<M: ServiceModel> VirtualDisk<M> {
    /// A disk with these properties; `store` decides `holds_data`.
    pub fn new(model: M, properties: DiskProperties, store: Store) -> VirtualDisk<M> {
        let kept_bytes = match store {
            Store::None => 0,
            Store::Sparse => properties.size_bytes,
            Store::Head(bytes) => bytes.min(properties.size_bytes),
        };
        let mut properties = properties;
        let capabilities = &mut properties.capabilities;
        capabilities.holds_data = store != Store::None;
        if capabilities.discards() && capabilities.holds_data {
            capabilities.discard = DiscardEffect::Zeroes;
        }
        VirtualDisk {
            model,
            in_flight: VecDeque::with_capacity(properties.max_in_flight),
            properties,
            chunks: Chunks::new(kept_bytes),
            free_at: Nanos::ZERO,
        }
    }

    /// Why a request is refused, if it is.
    fn refusal(&self, request: &DiskRequest) -> Option<String> {
        let DiskRequest {
            operation,
            offset_bytes,
            len_bytes,
            ..
        } = *request;
        if operation == Operation::Flush {
            return None;
        }
        let block = u64::from(self.properties.block_bytes);
        let end = offset_bytes.checked_add(len_bytes);
        if !offset_bytes.is_multiple_of(block) || !len_bytes.is_multiple_of(block) {
            return Some(format!(
                "{operation:?} of {len_bytes} bytes at {offset_bytes} is not aligned to {block} \
                 bytes"
            ));
        }
        if end.is_none_or(|end| end > self.properties.size_bytes) {
            return Some(format!(
                "{operation:?} of {len_bytes} bytes at {offset_bytes} lies beyond the disk's {} \
                 bytes",
                self.properties.size_bytes
            ));
        }
        let moves = operation.moves_data();
        let held: u64 = request
            .buffers
            .iter()
            .map(|buffer| buffer.len() as u64)
            .sum();
        if moves
            && self.properties.capabilities.holds_data
            && !request.buffers.is_empty()
            && held != len_bytes
        {
            return Some(format!(
                "{operation:?} of {len_bytes} bytes at {offset_bytes} came with {held} bytes of \
                 buffers"
            ));
        }
        None
    }

    fn move_data(&mut self, request: &mut DiskRequest) {
        let DiskRequest {
            operation,
            offset_bytes,
            len_bytes,
            ..
        } = *request;
        let mut offset = offset_bytes;
        match operation {
            Operation::Read => {
                for buffer in &mut request.buffers {
                    self.chunks.read(offset, buffer);
                    offset += buffer.len() as u64;
                }
            }
            Operation::Write => {
                for buffer in &request.buffers {
                    self.chunks.write(offset, buffer);
                    offset += buffer.len() as u64;
                }
            }
            Operation::WriteZeroes => self.chunks.zero(offset, len_bytes),
            Operation::Discard if self.properties.capabilities.discards() => {
                self.chunks.zero(offset, len_bytes)
            }
            Operation::Discard | Operation::Flush => {}
        }
    }
}

impl<M: ServiceModel> Disk for VirtualDisk<M> {
    fn properties(&self) -> &DiskProperties {
        &self.properties
    }

    fn submit(&mut self, now: Nanos, mut request: DiskRequest) {
        debug_assert!(
            self.in_flight.len() < self.properties.max_in_flight,
            "more requests in flight than the disk takes"
        );
        let start = now.max(self.free_at);
        let result = match self.refusal(&request) {
            Some(context) => {
                self.free_at = start;
                Err(DiskError {
                    kind: DiskErrorKind::Io,
                    context,
                })
            }
            None => {
                let DiskRequest {
                    operation,
                    offset_bytes,
                    len_bytes,
                    ..
                } = request;
                self.free_at = self.model.serve(start, operation, offset_bytes, len_bytes);
                if request.fua && self.properties.capabilities.volatile_cache {
                    self.free_at = self.model.serve(self.free_at, Operation::Flush, 0, 0);
                }
                if self.properties.capabilities.holds_data {
                    self.move_data(&mut request);
                }
                Ok(())
            }
        };
        let buffers: Vec<Buffer> = request.buffers;
        let completion = Completion {
            tag: request.tag,
            result,
            completed_at: self.free_at,
            buffers,
        };
        self.in_flight.push_back(completion);
    }

    fn content_map(&self) -> Option<&dyn ContentMap> {
        let known = self.properties.capabilities.holds_data;
        known.then_some(&self.chunks as &dyn ContentMap)
    }

    fn collect(&mut self, now: Nanos, completions: &mut Vec<Completion>) {
        while self
            .in_flight
            .front()
            .is_some_and(|first| first.completed_at <= now)
        {
            completions.extend(self.in_flight.pop_front());
        }
    }

    fn next_completion(&self) -> Option<Nanos> {
        self.in_flight
            .front()
            .map(|completion| completion.completed_at)
    }
}

impl VirtualDisk<HddModel> {
    /// A modelled hard disk serving `size_bytes`. `name` is for its description.
    ///
    /// # Errors
    /// A sentence that names the parameter that is wrong.
    pub fn hard_disk(
        parameters: &HddParameters,
        size_bytes: u64,
        name: &str,
        store: Store,
    ) -> Result<VirtualDisk<HddModel>, HddError> {
        let model = HddModel::scaled_to(parameters, size_bytes)?;
        let description = format!("{name} in virtual time");
        let properties = DiskProperties::of_drive(model.properties(), description);
        Ok(VirtualDisk::new(model, properties, store))
    }
}

/// A device without seeks in virtual time.
pub type VirtualLinearDisk = VirtualDisk<LinearModel>;

impl VirtualDisk<LinearModel> {
    /// A device of linear cost that takes up to `max_in_flight` requests at once. Its W is the time
    /// of all of them, as a request may be the last of them.
    ///
    /// # Panics
    /// If `max_in_flight` is 0.
    pub fn linear(
        size_bytes: u64,
        cost: LinearCost,
        max_in_flight: usize,
        name: &str,
        store: Store,
    ) -> VirtualLinearDisk {
        let model = LinearModel::new(cost);
        let drive = model.properties(size_bytes, max_in_flight);
        let properties = DiskProperties::of_drive(drive, format!("{name} in virtual time"));
        VirtualDisk::new(model, properties, store)
    }
}

#[cfg(test)]
mod tests;
