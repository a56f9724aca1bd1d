//! The streams of a disk's loop: added, changed and removed while others are served.
//!
//! A stream is removed in two steps. From [`DiskLoop::remove_stream`] on, the loop takes no new
//! request of it. The requests that it holds are served and answered as usual, those that arrived
//! but are not with the scheduler yet and those that are tried again included. With the answer to
//! the last, the stream is gone from scheduler, loop and statistics, and its slot can be used
//! again.
//!
//! Invariants (I8 of the house): `held` is the number of a stream's requests in the loop's table;
//! the scheduler has a stream at least as long as the loop holds a request of it; an identity of a
//! removed stream is never taken for its successor's.

use super::DiskLoop;
use crate::Io;
use crate::order::map_of;
use disktime_disks::Disk;
use disktime_scheduler::{StreamConfig, StreamId};
use disktime_units::Nanos;

/// What the loop holds of a stream.
#[derive(Debug, Default)]
pub(super) struct StreamRequests {
    /// Requests not answered yet.
    held: usize,
    is_leaving: bool,
    /// Where its last request that moves data ends: one that begins there is sequential.
    end_bytes: Option<u64>,
}

impl StreamRequests {
    /// Whether a request goes on where the last one ended; the next is compared with this one.
    pub(super) fn goes_on(&mut self, io: &Io) -> bool {
        let before = self.end_bytes.replace(io.offset_bytes + io.len_bytes);
        before == Some(io.offset_bytes)
    }
}

impl<D: Disk> DiskLoop<D> {
    /// Adds a stream.
    pub fn add_stream(&mut self, now: Nanos, config: StreamConfig) -> StreamId {
        let stream = self.scheduler.add_stream(now, config);
        self.know(stream)
    }

    /// Adds a group: an account that several streams share.
    pub fn add_group(&mut self, now: Nanos, config: StreamConfig) -> StreamId {
        let group = self.scheduler.add_group(now, config);
        self.know(group)
    }

    /// Adds a stream that shares a group's account, with a weight among its members.
    ///
    /// # Panics
    /// If the group has been removed or is being removed.
    pub fn add_member(&mut self, now: Nanos, group: StreamId, weight: u32) -> StreamId {
        let stream = self.scheduler.add_member(now, group, weight);
        self.know(stream)
    }

    fn know(&mut self, stream: StreamId) -> StreamId {
        self.streams.insert(stream, StreamRequests::default());
        self.statistics.add_stream(stream);
        stream
    }

    /// The requests of a stream go by least positioning time, whatever the order of the disk, if
    /// the disk has a map: no client waits for a single one of them.
    pub fn order_by_positioning(&mut self, stream: StreamId) {
        if let Some(map) = map_of(self.disk.properties()) {
            self.scheduler.order_by_positioning(stream, map);
        }
    }

    /// Changes what a stream is entitled to, while it is served; admission has checked it. The next
    /// turn decides by it.
    ///
    /// # Panics
    /// If the stream has been removed.
    pub fn reconfigure(&mut self, now: Nanos, stream: StreamId, config: StreamConfig) {
        self.scheduler.reconfigure(now, stream, config);
    }

    /// Removes a stream, a member of a group, or a group. The loop takes no new requests of it; it
    /// is gone when those that are held are answered, without any at once. A group takes no new
    /// members, and is gone when its last member is. [`DiskLoop::has_stream`] says when.
    ///
    /// # Panics
    /// If the stream has been removed.
    pub fn remove_stream(&mut self, now: Nanos, stream: StreamId) {
        let requests = self.streams.get_mut(stream);
        let requests = requests.unwrap_or_else(|| panic!("{stream:?} was removed"));
        requests.is_leaving = true;
        self.finish_removal(now, stream);
    }

    /// Whether the stream is there: a removed one is until its requests are answered.
    pub fn has_stream(&self, stream: StreamId) -> bool {
        self.streams.get(stream).is_some()
    }

    /// Whether requests of the stream are taken in: it is there and is not being removed.
    pub fn accepts(&self, stream: StreamId) -> bool {
        let requests = self.streams.get(stream);
        requests.is_some_and(|requests| !requests.is_leaving)
    }

    /// A request of the stream is taken in.
    pub(super) fn hold(&mut self, stream: StreamId) {
        match self.streams.get_mut(stream) {
            Some(requests) if !requests.is_leaving => requests.held += 1,
            Some(_) => panic!("{stream:?} is being removed and takes no new requests"),
            None => panic!("{stream:?} was removed"),
        }
    }

    /// A request of the stream is answered.
    pub(super) fn release(&mut self, now: Nanos, stream: StreamId) {
        let requests = self.streams.get_mut(stream);
        let requests = requests.expect("a stream is there as long as its requests are held");
        requests.held -= 1;
        if requests.is_leaving {
            self.finish_removal(now, stream);
        }
    }

    fn finish_removal(&mut self, now: Nanos, stream: StreamId) {
        if self.streams.get(stream).is_none_or(|own| own.held > 0) {
            return;
        }
        self.scheduler.remove_stream(now, stream);
        // With the last member of a group the group can be gone as well.
        let scheduler = &self.scheduler;
        self.streams.retain(|id| scheduler.contains(id));
        self.statistics.retain(|id| scheduler.contains(id));
    }
}
