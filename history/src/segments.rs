//! The segments of a log: which slot holds which, what is free, how full the open one is.
//!
//! ```text
//!   oldest                                  open        kept for the next one, free
//!   │ sealed │ sealed │ …   │ sealed │      │ batches…  │      │ reserved │ free │ free │ …
//! ```
//!
//! Invariants: every slot is sealed, open, reserved for the segment that comes next, or free. A
//! batch is placed only if the SEAL still fits behind it. Data leaves two slots free (the
//! *emergency segments*), so that fold and metadata can go on when the log is full.
//!
//! What is not known here: what blocks and records mean.

use crate::format::batch::BatchHeader;
use crate::format::checkpoint::SegmentRow;
use crate::format::footer::{Footer, PAGE_ENTRIES};
use crate::format::segment_header::SegmentHeader;
use crate::format::superblock::Geometry;
use crate::format::{PAYLOAD_UNITS_MAX, Seq, UNFLUSHED_SEQS_MAX, Unit};
use crate::replay;
use std::collections::{BTreeSet, VecDeque};

mod filling;

pub(crate) use filling::{Divided, Room, most_that_fit};

/// Slots that data leaves free.
pub(crate) const EMERGENCY_SLOTS: usize = 2;

/// A seq brings at least one entry of its segment's footer, and the segment before is durable when
/// one begins. So no more seqs than a footer has entries for are ever not durable.
const _: () = assert!(((PAYLOAD_UNITS_MAX + 1) * PAGE_ENTRIES) as u64 + 2 < UNFLUSHED_SEQS_MAX);

/// Whether a batch can be placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fit {
    /// In the open segment.
    Here,
    /// In the next segment, once the open one is sealed.
    Next,
    /// Not until slots are free.
    Full,
}

/// The segment that is written.
#[derive(Debug, Clone)]
pub(crate) struct OpenSegment {
    pub(crate) id: u64,
    pub(crate) slot: u32,
    pub(crate) next_slot: u32,
    pub(crate) first_seq: Seq,
    pub(crate) first_time_ns: u64,
    /// Published, in log order.
    pub(crate) footer: Footer,
    /// Of the last header that was made in it.
    pub(crate) last_checksum: u32,
    /// Its header, until it is written together with the first batch.
    pub(crate) header: Option<Vec<u8>>,
    pub(crate) last_seq: Seq,
    pub(crate) last_time_ns: u64,
    /// Behind the last batch that is published; 0: none is.
    published_end: Unit,
    used_units: u32,
    /// Footer entries of all that was placed.
    placed: [usize; 3],
}

/// How far a segment was placed.
#[derive(Debug, Clone)]
pub(crate) struct Placement {
    last_checksum: u32,
    header: Option<Vec<u8>>,
    used_units: u32,
    placed: [usize; 3],
}

impl OpenSegment {
    /// How far it is placed.
    pub(crate) fn placement(&self) -> Placement {
        Placement {
            last_checksum: self.last_checksum,
            header: self.header.clone(),
            used_units: self.used_units,
            placed: self.placed,
        }
    }

    /// What was placed since then is not there any more.
    pub(crate) fn go_back(&mut self, to: Placement) {
        self.last_checksum = to.last_checksum;
        self.header = to.header;
        self.used_units = to.used_units;
        self.placed = to.placed;
    }

    /// A segment whose header was made just now.
    pub(crate) fn begin(header: &SegmentHeader, block: Vec<u8>, checksum: u32) -> OpenSegment {
        let mut open = OpenSegment::found(header, checksum);
        open.header = Some(block);
        open
    }

    /// A segment whose header was read.
    pub(crate) fn found(header: &SegmentHeader, checksum: u32) -> OpenSegment {
        OpenSegment {
            id: header.id,
            slot: header.slot,
            next_slot: header.next_slot,
            first_seq: header.first_seq,
            first_time_ns: header.time_ns,
            footer: Footer::default(),
            last_checksum: checksum,
            header: None,
            last_seq: header.first_seq.saturating_sub(1),
            last_time_ns: header.time_ns,
            published_end: 0,
            used_units: 1,
            placed: [0; 3],
        }
    }

    /// All that was placed, with the header.
    fn taken(&self) -> Room {
        Room {
            units: self.used_units,
            entries: self.placed,
        }
    }

    /// Takes the space of a batch; the first unit of it, counted from the slot's beginning.
    pub(crate) fn place(&mut self, room: Room) -> u32 {
        let at = self.used_units;
        self.used_units += room.units;
        for (placed, more) in std::iter::zip(&mut self.placed, room.entries) {
            *placed += more;
        }
        at
    }

    /// Its batches end there, whatever lies between them.
    pub(crate) fn ends_at(&mut self, units: u32) {
        self.used_units = self.used_units.max(units);
    }

    /// Units that are taken.
    pub(crate) fn used_units(&self) -> u32 {
        self.used_units
    }

