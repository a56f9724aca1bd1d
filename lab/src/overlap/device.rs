//! Devices that overlap requests, as a run sees them.

use disktime_drive_models::Operation;
use disktime_units::Nanos;
use std::collections::VecDeque;

/// A request as a device sees it.
#[derive(Debug, Clone, Copy)]
pub struct DeviceRequest {
    /// The caller's number for it.
    pub tag: u32,
    /// What is asked.
    pub operation: Operation,
    /// Whether the client goes on from its last request.
    pub sequential: bool,
    /// Where.
    pub offset_bytes: u64,
    /// How much.
    pub len_bytes: u64,
}

/// Something that works on many requests at once.
pub trait OverlapDevice {
    /// A request comes.
    fn submit(&mut self, now: Nanos, request: DeviceRequest);
    /// When something happens in it next.
    fn next_event(&self) -> Option<Nanos>;
    /// Takes out a request that is done by `now`.
    fn take_completed(&mut self, now: Nanos) -> Option<u32>;
}

impl<D: OverlapDevice + ?Sized> OverlapDevice for Box<D> {
    fn submit(&mut self, now: Nanos, request: DeviceRequest) {
        (**self).submit(now, request);
    }

    fn next_event(&self) -> Option<Nanos> {
        (**self).next_event()
    }

    fn take_completed(&mut self, now: Nanos) -> Option<u32> {
        (**self).take_completed(now)
    }
}

/// One server behind a queue: 25 µs and 600 MB/s. Discards and flushes move nothing.
#[derive(Debug, Default)]
pub struct Pipe {
    free_at: Nanos,
    queue: VecDeque<(Nanos, u32)>,
}

impl Pipe {
    /// What a request takes.
    pub fn time(len_bytes: u64) -> Nanos {
        Nanos(25_000 + len_bytes * 10 / 6)
    }
}

impl OverlapDevice for Pipe {
    fn submit(&mut self, now: Nanos, request: DeviceRequest) {
        let moved = if request.operation.moves_data() {
            request.len_bytes
        } else {
            0
        };
        self.free_at = self.free_at.max(now) + Pipe::time(moved);
        self.queue.push_back((self.free_at, request.tag));
    }

    fn next_event(&self) -> Option<Nanos> {
        self.queue.front().map(|(at, _)| *at)
    }

    fn take_completed(&mut self, now: Nanos) -> Option<u32> {
        let (at, tag) = *self.queue.front()?;
        (at <= now).then(|| {
            self.queue.pop_front();
            tag
        })
    }
}
