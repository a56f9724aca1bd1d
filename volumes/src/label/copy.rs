//! A copy of the label: from bytes to a [`Label`] and back.
//!
//! Reading takes two steps, because sections may lie outside: [`Draft::decode`] judges the copy's
//! own bytes and says what else has to be read; [`Draft::finish`] judges that. A copy is whole only
//! with all its sections.

use super::directory::{
    self, ENTRY_BYTES, Entry, KIND_HISTORIES, KIND_TIMES, KIND_VDISKS, KeptSection, MAX_SECTIONS,
    Place, Rooms,
};
use super::features::{self, ProgramVersion};
use super::header::{self, HEADER_BYTES, Header};
use super::number::copy_checksum;
use super::table::Label;
use super::{COPY_CAPACITY_BYTES, MAGIC, UNIT_BYTES, VERSION, histories, vdisks, version1};
use disktime_units::little_endian::{is_zero, u32_at};
use std::fmt;

/// Why the bytes of a copy are not a label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopyDefect {
    /// No magic: nothing of ours, or its first bytes are damaged.
    NoMagic,
    /// Whole, but of another version.
    Version(u32),
    /// Whole, but it uses what this program does not know.
    Unknown {
        /// What, by name where it has one.
        what: String,
        /// The program that wrote it.
        written_by: ProgramVersion,
    },
    /// Magic there, checksum or structure wrong.
    Damaged(&'static str),
}

const BAD_LENGTH: CopyDefect = CopyDefect::Damaged("its length is impossible");
const BAD_CHECKSUM: CopyDefect = CopyDefect::Damaged("its checksum is wrong");
const BAD_DIRECTORY: CopyDefect = CopyDefect::Damaged("its directory is not consistent");
const BAD_SECTION: CopyDefect = CopyDefect::Damaged("the checksum of a section is wrong");
const BAD_TABLE: CopyDefect = CopyDefect::Damaged("its table is not consistent");

impl fmt::Display for CopyDefect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CopyDefect::NoMagic => f.write_str("no label"),
            CopyDefect::Version(version) => write!(f, "version {version}"),
            CopyDefect::Unknown { what, .. } => write!(f, "it uses {what}"),
            CopyDefect::Damaged(what) => f.write_str(what),
        }
    }
}

/// A copy whose own bytes are right; sections outside may still be missing.
#[derive(Debug, Clone)]
pub struct Draft {
    /// Complete in version 1; without vdisks and kept sections in version 2.
    label: Label,
    sections: Vec<(Entry, Vec<u8>)>,
}

/// What has to be read for a [`Draft`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outside {
    position: usize,
    rooms: Rooms,
    /// A multiple of the unit.
    read_bytes: u64,
}

impl Outside {
    /// Where the replica of a copy lies: offset and length.
    pub fn replica(&self, copy: usize) -> (u64, u64) {
        (self.rooms.replica_offset(copy), self.read_bytes)
    }

    /// End of the last byte of the two rooms.
    pub fn end(&self) -> u64 {
        self.rooms.ranges().map(|range| range.1)[0].max(self.rooms.ranges()[1].1)
    }
}

