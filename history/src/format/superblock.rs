//! The superblock: what a log is, and where its newest checkpoint lies. Two copies, the same bytes.

use super::bytes::put;
use super::checkpoint::{HEADER_BYTES, SEGMENT_BYTES};
use super::{
    COUNT_LIMIT, FIRST_SLOT_UNIT, PAYLOAD_UNITS_MAX, SLOT_UNITS_MAX, SLOT_UNITS_MIN, SLOTS_MAX,
    SLOTS_MIN, Seq, UNIT_BYTES, Unit, Uuid, VDISK_BLOCKS_MAX, VERSION, checks,
};
use disktime_units::little_endian::{array_at, u16_at, u32_at, u64_at};

const MAGIC: &[u8; 8] = b"DTHSUPER";
const CHECKSUM_AT: usize = 12;
const CLOSED: u16 = 1;

/// Space in a checkpoint for marks and branches, however many slots there are.
const OTHER_ROWS_BYTES: usize = 4096;

/// Incompatible features that have a name; this program knows `clone` and `sizes`.
const INCOMPATIBLE: [&str; 5] = ["elsewhere", "clone", "long checkpoint", "sizes", "ring"];

/// The bit of `clone`.
const CLONE: u64 = 1 << 1;

/// The bit of `sizes`.
const SIZES: u64 = 1 << 3;

/// Read-only-compatible features that have a name; this program knows `clones`.
const READ_ONLY_COMPATIBLE: [&str; 2] = ["clones", "cursors"];

/// The bit of `clones`.
const HAS_CLONES: u64 = 1;

/// Where a log lies and what it belongs to; fixed when it is formatted, except for sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// Drawn at random when the log is formatted.
    pub log: Uuid,
    /// The vdisk whose history it is.
    pub vdisk: Uuid,
    /// The disk that the log lies on.
    pub disk: Uuid,
    /// Units of a slot: a power of two, 16 to 16384.
    pub slot_units: u32,
    /// Slots, 6 to 4096.
    pub slots: u32,
    /// Size of the vdisk in blocks: the greatest that it has had or is about to have.
    pub vdisk_blocks: u64,
}

impl Geometry {
    /// Whether the numbers are in their bounds.
    pub fn is_possible(&self) -> bool {
        let slot_units = SLOT_UNITS_MIN..=SLOT_UNITS_MAX;
        let slots = SLOTS_MIN..=SLOTS_MAX;
        self.slot_units.is_power_of_two()
            && slot_units.contains(&self.slot_units)
            && slots.contains(&self.slots)
            && self.vdisk_blocks <= VDISK_BLOCKS_MAX
            && self.checkpoint_fits()
    }

    /// Whether the tables fit a checkpoint with a row for every slot.
    fn checkpoint_fits(&self) -> bool {
        let rows = HEADER_BYTES + self.slots as usize * SEGMENT_BYTES;
        rows + OTHER_ROWS_BYTES <= self.tables_bytes_max()
    }

    /// Bytes of the tables of a checkpoint, at most: a quarter of a slot.
    pub(crate) fn tables_bytes_max(&self) -> usize {
        (self.slot_units as usize / 4).min(PAYLOAD_UNITS_MAX) * UNIT_BYTES
    }

    /// Units of the whole area.
    pub fn area_units(&self) -> Unit {
        FIRST_SLOT_UNIT + self.slots * self.slot_units
    }

    /// First unit of a slot.
    pub(crate) fn slot_start(&self, slot: u32) -> Unit {
        FIRST_SLOT_UNIT + slot * self.slot_units
    }

    /// The slot that a unit lies in; the unit is not before slot 0.
    pub(crate) fn slot_of(&self, unit: Unit) -> u32 {
        (unit - FIRST_SLOT_UNIT) / self.slot_units
    }
}

/// Where the newest checkpoint lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CheckpointPlace {
    pub(crate) segment: u64,
    pub(crate) unit: Unit,
    pub(crate) checksum: u32,
}

/// What the log of a clone begins with: what no batch of it has, a moment of another log has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// The vdisk that was cloned.
    pub vdisk: Uuid,
    /// Its log.
    pub log: Uuid,
    /// The moment of that.
    pub moment: Seq,
}

