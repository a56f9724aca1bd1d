//! The catalog: which vdisks are served, by the uuid that the disk's label gave each of them.
//!
//! A vdisk's *identity* is its uuid; its name is how people ask for it; its *handle* is what a
//! client gets when it opens one, and what every request carries. A handle is a slot of the data
//! path's tables, the slot's generation, and the number of the set, so checking it is a comparison.
//!
//! ```text
//!   insert ──► served ──close──► leaving ──release──► (slot free, next generation)
//!              handle valid      handle stale
//! ```
//!
//! Invariants:
//! - A handle is valid from `insert` to `close`, for one vdisk; no later handle equals it, as each
//!   slot counts its generations and is retired when they are used up.
//! - No two vdisks in the catalog, those that leave included, share a uuid or a name: a vdisk that
//!   comes back is not served before its last requests are done.
//! - Generations begin at 1, so a bare position is no valid handle.
//! - A handle of one set is none of another that is joined with it.
//!
//! Not known here: layouts, streams, requests.

use crate::ids::VdiskSlot;
use crate::label::Uuid;
use disktime_engine::VdiskId;
use std::collections::HashMap;

/// Bits of a handle that are the slot; above them is the number of the set, then the generation.
const SLOT_BITS: u32 = 24;

/// The vdisks of a set.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    /// The number of the set, where handles have it.
    set: u32,
    slots: Vec<Slot>,
    free: Vec<VdiskSlot>,
    by_uuid: HashMap<Uuid, VdiskSlot>,
    by_name: HashMap<String, VdiskSlot>,
}

#[derive(Debug)]
struct Slot {
    /// Of the handle that is valid, or of the next one.
    generation: u32,
    entry: Option<Entry>,
}

#[derive(Debug)]
struct Entry {
    uuid: Uuid,
    name: String,
    /// Its handle is stale, and its requests are being completed.
    leaving: bool,
}

/// Why a vdisk was not entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// A vdisk with that uuid or name is served.
    Served,
    /// One is leaving.
    Leaving,
}

/// The number of the set in a handle.
pub(crate) fn set_number(vdisk: VdiskId) -> usize {
    (vdisk.0 as u32 >> SLOT_BITS) as usize
}

impl Catalog {
    /// Of the set of that number among those that are joined.
    pub(crate) fn of_set(number: u8) -> Catalog {
        Catalog {
            set: u32::from(number) << SLOT_BITS,
            ..Catalog::default()
        }
    }

    /// Whether a vdisk with that uuid and name could be entered.
    pub(crate) fn admits(&self, uuid: Uuid, name: &str) -> Result<(), Taken> {
        let by_uuid = self.by_uuid.get(&uuid);
        match by_uuid.or_else(|| self.by_name.get(name)) {
            None => Ok(()),
            Some(slot) if self.slots[slot.index()].is_served() => Err(Taken::Served),
            Some(_) => Err(Taken::Leaving),
        }
    }

    /// Enters a vdisk that is admitted; its handle is valid from now on.
    pub(crate) fn insert(&mut self, uuid: Uuid, name: &str) -> VdiskSlot {
        debug_assert!(self.admits(uuid, name).is_ok());
        let slot = self.free_slot();
        self.by_uuid.insert(uuid, slot);
        self.by_name.insert(name.to_owned(), slot);
        self.slots[slot.index()].entry = Some(Entry {
            uuid,
            name: name.to_owned(),
            leaving: false,
        });
        slot
    }

    /// A slot of the data path's tables for what is no vdisk: it has no handle, and is free when it
    /// is [given back](Catalog::release_reserved).
    pub(crate) fn reserve_slot(&mut self) -> VdiskSlot {
        self.free_slot()
    }