    /// A batch of it is published.
    pub(crate) fn publish(&mut self, header: &BatchHeader) {
        replay::add_to_footer(header, &mut self.footer);
        self.last_seq = header.last_seq();
        self.last_time_ns = header.time_ns;
        self.published_end = header.unit + header.units();
    }

    /// Where what is published of it ends, if anything is.
    pub(crate) fn published_end(&self) -> Option<Unit> {
        Some(self.published_end).filter(|end| *end > 0)
    }

    /// As a checkpoint lists it.
    pub(crate) fn row(&self, seal: Option<(Unit, u32)>) -> SegmentRow {
        SegmentRow {
            id: self.id,
            slot: self.slot,
            seal,
            is_cut: false,
            hole: None,
            next_slot: if seal.is_none() { self.next_slot } else { 0 },
            seqs: [self.first_seq, self.last_seq],
            times_ns: [self.first_time_ns, self.last_time_ns],
        }
    }
}

/// Where a log ends whose durable data is lost behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) segment: u64,
    /// Behind the last batch that is left of it.
    pub(crate) unit: Unit,
    pub(crate) last_seq: Seq,
    pub(crate) time_ns: u64,
    /// The checksum of a CHECKPOINT without a header that lies before the end.
    pub(crate) hole: Option<u32>,
}

/// All segments.
#[derive(Debug, Clone)]
pub(crate) struct Segments {
    sealed: VecDeque<SegmentRow>,
    open: Option<OpenSegment>,
    free: BTreeSet<u32>,
    /// The id of the segment in each slot; 0: there is none.
    ids: Vec<u64>,
    /// Kept for the segment that comes next.
    reserved: Option<u32>,
    next_id: u64,
    /// Of the newest segment that is not lost; 0: there was none.
    last_id: u64,
    slot_units: u32,
}

impl Segments {
    /// Those that opening found: sealed ones by id, the open one, and the slot that is kept for the
    /// next one if none is open. The next segment has the id `next_id` or a greater one. `None` if
    /// they do not fit each other.
    pub(crate) fn of_found(
        geometry: &Geometry,
        sealed: Vec<SegmentRow>,
        open: Option<OpenSegment>,
        reserved: u32,
        next_id: u64,
    ) -> Option<Segments> {
        let mut free: BTreeSet<u32> = (0..geometry.slots).collect();
        let open_slot = open.iter().map(|open| open.slot);
        let mut taken = sealed.iter().map(|row| row.slot).chain(open_slot);
        if !taken.all(|slot| free.remove(&slot)) || !free.remove(&reserved) {
            return None;
        }
        let mut ids = vec![0; geometry.slots as usize];
        let all = sealed.iter().map(|row| (row.slot, row.id));
        for (slot, id) in all.chain(open.iter().map(|open| (open.slot, open.id))) {
            ids[slot as usize] = id;
        }
        let last_id = open
            .as_ref()
            .map(|open| open.id)
            .or(sealed.last().map(|row| row.id));
        Some(Segments {
            sealed: sealed.into(),
            open,
            free,
            ids,
            reserved: Some(reserved),
            last_id: last_id.unwrap_or(0),
            next_id: next_id.max(last_id.unwrap_or(0) + 1),
            slot_units: geometry.slot_units,
        })
    }

    /// Sealed ones, oldest first.
    pub(crate) fn sealed(&self) -> impl DoubleEndedIterator<Item = &SegmentRow> {
        self.sealed.iter()
    }

    pub(crate) fn open(&self) -> Option<&OpenSegment> {
        self.open.as_ref()
    }

    pub(crate) fn open_mut(&mut self) -> Option<&mut OpenSegment> {
        self.open.as_mut()
    }

    /// Slots that neither hold a segment nor are kept for the next one.
    pub(crate) fn free_slots(&self) -> usize {
        self.free.len()
    }

    /// The id of the segment in a slot; 0: there is none.
    pub(crate) fn id_in_slot(&self, slot: u32) -> u64 {
        self.ids.get(slot as usize).copied().unwrap_or(0)
    }

    /// The last seq of the sealed segment in a slot, if there is one.
    pub(crate) fn last_seq_in_slot(&self, slot: u32) -> Option<Seq> {
        let id = self.id_in_slot(slot);
        let at = self.sealed.binary_search_by_key(&id, |row| row.id).ok()?;
        Some(self.sealed[at].seqs[1])
    }

    /// The id that the next segment will have.
    pub(crate) fn next_id(&self) -> u64 {
        self.next_id
    }

    /// The id of the newest segment; 0: there was none.
    pub(crate) fn last_id(&self) -> u64 {
        self.last_id
    }

    /// Whether a segment is kept when the floor is at `floor`.
    pub(crate) fn keeps(&self, id: u64, floor: Seq) -> bool {
        self.rows(floor).iter().any(|row| row.id == id)
    }