/// A superblock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Superblock {
    pub(crate) geometry: Geometry,
    pub(crate) generation: u64,
    pub(crate) written_by: [u16; 3],
    pub(crate) epoch: u64,
    pub(crate) checkpoint: Option<CheckpointPlace>,
    /// The last batch, if the log was closed in good order.
    pub(crate) closed: Option<u64>,
    /// The first seq of the epoch; of a log that was closed, that of the next one.
    pub(crate) next_seq: u64,
    /// The image holds nothing older than the floor, and may hold a part of what lies up to here.
    pub(crate) fold_to: Seq,
    /// Where the CHECKPOINT before the newest one lies, while it can take its place.
    pub(crate) checkpoint_before: Option<CheckpointPlace>,
    /// The floor that the newest CHECKPOINT holds.
    pub(crate) floor: Seq,
    /// The id that the first segment of the epoch has, if it begins one.
    pub(crate) next_segment: u64,
    /// Features of a later program, with which this one may read the log and not write it.
    pub(crate) read_only_features: u64,
    /// It has CLONE records: they hold the floor.
    pub(crate) has_clones: bool,
    /// It may have RESIZE records.
    pub(crate) has_sizes: bool,
    /// It is the log of a clone.
    pub(crate) origin: Option<Origin>,
}

/// Why bytes are not a superblock that this program can use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SuperblockDefect {
    /// Not a log, or its first bytes are damaged.
    #[error("there is no log")]
    NoMagic,
    /// Its checksum is wrong.
    #[error("its checksum is wrong")]
    Checksum,
    /// Whole, but its numbers are impossible.
    #[error("its numbers are out of their bounds")]
    Impossible,
    /// Whole, but of another version.
    #[error("the log has version {0}, and this program reads version 1; use a newer disktime")]
    Version(u32),
    /// Whole, but it uses a feature that this program does not know.
    #[error(
        "the log uses {what}, written by disktime {written_by}; use that version or a newer one"
    )]
    Unknown {
        /// The features.
        what: String,
        /// The program that wrote it.
        written_by: String,
    },
}

impl SuperblockDefect {
    /// Whether the copy is whole, so that the log must be left alone.
    pub(crate) fn is_whole(&self) -> bool {
        matches!(
            self,
            SuperblockDefect::Version(_) | SuperblockDefect::Unknown { .. }
        )
    }
}

impl Superblock {
    /// The superblock of a log that nothing was written to.
    pub(crate) fn of_new_log(geometry: Geometry, written_by: [u16; 3]) -> Superblock {
        Superblock {
            geometry,
            generation: 1,
            written_by,
            epoch: 1,
            checkpoint: None,
            closed: None,
            next_seq: 1,
            fold_to: 0,
            checkpoint_before: None,
            floor: 0,
            next_segment: 1,
            read_only_features: 0,
            has_clones: false,
            has_sizes: false,
            origin: None,
        }
    }

    /// Names of the features with which this program must not write the log, and the version that
    /// wrote it; `None`: it may.
    pub(crate) fn read_only_names(&self) -> Option<String> {
        let bits = self.read_only_features;
        let written_by = version_text(self.written_by);
        (bits != 0).then(|| {
            let names = feature_names(bits, &READ_ONLY_COMPATIBLE);
            format!("{names}, written by disktime {written_by}")
        })
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut block = vec![0; UNIT_BYTES];
        let geometry = &self.geometry;
        put(&mut block, 0, MAGIC);
        put(&mut block, 8, &VERSION.to_le_bytes());
        put(&mut block, 16, &geometry.log);
        put(&mut block, 32, &geometry.vdisk);
        put(&mut block, 48, &geometry.disk);
        put(&mut block, 64, &self.generation.to_le_bytes());
        // Compatible bits of another program are not kept: its fields are not kept up to date here.
        for (index, number) in self.written_by.iter().enumerate() {
            put(&mut block, 88 + 2 * index, &number.to_le_bytes());
        }
        put(&mut block, 96, &geometry.slot_units.to_le_bytes());
        put(&mut block, 100, &geometry.slots.to_le_bytes());
        put(&mut block, 104, &geometry.vdisk_blocks.to_le_bytes());
        put(&mut block, 112, &self.epoch.to_le_bytes());
        put_place(&mut block, 120, self.checkpoint);
        if let Some(last_batch) = self.closed {
            put(&mut block, 94, &CLOSED.to_le_bytes());
            put(&mut block, 136, &last_batch.to_le_bytes());
        }
        put(&mut block, 144, &self.next_seq.to_le_bytes());
        put(&mut block, 152, &self.fold_to.to_le_bytes());
        // Never written by this program over a log that has them; kept so that bytes decode to the
        // same.
        let clones = if self.has_clones { HAS_CLONES } else { 0 };
        let read_only_compatible = self.read_only_features | clones;
        put(&mut block, 160, &read_only_compatible.to_le_bytes());
        put_place(&mut block, 168, self.checkpoint_before);
        put(&mut block, 184, &self.floor.to_le_bytes());
        let clone = if self.origin.is_some() { CLONE } else { 0 };
        let sizes = if self.has_sizes { SIZES } else { 0 };
        put(&mut block, 72, &(clone | sizes).to_le_bytes());
        if let Some(origin) = &self.origin {
            put(&mut block, 192, &origin.vdisk);
            put(&mut block, 208, &origin.log);
            put(&mut block, 224, &origin.moment.to_le_bytes());
        }
        put(&mut block, 264, &self.next_segment.to_le_bytes());
        let checksum = checks::unseeded(&block, CHECKSUM_AT);
        put(&mut block, CHECKSUM_AT, &checksum.to_le_bytes());
        block
    }