    /// A slot that was given back, or a new one.
    fn free_slot(&mut self) -> VdiskSlot {
        self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot {
                generation: 1,
                entry: None,
            });
            VdiskSlot::new((self.slots.len() - 1) as u32)
        })
    }

    /// Gives a slot back that is no vdisk's; whether it is one.
    pub(crate) fn release_reserved(&mut self, slot: VdiskSlot) -> bool {
        let is_reserved = self.slots[slot.index()].entry.is_none();
        if is_reserved {
            self.free.push(slot);
        }
        is_reserved
    }

    /// Makes a handle stale. Its slot stays taken until it is released.
    pub(crate) fn close(&mut self, vdisk: VdiskId) -> Option<VdiskSlot> {
        let slot = self.resolve(vdisk)?;
        if let Some(entry) = &mut self.slots[slot.index()].entry {
            entry.leaving = true;
        }
        Some(slot)
    }

    /// Forgets a vdisk that has left; returns its uuid and name.
    ///
    /// # Panics
    /// If its handle was not closed.
    pub(crate) fn release(&mut self, slot: VdiskSlot) -> (Uuid, String) {
        let state = &mut self.slots[slot.index()];
        let entry = state.entry.take().filter(|entry| entry.leaving);
        let Entry { uuid, name, .. } = entry.expect("a vdisk leaves before its slot is released");
        self.by_uuid.remove(&uuid);
        self.by_name.remove(&name);
        // A slot whose generations are used up stays empty.
        if let Some(next) = state.generation.checked_add(1) {
            state.generation = next;
            self.free.push(slot);
        }
        (uuid, name)
    }

    /// The slot of a valid handle. O(1), for every request.
    #[inline]
    pub(crate) fn resolve(&self, vdisk: VdiskId) -> Option<VdiskSlot> {
        let (number, generation) = (vdisk.0 as u32 ^ self.set, (vdisk.0 >> 32) as u32);
        let slot = self.slots.get(number as usize)?;
        let valid = slot.generation == generation && slot.is_served();
        valid.then(|| VdiskSlot::new(number))
    }

    /// Whether a handle was valid at some time.
    pub(crate) fn was_valid(&self, vdisk: VdiskId) -> bool {
        let (number, generation) = (vdisk.0 as u32 ^ self.set, (vdisk.0 >> 32) as u32);
        let slot = self.slots.get(number as usize);
        slot.is_some_and(|slot| match slot.entry {
            Some(_) => (1..=slot.generation).contains(&generation),
            None => (1..slot.generation).contains(&generation),
        })
    }

    /// The handle of a served vdisk.
    pub(crate) fn by_name(&self, name: &str) -> Option<VdiskId> {
        self.by_name.get(name).and_then(|slot| self.served(*slot))
    }

    /// The handle of a served vdisk.
    pub(crate) fn by_uuid(&self, uuid: Uuid) -> Option<VdiskId> {
        self.by_uuid.get(&uuid).and_then(|slot| self.served(*slot))
    }

    /// Whether a vdisk with that uuid is leaving.
    pub(crate) fn is_leaving(&self, uuid: Uuid) -> bool {
        let slot = self.by_uuid.get(&uuid);
        slot.is_some_and(|slot| !self.slots[slot.index()].is_served())
    }

    /// The identity of a served vdisk.
    pub(crate) fn uuid(&self, vdisk: VdiskId) -> Option<Uuid> {
        let slot = self.resolve(vdisk)?;
        self.slots[slot.index()]
            .entry
            .as_ref()
            .map(|entry| entry.uuid)
    }

    /// Handles and names of the served vdisks, in the order of their slots.
    pub(crate) fn served_vdisks(&self) -> impl Iterator<Item = (VdiskId, VdiskSlot, &str)> {
        let slots = (0..).map(VdiskSlot::new).zip(&self.slots);
        slots.filter_map(|(slot, state)| {
            let entry = state.entry.as_ref().filter(|entry| !entry.leaving)?;
            Some((self.handle(slot), slot, entry.name.as_str()))
        })
    }

    fn served(&self, slot: VdiskSlot) -> Option<VdiskId> {
        let served = self.slots[slot.index()].is_served();
        served.then(|| self.handle(slot))
    }

    /// The handle of a slot that is taken.
    pub(crate) fn handle(&self, slot: VdiskSlot) -> VdiskId {
        let generation = self.slots[slot.index()].generation;
        VdiskId(u64::from(generation) << 32 | u64::from(self.set) | slot.index() as u64)
    }
}

impl Slot {
    fn is_served(&self) -> bool {
        self.entry.as_ref().is_some_and(|entry| !entry.leaving)
    }
}

#[cfg(test)]
mod tests;