impl Draft {
    /// Reads one copy; `bytes` may be longer than it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn decode(bytes: &[u8]) -> Result<Draft, CopyDefect> {
        let copy = whole_copy(bytes)?;
        match u32_at(copy, 8) {
            version1::VERSION => {
                let label = version1::decode(copy).ok_or(BAD_TABLE)?;
                let sections = Vec::new();
                Ok(Draft { label, sections })
            }
            VERSION => Draft::decode_version2(copy),
            other => Err(CopyDefect::Version(other)),
        }
    }

    fn decode_version2(copy: &[u8]) -> Result<Draft, CopyDefect> {
        let header = Header::decode(copy);
        let unknown = |what| CopyDefect::Unknown {
            what,
            written_by: header.written_by,
        };
        let unsupported = header.features.unsupported();
        if unsupported != 0 {
            return Err(unknown(features::names(unsupported)));
        }
        let start = HEADER_BYTES + header.sections.min(MAX_SECTIONS + 1) * ENTRY_BYTES;
        if header.sections > MAX_SECTIONS || start > copy.len() || !header::reserved_is_zero(copy) {
            return Err(BAD_DIRECTORY);
        }
        let (entries, end) =
            directory::decode(&copy[HEADER_BYTES..start], start).ok_or(BAD_DIRECTORY)?;
        let is_first = |entry: &Entry| entry.kind == KIND_VDISKS && entry.must_understand;
        let is_known = |entry: &Entry| match entry.kind {
            KIND_VDISKS => true,
            // This program keeps it inside; another place comes with a feature bit.
            KIND_HISTORIES => entry.place == Place::Inside,
            _ => false,
        };
        let stranger = entries
            .iter()
            .find(|entry| entry.must_understand && !is_known(entry));
        if let Some(stranger) = stranger {
            return Err(unknown(format!("section {}", stranger.kind)));
        }
        let mut histories = entries.iter().filter(|entry| entry.kind == KIND_HISTORIES);
        if histories.any(|entry| !entry.must_understand) {
            return Err(BAD_DIRECTORY);
        }
        let in_full = end.next_multiple_of(UNIT_BYTES) == copy.len();
        if !in_full || !entries.first().is_some_and(is_first) {
            return Err(BAD_DIRECTORY);
        }
        let sections = take_inside(copy, entries, start).ok_or(BAD_DIRECTORY)?;
        Ok(Draft {
            label: Label::of_header(&header),
            sections,
        })
    }

    /// The generation that the copy says it has.
    pub fn generation(&self) -> u64 {
        self.label.generation
    }

    /// The size that the disk had when the copy was written.
    pub fn size_bytes(&self) -> u64 {
        self.label.size_bytes
    }

    /// What lies outside and is to be read.
    pub fn outside(&self) -> Vec<Outside> {
        let sections = self.sections.iter().enumerate();
        sections
            .filter_map(|(position, (entry, _))| match entry.place {
                Place::Inside => None,
                Place::Outside(rooms) => Some(Outside {
                    position,
                    rooms,
                    read_bytes: entry.read_bytes(),
                }),
            })
            .collect()
    }

    /// Takes what was read from a place that [`Draft::outside`] named.
    pub fn supply(&mut self, place: &Outside, mut bytes: Vec<u8>) {
        let (entry, section) = &mut self.sections[place.position];
        bytes.truncate(entry.len_bytes as usize);
        *section = bytes;
    }

    /// The label, now that its sections are there.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn finish(self) -> Result<Label, CopyDefect> {
        let Draft {
            mut label,
            sections,
        } = self;
        for (entry, bytes) in sections {
            let is_whole = bytes.len() as u64 == entry.len_bytes;
            if !is_whole || crc32c::crc32c(&bytes) != entry.checksum {
                return Err(BAD_SECTION);
            }
            if entry.kind == KIND_VDISKS {
                label.table_place = entry.place;
                label.vdisks = vdisks::decode(&bytes).ok_or(BAD_TABLE)?;
            } else if entry.kind == KIND_HISTORIES {
                label.histories = histories::decode(&bytes).ok_or(BAD_TABLE)?;
            } else {
                let (kind, place) = (entry.kind, entry.place);
                label.kept.push(KeptSection { kind, place, bytes });
            }
        }
        if label.is_consistent() {
            Ok(label)
        } else {
            Err(BAD_TABLE)
        }
    }
}

/// The bytes of a copy, if its magic, length and checksum are right.
fn whole_copy(bytes: &[u8]) -> Result<&[u8], CopyDefect> {
    if bytes.get(..MAGIC.len()) != Some(MAGIC) {
        return Err(CopyDefect::NoMagic);
    }
    let header = bytes.get(..HEADER_BYTES).ok_or(BAD_LENGTH)?;
    let length = u32_at(header, 16) as usize;
    let is_possible = length.is_multiple_of(UNIT_BYTES) && length <= COPY_CAPACITY_BYTES;
    let copy = bytes.get(..length).ok_or(BAD_LENGTH)?;
    if !is_possible || copy.is_empty() {
        return Err(BAD_LENGTH);
    }
    if copy_checksum(copy) != u32_at(copy, 12) {
        return Err(BAD_CHECKSUM);
    }
    Ok(copy)
}

/// The bytes of the sections inside. `None` if one ends behind the copy, or if what lies between
/// and behind them is not zero.
fn take_inside(copy: &[u8], entries: Vec<Entry>, start: usize) -> Option<Vec<(Entry, Vec<u8>)>> {
    let mut sections = Vec::with_capacity(entries.len());
    let mut at = start;
    for entry in entries {
        let mut bytes = Vec::new();
        if entry.place == Place::Inside {
            let end = entry.inside_at.checked_add(entry.len_bytes as usize)?;
            bytes = copy.get(entry.inside_at..end)?.to_vec();
            is_zero(copy.get(at..entry.inside_at)?).then_some(())?;
            at = end;
        }
        sections.push((entry, bytes));
    }
    is_zero(&copy[at..]).then_some(sections)
}

/// A label in bytes. Both copies have the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    pub(super) copy: Vec<u8>,
    /// The table of vdisks, if it lies outside.
    pub(super) table: Option<(Rooms, Vec<u8>)>,
    /// Kept sections that lie outside, where they lay.
    pub(super) kept: Vec<(Rooms, Vec<u8>)>,
}

impl Encoded {
    /// A copy; a multiple of the unit.
    pub fn into_copy(self) -> Vec<u8> {
        self.copy
    }

    /// What lies outside, each a multiple of the unit, in the order of the directory.
    pub fn outside(&self) -> impl Iterator<Item = (&Rooms, &[u8])> {
        let sections = self.table.iter().chain(&self.kept);
        sections.map(|(rooms, bytes)| (rooms, bytes.as_slice()))
    }
}