    /// What the unit says, or what is wrong with it.
    pub(crate) fn decode(block: &[u8]) -> Result<Superblock, SuperblockDefect> {
        if block.get(..8) != Some(MAGIC) {
            return Err(SuperblockDefect::NoMagic);
        }
        if block.len() != UNIT_BYTES
            || checks::unseeded(block, CHECKSUM_AT) != u32_at(block, CHECKSUM_AT)
        {
            return Err(SuperblockDefect::Checksum);
        }
        if u32_at(block, 8) != VERSION {
            return Err(SuperblockDefect::Version(u32_at(block, 8)));
        }
        let written_by = [u16_at(block, 88), u16_at(block, 90), u16_at(block, 92)];
        let incompatible = u64_at(block, 72);
        let unknown = incompatible & !(CLONE | SIZES);
        if unknown != 0 {
            return Err(SuperblockDefect::Unknown {
                what: feature_names(unknown, &INCOMPATIBLE),
                written_by: version_text(written_by),
            });
        }
        let superblock = Superblock {
            geometry: Geometry {
                log: array_at(block, 16),
                vdisk: array_at(block, 32),
                disk: array_at(block, 48),
                slot_units: u32_at(block, 96),
                slots: u32_at(block, 100),
                vdisk_blocks: u64_at(block, 104),
            },
            generation: u64_at(block, 64),
            written_by,
            epoch: u64_at(block, 112),
            checkpoint: place_at(block, 120),
            closed: (u16_at(block, 94) & CLOSED != 0).then(|| u64_at(block, 136)),
            next_seq: u64_at(block, 144),
            fold_to: u64_at(block, 152),
            checkpoint_before: place_at(block, 168),
            floor: u64_at(block, 184),
            next_segment: u64_at(block, 264),
            read_only_features: u64_at(block, 160) & !HAS_CLONES,
            has_clones: u64_at(block, 160) & HAS_CLONES != 0,
            has_sizes: incompatible & SIZES != 0,
            origin: (incompatible & CLONE != 0).then(|| Origin {
                vdisk: array_at(block, 192),
                log: array_at(block, 208),
                moment: u64_at(block, 224),
            }),
        };
        if superblock.is_possible() {
            Ok(superblock)
        } else {
            Err(SuperblockDefect::Impossible)
        }
    }

    fn is_possible(&self) -> bool {
        let geometry = &self.geometry;
        let is_inside = |place: CheckpointPlace| {
            (FIRST_SLOT_UNIT..geometry.area_units()).contains(&place.unit)
                && place.segment < COUNT_LIMIT
        };
        let counts = [
            self.generation,
            self.epoch,
            self.next_seq,
            self.next_segment,
        ];
        let places = [self.checkpoint, self.checkpoint_before];
        geometry.is_possible()
            && counts.iter().all(|count| (1..COUNT_LIMIT).contains(count))
            && self.fold_to < COUNT_LIMIT
            && self.floor <= self.fold_to
            && self.origin.is_none_or(|origin| origin.moment < COUNT_LIMIT)
            && places.into_iter().flatten().all(is_inside)
    }
}

/// What the log of a clone begins with, by one of its superblocks; `None` if the unit is none of a
/// clone.
pub fn origin_of(unit: &[u8]) -> Option<Origin> {
    Superblock::decode(unit).ok()?.origin
}

fn put_place(block: &mut [u8], at: usize, place: Option<CheckpointPlace>) {
    if let Some(place) = place {
        put(block, at, &place.segment.to_le_bytes());
        put(block, at + 8, &place.unit.to_le_bytes());
        put(block, at + 12, &place.checksum.to_le_bytes());
    }
}

/// The place of a CHECKPOINT; segment 0 is none.
fn place_at(block: &[u8], at: usize) -> Option<CheckpointPlace> {
    let segment = u64_at(block, at);
    (segment != 0).then(|| CheckpointPlace {
        segment,
        unit: u32_at(block, at + 8),
        checksum: u32_at(block, at + 12),
    })
}

fn version_text(version: [u16; 3]) -> String {
    version.map(|number| number.to_string()).join(".")
}

fn feature_names(bits: u64, names: &[&str]) -> String {
    let names = (0..64).filter(|bit| bits >> bit & 1 == 1).map(|bit| {
        let name = names.get(bit as usize).map(|name| name.to_string());
        name.unwrap_or_else(|| format!("feature {bit}"))
    });
    names.collect::<Vec<_>>().join(", ")
}
