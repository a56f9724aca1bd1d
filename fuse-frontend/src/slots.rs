//! Requests that vdisks have and will answer: what a reply needs to know of them, and how many and
//! how large they may be together.
//!
//! Invariant: a slot is taken from the moment in which its request is read to its reply.

use crate::source::Ticket;
use crate::transfer::Sought;

/// Requests under way at most. The kernel itself holds back what it does in the background. A ring has a
/// bound of its own, its entries, and asks for no room here.
pub(crate) const REQUESTS_MAX: usize = 1024;
/// Bytes of buffers under way at most.
const BYTES_MAX: usize = 256 << 20;

/// A request under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot {
    /// What its reply carries.
    pub(crate) ticket: Ticket,
    /// Of its data; what a write has written.
    pub(crate) len_bytes: u32,
    /// Of its buffer, which may have room for more.
    pub(crate) buffer_bytes: u32,
    /// The range that it is about, and for what it looks there if it is a seek.
    pub(crate) range: (u64, u64),
    pub(crate) sought: Sought,
}

/// All of them; the place of one is the handle of its request.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    slots: Vec<Slot>,
    free: Vec<u32>,
    bytes: usize,
}

impl Slots {
    /// Whether there is room for one more.
    pub(crate) fn have_room(&self) -> bool {
        self.count() < REQUESTS_MAX && self.bytes < BYTES_MAX
    }

    pub(crate) fn count(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(crate) fn insert(&mut self, slot: Slot) -> u64 {
        self.bytes += slot.buffer_bytes as usize;
        match self.free.pop() {
            Some(place) => {
                self.slots[place as usize] = slot;
                u64::from(place)
            }
            None => {
                self.slots.push(slot);
                self.slots.len() as u64 - 1
            }
        }
    }

    pub(crate) fn remove(&mut self, handle: u64) -> Slot {
        let slot = self.slots[handle as usize];
        debug_assert!(
            !self.free.contains(&(handle as u32)),
            "answered exactly once"
        );
        self.free.push(handle as u32);
        self.bytes -= slot.buffer_bytes as usize;
        slot
    }
}

#[cfg(test)]
mod tests;