impl Label {
    fn of_header(header: &Header) -> Label {
        Label {
            version: VERSION,
            generation: header.generation,
            disk_uuid: header.disk_uuid,
            size_bytes: header.size_bytes,
            known_zero_from: header.known_zero_from,
            known_zero_to: header.known_zero_to,
            features: header.features,
            written_by: header.written_by,
            vdisks: Vec::new(),
            histories: Vec::new(),
            table_place: Place::Inside,
            kept: Vec::new(),
        }
    }

    /// The sections beside the table of vdisks, by ascending kind: must be understood, kind, place,
    /// bytes.
    fn sections(&self) -> Vec<(bool, u32, Place, Vec<u8>)> {
        let kept = self.kept.iter();
        let mut sections: Vec<_> = kept
            .map(|kept| (false, kept.kind, kept.place, kept.bytes.clone()))
            .collect();
        if !self.histories.is_empty() {
            let at = sections.partition_point(|section| section.1 < KIND_HISTORIES);
            let bytes = histories::encode(&self.histories);
            sections.insert(at, (true, KIND_HISTORIES, Place::Inside, bytes));
        }
        sections
    }

    /// Bytes of a copy if the table of vdisks lies inside; without the times, which are left out
    /// where there is no room for them.
    pub(super) fn inside_bytes(&self) -> u64 {
        self.copy_bytes(self.table_bytes(), |kept| kept.kind != KIND_TIMES)
    }

    /// Whether the copy, as it is, fits its room.
    pub(super) fn has_room_inside(&self) -> bool {
        let table_bytes = match self.table_place {
            Place::Inside => self.table_bytes(),
            Place::Outside(_) => 0,
        };
        // One for the table, one for the histories.
        self.kept.len() + usize::from(!self.histories.is_empty()) < MAX_SECTIONS
            && self.copy_bytes(table_bytes, |_| true) <= COPY_CAPACITY_BYTES as u64
    }

    fn copy_bytes(&self, table_bytes: u64, counts: impl Fn(&KeptSection) -> bool) -> u64 {
        let kept = self.kept.iter().filter(|kept| counts(kept));
        let kept = kept.map(|kept| (kept.place, kept.bytes.len()));
        let histories = (!self.histories.is_empty())
            .then(|| (Place::Inside, histories::section_bytes(&self.histories)));
        let sections: Vec<_> = kept.chain(histories).collect();
        let mut end = (HEADER_BYTES + (1 + sections.len()) * ENTRY_BYTES) as u64 + table_bytes;
        for (place, bytes) in sections {
            if place == Place::Inside {
                end = end.next_multiple_of(directory::ALIGNMENT_BYTES as u64);
                end += bytes as u64;
            }
        }
        end.next_multiple_of(UNIT_BYTES as u64)
    }

    /// Whether a copy has room for the table of vdisks.
    pub(crate) fn fits_inside(&self) -> bool {
        self.inside_bytes() <= COPY_CAPACITY_BYTES as u64
    }

    /// The label in bytes of the newest version.
    pub fn encode(&self) -> Encoded {
        let table = vdisks::encode(&self.vdisks);
        let others = self.sections();
        let mut entries = vec![Entry::describe(KIND_VDISKS, true, self.table_place, &table)];
        for (must_understand, kind, place, bytes) in &others {
            entries.push(Entry::describe(*kind, *must_understand, *place, bytes));
        }
        let start = HEADER_BYTES + entries.len() * ENTRY_BYTES;
        let end = directory::arrange(&mut entries, start);
        let header = Header {
            length_bytes: end.next_multiple_of(UNIT_BYTES),
            sections: entries.len(),
            generation: self.generation,
            disk_uuid: self.disk_uuid,
            size_bytes: self.size_bytes,
            known_zero_from: self.known_zero_from,
            known_zero_to: self.known_zero_to,
            features: self.features,
            written_by: self.written_by,
        };
        let mut copy = Vec::with_capacity(header.length_bytes);
        header.encode(&mut copy);
        for entry in &entries {
            entry.encode(&mut copy);
        }
        let mut outside = Vec::new();
        let others = others.into_iter().map(|(.., bytes)| bytes);
        let contents = std::iter::once(table).chain(others);
        for (entry, bytes) in entries.iter().zip(contents) {
            match entry.place {
                Place::Inside => {
                    copy.resize(entry.inside_at, 0);
                    copy.extend_from_slice(&bytes);
                }
                Place::Outside(rooms) => outside.push((entry.kind, rooms, padded(bytes))),
            }
        }
        copy.resize(header.length_bytes, 0);
        let checksum = copy_checksum(&copy);
        copy[12..16].copy_from_slice(&checksum.to_le_bytes());
        let (table, kept): (Vec<_>, Vec<_>) = outside
            .into_iter()
            .partition(|(kind, ..)| *kind == KIND_VDISKS);
        let without_kind = |(_, rooms, bytes)| (rooms, bytes);
        Encoded {
            copy,
            table: table.into_iter().map(without_kind).next(),
            kept: kept.into_iter().map(without_kind).collect(),
        }
    }
}

fn padded(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.resize(bytes.len().next_multiple_of(UNIT_BYTES), 0);
    bytes
}