    /// All behind `end` is lost: the segments behind it are given up, and the one that it lies in
    /// ends there. The ids that they may have had are not given out again.
    pub(crate) fn cut(&mut self, end: &Cut) {
        let skipped = self.ids.len() as u64 + 1;
        self.next_id += skipped;
        self.last_id = 0;
        let open = self.open.take().map(|open| open.row(None));
        let all: Vec<SegmentRow> = self.sealed.drain(..).chain(open).collect();
        for mut row in all {
            let is_before = row.id < end.segment;
            if row.id == end.segment && row.seqs[0] <= end.last_seq {
                row.seal = Some((end.unit, 0));
                row.hole = row.hole.or(end.hole);
                (row.is_cut, row.next_slot) = (true, 0);
                (row.seqs[1], row.times_ns[1]) = (end.last_seq, end.time_ns);
            } else if !is_before {
                self.ids[row.slot as usize] = 0;
                self.free.insert(row.slot);
                continue;
            }
            self.last_id = row.id;
            self.sealed.push_back(row);
        }
    }

    /// Whether a segment of which so much is taken can still be sealed.
    fn fits_slot(&self, taken: Room) -> bool {
        let pages = taken.entries.map(|count| count.div_ceil(PAGE_ENTRIES));
        let pages: usize = pages.iter().sum();
        taken.units + 1 + pages as u32 <= self.slot_units && pages <= PAYLOAD_UNITS_MAX
    }

    /// Where a batch can go that leaves `kept` slots free.
    pub(crate) fn fit(&self, room: Room, kept: usize) -> Fit {
        match &self.open {
            Some(open) if self.fits_slot(open.taken().and(room)) => {
                if self.free.len() >= kept {
                    Fit::Here
                } else {
                    Fit::Full
                }
            }
            // The segment after the next one needs a slot that is kept for it.
            _ if self.free.len() > kept => Fit::Next,
            _ => Fit::Full,
        }
    }

    /// The next segment begins: its slot, its id, the slot that is kept for the one after it. What
    /// was [`Segments::last_id`] before is the one before it.
    pub(crate) fn take_next(&mut self) -> Option<(u32, u64, u32)> {
        let slot = self.reserved?;
        let kept = self.free.pop_first()?;
        self.reserved = Some(kept);
        let id = self.next_id;
        self.ids[slot as usize] = id;
        (self.next_id, self.last_id) = (id + 1, id);
        Some((slot, id, kept))
    }

    /// The segment is written from now on.
    pub(crate) fn set_open(&mut self, open: OpenSegment) {
        debug_assert!(self.open.is_none(), "the open segment is sealed first");
        self.open = Some(open);
    }

    /// The open segment is sealed: durably, by the SEAL at `seal`.
    pub(crate) fn seal_open(&mut self, seal: (Unit, u32)) {
        if let Some(open) = self.open.take() {
            self.sealed.push_back(open.row(Some(seal)));
        }
    }

    /// Removes the segments that hold nothing above `floor`; the slots are not free yet.
    pub(crate) fn retire(&mut self, floor: Seq) -> Vec<u32> {
        let mut slots = Vec::new();
        while let Some(row) = self.sealed.front()
            && row.seqs[1] <= floor
        {
            slots.push(row.slot);
            self.sealed.pop_front();
        }
        slots
    }

    /// The log has so many slots now.
    pub(crate) fn add_slots(&mut self, slots: u32) {
        let had = self.ids.len() as u32;
        self.free.extend(had..slots);
        self.ids.resize(slots.max(had) as usize, 0);
    }

    /// The slots can be written again.
    pub(crate) fn release(&mut self, slots: &[u32]) {
        for slot in slots {
            self.ids[*slot as usize] = 0;
            self.free.insert(*slot);
        }
    }

    /// What a checkpoint lists: not what is only waiting to be free.
    pub(crate) fn rows(&self, floor: Seq) -> Vec<SegmentRow> {
        let needed = self.sealed.iter().skip_while(|row| row.seqs[1] <= floor);
        let mut rows: Vec<SegmentRow> = needed.cloned().collect();
        if let Some(open) = &self.open {
            let mut row = open.row(None);
            (row.seqs[1], row.times_ns[1]) = (0, 0);
            rows.push(row);
        }
        rows
    }

    /// How many a checkpoint lists.
    pub(crate) fn row_count(&self, floor: Seq) -> usize {
        let retired = self.sealed.partition_point(|row| row.seqs[1] <= floor);
        self.sealed.len() - retired + usize::from(self.open.is_some())
    }

    /// Units that segments take, the open one as far as it is written.
    pub(crate) fn used_units(&self) -> u64 {
        let open = self.open.as_ref().map_or(0, OpenSegment::used_units);
        self.sealed.len() as u64 * u64::from(self.slot_units) + u64::from(open)
    }
}
