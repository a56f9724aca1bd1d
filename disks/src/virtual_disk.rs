//! A disk in virtual time: a model gives the time at which each request ends, and nothing waits.
//!
//! [`VirtualDisk`] is the disk over any [`ServiceModel`]; over [`HddModel`] it is a hard disk, and
//! over [`LinearModel`] ([`VirtualLinearDisk`]) a device without seeks, of which several requests
//! may be in flight while one server of linear cost works them off in order.
//!
//! Over an [`OverlapModel`](disktime_drive_models::OverlapModel) it is a [`VirtualOverlapDisk`],
//! whose requests overlap and end in any order (`overlapping`).
//!
//! The caller chooses how much of the data is kept, [`Store`]: simulations of days need the times
//! and at most a label, not the content.
//!
//! Invariants: requests of a [`VirtualDisk`] are served in order of submission; a request changes
//! the store when it is submitted, which has the same effect as at its end, as the order is the
//! same. A request without buffers is timed and moves no data.

mod chunks;
mod content;
mod overlapping;
mod preparation;

pub use overlapping::VirtualOverlapDisk;
pub use preparation::Preparation;

use crate::{Buffer, Completion, ContentMap, Disk, DiskProperties, DiskRequest};
use content::Content;
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
    /// All that was written, in memory; blocks of 4 KiB that are zeroes take none.
    Sparse,
    /// The first bytes, for labels; later ones read as zeroes.
    Head(u64),
}

/// A disk of model `M` in virtual time.
#[derive(Debug)]
pub struct VirtualDisk<M> {
    model: M,
    properties: DiskProperties,
    content: Content,
    in_flight: VecDeque<Completion>,
    /// When the model has done all that was submitted.
    free_at: Nanos,
    preparation: Option<Preparation>,
}

impl<M: ServiceModel> VirtualDisk<M> {
    /// A disk with these properties; `store` decides `holds_data`.
    pub fn new(model: M, properties: DiskProperties, store: Store) -> VirtualDisk<M> {
        let mut properties = properties;
        let content = Content::new(store, &mut properties);
        VirtualDisk {
            model,
            in_flight: VecDeque::with_capacity(properties.max_in_flight),
            properties,
            content,
            free_at: Nanos::ZERO,
            preparation: None,
        }
    }

    /// The same; requests take no time as long as `preparation` lasts.
    pub fn prepared_in(self, preparation: &Preparation) -> VirtualDisk<M> {
        VirtualDisk {
            preparation: Some(preparation.clone()),
            ..self
        }
    }

    /// Serves a request that is in order; returns when it ends.
    fn serve(&mut self, start: Nanos, request: &DiskRequest) -> Nanos {
        if self.preparation.as_ref().is_some_and(Preparation::lasts) {
            return start;
        }
        let DiskRequest {
            operation,
            offset_bytes,
            len_bytes,
            ..
        } = *request;
        let end = self.model.serve(start, operation, offset_bytes, len_bytes);
        if request.fua && self.properties.capabilities.volatile_cache {
            return self.model.serve(end, Operation::Flush, 0, 0);
        }
        end
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
        let result = match self.content.check(&self.properties, &request) {
            Err(refused) => {
                self.free_at = start;
                Err(refused)
            }
            Ok(()) => {
                self.free_at = self.serve(start, &request);
                self.content.apply(&self.properties, &mut request);
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
        self.content.map(&self.properties)
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
