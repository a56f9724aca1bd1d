//! A disk in virtual time whose requests overlap.
//!
//! Invariants: completions are reported in order of their times, and one call of `collect` reports
//! those of one time only, so that what the caller submits in their place starts at that time, even
//! when the call came later. A request changes the store when it is submitted; the order of
//! requests that overlap in time and range is not defined, as on a real drive.

use super::content::Content;
use super::{Preparation, Store};
use crate::{Buffer, Completion, ContentMap, Disk, DiskProperties, DiskRequest};
use disktime_drive_models::{ModelCompletion, ModelRequest, OverlapDrive, OverlapModel};
use disktime_units::Nanos;
use std::collections::VecDeque;

/// A disk of model `M`, which overlaps requests, in virtual time.
#[derive(Debug)]
pub struct VirtualOverlapDisk<M> {
    model: M,
    properties: DiskProperties,
    content: Content,
    /// Tags and buffers of the requests in flight, by the model's tag.
    in_flight: Vec<(u64, Vec<Buffer>)>,
    free: Vec<usize>,
    /// Ended at once: invalid requests, and those of the preparation. They do not reach the model.
    at_once: VecDeque<Completion>,
    preparation: Option<Preparation>,
}

impl<M: OverlapModel> VirtualOverlapDisk<M> {
    /// A disk with these properties; `store` decides `holds_data`.
    pub fn new(model: M, properties: DiskProperties, store: Store) -> VirtualOverlapDisk<M> {
        let mut properties = properties;
        let content = Content::new(store, &mut properties);
        VirtualOverlapDisk {
            model,
            properties,
            content,
            in_flight: Vec::new(),
            free: Vec::new(),
            at_once: VecDeque::new(),
            preparation: None,
        }
    }

    /// The same; requests take no time as long as `preparation` lasts.
    pub fn prepared_in(self, preparation: &Preparation) -> VirtualOverlapDisk<M> {
        VirtualOverlapDisk {
            preparation: Some(preparation.clone()),
            ..self
        }
    }

    fn hold(&mut self, tag: u64, buffers: Vec<Buffer>) -> u64 {
        let held = (tag, buffers);
        match self.free.pop() {
            Some(index) => {
                self.in_flight[index] = held;
                index as u64
            }
            None => {
                self.in_flight.push(held);
                self.in_flight.len() as u64 - 1
            }
        }
    }

    fn release(&mut self, done: ModelCompletion) -> Completion {
        let index = done.tag as usize;
        self.free.push(index);
        let (tag, buffers) = std::mem::take(&mut self.in_flight[index]);
        Completion {
            tag,
            result: Ok(()),
            completed_at: done.at,
            buffers,
        }
    }
}

impl VirtualOverlapDisk<Box<dyn OverlapModel + Send>> {
    /// A preset at that size; its chances repeat for the same seed.
    pub fn of_drive(
        drive: &OverlapDrive,
        size_bytes: u64,
        seed: u64,
        store: Store,
    ) -> VirtualOverlapDisk<Box<dyn OverlapModel + Send>> {
        let description = format!("{} in virtual time", drive.name);
        let properties = DiskProperties::of_drive(drive.properties(size_bytes), description);
        VirtualOverlapDisk::new(drive.model(seed), properties, store)
    }
}

impl<M: OverlapModel> Disk for VirtualOverlapDisk<M> {
    fn properties(&self) -> &DiskProperties {
        &self.properties
    }

    fn submit(&mut self, now: Nanos, mut request: DiskRequest) {
        debug_assert!(
            self.in_flight.len() - self.free.len() < self.properties.max_in_flight,
            "more requests in flight than the disk takes"
        );
        let result = self.content.check(&self.properties, &request);
        if result.is_ok() {
            self.content.apply(&self.properties, &mut request);
        }
        if result.is_err() || self.preparation.as_ref().is_some_and(Preparation::lasts) {
            self.at_once.push_back(Completion {
                tag: request.tag,
                result,
                completed_at: now,
                buffers: request.buffers,
            });
            return;
        }
        let tag = self.hold(request.tag, request.buffers);
        let request = ModelRequest {
            tag,
            operation: request.operation,
            offset_bytes: request.offset_bytes,
            len_bytes: request.len_bytes,
            durable: request.fua && self.properties.capabilities.volatile_cache,
        };
        self.model.submit(now, request);
    }

    fn content_map(&self) -> Option<&dyn ContentMap> {
        self.content.map(&self.properties)
    }

    fn collect(&mut self, now: Nanos, completions: &mut Vec<Completion>) {
        let ended = self.at_once.front().map(|first| first.completed_at);
        let until = ended.map_or(now, |ended| now.min(ended));
        if let Some(first) = self.model.pop_completion(until) {
            completions.push(self.release(first));
            while let Some(next) = self.model.pop_completion(first.at) {
                completions.push(self.release(next));
            }
        } else if ended.is_some_and(|ended| ended <= now) {
            completions.extend(self.at_once.pop_front());
        }
    }

    fn next_completion(&self) -> Option<Nanos> {
        let ended = self.at_once.front().map(|first| first.completed_at);
        match (self.model.next_completion(), ended) {
            (Some(model), Some(ended)) => Some(model.min(ended)),
            (one, other) => one.or(other),
        }
    }
}

#[cfg(test)]
mod tests;
